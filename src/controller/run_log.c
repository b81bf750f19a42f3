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

static void run_log_over(void *owner);

static void run_log_bytes(void *owner)
{
    struct run *run = owner;

    if (!run->spoke)
        run_spoke(run);
    run_pump(run);
}

static const struct follow_events follow_events = { .bytes = run_log_bytes, .over = run_log_over };

void run_follow_log(struct run *run)
{
    if (run->follow == NULL)
        run->follow =
            follow_new(run->controller->loop, run->cluster->kube, run->cluster->ns, run->pod, &follow_events, run);
    if (!run->log_over)
        follow_open(run->follow);
}

static void run_log_ended(struct run *run)
{
    if (run->has_result && run->result.outcome == OUTCOME_NEVER_BEGAN && !run->spoke && run->state == JOB_STARTING) {
        /* Nothing of the job ran, and DataOps has no byte of this attempt: not the job's end. */
        run->has_result = false;
        snprintf(run->cause_text, sizeof(run->cause_text), "%s", run->result.message);
        run_handle(run, JOB_NEVER_BEGAN);
    } else {
        run_handle(run, run->has_result ? JOB_RESULT : JOB_POD_OVER);
    }
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
    if (end != NULL && result_parse(end, length, &run->result, &error) == 0)
        run->has_result = true;
    else if (end != NULL)
        log_event(LOG_ERROR, "end_record_unreadable", "job=%" PRIu64 " error=\"%s\"", run->job_id, error.text);
    run_pump(run);
    if (run->reporting)
        return;
    if (run->has_result)
        run_log_ended(run);
    else
        loop_after(run->controller->loop, &run->status_timer, RUN_STATUS_GRACE_MS, run_log_status_due, run);
}

/* Log offset that the trace wants next. */
static uint64_t run_log_wanted(const struct run *run)
{
    return trace_wanted(run->trace) - run->notes.length + run->holes_bytes - run->holes_text;
}

void run_log_rewind(struct run *run)
{
    uint64_t wanted = trace_wanted(run->trace), offset = 0;

    if (run->follow == NULL || run->pod_deleted || wanted < run->notes.length)
        offset = 0;
    else
        offset = run_log_wanted(run);
    if (run->follow == NULL || (run->tail_placed && wanted >= run->tail_at) || offset >= run->log_next)
        return;
    log_event(LOG_DEBUG, "trace_rewind", "job=%" PRIu64 " offset=%" PRIu64, run->job_id, wanted);
    run->holes_bytes = run->holes_text = 0;
    strbuf_clear(&run->hole);
    run->tail_placed = false;
    run->log_next = 0;
    if (!run->pod_deleted) {
        run->log_over = false;
        follow_rewind(run->follow, 0);
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

/* Bytes that nobody has any more become one line with their exact number. */
static bool run_put_hole(struct run *run)
{
    if (run->hole.length == 0)
        return true;
    if (!run_put_text(run, &run->hole, run->hole_at))
        return false;
    run->holes_bytes += run->hole_bytes;
    run->holes_text += run->hole.length;
    strbuf_clear(&run->hole);
    return true;
}

static void run_make_hole(struct run *run, uint64_t bytes)
{
    strbuf_format(&run->hole,
                  "\n" SECTION_YELLOW "WARNING: log incomplete: %" PRIu64
                  " bytes were lost on the way from the node" SECTION_RESET "\n",
                  bytes);
    run->hole_at = trace_wanted(run->trace);
    run->hole_bytes = bytes;
    log_event(LOG_WARN, "log_incomplete", "job=%" PRIu64 " lost_bytes=%" PRIu64, run->job_id, bytes);
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
        /* What still comes after the tail was placed (a job that was given up) has no place any more. */
        if (run->tail_placed) {
            follow_take(run->follow, committed->length);
            return true;
        }
        uint64_t wanted = run_log_wanted(run);
        if (offset > wanted) {
            run_make_hole(run, offset - wanted);
            continue;
        }
        skip = wanted - offset < committed->length ? (size_t)(wanted - offset) : committed->length;
        if (skip < committed->length)
            taken = trace_put(run->trace, committed->bytes + skip, committed->length - skip);
        if (skip + taken == 0)
            return false;
        follow_take(run->follow, skip + taken);
        run->log_next = offset + skip + taken;
    }
}

static void run_finish(struct run *run)
{
    bool good = run->has_result && run->result.outcome == OUTCOME_SUCCESS;

    run->reporting = true;
    trace_finish(run->trace, good, run->has_result ? run->result.reason : run->cause,
                 run->has_result ? run->result.exit_code : run->cause_exit_code);
}

void run_pump(struct run *run)
{
    if (!run_put_text(run, &run->notes, 0) || (run->follow != NULL && !run_put_log(run)))
        return;
    if (!run->tail_made || (run->follow != NULL && !run->log_over))
        return;
    if (!run->tail_placed) {
        run->tail_at = trace_wanted(run->trace);
        run->tail_placed = true;
    }
    if (run_put_text(run, &run->tail, run->tail_at) && !run->reporting)
        run_finish(run);
}

static void run_noted(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->notes_call = NULL;
    if (answer->kind == KUBE_OK && !run->spoke)
        run_pump(run);
}

void run_note(struct run *run, const char *text)
{
    bool pod_exists = run->uid != NULL && !run->pod_deleted && run->state == JOB_STARTING;

    if (run->spoke || run->notes.length > 16 * KIB)
        return;
    strbuf_format(&run->notes, SECTION_CLEAR "%s" SECTION_RESET "\n", text);
    if (!pod_exists)
        return; /* it is stored with the next pod, and goes out then */
    OWNED_JSON struct cJSON *patch = json_object();
    OWNED_JSON struct cJSON *list = json_array();
    json_add_text(list, strbuf_text(&run->notes));
    OWNED_TEXT char *notes = json_print(list);
    json_set_text(json_set_object(json_set_object(patch, "metadata"), "annotations"), POD_ANNOTATION_NOTES, notes);
    kube_cancel(run->notes_call);
    run->notes_call = kube_patch(run->cluster->kube, run->cluster->ns, "pods", run->pod, patch, run_noted, run);
}

/* The controller's last lines, fixed once: from here on the trace is notes, courier's bytes, tail. */
static void run_set_tail(struct run *run, const char *text)
{
    uint64_t log_bytes = run->follow != NULL ? follow_position(run->follow) : 0;

    if (run->tail_made)
        return;
    if (run->has_result && log_bytes < run->result.bytes)
        strbuf_format(&run->tail,
                      SECTION_YELLOW "WARNING: log incomplete: %" PRIu64 " of %" PRIu64
                                     " bytes were lost on the way from the node" SECTION_RESET "\n",
                      run->result.bytes - log_bytes, run->result.bytes);
    strbuf_add_text(&run->tail, text);
    run->tail_made = true;
    run_pump(run);
}

void run_report_result(struct run *run)
{
    struct result *result = &run->result;

    timer_stop(&run->status_timer);
    log_event(LOG_DEBUG, "job_phases", "job=%" PRIu64 " start=%.3f sources=%.3f script=%.3f after=%.3f upload=%.3f",
              run->job_id, result->phases.start_s, result->phases.sources_s, result->phases.script_s,
              result->phases.after_s, result->phases.upload_s);
    if (result->outcome == OUTCOME_NEVER_BEGAN || result->outcome == OUTCOME_INTERRUPTED) {
        if (result->reason == REASON_NONE)
            result->reason = result->outcome == OUTCOME_INTERRUPTED ? REASON_INTERRUPTED : REASON_SYSTEM;
    }
    run_set_tail(run, "");
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
    OWNED_TEXT char *line =
        mem_format("\n" SECTION_RED "ERROR: Job failed%s: %s" SECTION_RESET "\n",
                   reason == REASON_SCRIPT || reason == REASON_TIMEOUT ? "" : " (system failure)", why);
    run->log_over = true;
    run_set_tail(run, line);
}

void run_report_cause(struct run *run)
{
    const char *system = run->cause_is_system ? " (system failure)" : "";
    OWNED_TEXT char *line = mem_format("%s" SECTION_RED "ERROR: Job failed%s: %s" SECTION_RESET "\n",
                                       run->spoke ? "\n" : "", system, run->cause_text);

    log_event(LOG_WARN, "job_cannot_run", "job=%" PRIu64 " why=\"%s\"", run->job_id, run->cause_text);
    run->has_result = false;
    run->log_over = true;
    run_set_tail(run, line);
}

void run_report_cancel(struct run *run)
{
    run->cause = REASON_UNKNOWN;
    run->log_over = true;
    run_set_tail(run, SECTION_YELLOW "WARNING: script canceled externally (UI, API)" SECTION_RESET "\n" SECTION_RED
                                     "ERROR: Job failed: canceled" SECTION_RESET "\n");
}
