#include "text/url.h"

#include "base/mem.h"

#include <ctype.h>
#include <string.h>

#define URL_MOST 8192u

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Gives the text with %XX decoded; NULL when one is malformed or stands for NUL. */
static char *percent_decoded(const char *text, size_t length)
{
    char *out = mem_copy(text, length);
    size_t to = 0;

    for (size_t i = 0; i < length; i++, to++) {
        out[to] = text[i];
        if (text[i] != '%')
            continue;
        int high = length - i > 2 ? hex_value(text[i + 1]) : -1;
        int low = length - i > 2 ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) {
            mem_free(out);
            return NULL;
        }
        out[to] = (char)(high * 16 + low);
        i += 2;
    }
    out[to] = '\0';
    return out;
}

static int parse_user(const char *text, size_t length, struct url *url)
{
    const char *colon = memchr(text, ':', length);
    size_t user_length = colon ? (size_t)(colon - text) : length;

    url->user = percent_decoded(text, user_length);
    if (colon)
        url->password = percent_decoded(colon + 1, length - user_length - 1);
    return url->user && (!colon || url->password) ? 0 : -1;
}

static int parse_port(const char *text, size_t length, struct url *url)
{
    if (length == 0)
        return 0; /* "host:" means the scheme's own */
    if (length > 5 || strspn(text, "0123456789") < length)
        return -1;
    url->port = 0;
    for (size_t i = 0; i < length; i++)
        url->port = url->port * 10 + (unsigned)(text[i] - '0');
    return url->port > 0 && url->port <= 65535 ? 0 : -1;
}

/* host, host:port or [address]:port. Hosts are compared, so they get one spelling: lower case. */
static int parse_host(const char *text, size_t length, struct url *url)
{
    static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char address_bytes[] = "0123456789abcdefABCDEF:.";
    size_t host_length;

    url->is_ipv6 = length > 0 && text[0] == '[';
    if (url->is_ipv6) {
        text++;
        length--;
        host_length = strspn(text, address_bytes);
        if (host_length < 2 || host_length >= length || text[host_length] != ']' || !memchr(text, ':', host_length))
            return -1;
    } else {
        host_length = strspn(text, name_bytes);
        if (host_length == 0 || host_length > length)
            return -1;
    }
    url->host = mem_copy(text, host_length);
    for (char *c = url->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    size_t end = host_length + url->is_ipv6;
    if (end == length)
        return 0;
    return text[end] == ':' ? parse_port(text + end + 1, length - end - 1, url) : -1;
}

static int parse_scheme(const char *text, struct url *url)
{
    static const struct {
        const char *name;
        unsigned port;
    } schemes[] = { { "http", 80 }, { "https", 443 } };

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t length = strlen(schemes[i].name);
        if (strncasecmp(text, schemes[i].name, length) == 0 && strncmp(text + length, "://", 3) == 0) {
            memcpy(url->scheme, schemes[i].name, length + 1);
            url->port = schemes[i].port;
            return 0;
        }
    }
    return -1;
}

static const char *take_apart(const char *text, struct url *url)
{
    if (strlen(text) > URL_MOST)
        return "it is longer than 8 KiB";
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= 0x20 || *c == 0x7F || *c == '\\')
            return "it holds a blank, a control character or a backslash";
    }
    if (parse_scheme(text, url) < 0)
        return "it does not begin with http:// or https://";
    const char *authority = strstr(text, "://") + 3;
    size_t length = strcspn(authority, "/?#");
    const char *sign = memrchr(authority, '@', length);
    const char *host = sign ? sign + 1 : authority;
    if (sign && parse_user(authority, (size_t)(sign - authority), url) < 0)
        return "user or password are not percent-encoded well";
    if (parse_host(host, length - (size_t)(host - authority), url) < 0)
        return "host or port are wrong";
    const char *path = authority + length;
    size_t path_length = strcspn(path, "?#");
    url->path = mem_copy(path, path_length);
    if (path[path_length] == '?')
        url->query = mem_copy(path + path_length + 1, strcspn(path + path_length + 1, "#"));
    return NULL;
}

int url_parse(const char *text, struct url *url, struct error *error)
{
    *url = URL_EMPTY;
    const char *why = take_apart(text, url);
    if (!why)
        return 0;
    url_clear(url);
    OWNED_TEXT char *shown = url_for_people(text);
    return error_set(error, BLAME_INPUT, 0, "URL \"%.200s\": %s", shown, why);
}

void url_clear(struct url *url)
{
    if (url->password)
        mem_wipe_free(url->password, strlen(url->password));
    mem_free(url->user);
    mem_free(url->host);
    mem_free(url->path);
    mem_free(url->query);
    *url = URL_EMPTY;
}

static bool is_this_machine(const struct url *url)
{
    if (url->is_ipv6)
        return strcmp(url->host, "::1") == 0;
    return strcmp(url->host, "localhost") == 0 ||
           (strncmp(url->host, "127.", 4) == 0 && strspn(url->host, "0123456789.") == strlen(url->host));
}

bool url_is_in_clear(const char *text)
{
    struct url url = URL_EMPTY;
    struct error ignored = ERROR_NONE;
    bool is_in_clear =
        url_parse(text, &url, &ignored) == 0 && strcmp(url.scheme, "http") == 0 && !is_this_machine(&url);

    url_clear(&url);
    return is_in_clear;
}

char *url_origin(const struct url *url)
{
    bool own_port = url->port == (strcmp(url->scheme, "https") == 0 ? 443u : 80u);
    struct strbuf out = STRBUF_EMPTY;

    strbuf_format(&out, url->is_ipv6 ? "%s://[%s]" : "%s://%s", url->scheme, url->host);
    if (!own_port)
        strbuf_format(&out, ":%u", url->port);
    return strbuf_take(&out, NULL);
}

void url_escape(const char *text, struct strbuf *out)
{
    static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    while (*text) {
        size_t plain = strspn(text, unreserved);
        strbuf_add(out, text, plain);
        text += plain;
        if (*text)
            strbuf_format(out, "%%%02X", (unsigned)(unsigned char)*text++);
    }
}

static size_t without_slashes(const char *text, size_t length)
{
    while (length > 0 && text[length - 1] == '/')
        length--;
    return length;
}

char *url_api_root(const char *configured, struct error *error)
{
    struct url url;

    if (url_parse(configured, &url, error) < 0)
        return NULL;
    bool has_query = url.query || strchr(configured, '#');
    url_clear(&url);
    if (has_query) {
        error_set(error, BLAME_INPUT, 0, "URL: it must not have a query or a fragment");
        return NULL;
    }
    size_t length = without_slashes(configured, strlen(configured));
    if (length > 3 && memcmp(configured + length - 3, "/ci", 3) == 0)
        length = without_slashes(configured, length - 3);
    return mem_format("%.*s/api/v4", (int)length, configured);
}

char *url_for_people(const char *text)
{
    struct strbuf out = STRBUF_EMPTY;
    const char *authority = strstr(text, "://");
    const char *rest = text;

    if (authority && (size_t)(authority - text) < strcspn(text, "?#")) {
        authority += 3;
        size_t length = strcspn(authority, "/?#");
        const char *sign = memrchr(authority, '@', length);
        strbuf_add(&out, text, (size_t)(authority - text));
        rest = sign ? sign + 1 : authority;
    }
    strbuf_add(&out, rest, strcspn(rest, "?#"));
    for (size_t i = 0; i < out.length; i++) {
        if ((unsigned char)out.bytes[i] < 0x20 || out.bytes[i] == 0x7F)
            out.bytes[i] = '?';
    }
    return strbuf_take(&out, NULL);
}
