#include "pod/name.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "text/digest.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define LABEL_MOST         63
#define SHORT_TOKEN_LENGTH 9

/* The runner's identity as everything here uses it: URL and short token. */
static void pod_digest(const char *url, const char *short_token, const char *more, char hex[DIGEST_HEX])
{
    OWNED_TEXT char *text = mem_format("%s\n%s%s", url, short_token, more);

    digest_sha256_hex(text, strlen(text), hex);
}

char *pod_name(const char *url, const char *short_token, uint64_t job_id, unsigned attempt)
{
    char hex[DIGEST_HEX];

    pod_digest(url, short_token, "", hex);
    return mem_format("job-%.6s-%" PRIu64 "-%u", hex, job_id, attempt);
}

char *pod_key(const char *url, const char *short_token, uint64_t job_id)
{
    char hex[DIGEST_HEX];
    OWNED_TEXT char *more = mem_format("\n%" PRIu64, job_id);

    pod_digest(url, short_token, more, hex);
    return mem_text(hex);
}

char *pod_label_value(const char *text)
{
    char *value = mem_text(text);
    size_t length, start = 0;

    for (char *c = value; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
            *c = '-';
    while (value[start] != '\0' && !isalnum((unsigned char)value[start]))
        start++;
    memmove(value, value + start, strlen(value + start) + 1);
    length = strlen(value);
    if (length > LABEL_MOST)
        length = LABEL_MOST;
    while (length > 0 && !isalnum((unsigned char)value[length - 1]))
        length--;
    value[length] = '\0';
    return value;
}

static const char *skip_prefix(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : text;
}

/* t1_, t2_ and t3_ are partition marks (docs/reference/dataops.md, "Tokens"). */
static const char *skip_partition(const char *text)
{
    if (text[0] == 't' && text[1] >= '1' && text[1] <= '3' && text[2] == '_')
        return text + 3;
    return text;
}

char *pod_short_token(const char *token)
{
    const char *rest = token;

    if (strncmp(token, "GR1348941", 9) == 0)
        rest = token + 9;
    else if (strncmp(token, "glrtr-", 6) == 0 || strncmp(token, "glcbt-", 6) == 0)
        rest = token + 6;
    else
        rest = skip_partition(skip_prefix(token, "glrt-"));
    return mem_copy(rest, strnlen(rest, SHORT_TOKEN_LENGTH));
}
