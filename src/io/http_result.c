/* How a transfer ended: redirects and failures in words. */
#include "http_call.h"

#include "http_headers.h"
#include "text/url.h"
#include "tls.h"

#include <string.h>
#include <strings.h>

struct place {
    char *scheme, *host, *port;
};

static bool place_read(CURLU *parts, struct place *place)
{
    return curl_url_get(parts, CURLUPART_SCHEME, &place->scheme, 0) == CURLUE_OK &&
           curl_url_get(parts, CURLUPART_HOST, &place->host, 0) == CURLUE_OK &&
           curl_url_get(parts, CURLUPART_PORT, &place->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
}

static void place_clear(struct place *place)
{
    curl_free(place->scheme);
    curl_free(place->host);
    curl_free(place->port);
}

static void leave_secrets_behind(struct http_call *call)
{
    struct curl_slist *kept = curl_slist_append(NULL, "Expect:");
    for (struct curl_slist *line = call->headers; line; line = line->next)
        if (header_travels(line->data))
            kept = curl_slist_append(kept, line->data);
    http_headers_clear(call);
    call->headers = kept;
    http_tls_drop_client(&call->tls);
}

/* The target of an upload's redirect may be a host alone, and the rest is ours. */
static void keep_own_path(CURLU *new, CURLU *old)
{
    char *path = NULL, *own_path = NULL, *query = NULL, *own_query = NULL;
    curl_url_get(new, CURLUPART_QUERY, &query, 0);
    if (!query && curl_url_get(new, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
        curl_url_get(old, CURLUPART_PATH, &own_path, 0) == CURLUE_OK &&
        (strcmp(path, "/") == 0 || strcmp(path, own_path) == 0)) {
        curl_url_get(old, CURLUPART_QUERY, &own_query, 0);
        curl_url_set(new, CURLUPART_PATH, own_path, 0);
        curl_url_set(new, CURLUPART_QUERY, own_query, 0);
    }
    curl_free(path);
    curl_free(own_path);
    curl_free(query);
    curl_free(own_query);
}

/* Whether the call may go on at the target: 1 yes, 0 the owner does not want it, -1 refused with call->error set. */
static int target_check(struct http_call *call, const struct place *old, const struct place *new, const char *url)
{
    if (strcmp(new->scheme, "https") != 0 && strcmp(new->scheme, old->scheme) != 0)
        return error_set(&call->error, BLAME_REMOTE, 0, "redirect from %s to %s refused", old->scheme, new->scheme);
    const bool elsewhere = strcmp(new->scheme, old->scheme) != 0 || strcasecmp(new->host, old->host) != 0 ||
                           strcmp(new->port, old->port) != 0;
    if (call->moved && call->moved(call->owner, url, elsewhere) < 0)
        return 0;
    if (elsewhere)
        leave_secrets_behind(call);
    return 1;
}

/* Makes location the call's URL: 1; 0 when its owner does not want that, -1 with call->error set when it is refused. */
static int redirect(struct http_call *call, const char *location)
{
    struct place old = { 0 }, new = { 0 };
    char *url = NULL;
    int result = -1;
    CURLU *before = curl_url(), *parts = NULL;
    if (before && curl_url_set(before, CURLUPART_URL, call->url, 0) == CURLUE_OK && place_read(before, &old))
        parts = curl_url_dup(before);
    if (!parts || curl_url_set(parts, CURLUPART_URL, location, 0) != CURLUE_OK || !place_read(parts, &new)) {
        error_set(&call->error, BLAME_REMOTE, 0, "redirect refused: its target is no URL");
    } else {
        if (call->source)
            keep_own_path(parts, before);
        if (curl_url_get(parts, CURLUPART_URL, &url, 0) == CURLUE_OK)
            result = target_check(call, &old, &new, url);
    }
    if (result == 1) {
        mem_free(call->url);
        call->url = mem_text(url);
    }
    curl_free(url);
    place_clear(&old);
    place_clear(&new);
    curl_url_cleanup(before);
    curl_url_cleanup(parts);
    return result;
}

static bool may_follow(const struct http_call *call)
{
    const int status = call->reply.status;
    if (!call->follow_redirects)
        return false;
    if (strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0)
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    return (status == 307 || status == 308) && call->source && call->moved;
}

bool http_redirected(struct http_call *call)
{
    char location[8192];
    if (!may_follow(call) || !http_reply_header(&call->reply, "Location", location, sizeof location))
        return false;
    if (++call->redirects > REDIRECTS_MOST) {
        error_set(&call->error, BLAME_REMOTE, 0, "more than %d redirects", REDIRECTS_MOST);
        return true;
    }
    const int went = redirect(call, location);
    if (went <= 0)
        return went < 0;
    strbuf_cut(&call->reply.body, 0);
    strbuf_cut(&call->reply.headers, 0);
    call->reply.status = 0;
    return true;
}

void http_explain(struct http_call *call, CURLcode result)
{
    struct error *error = &call->error;
    const char *words = call->trouble[0] ? call->trouble : curl_easy_strerror(result);
    OWNED_TEXT char *url = url_for_people(call->url);
    const bool is_plain = strncasecmp(call->url, "http:", 5) == 0;
    const char *wants_tls = "; does the server want TLS? then its URL begins with https://";
    long verify = 0, reached = 0; /* a connection was made: to a port, or not at all */
    curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &reached);
    if (error->blame == BLAME_NONE) {
        switch ((int)result) {
        case CURLE_PEER_FAILED_VERIFICATION:
            curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
            tls_refused(error, url, verify, call->tls.view.ca_key, words);
            return;
        case CURLE_SSL_CONNECT_ERROR:
            tls_failed(error, url, words);
            return;
        case CURLE_SSL_CACERT_BADFILE:
            tls_no_authority(error, call->tls.view.ca_key);
            return;
        case CURLE_SSL_CERTPROBLEM:
            tls_bad_client(error, words);
            return;
        case CURLE_OPERATION_TIMEDOUT:
            error_set(error, BLAME_TIMEOUT, 0, "%s", words);
            break;
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            error_set(error, is_plain && reached ? BLAME_CONFIG : BLAME_INPUT, 0, "%s%s", words,
                      is_plain && reached ? wants_tls : "");
            break;
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
            error_set(error, BLAME_REMOTE, 0, "%s%s", words, is_plain && call->reply.status == 0 ? wants_tls : "");
            break;
        default:
            error_set(error, BLAME_REMOTE, 0, "%s", words);
        }
    }
    error_within(error, "%s %s", call->method, url);
}
