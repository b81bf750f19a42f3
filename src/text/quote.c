#include "text/quote.h"

#include "text/utf8.h"

#include <stdint.h>
#include <string.h>

#define URL_END       " \t\r\n\"'<>"
#define NAME_MOST     64u
#define DISTANCE_MOST 3u

void quote_shell(const char *text, struct strbuf *out)
{
    strbuf_add_char(out, '\'');
    for (size_t run = strcspn(text, "'"); text[run]; run = strcspn(text, "'")) {
        strbuf_add(out, text, run);
        strbuf_add_text(out, "'\\''");
        text += run + 1;
    }
    strbuf_add_text(out, text);
    strbuf_add_char(out, '\'');
}

/* How far a URL's secret parts reach from here: user and password behind "://", or a query string; 0 when neither
 * begins. */
static size_t secret_length(const char *start, const char *at, bool in_url)
{
    if (at - start >= 3 && memcmp(at - 3, "://", 3) == 0) {
        size_t authority = strcspn(at, "/?#" URL_END);
        const char *sign = memrchr(at, '@', authority);
        return sign ? (size_t)(sign + 1 - at) : 0;
    }
    return in_url && *at == '?' ? strcspn(at, URL_END) : 0;
}

/* One character as people may see it; gives its length in the text. */
static size_t add_visible(const char *at, struct strbuf *out)
{
    size_t length;
    uint32_t code = utf8_code(at, strnlen(at, 4), &length);
    bool is_broken = length == 1 && code >= 0x80;

    if (is_broken || code < 0x20 || (code >= 0x7F && code < 0xA0))
        strbuf_add_char(out, '?');
    else
        strbuf_add(out, at, length);
    return length;
}

void quote_for_people(const char *text, size_t most_bytes, struct strbuf *out)
{
    size_t start = out->length, fits = start; /* fits: where "..." may stand */
    bool in_url = false;

    for (const char *at = text; *at;) {
        size_t secret = secret_length(text, at, in_url);
        if (secret > 0) {
            at += secret;
            continue;
        }
        if (strncmp(at, "://", 3) == 0)
            in_url = true;
        else if (strchr(URL_END, *at))
            in_url = false;
        at += add_visible(at, out);
        if (out->length - start > most_bytes) {
            strbuf_cut(out, fits);
            strbuf_add(out, "...", most_bytes < 3 ? most_bytes : 3);
            return;
        }
        if (out->length - start + 3 <= most_bytes)
            fits = out->length;
    }
}

/* Edit distance of two names. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MOST + 1], b_length = strlen(b);

    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t either = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < either ? change : either;
        }
    }
    return row[b_length];
}

const char *quote_nearest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = DISTANCE_MOST + 1, length = strlen(name);

    for (size_t i = 0; i < count && length <= NAME_MOST; i++) {
        if (strlen(names[i]) > NAME_MOST)
            continue;
        size_t far = distance(name, names[i]);
        if (far < best && 2 * far < length) {
            best = far;
            nearest = names[i];
        }
    }
    return nearest;
}
