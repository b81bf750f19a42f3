#include "http_headers.h"

#include "io/http.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool header_is(const char *line, const char *name)
{
    size_t length = strlen(name);
    return strncasecmp(line, name, length) == 0 && line[length] == ':';
}

bool header_travels(const char *line)
{
    static const char *const harmless[] = { "Accept",        "Accept-Encoding",   "Accept-Language",
                                            "Range",         "If-Range",          "If-Match",
                                            "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
                                            "X-Request-Id",  "Content-Type" };
    for (size_t i = 0; i < COUNT_OF(harmless); i++)
        if (header_is(line, harmless[i]))
            return true;
    return false;
}

int header_status(const char *line)
{
    if (strncasecmp(line, "HTTP/", 5) != 0)
        return 0;
    const char *digits = strchr(line, ' ');
    if (!digits || !isdigit((unsigned char)digits[1]) || !isdigit((unsigned char)digits[2]) ||
        !isdigit((unsigned char)digits[3]))
        return 0;
    return (digits[1] - '0') * 100 + (digits[2] - '0') * 10 + (digits[3] - '0');
}

bool http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t out_size)
{
    const char *line = strbuf_text(&reply->headers);
    for (const char *end = strchr(line, '\n'); end; line = end + 1, end = strchr(line, '\n')) {
        if (!header_is(line, name))
            continue;
        const char *value = line + strlen(name) + 1;
        while (*value == ' ' || *value == '\t')
            value++;
        const char *stop = end;
        while (stop > value && isspace((unsigned char)stop[-1]))
            stop--;
        size_t length = (size_t)(stop - value);
        if (length >= out_size)
            return false;
        memcpy(out, value, length);
        out[length] = '\0';
        return true;
    }
    return false;
}
