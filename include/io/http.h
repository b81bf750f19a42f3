/* HTTP over libcurl multi on the loop: connection reuse, TLS 1.2+, ceilings, deadlines; no retries (the callers know
 * what may be repeated). One struct http for the process. */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct http;
struct http_call;

/* Where trust comes from; borrowed during http_start and ws_open only. NULL fields: the system's. */
struct http_tls {
    const char *ca_pem;   /* CA certificates as PEM text, trusted besides the system's */
    bool ca_only;         /* trust ca_pem alone: a cluster's own CA */
    const char *cert_pem; /* client certificate and key as PEM text */
    const char *key_pem;
    const char *server_name; /* name to verify when it differs from the host */
    bool insecure;           /* only for kubeconfig's insecure-skip-tls-verify */
    const char *ca_key;      /* configuration key to name in TLS errors: "tls-ca-file"; NULL: none can be set */
};

/* A copy of a struct http_tls that owns its texts: they stand in one block, so that a client key cannot be forgotten
 * when the copy goes. Zeroed, it is a copy of nothing. */
struct http_tls_owned {
    struct http_tls view; /* to lend; its texts point into the block */
    char *block;
    size_t block_bytes;
};
/* Makes copy a deep copy of from; what copy held before is not freed. Clear it with http_tls_clear. */
void http_tls_copy(struct http_tls_owned *copy, const struct http_tls *from);
/* Overwrites all texts with zeros and frees them; the copy is one of nothing then. */
void http_tls_clear(struct http_tls_owned *copy);
/* Takes the client certificate, its key (overwritten) and the server name out of the copy: another host must not get
 * them. */
void http_tls_drop_client(struct http_tls_owned *copy);

struct http_reply {
    int status;                 /* HTTP status; 0 when no answer came (see error) */
    struct strbuf body;         /* at most request.body_most; empty when a sink took it */
    struct strbuf headers;      /* raw header lines of the last answer, CRLF */
    char remote_request_id[64]; /* X-Request-Id of the answer or "" */
    double seconds;
};
/* Copies the value of a reply header (name in any case, value without blanks around it) into out; false when missing or
 * too long. */
bool http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t out_size);

/* Called once. error is BLAME_NONE when an answer came, whatever its status. Borrows reply until return. */
typedef void http_done(void *owner, const struct http_reply *reply, const struct error *error);
/* Streamed body of a 2xx answer; -1 stops the call with an error. */
typedef int http_sink(void *owner, const char *bytes, size_t length);
/* Fills up to size bytes; 0 at the end, -1 on failure, HTTP_SOURCE_WAITS when there is nothing yet: http_source_ready
 * says when to ask again. */
#define HTTP_SOURCE_WAITS (-2)
typedef long http_source(void *owner, char *bytes, size_t size);

/* A redirect is about to be followed: the request goes to url next. is_elsewhere: another origin than before, so the
 * caller's headers and the client certificate stay behind (http_request.follow_redirects). A source is asked for its
 * body from the start again. -1: do not follow it, the redirect is the answer. Must not cancel the call. */
typedef int http_moved(void *owner, const char *url, bool is_elsewhere);

struct http_request {
    const char *method; /* "GET"... */
    const char *url;
    const char *const *headers; /* NULL-ended "Name: value"; values may be secrets: never logged */
    const char *body;           /* borrowed until done; NULL none */
    size_t body_length;
    size_t body_most;           /* ceiling of the answer; 0: 4 MiB. Over it: BLAME_REMOTE, code 0 */
    uint64_t timeout_ms;        /* whole call; 0: 60 s */
    uint64_t answer_timeout_ms; /* until the first header of the answer; 0: as timeout_ms */
    const struct http_tls *tls;
    http_sink *sink; /* optional: takes the body of a 2xx answer */
    /* optional multipart upload: one part named "file" with this file name, streamed from source (size -1: chunked) */
    const char *upload_name;
    http_source *source;
    int64_t source_size;
    bool source_is_body; /* with source: plain body instead of multipart */
    /* One rule for every request that is repeated on a URL that a server named. At most 5 times; from https to https
     * only. On another origin (scheme, host or port) nothing of the caller travels but Accept, Range, the If-
     * family, Content-Type and X-Request-Id: no other header line, no client certificate and key, no server_name. GET
     * and HEAD follow every kind of redirect. Other methods follow 307 and 308, and only with a source and with moved,
     * because a body in memory may hold a token and is never repeated. A Location that names no more than a host, or
     * our path without a query, gets our path and query (docs/reference/dataops.md, "Uploading artifacts"). */
    bool follow_redirects;
    http_moved *moved; /* told before each step; NULL: nobody wants to know */
    const char *user_agent;
};

struct http *http_new(struct loop *loop, const char *user_agent);
/* Cancels what is open (done is not called). */
void http_free(struct http *http);
/* Starts a call; strings are copied except body. Never calls done before returning. TLS errors name the cause: unknown
 * CA, wrong name, expired, plain HTTP on the other side, and the configuration key to set. */
struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *owner);
/* The source of a call has something now, or its end. NULL is fine, and a call that does not wait. */
void http_source_ready(struct http_call *call);
/* Ends a call without calling done; from any callback, its own included. NULL is fine. */
void http_cancel(struct http_call *call);
/* Requests made since start: for tests and metrics. */
uint64_t http_count(const struct http *http);

#endif
