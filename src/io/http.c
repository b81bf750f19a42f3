/* libcurl's multi interface on the loop. Lifetime: libcurl must not be entered from its own callbacks, so a call is
 * begun and its done is called from the queue at the end of a turn, and a call that is cancelled inside a callback is
 * only marked. */
#include "http_call.h"

#include "http_headers.h"
#include "io/loop.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

/* --- the end of a call --- */

static void easy_clear(struct http_call *call)
{
    if (call->easy && call->state == CALL_RUNNING)
        curl_multi_remove_handle(call->http->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->connect_to);
    call->easy = NULL;
    call->connect_to = NULL;
}

static void call_free(struct http_call *call)
{
    timer_stop(&call->answer_timer);
    easy_clear(call);
    http_headers_clear(call);
    list_remove(&call->node);
    strbuf_clear(&call->reply.body);
    strbuf_clear(&call->reply.headers);
    http_tls_clear(&call->tls);
    mem_free(call->method);
    mem_free(call->url);
    mem_free(call->user_agent);
    mem_free(call->lead);
    mem_free(call->tail);
    mem_free(call);
}

static void deliver(void *owner)
{
    struct http_call *call = owner;
    http_done *done = call->done;
    call->done = NULL; /* a cancel from inside done has nothing to do */
    if (done)
        done(call->owner, &call->reply, &call->error);
    call_free(call);
}

static void call_end(struct http_call *call)
{
    timer_stop(&call->answer_timer);
    easy_clear(call);
    call->state = CALL_ENDED;
    loop_later(call->loop, deliver, call);
}

static void reap(void *owner)
{
    call_free(owner);
}

void http_cancel(struct http_call *call)
{
    if (call == NULL)
        return;
    call->done = NULL;
    list_remove(&call->node); /* so that http_free does not come across it again */
    timer_stop(&call->answer_timer);
    if (call->state != CALL_RUNNING)
        return;
    if (call->http->inside == 0)
        call_free(call);
    else
        loop_later(call->loop, reap, call);
}

static void answer_too_late(void *owner)
{
    struct http_call *call = owner;
    OWNED_TEXT char *url = url_for_people(call->url);
    error_set(&call->error, BLAME_TIMEOUT, 0, "%s %s: no answer within %" PRIu64 " ms", call->method, url,
              call->answer_timeout_ms);
    call_end(call);
}

static void call_run(struct http_call *call)
{
    struct http *http = call->http;
    call->easy = curl_easy_init();
    call->source_waits = false;
    http_set_options(call);
    curl_easy_setopt(call->easy, CURLOPT_SHARE, http->sessions);
    curl_easy_setopt(call->easy, CURLOPT_USERAGENT, call->user_agent ? call->user_agent : http->user_agent);
    if (call->answer_timeout_ms)
        loop_after(http->loop, &call->answer_timer, call->answer_timeout_ms, answer_too_late, call);
    call->state = CALL_RUNNING;
    http->count++;
    http->inside++;
    curl_multi_add_handle(http->multi, call->easy);
    http->inside--;
}

static void begin(void *owner)
{
    struct http_call *call = owner;
    if (call->done)
        call_run(call);
    else
        call_free(call);
}

struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *owner)
{
    struct http_call *call = mem_new(sizeof *call);
    call->http = http;
    call->loop = http->loop;
    call->done = done;
    call->owner = owner;
    call->method = mem_text(request->method);
    call->url = mem_text(request->url);
    call->user_agent = mem_text(request->user_agent);
    call->sink = request->sink;
    call->source = request->source;
    call->source_size = request->source_size;
    call->moved = request->moved;
    call->body = request->body;
    call->body_length = request->body_length;
    call->timeout_ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_MS;
    call->answer_timeout_ms = request->answer_timeout_ms;
    call->follow_redirects = request->follow_redirects;
    call->reply.body = STRBUF_UP_TO(request->body_most ? request->body_most : BODY_MOST);
    call->reply.headers = STRBUF_UP_TO(HEADERS_MOST);
    if (request->tls)
        http_tls_copy(&call->tls, request->tls);
    /* an upload must not wait a second for a "100 Continue" that few servers send */
    call->headers = curl_slist_append(NULL, "Expect:");
    for (const char *const *line = request->headers; line && *line; line++)
        call->headers = curl_slist_append(call->headers, *line);
    if (request->source && !request->source_is_body)
        http_multipart(call, request->upload_name ? request->upload_name : "file");
    list_append(&http->calls, &call->node);
    loop_later(http->loop, begin, call);
    return call;
}

void http_source_ready(struct http_call *call)
{
    if (!call || call->state != CALL_RUNNING || !call->source_waits)
        return;
    call->source_waits = false;
    call->http->inside++;
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
    call->http->inside--;
}

static void call_finished(struct http_call *call, CURLcode result)
{
    double seconds = 0;
    curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME, &seconds);
    call->reply.seconds += seconds;
    /* a server that refuses or redirects early stops reading, which may look like a broken connection */
    bool refused_early = (result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR) && call->reply.status >= 300;
    if (result == CURLE_OK || (refused_early && call->error.blame == BLAME_NONE)) {
        easy_clear(call);
        call->state = CALL_WAITING;
        if (http_redirected(call)) {
            if (call->error.blame == BLAME_NONE) {
                call_run(call);
                return;
            }
            OWNED_TEXT char *url = url_for_people(call->url);
            error_within(&call->error, "%s %s", call->method, url);
        }
    } else {
        http_explain(call, result);
    }
    if (!http_reply_header(&call->reply, "X-Request-Id", call->reply.remote_request_id,
                           sizeof call->reply.remote_request_id))
        call->reply.remote_request_id[0] = '\0';
    call_end(call);
}

static void collect(struct http *http)
{
    int left = 0;
    for (CURLMsg *message = curl_multi_info_read(http->multi, &left); message;
         message = curl_multi_info_read(http->multi, &left)) {
        struct http_call *call = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        /* a cancelled one waits for reap */
        if (call && call->done)
            call_finished(call, result);
    }
}

/* --- libcurl on the loop --- */

static void act(struct http *http, curl_socket_t fd, int events)
{
    int running = 0;
    http->inside++;
    curl_multi_socket_action(http->multi, fd, events, &running);
    http->inside--;
    collect(http);
}

struct connection {
    struct http *http;
    struct watch *watch;
    curl_socket_t fd;
};

static void socket_ready(void *owner, unsigned ready)
{
    struct connection *connection = owner;
    int events = 0;
    if (ready & LOOP_READ)
        events |= CURL_CSELECT_IN;
    if (ready & LOOP_WRITE)
        events |= CURL_CSELECT_OUT;
    act(connection->http, connection->fd, events);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *owner, void *assigned)
{
    (void)easy;
    struct http *http = owner;
    struct connection *connection = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (connection) {
            watch_stop(connection->watch);
            mem_free(connection);
            curl_multi_assign(http->multi, fd, NULL);
        }
        return 0;
    }
    unsigned ready = 0;
    if (what & CURL_POLL_IN)
        ready |= LOOP_READ;
    if (what & CURL_POLL_OUT)
        ready |= LOOP_WRITE;
    if (connection) {
        watch_change(connection->watch, ready);
        return 0;
    }
    connection = mem_new(sizeof *connection);
    connection->http = http;
    connection->fd = fd;
    connection->watch = loop_watch(http->loop, fd, ready, socket_ready, connection);
    curl_multi_assign(http->multi, fd, connection);
    return 0;
}

static void timer_due(void *owner)
{
    act(owner, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long delay_ms, void *owner)
{
    (void)multi;
    struct http *http = owner;
    if (delay_ms < 0)
        timer_stop(&http->timer);
    else
        loop_after(http->loop, &http->timer, (uint64_t)delay_ms, timer_due, http);
    return 0;
}

struct http *http_new(struct loop *loop, const char *user_agent)
{
    struct http *http = mem_new(sizeof *http);
    http->loop = loop;
    http->user_agent = mem_text(user_agent ? user_agent : "dataops-runner/" DATAOPS_VERSION);
    list_init(&http->calls);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    http->sessions = curl_share_init();
    curl_share_setopt(http->sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    http->multi = curl_multi_init();
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    return http;
}

static void http_free_now(void *owner)
{
    struct http *http = owner;
    curl_multi_cleanup(http->multi);
    curl_share_cleanup(http->sessions);
    timer_stop(&http->timer);
    curl_global_cleanup();
    mem_free(http->user_agent);
    mem_free(http);
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    LIST_EACH_SAFE(node, &http->calls)
    {
        struct http_call *call = list_of(node, struct http_call, node);
        list_remove(node);
        http_cancel(call);
    }
    if (http->inside == 0)
        http_free_now(http);
    else
        loop_later(http->loop, http_free_now, http); /* behind the calls that were cancelled inside */
}

uint64_t http_count(const struct http *http)
{
    return http->count;
}
