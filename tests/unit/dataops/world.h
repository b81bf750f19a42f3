/* DataOps and the clock, played in the test: the calls of io/loop.h and io/http.h that src/dataops uses, on a virtual
 * clock, and a platform that keeps a trace as the real one does and notes what the real one would not forgive. A test
 * that includes this links neither libuv nor libcurl. */
#ifndef TESTS_DATAOPS_WORLD_H
#define TESTS_DATAOPS_WORLD_H

#include "base/list.h"
#include "base/strbuf.h"
#include "dataops/api.h"
#include "io/http.h"
#include "io/loop.h"
#include "text/gzip.h"
#include "text/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

/* --- the clock --- */

struct timer {
    struct list node;
    uint64_t at_ms;
    struct timer **slot;
    loop_due *then;
    void *owner;
};
struct loop {
    uint64_t now_ms;
    struct list timers;
};

static inline void timer_gone(struct timer *timer)
{
    list_remove(&timer->node);
    if (timer->slot)
        *timer->slot = NULL;
    mem_free(timer);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}
int64_t loop_wall_us(const struct loop *loop)
{
    return 1785571200000000 + (int64_t)loop->now_ms * 1000; /* 2026-08-01T08:00:00Z */
}
uint32_t loop_random(struct loop *loop)
{
    (void)loop;
    return 0;
}
void timer_stop(struct timer **slot)
{
    if (slot && *slot)
        timer_gone(*slot);
}
void loop_after(struct loop *loop, struct timer **slot, uint64_t delay_ms, loop_due *then, void *owner)
{
    timer_stop(slot);
    struct timer *timer = mem_new(sizeof(*timer));
    *timer = (struct timer){ .at_ms = loop->now_ms + delay_ms, .slot = slot, .then = then, .owner = owner };
    list_append(&loop->timers, &timer->node);
    if (slot)
        *slot = timer;
}

/* --- the wire --- */

struct asked {
    uint64_t at_ms;
    char method[8], url[160];
    char *headers; /* lines with LF */
    char *body;
    size_t length;
    uint64_t timeout_ms, answer_timeout_ms;
    size_t body_most;
};
struct answer {
    int status; /* 0: the connection broke */
    char headers[512];
    char body[512];
    bool cut; /* the body broke off: the call ends with an error */
};
struct http_call {
    struct asked asked;
    http_done *done;
    void *owner;
};
struct http {
    struct loop *loop;
    struct http_call *open[8];
    size_t open_count;
};

bool http_reply_header(const struct http_reply *reply, const char *name, char *out, size_t out_size)
{
    size_t length = strlen(name);

    for (const char *line = strbuf_text(&reply->headers); *line; line += strcspn(line, "\n") + 1) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1 + strspn(line + length + 1, " ");
            snprintf(out, out_size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return true;
        }
    }
    return false;
}

static inline void asked_clear(struct asked *asked)
{
    mem_free(asked->headers);
    mem_free(asked->body);
}

struct http_call *http_start(struct http *http, const struct http_request *request, http_done *done, void *owner)
{
    struct http_call *call = mem_new(sizeof(*call));
    struct strbuf headers = STRBUF_EMPTY;

    for (size_t i = 0; request->headers && request->headers[i]; i++)
        strbuf_format(&headers, "%s\n", request->headers[i]);
    call->done = done;
    call->owner = owner;
    call->asked = (struct asked){
        .at_ms = http->loop->now_ms,
        .headers = strbuf_take(&headers, NULL),
        .body = mem_copy(request->body, request->body_length),
        .length = request->body_length,
        .timeout_ms = request->timeout_ms,
        .answer_timeout_ms = request->answer_timeout_ms,
        .body_most = request->body_most,
    };
    snprintf(call->asked.method, sizeof(call->asked.method), "%s", request->method);
    snprintf(call->asked.url, sizeof(call->asked.url), "%s", request->url);
    assert_true(http->open_count < COUNT_OF(http->open));
    http->open[http->open_count++] = call;
    return call;
}

void http_cancel(struct http_call *call)
{
    if (call)
        call->done = NULL;
}

/* --- the world --- */

struct world;
/* Fills the answer to a request. */
typedef void world_answer(struct world *world, const struct asked *asked, struct answer *answer);

struct world {
    struct loop loop;
    struct http http;
    struct dataops *dataops;
    world_answer *answer;
    struct asked history[4096];
    size_t count;

    /* the platform's job */
    struct strbuf stored;
    char job_status[16];
    unsigned interval_s;
    bool final_told;
    char final_state[16], final_reason[64];
    int64_t final_exit_code;
    unsigned violations;
    /* the next answers to PATCH and PUT, before the platform's own: status and more headers */
    struct answer patch_next[32], put_next[32];
    size_t patch_planned, patch_used, put_planned, put_used;
};

static inline void violation(struct world *world, const char *what)
{
    world->violations++;
    print_message("VIOLATION: %s\n", what);
}

/* Value of a header of a request; "" when missing. */
static inline const char *asked_header(const struct asked *asked, const char *name)
{
    static char value[256];
    size_t length = strlen(name);

    value[0] = '\0';
    for (const char *line = asked->headers; *line; line += strcspn(line, "\n") + 1) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + length + 2, "\n"), line + length + 2);
    }
    return value;
}

static inline void add_header(struct answer *answer, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void add_header(struct answer *answer, const char *format, ...)
{
    size_t used = strlen(answer->headers);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(answer->headers + used, sizeof(answer->headers) - used - 3, format, arguments);
    va_end(arguments);
    used = strlen(answer->headers);
    snprintf(answer->headers + used, sizeof(answer->headers) - used, "\r\n");
}

static inline void platform_patch(struct world *world, const struct asked *asked, struct answer *answer)
{
    unsigned long long first = 0, last = 0;
    int end = 0;
    const char *range = asked_header(asked, "Content-Range");

    if (sscanf(range, "%llu-%llu%n", &first, &last, &end) != 2 || range[end])
        violation(world, "Content-Range is malformed");
    if (asked->length == 0 || asked->length > MIB)
        violation(world, "PATCH is empty or over 1 MiB");
    if (last + 1 != first + asked->length)
        violation(world, "Content-Range does not fit the body");
    if (world->final_told)
        violation(world, "PATCH after the final state");
    if (strcmp(asked_header(asked, "Job-Token"), "glcbt-1") != 0 || !*asked_header(asked, "Content-Type"))
        violation(world, "PATCH without Job-Token or Content-Type");
    if (first != world->stored.length) {
        answer->status = 416;
        add_header(answer, "Range: 0-%zu", world->stored.length);
        return;
    }
    strbuf_add(&world->stored, asked->body, asked->length);
    answer->status = 202;
    add_header(answer, "Range: 0-%zu", world->stored.length);
}

static inline void platform_put(struct world *world, const struct asked *asked, struct answer *answer)
{
    struct error error;
    OWNED_JSON struct cJSON *body = json_parse(asked->body, asked->length, &error);
    const char *state = json_text(body, "state", "");
    char checksum[32];

    answer->status = 200;
    if (strcmp(json_text(body, "token", ""), "glcbt-1") != 0)
        violation(world, "PUT without the job token in the body");
    snprintf(checksum, sizeof(checksum), "crc32:%08" PRIx32, crc32_of(0, world->stored.bytes, world->stored.length));
    const char *sent = json_text_at(body, "output.checksum", NULL);
    if (sent && (strcmp(sent, checksum) != 0 ||
                 json_int(json_get(body, "output"), "bytesize", -1) != (int64_t)world->stored.length))
        violation(world, "PUT does not describe the trace as sent");
    if (strcmp(state, "running") == 0)
        return;
    if (!sent)
        violation(world, "final PUT without a checksum");
    world->final_told = true;
    snprintf(world->final_state, sizeof(world->final_state), "%s", state);
    snprintf(world->final_reason, sizeof(world->final_reason), "%s", json_text(body, "failure_reason", ""));
    world->final_exit_code = json_int(body, "exit_code", 0);
}

/* Answers as the platform does; planned answers come first and change nothing there. */
static inline void platform(struct world *world, const struct asked *asked, struct answer *answer)
{
    bool is_patch = strcmp(asked->method, "PATCH") == 0;

    if (is_patch && world->patch_used < world->patch_planned) {
        *answer = world->patch_next[world->patch_used++];
        return;
    }
    if (!is_patch && world->put_used < world->put_planned) {
        *answer = world->put_next[world->put_used++];
        return;
    }
    if (is_patch)
        platform_patch(world, asked, answer);
    else
        platform_put(world, asked, answer);
    add_header(answer, "Job-Status: %s", world->job_status);
    if (world->interval_s > 0)
        add_header(answer, "X-GitLab-Trace-Update-Interval: %u", world->interval_s);
}

static inline void plan_patch(struct world *world, int status, const char *headers)
{
    struct answer *answer = &world->patch_next[world->patch_planned++];

    answer->status = status;
    snprintf(answer->headers, sizeof(answer->headers), "%s", headers);
}

static inline void plan_put(struct world *world, int status, const char *headers)
{
    struct answer *answer = &world->put_next[world->put_planned++];

    answer->status = status;
    snprintf(answer->headers, sizeof(answer->headers), "%s", headers);
}

static inline void world_answer_one(struct world *world)
{
    struct http_call *call = world->http.open[0];
    struct http_reply reply = { 0 };
    struct error error = ERROR_NONE;
    struct answer answer = { 0 };

    memmove(world->http.open, world->http.open + 1, --world->http.open_count * sizeof(*world->http.open));
    if (call->done) {
        assert_true(world->count < COUNT_OF(world->history));
        world->answer(world, &call->asked, &answer);
        reply.status = answer.status;
        strbuf_add_text(&reply.headers, answer.headers);
        strbuf_add_text(&reply.body, answer.body);
        if (answer.status == 0)
            error_set(&error, BLAME_REMOTE, 0, "connection refused");
        else if (answer.cut)
            error_set(&error, BLAME_REMOTE, 0, "transfer closed with bytes remaining");
        world->history[world->count++] = call->asked;
        call->done(call->owner, &reply, &error);
        strbuf_clear(&reply.headers);
        strbuf_clear(&reply.body);
    } else {
        asked_clear(&call->asked);
    }
    mem_free(call);
}

static inline struct timer *world_next_timer(struct world *world)
{
    struct timer *next = NULL;

    LIST_EACH(node, &world->loop.timers)
    {
        struct timer *timer = list_of(node, struct timer, node);
        if (!next || timer->at_ms < next->at_ms)
            next = timer;
    }
    return next;
}

/* Lets virtual time pass. */
static inline void world_run(struct world *world, uint64_t ms)
{
    uint64_t until = world->loop.now_ms + ms;

    for (;;) {
        struct timer *next;
        if (world->http.open_count > 0) {
            world_answer_one(world);
            continue;
        }
        next = world_next_timer(world);
        if (!next || next->at_ms > until)
            break;
        struct timer timer = *next;
        if (timer.at_ms > world->loop.now_ms)
            world->loop.now_ms = timer.at_ms;
        timer_gone(next);
        timer.then(timer.owner);
    }
    world->loop.now_ms = until;
}

static inline struct world *world_new(const char *url, const char *token)
{
    struct world *world = mem_new(sizeof(*world));
    struct error error;
    const struct dataops_place place = {
        .url = url,
        .token = token,
        .system_id = "s_0123456789ab",
        .executor = "kubernetes",
        .shell = "bash",
        .version = "0.1.0",
        .revision = "abc123",
    };

    list_init(&world->loop.timers);
    world->loop.now_ms = 1000;
    world->http.loop = &world->loop;
    world->answer = platform;
    snprintf(world->job_status, sizeof(world->job_status), "running");
    world->dataops = dataops_new(&world->loop, &world->http, &place, &error);
    return world;
}

/* Asserts that nothing is left behind. */
static inline void world_free(struct world *world)
{
    dataops_free(world->dataops);
    while (world->http.open_count > 0)
        world_answer_one(world);
    assert_true(list_is_empty(&world->loop.timers));
    for (size_t i = 0; i < world->count; i++)
        asked_clear(&world->history[i]);
    strbuf_clear(&world->stored);
    mem_free(world);
}

#endif
