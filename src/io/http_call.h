/* What the three parts of the HTTP client share; the one file that includes libcurl. http.c: the multi handle on the
 * loop and the life of a call; http_options.c: a request as libcurl's options; http_result.c: redirects, failures. */
#ifndef IO_HTTP_CALL_H
#define IO_HTTP_CALL_H

#include "base/list.h"
#include "io/http.h"

#include <curl/curl.h>

enum {
    BODY_MOST = 4 * 1024 * 1024,
    HEADERS_MOST = 64 * 1024,
    TIMEOUT_MS = 60 * 1000,
    CONNECT_TIMEOUT_MS = 30 * 1000,
    REDIRECTS_MOST = 5,
    IDLE_CONNECTIONS = 16,
    IDLE_SECONDS = 80, /* below the 90 s after which servers written in Go close */
};

struct http {
    struct loop *loop;
    CURLM *multi;
    CURLSH *sessions; /* TLS sessions, so that a new connection resumes */
    struct timer *timer;
    struct list calls;
    char *user_agent;
    uint64_t count;
    unsigned inside; /* depth of calls into libcurl */
};

enum call_state {
    CALL_WAITING, /* begin() is in the queue and frees when cancelled */
    CALL_RUNNING,
    CALL_ENDED, /* deliver() is in the queue and frees */
};

struct http_call {
    struct list node;
    struct http *http;
    struct loop *loop;
    enum call_state state;
    http_done *done; /* NULL: cancelled */
    void *owner;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct timer *answer_timer;
    char *method, *url, *user_agent;
    char *lead, *tail; /* what stands around a source in a multipart body, or NULL */
    struct http_tls_owned tls;
    http_sink *sink;
    http_source *source;
    http_moved *moved;
    int64_t source_size;
    const char *body;
    size_t body_length, body_sent, lead_sent, tail_sent;
    uint64_t timeout_ms, answer_timeout_ms;
    unsigned redirects;
    bool source_waits, source_ended, follow_redirects;
    struct http_reply reply;
    struct error error;
    char trouble[CURL_ERROR_SIZE];
};

/* Sets everything of call->easy but what belongs to struct http. */
void http_set_options(struct http_call *call);
/* Makes lead, tail and the header line of a body with one part, a file of this name. */
void http_multipart(struct http_call *call, const char *file_name);
/* Drops the header lines, overwritten. */
void http_headers_clear(struct http_call *call);
/* The answer is a redirect that is to be followed: call->url and headers are changed for it, or call->error is set. */
bool http_redirected(struct http_call *call);
/* Sets call->error for a transfer that failed. */
void http_explain(struct http_call *call, CURLcode result);

#endif
