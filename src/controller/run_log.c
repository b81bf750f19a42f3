/* A run's log and report: notes, courier's proven bytes and the tail become one trace; then the verdict goes out. */
#include "parts.h"

#include "base/log.h"
#include "follow.h"
#include "pod/name.h"
#include "text/json.h"
#include "text/section.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NOWHERE       UINT64_MAX
#define RUN_HOLE_TEXT 160
#define NOTE_TRIES    6 /* each of them some tries of the client */

static void run_log_over(void *owner);

static void run_log_bytes(void *owner)
{
    struct run *run = owner;

    if (!run->spoke)
        run_spoke(run);
    run_pump(run);
}

static void run_log_event(void *owner, enum log_level level, const char *event, const struct log_field *fields,
                          size_t count)
{
    const struct run *run = owner;

    masking_log(run->masking, level, event, fields, count);
}

static const struct follow_events follow_events = { .bytes = run_log_bytes,
                                                    .over = run_log_over,
                                                    .event = run_log_event };

void run_follow_log(struct run *run)
{
    if (run->follow == NULL)
        run->follow =
            follow_new(run->controller->loop, run->cluster->kube, run->cluster->ns, run->pod, &follow_events, run);
    follow_set_node(run->follow, run->status.node);
    if (!run->log_over)
        follow_open(run->follow);
}

/* Nothing of the job ran, and DataOps has no byte of this attempt: not the job's end. */
static bool run_log_proves_no_start(struct run *run)
{
    char why[256];

    if (run->spoke || run->state != JOB_STARTING)
        return false;
    if (run->has_result && run->result.outcome == OUTCOME_NEVER_BEGAN) {
        run->has_result = false;
        run_set_cause(run, run->result.message);
        return true;
    }
    if (run->has_result || !follow_was_read(run->follow) || !pod_never_began(&run->status, false, why))
        return false;
    run_set_cause(run, why);
    return true;
}

static void run_log_ended(struct run *run)
{
    if (run_log_proves_no_start(run))
        run_handle(run, JOB_NEVER_BEGAN);
    else
        run_handle(run, run->has_result ? JOB_RESULT : JOB_POD_OVER);
}

static void run_log_status_due(void *owner)
{
    run_log_ended(owner);
}

static void run_log_over(void *owner)
{
    struct run *run = owner;
    struct error error = ERROR_NONE;
    size_t length = 0;
    const char *end = follow_end(run->follow, &length);

    run->log_over = true;
    if (run->tail_made) {
        run_pump(run); /* the verdict is fixed; this was a second reading */
        return;
    }
    if (end != NULL && result_parse(end, length, &run->result, &error) == 0)
        run->has_result = true;
    else if (end != NULL)
        run_event(run, LOG_ERROR, "end_record_unreadable", LOG_TEXT("error", error.text));
    run_pump(run);
    if (run->has_result)
        run_log_ended(run);
    else
        loop_after(run->controller->loop, &run->status_timer, RUN_STATUS_GRACE_MS, run_log_status_due, run);
}

/* The line that stands for bytes that nobody has any more; the same number gives the same line. */
static size_t run_hole_text(uint64_t bytes, char text[RUN_HOLE_TEXT])
{
    return (size_t)snprintf(text, RUN_HOLE_TEXT,
                            "\n" SECTION_YELLOW "WARNING: log incomplete: %" PRIu64
                            " bytes were lost on the way from the node" SECTION_RESET "\n",
                            bytes);
}

/* Log offset that the trace wants next, behind the holes that lie before. */
static uint64_t run_log_wanted(const struct run *run)
{
    uint64_t at = trace_wanted(run->trace), lost = 0, said = 0;
    char text[RUN_HOLE_TEXT];

    for (size_t i = 0; i < run->hole_count; i++) {
        size_t length = run_hole_text(run->holes[i].bytes, text);
        lost += run->holes[i].bytes;
        said += length;
        if (at < run->holes[i].at + length)
            at = run->holes[i].at + length;
    }
    return at > run->notes.length ? at - run->notes.length - said + lost : 0;
}

/* DataOps wants bytes again that the trace had taken: the log is read once more. */
void run_log_rewind(struct run *run)
{
    uint64_t wanted = trace_wanted(run->trace), next = 0;

    if (run->tail_placed && wanted >= run->tail_at)
        return;
    run->tail_placed = run->reporting = false;
    while (run->hole_count > 0 && run->holes[run->hole_count - 1].at >= wanted)
        run->hole_count--;
    if (run->follow == NULL)
        return;
    follow_committed(run->follow, &next);
    if (run_log_wanted(run) >= next)
        return;
    run_event(run, LOG_DEBUG, "trace_rewind", LOG_NUMBER("offset", wanted));
    if (!run->pod_deleted) {
        run->log_over = false;
        follow_rewind(run->follow, run_log_wanted(run));
    }
}

/* Puts the part of a fixed text (that begins at trace offset at) which the trace wants next; true when all of it was
 * put. */
static bool run_put_text(struct run *run, const struct strbuf *text, uint64_t at)
{
    uint64_t wanted = trace_wanted(run->trace);

    while (wanted < at + text->length) {
        size_t skip = (size_t)(wanted - at);
        size_t taken = trace_put(run->trace, text->bytes + skip, text->length - skip);
        if (taken == 0)
            return false;
        wanted = trace_wanted(run->trace);
    }
    return true;
}

/* Puts what is still to be put of the last hole's line. */
static bool run_put_hole(struct run *run)
{
    char text[RUN_HOLE_TEXT];
    struct strbuf line = { .bytes = text };

    if (run->hole_count == 0)
        return true;
    line.length = run_hole_text(run->holes[run->hole_count - 1].bytes, text);
    return run_put_text(run, &line, run->holes[run->hole_count - 1].at);
}

static void run_make_hole(struct run *run, uint64_t bytes)
{
    run->holes = mem_grow(run->holes, (run->hole_count + 1) * sizeof(*run->holes));
    run->holes[run->hole_count].at = trace_wanted(run->trace);
    run->holes[run->hole_count++].bytes = bytes;
    run_event(run, LOG_WARN, "log_incomplete", LOG_NUMBER("lost_bytes", bytes));
}

/* Puts what is proven; false when the trace takes no more now. */
static bool run_put_log(struct run *run)
{
    for (;;) {
        uint64_t offset = 0;
        const struct strbuf *committed = follow_committed(run->follow, &offset);
        size_t skip = 0, taken = 0;

        if (!run_put_hole(run))
            return false;
        if (committed->length == 0)
            return true;
        /* What still comes after the tail was placed (a job that was given up) has no place any more, nor when it is
         * read again. */
        uint64_t wanted = run_log_wanted(run);
        if (run->tail_placed || (run->log_end != NOWHERE && wanted >= run->log_end)) {
            follow_take(run->follow, committed->length);
            return true;
        }
        if (offset > wanted) {
            run_make_hole(run, offset - wanted);
            continue;
        }
        skip = wanted - offset < committed->length ? (size_t)(wanted - offset) : committed->length;
        size_t length = committed->length;
        if (run->log_end != NOWHERE && offset + length > run->log_end)
            length = (size_t)(run->log_end - offset);
        if (skip < length)
            taken = trace_put(run->trace, committed->bytes + skip, length - skip);
        if (skip + taken == 0)
            return false;
        follow_take(run->follow, skip + taken);
    }
}

static void run_finish(struct run *run)
{
    bool good = run->has_result && run->result.outcome == OUTCOME_SUCCESS;

    run->reporting = true;
    trace_finish(run->trace, good, run->has_result ? run->result.reason : run->cause,
                 run->has_result ? run->result.exit_code : run->cause_exit_code);
}

/* Courier's bytes follow the notes that an adopter will find; others never were. */
static bool run_settle_notes(struct run *run)
{
    if ((run->notes_call != NULL || run->notes_timer != NULL) && !run->tail_made)
        return false;
    if (!run->tail_made)
        strbuf_cut(&run->notes, run->notes_safe);
    return true;
}

/* It was read again as far as the tail allows. */
static bool run_log_is_put(const struct run *run)
{
    return run->spoke && run->log_end != NOWHERE && run_log_wanted(run) >= run->log_end;
}

/* The pod is gone, and with it bytes that DataOps wants once more. */
static bool run_put_last_hole(struct run *run)
{
    uint64_t end = run->follow != NULL ? follow_position(run->follow) : 0;

    if (run->log_end != NOWHERE)
        end = run->log_end;

    if (run->follow != NULL && run->spoke && !run->tail_placed && run_log_wanted(run) < end)
        run_make_hole(run, end - run_log_wanted(run));
    return run_put_hole(run);
}

/* Notes and log, as far as they are known; false when the trace takes no more now. */
static bool run_put_front(struct run *run)
{
    struct strbuf notes = run->notes;

    notes.length = run->tail_made ? notes.length : run->notes_safe;
    if (!run_put_text(run, &notes, 0))
        return false;
    return run->follow == NULL || !run->spoke || (run_settle_notes(run) && run_put_log(run));
}

/* From here on the trace's end is known. */
static void run_place_tail(struct run *run)
{
    if (run->tail_placed)
        return;
    run->tail_at = trace_wanted(run->trace);
    if (run->log_end == NOWHERE && run->follow != NULL)
        run->log_end = run_log_wanted(run);
    run->tail_placed = true;
}

/* DataOps may have more of an adopted job's log than can be read now: our last lines belong behind that. */
static bool run_find_end(struct run *run)
{
    if (!run->adopted || run->tail_placed)
        return true;
    if (!trace_is_located(run->trace)) {
        trace_locate(run->trace);
        return false;
    }
    trace_skip(run->trace);
    return true;
}

void run_pump(struct run *run)
{
    if (!run_put_front(run))
        return;
    if (!run->tail_made || (run->follow != NULL && !run->log_over && !run_log_is_put(run)))
        return;
    if (!run_put_last_hole(run) || !run_find_end(run))
        return;
    run_place_tail(run);
    if (run_put_text(run, &run->tail, run->tail_at) && !run->reporting)
        run_finish(run);
}

static void run_store_notes(struct run *run);

static void run_note_again(void *owner)
{
    struct run *run = owner;

    if (!run->pod_deleted && !run->tail_made)
        run_store_notes(run);
    else
        run_pump(run);
}

static void run_noted(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->notes_call = NULL;
    if (answer->kind == KUBE_OK)
        run->notes_safe = run->notes_sent;
    /* Whether an adopter will find them is not known: courier's bytes wait until it is. */
    run->notes_tries = answer->kind == KUBE_FAILED ? run->notes_tries + 1 : 0;
    if (run->notes_tries > 0 && run->notes_tries < NOTE_TRIES)
        loop_after(run->controller->loop, &run->notes_timer, RUN_ASK_AGAIN_MS, run_note_again, run);
    run_pump(run);
}

static void run_store_notes(struct run *run)
{
    OWNED_JSON struct cJSON *patch = json_object();
    OWNED_JSON struct cJSON *list = json_array();

    timer_stop(&run->notes_timer);
    json_add_text(list, strbuf_text(&run->notes));
    OWNED_TEXT char *notes = json_print(list);
    json_set_text(json_set_object(json_set_object(patch, "metadata"), "annotations"), POD_ANNOTATION_NOTES, notes);
    run->notes_sent = run->notes.length;
    run->notes_call = kube_patch(run->cluster->kube, run->cluster->ns, "pods", run->pod, patch, run_noted, run);
}

void run_note(struct run *run, const char *text)
{
    /* what an adopted job's log holds at DataOps is not known yet: a line more in front of it would move it */
    if (run->spoke || run->tail_made || run->adopted || run->notes.length > 16 * KIB)
        return;
    run_say(run, &run->notes, SECTION_CLEAR, text);
    if (run->uid != NULL && !run->pod_deleted && (run->state == JOB_STORING || run->state == JOB_STARTING)) {
        /* One at a time: of two patches under way nobody knows which was the last. */
        if (run->notes_call == NULL)
            run_store_notes(run);
    } else if (run->pod == NULL || (run->attempt == 1 && run->uid == NULL && !run->pod_maybe)) {
        run->notes_safe = run->notes.length; /* no pod yet: the first one will carry them */
        run_pump(run);
    }
}

void run_notes_in_pod(struct run *run)
{
    run->notes_safe = run->notes_sent;
    run_pump(run);
}

/* The controller's last lines, fixed once: from here on the trace is notes, courier's bytes, tail. colour is how the
 * line begins, text may hold anything; NULL: no line. */
static void run_set_tail(struct run *run, const char *colour, const char *text)
{
    uint64_t log_bytes = run->follow != NULL ? follow_position(run->follow) : 0;

    if (run->tail_made)
        return;
    if (run->has_result && log_bytes < run->result.bytes) {
        OWNED_TEXT char *lost =
            mem_format("WARNING: log incomplete: %" PRIu64 " of %" PRIu64 " bytes were lost on the way from the node",
                       run->result.bytes - log_bytes, run->result.bytes);
        run_say(run, &run->tail, SECTION_YELLOW, lost);
    }
    if (text != NULL)
        run_say(run, &run->tail, colour, text);
    run->tail_made = true;
    run_pump(run);
}

void run_report_result(struct run *run)
{
    struct result *result = &run->result;

    timer_stop(&run->status_timer);
    run_event(run, LOG_DEBUG, "job_phases", LOG_SECONDS("start", result->phases.start_s),
              LOG_SECONDS("sources", result->phases.sources_s), LOG_SECONDS("script", result->phases.script_s),
              LOG_SECONDS("after", result->phases.after_s), LOG_SECONDS("upload", result->phases.upload_s));
    if (result->outcome == OUTCOME_NEVER_BEGAN || result->outcome == OUTCOME_INTERRUPTED) {
        if (result->reason == REASON_NONE)
            result->reason = result->outcome == OUTCOME_INTERRUPTED ? REASON_INTERRUPTED : REASON_SYSTEM;
    }
    run_set_tail(run, NULL, NULL);
}

/* No end record: the pod's status decides, and never for success. */
void run_report_ruling(struct run *run)
{
    char why[512];
    int exit_code = 0;
    enum reason reason = REASON_SYSTEM;

    timer_stop(&run->status_timer);
    if (run->has_result) {
        run_report_result(run);
        return;
    }
    pod_ruling(&run->status, &reason, &exit_code, why);
    run->cause = reason;
    run->cause_exit_code = exit_code;
    run->log_over = true;
    OWNED_TEXT char *masked = masking_masked(run->masking, why);
    OWNED_TEXT char *line =
        mem_format("ERROR: Job failed%s: %s",
                   reason == REASON_SCRIPT || reason == REASON_TIMEOUT ? "" : " (system failure)", masked);
    run_set_tail(run, "\n" SECTION_RED, line);
}

void run_report_cause(struct run *run)
{
    const char *system = run->cause_is_system ? " (system failure)" : "";
    OWNED_TEXT char *line = mem_format("ERROR: Job failed%s: %s", system, run->cause_text);

    run_event(run, LOG_WARN, "job_cannot_run", LOG_TEXT("why", run->cause_text));
    run->has_result = false;
    run->log_over = true;
    run_set_tail(run, run->spoke ? "\n" SECTION_RED : SECTION_RED, line);
}

void run_report_cancel(struct run *run)
{
    run->cause = REASON_UNKNOWN;
    run->log_over = true;
    run_set_tail(run, SECTION_YELLOW "WARNING: script canceled externally (UI, API)" SECTION_RESET "\n" SECTION_RED,
                 "ERROR: Job failed: canceled");
}
