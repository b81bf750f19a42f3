#include "kube/client.h"

#include "access.h"
#include "answer.h"
#include "base/backoff.h"
#include "base/list.h"
#include "base/strmap.h"
#include "connection.h"
#include "text/json.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFRESH_MS = 50 * 1000,
    TRY_TIMEOUT_MS = 30 * 1000,
    TRIES_MOST = 5,
    FIRST_WAIT_MS = 250,
    MOST_WAIT_MS = 8 * 1000,
    OPEN_TIMEOUT_MS = 45 * 1000, /* the API server itself waits 30 s for a kubelet */
    COMES_BACK_MS = 30 * 1000,
    OBJECTS_AT_ONCE = 8, /* a burst queues here: each connection costs a TLS handshake on both sides */
    SAID_MOST = 1000,
    LOGS_AT_ONCE = 32, /* these may wait long for a kubelet, and must not keep the others waiting */
};

/* Requests of one kind, of which so many may be under way. */
struct lane {
    struct list waiting;
    unsigned at_once, most;
};

struct kube {
    struct loop *loop;
    struct http *http;
    struct ws *ws;
    struct kube_access access;
    char *user_agent;
    uint64_t refreshed_ms;
    uint64_t failed_ms; /* when the server last gave no answer; 0 never */
    struct lane objects, logs;
    struct list others; /* all calls that wait for no place */
    struct strmap said;
    unsigned said_count;
};

struct kube_call {
    struct list node;
    struct kube *kube;
    struct lane *lane;
    kube_done *done;
    void *owner;
    char *method, *path, *content_type, *what, *body;
    size_t body_length, answer_most;
    uint64_t timeout_ms;
    http_sink *sink;
    const char *accept;
    bool idempotent, raw, gone_is_fine;
    bool reloaded; /* credentials, after a 401 */
    bool sunk;     /* bytes reached the sink: not to be repeated */
    struct backoff backoff;
    unsigned tries;
    struct timer *wait;
    struct http_call *http;
};

/* --- the client --- */

struct kube *kube_new(struct loop *loop, struct http *http, struct ws *ws, const struct kube_place *place,
                      struct error *error)
{
    struct kube *kube = mem_new(sizeof *kube);
    kube->objects.most = OBJECTS_AT_ONCE;
    kube->logs.most = LOGS_AT_ONCE;
    list_init(&kube->objects.waiting);
    list_init(&kube->logs.waiting);
    list_init(&kube->others);
    kube->loop = loop;
    kube->http = http;
    kube->ws = ws;
    kube->user_agent = mem_text(place->user_agent ? place->user_agent : "dataops-runner/" DATAOPS_VERSION);
    kube->refreshed_ms = loop_now_ms(loop);
    struct url url = URL_EMPTY;
    if (access_find(&kube->access, place, error) == 0 && url_parse(kube->access.server, &url, error) == 0) {
        url_clear(&url);
        return kube;
    }
    if (error)
        error->blame = BLAME_CONFIG;
    error_within(error, "Kubernetes");
    kube_free(kube);
    return NULL;
}

static void cancel_all(struct list *calls)
{
    LIST_EACH_SAFE(node, calls)
    {
        kube_cancel(list_of(node, struct kube_call, node));
    }
}

void kube_free(struct kube *kube)
{
    if (kube == NULL)
        return;
    cancel_all(&kube->objects.waiting);
    cancel_all(&kube->logs.waiting);
    cancel_all(&kube->others);
    access_clear(&kube->access);
    strmap_clear(&kube->said);
    mem_free(kube->user_agent);
    mem_free(kube);
}

const char *kube_namespace(const struct kube *kube)
{
    return kube->access.ns;
}

const char *kube_server(const struct kube *kube)
{
    return kube->access.server;
}

bool kube_is_first(struct kube *kube, const char *words)
{
    if (kube->said_count >= SAID_MOST || strmap_get(&kube->said, words) != NULL)
        return false;
    strmap_set(&kube->said, words, kube);
    kube->said_count++;
    return true;
}

struct loop *kube_loop(const struct kube *kube)
{
    return kube->loop;
}

void kube_reload(struct kube *kube)
{
    access_refresh(&kube->access);
    kube->refreshed_ms = loop_now_ms(kube->loop);
}

static struct http_tls tls_of(const struct kube *kube)
{
    const struct kube_access *access = &kube->access;
    return (struct http_tls){ .ca_pem = access->ca_pem,
                              .ca_only = access->ca_pem != NULL,
                              .cert_pem = access->cert_pem,
                              .key_pem = access->key_pem,
                              .server_name = access->server_name,
                              .insecure = access->insecure,
                              .ca_key = access->ca_key };
}

struct ws_stream *kube_ws_open(struct kube *kube, const char *path, const char *protocol,
                               const struct ws_events *events, void *owner)
{
    kube_reload(kube);
    OWNED_TEXT char *url = mem_format("%s%s", kube->access.server, path);
    struct http_tls tls = tls_of(kube);
    struct ws_request request = { .url = url,
                                  .protocol = protocol,
                                  .bearer = kube->access.token,
                                  .tls = &tls,
                                  .user_agent = kube->user_agent,
                                  .open_timeout_ms = OPEN_TIMEOUT_MS };
    return ws_open(kube->ws, &request, events, owner);
}

/* --- one call --- */

static void call_free(struct kube_call *call)
{
    timer_stop(&call->wait);
    list_remove(&call->node);
    mem_free(call->method);
    mem_free(call->path);
    mem_free(call->content_type);
    mem_free(call->what);
    mem_wipe_free(call->body, call->body_length); /* a plan Secret passes through here */
    mem_free(call);
}

static void call_try(struct kube_call *call);

static void fill_places(struct lane *lane)
{
    while (lane->at_once < lane->most && !list_is_empty(&lane->waiting))
        call_try(list_of(lane->waiting.next, struct kube_call, node));
}

static void leave_place(struct kube_call *call)
{
    call->http = NULL;
    call->lane->at_once--;
}

static void try_again(void *owner)
{
    struct kube_call *call = owner;
    list_remove(&call->node);
    list_append(&call->lane->waiting, &call->node);
    fill_places(call->lane);
}

static bool may_repeat(const struct kube_call *call, const struct kube_answer *answer)
{
    if (call->tries >= TRIES_MOST || call->sunk || answer->error.blame == BLAME_CONFIG)
        return false;
    return answer->kind == KUBE_BUSY || (answer->kind == KUBE_FAILED && call->idempotent);
}

static uint64_t wait_before(struct kube_call *call, const struct kube_answer *answer)
{
    uint32_t random = loop_random(call->kube->loop);
    uint64_t wait_ms = backoff_next_ms(&call->backoff, random);
    if (answer->retry_after_ms == 0)
        return wait_ms;
    /* never before the server's time, and not all callers at that very moment */
    return answer->retry_after_ms + random % (answer->retry_after_ms / 4 + 1);
}

static void deliver(struct kube_call *call, struct kube_answer *answer)
{
    kube_done *done = call->done;
    list_remove(&call->node);
    call->done = NULL; /* a cancel from inside done has nothing to do */
    fill_places(call->lane);
    done(call->owner, answer); /* may free the client */
    call_free(call);
}

static void settle(struct kube_call *call, struct kube_answer *answer)
{
    if (answer->kind == KUBE_UNAUTHORIZED && !call->reloaded) {
        call->reloaded = true;
        kube_reload(call->kube);
        loop_after(call->kube->loop, &call->wait, 0, try_again, call); /* once: a call reloads one time */
        fill_places(call->lane);
        return;
    }
    if (may_repeat(call, answer)) {
        loop_after(call->kube->loop, &call->wait, wait_before(call, answer), try_again, call);
        fill_places(call->lane);
        return;
    }
    if (call->gone_is_fine && (answer->kind == KUBE_MISSING || answer->kind == KUBE_CONFLICT)) {
        *answer = (struct kube_answer){ .kind = KUBE_OK, .status = answer->status, .reason = "" };
    }
    deliver(call, answer);
}

void kube_note_failure(struct kube *kube)
{
    kube->failed_ms = loop_now_ms(kube->loop);
}

/* An API server that was restarted forbids everything until it has read the roles. */
static void doubt_a_refusal(struct kube *kube, struct kube_answer *answer)
{
    if (answer->kind == KUBE_FAILED)
        kube_note_failure(kube);
    else if (answer->kind == KUBE_FORBIDDEN && kube->failed_ms != 0 &&
             loop_now_ms(kube->loop) - kube->failed_ms < COMES_BACK_MS)
        answer->kind = KUBE_BUSY;
}

static void http_answered(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct kube_call *call = owner;
    struct kube_answer answer = { .kind = KUBE_FAILED, .reason = "" };
    char header[16];
    leave_place(call);
    if (error->blame == BLAME_NONE) {
        unsigned retry_after_s = 0;
        if (http_reply_header(reply, "Retry-After", header, sizeof header))
            retry_after_s = (unsigned)strtoul(header, NULL, 10);
        answer_read(&answer, reply->status, &reply->body, retry_after_s, call->raw);
        answer_tell(&answer, call->what, strbuf_text(&reply->body));
    } else {
        answer.error = *error;
        error_within(&answer.error, "%s", call->what);
    }
    doubt_a_refusal(call->kube, &answer);
    struct cJSON *object = answer.object; /* settle may put answer to another use */
    settle(call, &answer);
    json_free(object);
}

static int sink_bytes(void *owner, const char *bytes, size_t length)
{
    struct kube_call *call = owner;
    call->sunk = true;
    return call->sink(call->owner, bytes, length); /* may cancel the call */
}

static void call_try(struct kube_call *call)
{
    struct kube *kube = call->kube;
    if (loop_now_ms(kube->loop) - kube->refreshed_ms >= REFRESH_MS)
        kube_reload(kube);
    OWNED_TEXT char *url = mem_format("%s%s", kube->access.server, call->path);
    char *authorization = kube->access.token ? mem_format("Authorization: Bearer %s", kube->access.token) : NULL;
    OWNED_TEXT char *content = mem_format("Content-Type: %s", call->content_type);
    struct http_tls tls = tls_of(kube);
    const char *headers[4] = { 0 };
    size_t count = 0;
    headers[count++] = call->accept;
    if (call->body)
        headers[count++] = content;
    if (authorization)
        headers[count++] = authorization;
    struct http_request request = { .method = call->method,
                                    .url = url,
                                    .headers = headers,
                                    .body = call->body,
                                    .body_length = call->body_length,
                                    .body_most = call->answer_most,
                                    .timeout_ms = call->timeout_ms,
                                    .tls = &tls,
                                    .sink = call->sink ? sink_bytes : NULL,
                                    .user_agent = kube->user_agent };
    list_remove(&call->node);
    list_append(&kube->others, &call->node);
    call->lane->at_once++;
    call->tries++;
    call->http = http_start(kube->http, &request, http_answered, call);
    mem_wipe_free(authorization, authorization ? strlen(authorization) : 0);
}

struct kube_call *kube_start(struct kube *kube, const struct kube_request *request, kube_done *done, void *owner)
{
    struct kube_call *call = mem_new(sizeof *call);
    call->kube = kube;
    call->done = done;
    call->owner = owner;
    call->method = mem_text(request->method);
    call->path = mem_text(request->path);
    call->content_type = mem_text(request->content_type ? request->content_type : "application/json");
    call->what = request->what ? mem_text(request->what) : mem_format("%s %s", request->method, request->path);
    if (request->body) {
        call->body = json_print(request->body);
        call->body_length = strlen(call->body);
    }
    call->answer_most = request->answer_most;
    call->timeout_ms = request->timeout_ms ? request->timeout_ms : TRY_TIMEOUT_MS;
    call->sink = request->sink;
    call->raw = request->raw;
    call->accept = request->raw             ? "Accept: */*"
                   : request->metadata_only ? "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, "
                                              "application/json;q=0.9"
                                            : "Accept: application/json";
    call->idempotent = request->idempotent;
    call->gone_is_fine = request->gone_is_fine;
    call->backoff = (struct backoff){ .first_ms = FIRST_WAIT_MS, .most_ms = MOST_WAIT_MS };
    call->lane = request->raw ? &kube->logs : &kube->objects;
    list_append(&call->lane->waiting, &call->node);
    fill_places(call->lane);
    return call;
}

void kube_cancel(struct kube_call *call)
{
    if (call == NULL || call->done == NULL)
        return;
    struct lane *lane = call->lane;
    if (call->http) {
        http_cancel(call->http);
        leave_place(call);
    }
    call_free(call);
    fill_places(lane);
}
