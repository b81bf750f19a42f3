/* URLs: taking apart, joining, escaping. http and https only where said. */
#ifndef TEXT_URL_H
#define TEXT_URL_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>

struct url {
    char scheme[8];        /* "http", "https" */
    char *user, *password; /* percent-decoded, NULL when absent */
    char *host;            /* without brackets */
    unsigned port;         /* the scheme's own when not written */
    char *path;            /* with leading slash, or "" */
    char *query;           /* without ?, or NULL */
    bool is_ipv6;
};

#define URL_EMPTY ((struct url){ 0 })

/* Takes an http or https URL apart (url_clear); BLAME_INPUT with why. */
int url_parse(const char *text, struct url *url, struct error *error) MUST_CHECK;
void url_clear(struct url *url);
/* http to a host that is not this machine (localhost, 127.0.0.0/8, ::1): what is sent can be read on the way. False for
 * what is no URL. */
bool url_is_in_clear(const char *text);
/* "https://host[:port]" with brackets where needed; no user, no path. Gives a text (mem_free). */
char *url_origin(const struct url *url);
/* Percent-encodes everything but unreserved characters. */
void url_escape(const char *text, struct strbuf *out);
/* The API root of a configured DataOps URL (docs/reference/dataops.md, "Calls in general"): trailing "/" and then "/ci"
 * cut, "/api/v4" appended. */
char *url_api_root(const char *configured, struct error *error);
/* The URL for people and logs: without user, password and query. Gives a text. */
char *url_for_people(const char *text);

#endif
