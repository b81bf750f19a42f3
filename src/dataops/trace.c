/* The job log at DataOps (docs/reference/dataops.md, "The trace" and "The pace of the trace"). The first bytes after a
 * pause go out after a short gathering time, the next at the interval that DataOps asks for; a whole PATCH of 1 MiB
 * does not wait for it, because the bytes behind it could not be taken. */
#include "trace_state.h"

#include "io/loop.h"
#include "text/gzip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATCH_MOST    (1u * MIB)
#define LOCATE_AT     (1ull << 40) /* no log is as long: the answer is 416 with the true position */
#define RESUME_PIECE  4096u        /* of the PATCH that finds out where DataOps is: it is most likely thrown away */
#define GATHER_MS     20u
#define FULL_GAP_MS   500u /* between PATCHes of 1 MiB: DataOps allows 200 calls a minute */
#define INTERVAL_MS   3000u
#define TOUCH_MS      30000u
#define RETRY_MS      1000u
#define MOVES_AT_ONCE 3u /* 416 that are answered at once; past these ever more slowly, whatever comes between them */
#define MOVE_MS       2000u
#define MOVE_MOST_MS  60000u
#define MOVES_CALM_MS 120000u

size_t trace_pending(const struct trace *trace)
{
    return trace->flight.length + trace->buffer.length;
}

struct trace *trace_new(const struct trace_input *input, const struct trace_events *events, void *owner)
{
    struct trace *trace = mem_new(sizeof(*trace));

    trace->dataops = input->dataops;
    trace->loop = input->loop;
    trace->job_id = input->job_id;
    trace->job_token = mem_text(input->job_token);
    trace->reasons = mem_new_array(input->failure_reason_count, sizeof(*trace->reasons));
    for (size_t i = 0; i < input->failure_reason_count; i++)
        trace->reasons[i] = mem_text(input->failure_reasons[i]);
    trace->reason_count = input->failure_reason_count;
    trace->debug_trace = input->debug_trace;
    trace->position_known = !input->resumed;
    trace->rounds_most = input->final_tries > 0 ? input->final_tries : 10;
    trace->events = *events;
    trace->owner = owner;
    trace->interval_ms = INTERVAL_MS;
    trace->fails = (struct pace){ .first_ms = RETRY_MS, .calm_ms = PACE_NEVER_CALM };
    trace->moves = (struct pace){
        .first_ms = MOVE_MS, .most_ms = MOVE_MOST_MS, .calm_ms = MOVES_CALM_MS, .at_once = MOVES_AT_ONCE
    };
    trace->told_ms = loop_now_ms(trace->loop);
    trace_schedule(trace);
    return trace;
}

void trace_free(struct trace *trace)
{
    if (!trace)
        return;
    dataops_cancel(trace->call);
    timer_stop(&trace->timer);
    strbuf_clear(&trace->flight);
    strbuf_clear(&trace->buffer);
    for (size_t i = 0; i < trace->reason_count; i++)
        mem_free(trace->reasons[i]);
    mem_free(trace->reasons);
    mem_wipe_free(trace->job_token, strlen(trace->job_token));
    mem_free(trace);
}

void trace_timer(struct trace *trace, uint64_t delay_ms, void (*due)(void *owner))
{
    trace->timer_due_ms = loop_now_ms(trace->loop) + delay_ms;
    loop_after(trace->loop, &trace->timer, delay_ms, due, trace);
}

void trace_drop_bytes(struct trace *trace)
{
    strbuf_clear(&trace->flight);
    strbuf_clear(&trace->buffer);
}

/* --- what answers say --- */

static void tell_cancel(struct trace *trace, bool gracefully)
{
    bool told = gracefully ? trace->told_cancel : trace->aborted;

    trace->told_cancel = true; /* an abort also ends the chance to cancel */
    trace->aborted = trace->aborted || !gracefully;
    if (!gracefully)
        trace_drop_bytes(trace);
    if (!told && trace->phase == TRACE_LIVE)
        trace->events.cancel(trace->owner, gracefully);
}

bool trace_note(struct trace *trace, const struct dataops_answer *answer)
{
    enum job_remote remote = dataops_job_status(answer->reply);
    uint64_t interval_ms = dataops_update_interval_ms(answer->reply);

    if (interval_ms > 0)
        trace->interval_ms = interval_ms;
    if (answer->status == 403 || remote == JOB_REMOTE_CANCELED || remote == JOB_REMOTE_FAILED)
        return true;
    if (remote == JOB_REMOTE_CANCELING)
        tell_cancel(trace, true);
    return false;
}

/* Lets the reader go on when there is room again. */
static void settle(struct trace *trace, bool wants)
{
    if (trace->refused && trace_pending(trace) < TRACE_BUFFER_MOST) {
        trace->refused = false;
        wants = true;
    }
    if (trace->locating && trace->position_known) {
        trace->locating = false;
        wants = true;
    }
    if (wants)
        trace->events.wants(trace->owner);
    trace_schedule(trace);
}

static void abort_job(struct trace *trace)
{
    if (trace->phase == TRACE_OVER)
        return;
    timer_stop(&trace->timer);
    tell_cancel(trace, false);
    if (trace->phase == TRACE_FINAL)
        report_over(trace);
}

/* A send that failed is tried again with the interval at the latest. */
static void failed(struct trace *trace, const struct error *error)
{
    if (trace->phase == TRACE_FINAL) {
        report_failed(trace, error);
        return;
    }
    uint64_t now_ms = loop_now_ms(trace->loop);
    trace->fails.most_ms = trace->interval_ms;
    trace->retry_ms = now_ms + pace_next_ms(&trace->fails, now_ms, loop_random(trace->loop));
    trace_schedule(trace);
}

/* --- PATCH --- */

void trace_move_slowly(struct trace *trace)
{
    uint64_t now_ms = loop_now_ms(trace->loop);

    trace->retry_ms = now_ms + pace_next_ms(&trace->moves, now_ms, loop_random(trace->loop));
}

bool trace_reposition(struct trace *trace, uint64_t position)
{
    if (position < trace->position) {
        trace_drop_bytes(trace);
        trace->position = trace->wanted = position;
        return true;
    }
    uint64_t ahead = position - trace->position;
    size_t from_flight = ahead < trace->flight.length ? (size_t)ahead : trace->flight.length;
    uint64_t rest = ahead - from_flight;
    strbuf_drop(&trace->flight, from_flight);
    strbuf_drop(&trace->buffer, rest < trace->buffer.length ? (size_t)rest : trace->buffer.length);
    trace->position = position;
    return false;
}

/* The second number of "Range: 0-500" is how many bytes are stored, not the last one's offset. */
static bool stored_bytes(const struct http_reply *reply, uint64_t *stored)
{
    char value[64], *end;

    if (!http_reply_header(reply, "Range", value, sizeof(value)))
        return false;
    const char *dash = strchr(value, '-');
    if (!dash || dash[1] < '0' || dash[1] > '9' || strlen(dash) > 16)
        return false;
    *stored = strtoull(dash + 1, &end, 10);
    return *end == '\0';
}

static void refused_range(struct trace *trace, const struct dataops_answer *answer)
{
    uint64_t stored;

    if (!stored_bytes(answer->reply, &stored) || (stored == trace->position && trace->position_known)) {
        failed(trace, &answer->error);
        return;
    }
    trace_move_slowly(trace);
    /* the result counts for more than bytes that DataOps does not keep */
    if (trace->phase == TRACE_FINAL && ++trace->moved >= trace->rounds_most)
        trace->gave_up_bytes = true;
    trace->position_known = true;
    trace->has_patched = false; /* nothing was stored, so the next one need not wait */
    bool wants = trace_reposition(trace, stored);
    settle(trace, wants);
}

static void patched(void *owner, const struct dataops_answer *answer)
{
    struct trace *trace = owner;

    trace->call = NULL;
    bool over = trace_note(trace, answer);
    if (answer->status == 202) {
        trace->position += trace->flight.length;
        trace->has_patched = trace->position_known; /* the piece that asked for the position need not delay the rest */
        trace->position_known = true;
        trace->rounds = 0;
        pace_reset(&trace->fails);
        trace->told_ms = loop_now_ms(trace->loop);
        strbuf_clear(&trace->flight);
        if (trace->buffer.length == 0)
            strbuf_clear(&trace->buffer); /* an idle job holds no memory for its log */
    }
    if (over)
        abort_job(trace);
    else if (answer->status == 202)
        settle(trace, false);
    else if (answer->status == 416)
        refused_range(trace, answer);
    else if (answer->status == 404 && trace->phase == TRACE_FINAL) {
        trace->gave_up_bytes = true;
        trace_schedule(trace);
    } else
        failed(trace, &answer->error);
}

/* Moves the next piece out of the buffer: whole when it fits, so that the usual case copies nothing. */
static void fill_flight(struct trace *trace)
{
    size_t most = trace->position_known ? PATCH_MOST : RESUME_PIECE;

    if (trace->flight.length > 0)
        return;
    strbuf_clear(&trace->flight);
    if (trace->buffer.length <= most) {
        trace->flight = trace->buffer;
        trace->buffer = STRBUF_EMPTY;
        return;
    }
    strbuf_add(&trace->flight, trace->buffer.bytes, most);
    strbuf_drop(&trace->buffer, most);
}

void trace_send(struct trace *trace)
{
    fill_flight(trace);
    trace->patched_ms = trace->pending_since_ms = loop_now_ms(trace->loop);
    trace->has_patched = true;
    trace->call = dataops_patch_trace(trace->dataops, trace->job_id, trace->job_token, trace->position,
                                      trace->flight.bytes, trace->flight.length, trace->debug_trace, patched, trace);
}

/* --- touches and the clock --- */

static void touched(void *owner, const struct dataops_answer *answer)
{
    struct trace *trace = owner;

    trace->call = NULL;
    if (trace_note(trace, answer) || answer->status == 404) {
        abort_job(trace);
        return;
    }
    if (answer->status != 200 && answer->status != 202) {
        failed(trace, &answer->error);
        return;
    }
    pace_reset(&trace->fails);
    trace->told_ms = loop_now_ms(trace->loop);
    trace_schedule(trace);
}

static void touch(struct trace *trace)
{
    const struct dataops_update update = {
        .job_id = trace->job_id,
        .job_token = trace->job_token,
        .state = "running",
        .failure_reason = "",
        .with_output = trace_crc_is_whole(trace),
        .crc = trace->crc,
        .bytes = trace->position,
    };
    trace->call = dataops_update_job(trace->dataops, &update, touched, trace);
}

static bool must_locate(const struct trace *trace)
{
    return trace->locating && !trace->position_known && trace_pending(trace) == 0;
}

static void due(void *owner)
{
    struct trace *trace = owner;

    if (trace->phase == TRACE_FINAL)
        report_step(trace);
    else if (trace_pending(trace) > 0)
        trace_send(trace);
    else if (must_locate(trace))
        trace->call = dataops_patch_trace(trace->dataops, trace->job_id, trace->job_token, LOCATE_AT, "\n", 1,
                                          trace->debug_trace, patched, trace);
    else
        touch(trace);
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t next_ms(const struct trace *trace)
{
    bool full = trace_pending(trace) >= PATCH_MOST;
    uint64_t at_ms;

    if (must_locate(trace))
        return trace->retry_ms;
    if (trace_pending(trace) == 0)
        return later_of(trace->told_ms + TOUCH_MS, trace->retry_ms);
    at_ms = trace->pending_since_ms + (full ? 0 : GATHER_MS);
    if (trace->has_patched)
        at_ms = later_of(at_ms, trace->patched_ms + (full ? FULL_GAP_MS : trace->interval_ms));
    return later_of(at_ms, trace->retry_ms);
}

void trace_schedule(struct trace *trace)
{
    if (trace->call || trace->aborted || trace->phase == TRACE_OVER)
        return;
    if (trace->phase == TRACE_FINAL) {
        report_step(trace);
        return;
    }
    uint64_t now_ms = loop_now_ms(trace->loop), at_ms = next_ms(trace);
    if (trace->timer && trace->timer_due_ms == at_ms)
        return;
    trace_timer(trace, at_ms > now_ms ? at_ms - now_ms : 0, due);
    trace->timer_due_ms = at_ms;
}

/* --- bytes --- */

uint64_t trace_wanted(const struct trace *trace)
{
    return trace->wanted;
}

static void add_crc(struct trace *trace, const char *bytes, size_t length)
{
    if (trace->crc_lost || trace->wanted + length <= trace->crc_at)
        return;
    size_t known = (size_t)(trace->crc_at - trace->wanted);
    trace->crc = crc32_of(trace->crc, bytes + known, length - known);
    trace->crc_at = trace->wanted + length;
}

size_t trace_put(struct trace *trace, const char *bytes, size_t length)
{
    size_t pending = trace_pending(trace), room = TRACE_BUFFER_MOST - pending, skipped = 0;

    if (trace->aborted || trace->phase == TRACE_OVER) {
        trace->wanted += length; /* goes nowhere; the reader need not know */
        return length;
    }
    if (trace->wanted < trace->position) {
        uint64_t behind = trace->position - trace->wanted;
        skipped = behind < length ? (size_t)behind : length;
    }
    size_t kept = length - skipped < room ? length - skipped : room;
    add_crc(trace, bytes, skipped + kept);
    trace->wanted += skipped + kept;
    trace->refused = skipped + kept < length;
    if (kept > 0) {
        strbuf_add(&trace->buffer, bytes + skipped, kept);
        if (pending == 0)
            trace->pending_since_ms = loop_now_ms(trace->loop);
    }
    trace_schedule(trace);
    return skipped + kept;
}

void trace_locate(struct trace *trace)
{
    if (trace->position_known || trace->locating)
        return;
    trace->locating = true;
    trace_schedule(trace);
}

bool trace_is_located(const struct trace *trace)
{
    return trace->position_known;
}

void trace_skip(struct trace *trace)
{
    if (!trace->position_known || trace->wanted >= trace->position)
        return;
    trace->wanted = trace->position;
    trace->crc_lost = true;
}

bool trace_crc_is_whole(const struct trace *trace)
{
    return trace->position_known && !trace->crc_lost && trace->crc_at == trace->position;
}

uint64_t trace_bytes(const struct trace *trace)
{
    return trace->position;
}

uint32_t trace_crc(const struct trace *trace)
{
    return trace->crc;
}
