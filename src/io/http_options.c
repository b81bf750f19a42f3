/* A request as libcurl's options. */
#include "http_call.h"

#include "http_headers.h"
#include "io/loop.h"
#include "text/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void http_headers_clear(struct http_call *call)
{
    /* they may be secrets, and libcurl only frees them */
    for (struct curl_slist *line = call->headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(call->headers);
    call->headers = NULL;
}

/* --- what libcurl tells and asks during a call --- */

static bool status_is_good(int status)
{
    return status >= 200 && status < 300;
}

static size_t header_came(char *bytes, size_t size, size_t count, void *owner)
{
    (void)size; /* always 1 */
    struct http_call *call = owner;
    if (!call->done)
        return 0;
    timer_stop(&call->answer_timer);
    char line[16] = "";
    memcpy(line, bytes, count < sizeof line ? count : sizeof line - 1);
    int status = header_status(line);
    if (status) {
        call->reply.status = status;
        /* libcurl sends no more after a refusal, but does not end while a source is waited for */
        if (status >= 300 && call->source_waits) {
            call->source_waits = false;
            curl_easy_pause(call->easy, CURLPAUSE_CONT);
        }
        strbuf_cut(&call->reply.headers, 0);
    }
    if (strbuf_add(&call->reply.headers, bytes, count) == 0)
        return count;
    error_set(&call->error, BLAME_REMOTE, 0, "the header of the answer is longer than %d KiB", HEADERS_MOST / 1024);
    return 0;
}

static size_t body_came(char *bytes, size_t size, size_t count, void *owner)
{
    (void)size;
    struct http_call *call = owner;
    if (!call->done)
        return 0;
    if (call->sink && status_is_good(call->reply.status)) {
        if (call->sink(call->owner, bytes, count) == 0)
            return count;
        error_set(&call->error, BLAME_SYSTEM, 0, "the answer could not be taken");
        return 0;
    }
    if (strbuf_add(&call->reply.body, bytes, count) == 0)
        return count;
    error_set(&call->error, BLAME_REMOTE, 0, "the answer is longer than %zu bytes", call->reply.body.ceiling);
    return 0;
}

/* Copies what is left of a text; 0 when nothing is. */
static size_t text_give(const char *text, size_t *sent, char *bytes, size_t room)
{
    size_t left = text ? strlen(text) - *sent : 0;
    size_t piece = left < room ? left : room;
    if (piece)
        memcpy(bytes, text + *sent, piece);
    *sent += piece;
    return piece;
}

/* Of a multipart body: what stands in front, the source, what stands behind. */
static size_t source_give(struct http_call *call, char *bytes, size_t room)
{
    size_t given = text_give(call->lead, &call->lead_sent, bytes, room);
    if (given)
        return given;
    long filled = call->source_ended ? 0 : call->source(call->owner, bytes, room);
    if (filled == HTTP_SOURCE_WAITS) {
        call->source_waits = true;
        return CURL_READFUNC_PAUSE;
    }
    if (filled < 0 || (size_t)filled > room) {
        error_set(&call->error, BLAME_SYSTEM, 0, "the body of the request could not be read");
        return CURL_READFUNC_ABORT;
    }
    call->source_ended = filled == 0;
    return filled ? (size_t)filled : text_give(call->tail, &call->tail_sent, bytes, room);
}

static size_t body_wanted(char *bytes, size_t size, size_t count, void *owner)
{
    struct http_call *call = owner;
    size_t room = size * count;
    if (!call->done)
        return CURL_READFUNC_ABORT;
    if (call->source)
        return source_give(call, bytes, room);
    size_t left = call->body_length - call->body_sent;
    size_t piece = left < room ? left : room;
    if (piece)
        memcpy(bytes, call->body + call->body_sent, piece);
    call->body_sent += piece;
    return piece;
}

/* libcurl's own multipart bodies do not go on after a pause (7.88: seen), so ours are made here. */
void http_multipart(struct http_call *call, const char *file_name)
{
    uint8_t random[16];
    char boundary[2 * sizeof random + 1];
    OWNED_STRBUF struct strbuf name = STRBUF_EMPTY;
    digest_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(boundary + 2 * i, 3, "%02x", random[i]);
    for (const char *at = file_name; *at; at++) {
        if (*at == '"' || *at == '\\')
            strbuf_add_char(&name, '\\');
        strbuf_add_char(&name, *at > 0 && *at < ' ' ? '_' : *at);
    }
    call->lead = mem_format("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
                            "Content-Type: application/octet-stream\r\n\r\n",
                            boundary, strbuf_text(&name));
    call->tail = mem_format("\r\n--%s--\r\n", boundary);
    OWNED_TEXT char *line = mem_format("Content-Type: multipart/form-data; boundary=%s", boundary);
    call->headers = curl_slist_append(call->headers, line);
}

/* libcurl sends a body again when a kept connection turns out to be dead. */
static int body_rewind(void *owner, curl_off_t offset, int origin)
{
    struct http_call *call = owner;
    if (call->source || !call->done || origin != SEEK_SET || offset < 0 || (size_t)offset > call->body_length)
        return CURL_SEEKFUNC_CANTSEEK;
    call->body_sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* --- the beginning of a call --- */

/* libcurl's type is not const, and it only reads. */
static struct curl_blob blob_of(const char *text)
{
    return (struct curl_blob){ .data = (void *)(uintptr_t)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY };
}

static void set_tls(struct http_call *call)
{
    CURL *easy = call->easy;
    const struct http_tls *tls = &call->tls.view;
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (tls->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (tls->ca_pem) {
        struct curl_blob ca = blob_of(tls->ca_pem);
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
        /* the folder of system certificates stays in force beside the blob unless it is taken away */
        if (tls->ca_only)
            curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (tls->cert_pem && tls->key_pem) {
        struct curl_blob cert = blob_of(tls->cert_pem);
        struct curl_blob key = blob_of(tls->key_pem);
        curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
        curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
        curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
        curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
    }
}

/* libcurl verifies the name in the URL. To verify another one, the URL gets that name, the connection goes to the real
 * host, and the Host header keeps it. */
static void set_server_name(struct http_call *call)
{
    CURLU *parts = curl_url();
    char *host = NULL, *port = NULL, *url = NULL;
    if (parts && curl_url_set(parts, CURLUPART_URL, call->url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(parts, CURLUPART_HOST, call->tls.view.server_name, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_URL, &url, 0) == CURLUE_OK) {
        OWNED_TEXT char *connect = mem_format("%s:%s:%s:%s", call->tls.view.server_name, port, host, port);
        OWNED_TEXT char *header = mem_format("Host: %s:%s", host, port);
        call->connect_to = curl_slist_append(NULL, connect);
        call->headers = curl_slist_append(call->headers, header);
        curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
        curl_easy_setopt(call->easy, CURLOPT_URL, url);
    }
    curl_free(host);
    curl_free(port);
    curl_free(url);
    curl_url_cleanup(parts);
}

static void set_body(struct http_call *call)
{
    CURL *easy = call->easy;
    bool empty_allowed = strcmp(call->method, "GET") == 0 || strcmp(call->method, "DELETE") == 0;
    call->body_sent = call->lead_sent = call->tail_sent = 0;
    call->source_ended = false;
    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (call->source || call->body || !empty_allowed) {
        curl_off_t size = call->source ? (curl_off_t)call->source_size : (curl_off_t)call->body_length;
        if (call->lead && size >= 0)
            size += (curl_off_t)(strlen(call->lead) + strlen(call->tail));
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, body_wanted);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, body_rewind);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    }
    /* a stream cannot be sent twice, so it never goes over a connection that may be dead */
    if (call->source)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_callbacks(struct http_call *call)
{
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->trouble);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_came);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_came);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

void http_set_options(struct http_call *call)
{
    CURL *easy = call->easy;
    set_callbacks(call);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    set_tls(call);
    set_body(call);
    if (call->tls.view.server_name)
        set_server_name(call);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
}
