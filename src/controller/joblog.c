#include "joblog.h"

#include "dataops/trace.h"
#include "follow.h"
#include "io/loop.h"
#include "job/splice.h"
#include "kube/client.h"
#include "pod/name.h"
#include "say.h"
#include "text/json.h"
#include "text/section.h"

#include <inttypes.h>
#include <string.h>

#define FINAL_TRIES   40 /* for the final state, a minute between them in the end: DataOps may be down */
#define NOTES_MOST    (16 * KIB)
#define SAVE_AGAIN_MS 5000
#define SAVE_TRIES    6 /* each of them some tries of the client */

/* Where the notes are kept for a controller that takes over. */
enum keeper {
    KEEPER_NONE,   /* no pod of this job exists: a controller that takes over finds nothing, and needs nothing */
    KEEPER_COMING, /* a pod is being created with notes */
    KEEPER_POD,
    KEEPER_LEFT, /* the pod came to nothing or is gone: the next one will carry the notes */
};
/* How far the end is. A rewind leads from CLOSE_PLACED or CLOSE_REPORTING back to CLOSE_MADE. */
enum closing { CLOSE_OPEN, CLOSE_MADE, CLOSE_PLACED, CLOSE_REPORTING };

struct joblog {
    struct joblog_input input;
    const struct joblog_events *events;
    void *owner;
    struct trace *trace;
    struct splice splice;

    struct strbuf notes;
    enum keeper keeper;
    size_t notes_sent, notes_saved; /* so much of them is on its way to the pod; so much an adopter will find */
    unsigned save_tries;            /* saves in a row of which nobody knows whether they happened */
    struct kube_call *save_call;
    struct timer *save_timer;

    struct kube *kube;
    const char *ns, *pod;
    struct follow *follow;
    bool has_spoken, is_over, is_pod_gone;

    enum closing closing;
    struct strbuf tail;
    uint64_t tail_at; /* trace offset of its first byte, once it is placed */
    const struct verdict *verdict;
};

static void joblog_pump(struct joblog *log);

/* --- putting things into the trace --- */

/* Puts the part of a text (that begins at trace offset at) which the trace wants next; false when the trace is full. */
static bool put_text(struct joblog *log, const char *bytes, size_t length, uint64_t at)
{
    for (uint64_t wanted = trace_wanted(log->trace); wanted < at + length; wanted = trace_wanted(log->trace)) {
        size_t skip = (size_t)(wanted - at);
        if (trace_put(log->trace, bytes + skip, length - skip) == 0)
            return false;
    }
    return true;
}

/* Puts what is still to be put of the last hole's line. */
static bool put_hole(struct joblog *log)
{
    char line[SPLICE_LINE_MOST];
    const struct splice_hole *last;

    if (log->splice.hole_count == 0)
        return true;
    last = &log->splice.holes[log->splice.hole_count - 1];
    return put_text(log, line, splice_hole_line(last->bytes, line), last->at);
}

/* Offset in courier's log of what the trace wants next. */
static uint64_t wanted_of_log(struct joblog *log)
{
    log->splice.notes_length = log->notes.length;
    return splice_log_offset(&log->splice, trace_wanted(log->trace));
}

static void add_hole(struct joblog *log, uint64_t bytes)
{
    splice_add_hole(&log->splice, trace_wanted(log->trace), bytes);
    say_event(log->input.job, LOG_WARN, "log_incomplete", LOG_NUMBER("lost_bytes", bytes));
}

/* Notes and courier's bytes meet here: only what is saved counts from now on. False while a save is under way. */
static bool settle_notes(struct joblog *log)
{
    if (log->closing == CLOSE_OPEN) {
        if (log->save_call != NULL || log->save_timer != NULL)
            return false;
        strbuf_cut(&log->notes, log->notes_saved);
    }
    return true;
}

/* Puts what is proven of courier's log; false when the trace is full. */
static bool put_log(struct joblog *log)
{
    for (;;) {
        uint64_t offset = 0;
        const struct strbuf *proven = follow_committed(log->follow, &offset);
        size_t taken = 0;

        if (!put_hole(log))
            return false;
        log->splice.notes_length = log->notes.length;
        struct splice_piece piece = splice_next(&log->splice, trace_wanted(log->trace), offset, proven->length);
        if (piece.kind != SPLICE_NOTHING && log->closing >= CLOSE_PLACED)
            piece.kind = SPLICE_BEHIND;
        switch (piece.kind) {
        case SPLICE_NOTHING:
            return true;
        case SPLICE_BEHIND:
            follow_take(log->follow, proven->length);
            return true;
        case SPLICE_HOLE:
            add_hole(log, piece.lost);
            break;
        case SPLICE_BYTES:
            if (piece.length > 0)
                taken = trace_put(log->trace, proven->bytes + piece.skip, piece.length);
            if (piece.skip + taken == 0)
                return false;
            follow_take(log->follow, piece.skip + taken);
            break;
        }
    }
}

/* Notes and log, as far as they are known; false when the trace takes no more now. */
static bool put_front(struct joblog *log)
{
    size_t length = log->closing == CLOSE_OPEN ? log->notes_saved : log->notes.length;

    if (!put_text(log, strbuf_text(&log->notes), length, 0))
        return false;
    return log->follow == NULL || !log->has_spoken || (settle_notes(log) && put_log(log));
}

/* The log was read again as far as the tail allows. */
static bool is_log_put(struct joblog *log)
{
    return log->has_spoken && log->splice.log_end != SPLICE_NO_END && wanted_of_log(log) >= log->splice.log_end;
}

/* Bytes that cannot be read any more although DataOps wants them (again) become one line. */
static bool put_last_hole(struct joblog *log)
{
    uint64_t end = log->follow != NULL ? follow_position(log->follow) : 0;

    if (log->splice.log_end != SPLICE_NO_END)
        end = log->splice.log_end;
    if (log->follow != NULL && log->has_spoken && log->closing == CLOSE_MADE && wanted_of_log(log) < end)
        add_hole(log, end - wanted_of_log(log));
    return put_hole(log);
}

/* DataOps may have more of a resumed log than can be read now: the tail belongs behind that. False: asked, wait. */
static bool find_end(struct joblog *log)
{
    if (!log->input.resumed || log->closing >= CLOSE_PLACED)
        return true;
    if (!trace_is_located(log->trace)) {
        trace_locate(log->trace);
        return false;
    }
    trace_skip(log->trace);
    return true;
}

static void place_tail(struct joblog *log)
{
    if (log->closing >= CLOSE_PLACED)
        return;
    log->tail_at = trace_wanted(log->trace);
    if (log->splice.log_end == SPLICE_NO_END && log->follow != NULL)
        log->splice.log_end = wanted_of_log(log);
    log->closing = CLOSE_PLACED;
}

static void report(struct joblog *log)
{
    log->closing = CLOSE_REPORTING;
    trace_finish(log->trace, verdict_is_success(log->verdict), verdict_reason(log->verdict),
                 verdict_exit_code(log->verdict));
}

static void joblog_pump(struct joblog *log)
{
    if (!put_front(log) || log->closing == CLOSE_OPEN)
        return;
    if (log->follow != NULL && !log->is_over && !is_log_put(log))
        return;
    if (!put_last_hole(log) || !find_end(log))
        return;
    place_tail(log);
    if (put_text(log, strbuf_text(&log->tail), log->tail.length, log->tail_at) && log->closing != CLOSE_REPORTING)
        report(log);
}

/* DataOps wants bytes again that the trace had taken: courier's log is read once more. */
static void joblog_rewind(struct joblog *log)
{
    uint64_t at = trace_wanted(log->trace), next = 0, wanted;

    if (log->closing >= CLOSE_PLACED && at >= log->tail_at)
        return;
    if (log->closing >= CLOSE_PLACED)
        log->closing = CLOSE_MADE;
    splice_rewind(&log->splice, at);
    if (log->follow == NULL)
        return;
    follow_committed(log->follow, &next);
    wanted = wanted_of_log(log);
    if (wanted >= next)
        return;
    say_event(log->input.job, LOG_DEBUG, "trace_rewind", LOG_NUMBER("offset", at));
    if (!log->is_pod_gone) {
        log->is_over = false;
        follow_rewind(log->follow, wanted);
    }
}

/* --- notes --- */

static void notes_print(const struct joblog *log, struct cJSON *list)
{
    json_add_text(list, strbuf_text(&log->notes));
}

/* Reads the annotation of a pod: a JSON array of texts. */
static void notes_read(const char *annotation, struct strbuf *notes)
{
    struct error ignored = ERROR_NONE; /* what is no JSON was not written by a controller: there are no notes */
    OWNED_JSON struct cJSON *list = annotation != NULL ? json_parse(annotation, strlen(annotation), &ignored) : NULL;

    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
        strbuf_add_text(notes, json_item_text(item) != NULL ? json_item_text(item) : "");
}

static void notes_save(struct joblog *log);

static void notes_save_again(void *owner)
{
    struct joblog *log = owner;

    if (log->keeper == KEEPER_POD && log->closing == CLOSE_OPEN)
        notes_save(log);
    else
        joblog_pump(log);
}

static void notes_answered(void *owner, const struct kube_answer *answer)
{
    struct joblog *log = owner;

    log->save_call = NULL;
    if (answer->kind == KUBE_OK)
        log->notes_saved = log->notes_sent;
    /* Whether an adopter will find them is not known: courier's bytes wait until it is. */
    log->save_tries = answer->kind == KUBE_FAILED ? log->save_tries + 1 : 0;
    if (log->save_tries > 0 && log->save_tries < SAVE_TRIES)
        loop_after(log->input.loop, &log->save_timer, SAVE_AGAIN_MS, notes_save_again, log);
    joblog_pump(log);
}

static void notes_save(struct joblog *log)
{
    OWNED_JSON struct cJSON *patch = json_object();
    OWNED_JSON struct cJSON *list = json_array();

    timer_stop(&log->save_timer);
    notes_print(log, list);
    OWNED_TEXT char *notes = json_print(list);
    json_set_text(json_set_object(json_set_object(patch, "metadata"), "annotations"), POD_ANNOTATION_NOTES, notes);
    log->notes_sent = log->notes.length;
    log->save_call = kube_patch(log->kube, log->ns, "pods", log->pod, patch, notes_answered, log);
}

void joblog_note(struct joblog *log, const char *line)
{
    if (log->has_spoken || log->closing != CLOSE_OPEN || log->input.resumed || log->notes.length > NOTES_MOST)
        return;
    say_line(log->input.job, &log->notes, SECTION_CLEAR, line);
    if (log->keeper == KEEPER_NONE) {
        log->notes_saved = log->notes.length; /* the first pod will carry them */
        joblog_pump(log);
    } else if (log->keeper == KEEPER_POD && log->save_call == NULL) {
        notes_save(log); /* one at a time: of two patches under way nobody knows which was the last */
    }
}

char *joblog_notes_for_pod(struct joblog *log)
{
    OWNED_JSON struct cJSON *list = json_array();

    log->notes_sent = log->notes.length;
    if (log->keeper == KEEPER_NONE)
        log->keeper = KEEPER_COMING;
    if (log->notes.length == 0)
        return NULL;
    notes_print(log, list);
    return json_print(list);
}

void joblog_has_no_pod(struct joblog *log)
{
    if (log->keeper == KEEPER_COMING)
        log->keeper = KEEPER_NONE;
}

/* How much of our notes an annotation holds: all of it, when they begin with it. */
static size_t notes_found(const struct joblog *log, const char *annotation)
{
    OWNED_STRBUF struct strbuf found = STRBUF_EMPTY;

    notes_read(annotation, &found);
    if (found.length == 0 || found.length > log->notes.length ||
        memcmp(found.bytes, log->notes.bytes, found.length) != 0)
        return 0;
    return found.length;
}

void joblog_has_pod(struct joblog *log, struct kube *kube, const char *ns, const char *pod, const char *found_notes)
{
    log->kube = kube;
    log->ns = ns;
    log->pod = pod;
    log->keeper = KEEPER_POD;
    log->is_pod_gone = false;
    log->notes_saved = found_notes != NULL ? notes_found(log, found_notes) : log->notes_sent;
    joblog_pump(log);
}

/* --- courier's log --- */

static void joblog_bytes_came(void *owner)
{
    struct joblog *log = owner;

    if (!log->has_spoken) {
        log->has_spoken = true;
        log->events->spoke(log->owner);
    }
    joblog_pump(log);
}

static void joblog_log_over(void *owner)
{
    struct joblog *log = owner;
    bool is_again = log->closing != CLOSE_OPEN; /* the verdict is fixed: this was another reading */
    size_t length = 0;
    const char *end = follow_end(log->follow, &length);

    log->is_over = true;
    joblog_pump(log);
    if (!is_again)
        log->events->over(log->owner, end, length);
}

static void joblog_follow_said(void *owner, enum log_level level, const char *event, const struct log_field *fields,
                               size_t count)
{
    const struct joblog *log = owner;

    say_fields(log->input.job, level, event, fields, count);
}

static const struct follow_events follow_events = { .bytes = joblog_bytes_came,
                                                    .over = joblog_log_over,
                                                    .event = joblog_follow_said };

void joblog_read(struct joblog *log, const char *node)
{
    if (log->follow == NULL)
        log->follow = follow_new(log->input.loop, log->kube, log->ns, log->pod, &follow_events, log);
    follow_set_node(log->follow, node);
    if (!log->is_over)
        follow_open(log->follow);
}

bool joblog_is_read(const struct joblog *log)
{
    return log->follow != NULL;
}

bool joblog_has_spoken(const struct joblog *log)
{
    return log->has_spoken;
}

void joblog_container_over(struct joblog *log)
{
    if (log->follow != NULL)
        follow_container_over(log->follow);
}

void joblog_pod_gone(struct joblog *log)
{
    log->is_pod_gone = true;
    if (log->keeper == KEEPER_POD)
        log->keeper = KEEPER_LEFT;
    if (log->follow != NULL)
        follow_pod_gone(log->follow);
}

bool joblog_was_read_whole(const struct joblog *log)
{
    return log->follow != NULL && follow_was_read(log->follow);
}

void joblog_leave_pod(struct joblog *log)
{
    kube_cancel(log->save_call);
    log->save_call = NULL;
    timer_stop(&log->save_timer);
    log->notes_sent = log->notes_saved;
    log->save_tries = 0;
    if (log->keeper != KEEPER_NONE)
        log->keeper = KEEPER_LEFT;
    follow_free(log->follow);
    log->follow = NULL;
    log->is_over = false;
}

/* --- the end --- */

void joblog_stop_reading(struct joblog *log)
{
    log->is_over = true;
}

void joblog_close(struct joblog *log, const char *lead, const char *line, const struct verdict *verdict)
{
    uint64_t read_bytes = log->follow != NULL ? follow_position(log->follow) : 0;
    uint64_t all_bytes = verdict->has_result ? verdict->result.bytes : 0;

    if (log->closing != CLOSE_OPEN)
        return;
    if (read_bytes < all_bytes) {
        OWNED_TEXT char *lost =
            mem_format("WARNING: log incomplete: %" PRIu64 " of %" PRIu64 " bytes were lost on the way from the node",
                       all_bytes - read_bytes, all_bytes);
        say_line(log->input.job, &log->tail, SECTION_YELLOW, lost);
    }
    if (line != NULL)
        say_line(log->input.job, &log->tail, lead, line);
    log->verdict = verdict;
    log->closing = CLOSE_MADE;
    joblog_pump(log);
}

void joblog_abandon(struct joblog *log)
{
    trace_abandon(log->trace);
}

/* --- the trace --- */

static void joblog_cancel_wanted(void *owner, bool gracefully)
{
    const struct joblog *log = owner;

    log->events->cancel(log->owner, gracefully);
}

static void joblog_trace_wants(void *owner)
{
    struct joblog *log = owner;

    joblog_rewind(log);
    joblog_pump(log);
}

static void joblog_reported(void *owner, const struct error *error)
{
    const struct joblog *log = owner;

    log->events->reported(log->owner, error);
}

static const struct trace_events trace_events = { .cancel = joblog_cancel_wanted,
                                                  .wants = joblog_trace_wants,
                                                  .reported = joblog_reported };

static void joblog_accepted(void *owner, bool go, bool canceling)
{
    const struct joblog *log = owner;

    log->events->accepted(log->owner, go, canceling);
}

void joblog_accept(struct joblog *log)
{
    trace_accept(log->trace, joblog_accepted);
}

/* --- life --- */

struct joblog *joblog_new(const struct joblog_input *input, const struct joblog_events *events, void *owner)
{
    struct joblog *log = mem_new(sizeof(*log));
    const struct trace_input trace = {
        .dataops = input->dataops,
        .loop = input->loop,
        .job_id = input->job->id,
        .job_token = input->job->token,
        .failure_reasons = input->job->reasons,
        .failure_reason_count = input->job->reason_count,
        .debug_trace = input->debug_trace,
        .final_tries = FINAL_TRIES,
        .resumed = input->resumed,
    };

    log->input = *input;
    log->events = events;
    log->owner = owner;
    log->splice = SPLICE_EMPTY;
    notes_read(input->found_notes, &log->notes);
    log->notes_saved = log->notes_sent = log->notes.length;
    log->trace = trace_new(&trace, &trace_events, log);
    return log;
}

void joblog_free(struct joblog *log)
{
    if (log == NULL)
        return;
    kube_cancel(log->save_call);
    timer_stop(&log->save_timer);
    follow_free(log->follow);
    trace_free(log->trace);
    splice_clear(&log->splice);
    strbuf_clear(&log->notes);
    strbuf_clear(&log->tail);
    mem_free(log);
}

uint64_t joblog_bytes(const struct joblog *log)
{
    return trace_bytes(log->trace);
}

unsigned joblog_repairs(const struct joblog *log)
{
    return log->follow != NULL ? follow_repairs(log->follow) : 0;
}

uint64_t joblog_wanted(const struct joblog *log)
{
    return trace_wanted(log->trace);
}
