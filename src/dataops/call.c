/* The retry layer below every call (docs/reference/dataops.md, "Repeated requests"). A call lives until done was
 * called; done is called from the turn in which the last answer came, so what it belongs to may cancel other calls, not
 * this one. */
#include "call.h"

#include "base/backoff.h"
#include "base/log.h"
#include "io/loop.h"
#include "text/digest.h"
#include "text/json.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIES_MOST    5u
#define WAIT_FIRST_MS 100u
#define WAIT_LAST_MS  60000u
#define HEADERS_COUNT 8u
#define REQUEST_ID    32u

struct dataops_call {
    struct dataops *dataops;
    struct list node;
    dataops_done *done;
    void *owner;
    struct http_call *http_call;
    struct timer *timer;
    struct backoff backoff;
    char *url, *body; /* body: JSON text or NULL */
    char id[REQUEST_ID + 1];
    uint64_t sent_ms;
    size_t body_length;
    char *raw_headers[HEADERS_COUNT];
    struct call_wish wish; /* method, what, accepted are static; path, body and raw_headers are not used any more */
};

static void call_free(struct dataops_call *call)
{
    timer_stop(&call->timer);
    list_remove(&call->node);
    mem_free(call->url);
    if (call->body)
        mem_wipe_free(call->body, call->body_length);
    for (size_t i = 0; i < HEADERS_COUNT && call->raw_headers[i]; i++)
        mem_wipe_free(call->raw_headers[i], strlen(call->raw_headers[i]));
    mem_free(call);
}

static bool is_retried(int status)
{
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504) || status >= 512;
}

static bool is_accepted(const struct dataops_call *call, int status)
{
    char text[8];

    snprintf(text, sizeof(text), "%d", status);
    return strstr(call->wish.accepted, text) != NULL;
}

/* Old servers answer verify with the bare text 200. */
static bool is_old_yes(const struct http_reply *reply)
{
    return reply->body.length == 3 && memcmp(strbuf_text(&reply->body), "200", 3) == 0;
}

/* Judges a finished exchange. What came with an error is still handed on: a payload that was cut off may name its job.
 */
static void judge(const struct dataops_call *call, const struct http_reply *reply, const struct error *error,
                  struct dataops_answer *answer)
{
    const char *what = call->wish.what;

    if (error->blame != BLAME_NONE) {
        answer->error = *error;
        error_within(&answer->error, "%s", what);
    } else if (!is_accepted(call, reply->status)) {
        answer_explain(reply, what, &answer->error);
    } else if (call->wish.kind != CALL_PLAIN && reply->status != 204 && !answer_is_json(reply) && !is_old_yes(reply)) {
        error_set(&answer->error, BLAME_REMOTE, reply->status,
                  "%s: DataOps answered %d with something that is no JSON: is url the address of DataOps, or of a page "
                  "in front of it?",
                  what, reply->status);
    }
}

static void send_once(void *owner);

static void keep_last_update(struct dataops *dataops, const struct http_reply *reply)
{
    char value[256];

    if (!http_reply_header(reply, "X-GitLab-Last-Update", value, sizeof(value)) || !*value)
        return;
    mem_free(dataops->last_update);
    dataops->last_update = mem_text(value);
}

/* One line a request, with the id under which DataOps knows it. */
static void note_answer(const struct dataops_call *call, const struct http_reply *reply)
{
    if (!log_enabled(LOG_DEBUG))
        return;
    OWNED_TEXT char *url = url_for_people(call->url);
    log_event(LOG_DEBUG, "dataops_call", LOG_TEXT("call", call->wish.what), LOG_TEXT("method", call->wish.method),
              LOG_TEXT("url", url), LOG_NUMBER("status", reply->status),
              LOG_NUMBER("ms", loop_now_ms(call->dataops->loop) - call->sent_ms), LOG_TEXT("request_id", call->id));
}

static void answered(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct dataops_call *call = owner;
    struct dataops *dataops = call->dataops;
    struct dataops_answer answer = { .status = reply->status,
                                     .reply = reply->status ? reply : NULL,
                                     .error = ERROR_NONE };

    call->http_call = NULL;
    note_answer(call, reply);
    if (error->blame == BLAME_NONE && is_retried(reply->status) && call->backoff.tries + 1 < TRIES_MOST) {
        uint64_t asked_ms = answer_wait_ms(reply, loop_wall_us(dataops->loop));
        uint64_t own_ms = backoff_next_ms(&call->backoff, loop_random(dataops->loop));
        loop_after(dataops->loop, &call->timer, asked_ms > 0 ? asked_ms : own_ms, send_once, call);
        return;
    }
    judge(call, reply, error, &answer);
    if (call->wish.kind == CALL_REQUEST_JOB && answer.error.blame == BLAME_NONE)
        keep_last_update(dataops, reply);
    list_remove(&call->node);
    dataops_done *done = call->done;
    call->done = NULL; /* a cancel from inside done has nothing to do */
    done(call->owner, &answer);
    call_free(call);
}

/* A UUID of version 4 without dashes. */
static void make_request_id(char out[REQUEST_ID + 1])
{
    uint8_t bytes[REQUEST_ID / 2];

    digest_random(bytes, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void send_once(void *owner)
{
    struct dataops_call *call = owner;
    const struct dataops *dataops = call->dataops;
    char id_line[64];
    const char *headers[HEADERS_COUNT + 4];
    size_t count = 0;

    make_request_id(call->id);
    call->sent_ms = loop_now_ms(dataops->loop);
    snprintf(id_line, sizeof(id_line), "X-Request-Id: %s", call->id);
    headers[count++] = id_line;
    if (call->body)
        headers[count++] = "Content-Type: application/json";
    if (call->wish.kind != CALL_PLAIN)
        headers[count++] = "Accept: application/json";
    for (size_t i = 0; i < HEADERS_COUNT && call->raw_headers[i]; i++)
        headers[count++] = call->raw_headers[i];
    headers[count] = NULL;

    const struct http_request request = {
        .method = call->wish.method,
        .url = call->url,
        .headers = headers,
        .body = call->body ? call->body : call->wish.raw,
        .body_length = call->body ? call->body_length : call->wish.raw_length,
        .body_most = call->wish.body_most,
        .timeout_ms = call->wish.timeout_ms,
        .answer_timeout_ms = call->wish.answer_timeout_ms,
        .tls = &dataops->tls.view,
        .user_agent = dataops->user_agent,
    };
    call->http_call = http_start(dataops->http, &request, answered, call);
}

struct dataops_call *call_start(struct dataops *dataops, const struct call_wish *wish, dataops_done *done, void *owner)
{
    struct dataops_call *call = mem_new(sizeof(*call));

    call->dataops = dataops;
    call->done = done;
    call->owner = owner;
    call->wish = *wish;
    call->url = mem_format("%s%s", dataops->api_root, wish->path);
    call->backoff = (struct backoff){ .first_ms = WAIT_FIRST_MS, .most_ms = WAIT_LAST_MS };
    if (wish->body) {
        call->body = json_print(wish->body);
        call->body_length = strlen(call->body);
        json_free(wish->body);
    }
    for (size_t i = 0; wish->raw_headers && wish->raw_headers[i] && i < HEADERS_COUNT; i++)
        call->raw_headers[i] = mem_text(wish->raw_headers[i]);
    list_append(&dataops->calls, &call->node);
    send_once(call);
    return call;
}

void dataops_cancel(struct dataops_call *call)
{
    if (!call || !call->done)
        return;
    http_cancel(call->http_call);
    call_free(call);
}

void call_cancel_all(struct dataops *dataops)
{
    LIST_EACH_SAFE(node, &dataops->calls)
    dataops_cancel(list_of(node, struct dataops_call, node));
}
