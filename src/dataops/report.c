/* The first and the last word about a job (docs/reference/dataops.md, "Accepting a job" and "The final state"). The
 * final state never goes out before the last byte. */
#include "trace_state.h"

#include "io/loop.h"

#include <string.h>

#define INTERVAL_MS    3000u
#define ROUND_FIRST_MS 1000u
#define ROUND_MOST_MS  60000u
#define READ_AGAIN_MS  60000u /* how long the reader may be silent when DataOps wants bytes once more */
#define ARCHIVE_MOST_MS                                                                                                \
    (15u * 60u * 1000u) /* 202 answers: the state is stored, DataOps only tidies up; it stops after 5 minutes */

/* --- the first word --- */

static void accepted(void *owner, const struct dataops_answer *answer)
{
    struct trace *trace = owner;
    enum job_remote remote = dataops_job_status(answer->reply);
    uint64_t interval_ms = dataops_update_interval_ms(answer->reply);
    bool canceling = remote == JOB_REMOTE_CANCELING;

    trace->call = NULL;
    if (interval_ms > 0)
        trace->interval_ms = interval_ms;
    trace->told_ms = loop_now_ms(trace->loop);
    /* the owner hears about these from the callback below */
    trace->aborted =
        answer->status == 403 || answer->status == 404 || remote == JOB_REMOTE_CANCELED || remote == JOB_REMOTE_FAILED;
    trace->told_cancel = trace->aborted || canceling;
    trace_schedule(trace);
    trace->accepted(trace->owner, !trace->aborted && !canceling, canceling);
}

void trace_accept(struct trace *trace, void (*answered)(void *owner, bool go, bool canceling))
{
    const struct dataops_update update = {
        .job_id = trace->job_id, .job_token = trace->job_token, .state = "running", .failure_reason = ""
    };

    trace->accepted = answered;
    timer_stop(&trace->timer);
    trace->call = dataops_update_job(trace->dataops, &update, accepted, trace);
}

/* --- the last word --- */

static void tell_reported(void *owner)
{
    struct trace *trace = owner;
    struct error error = trace->final_error;

    trace->events.reported(trace->owner, &error); /* the trace may be gone now */
}

void report_over(struct trace *trace)
{
    if (trace->phase == TRACE_OVER)
        return;
    trace->phase = TRACE_OVER;
    trace_drop_bytes(trace);
    trace_timer(trace, 0, tell_reported); /* once: the last callback */
}

static void step_due(void *owner)
{
    report_step(owner);
}

void report_failed(struct trace *trace, const struct error *error)
{
    uint64_t now_ms = loop_now_ms(trace->loop);
    uint64_t whole_ms = ROUND_FIRST_MS << (trace->rounds < 16 ? trace->rounds : 16);
    uint64_t wait_ms = whole_ms < ROUND_MOST_MS ? whole_ms : ROUND_MOST_MS;

    wait_ms += loop_random(trace->loop) % (wait_ms / 4 + 1); /* not all jobs at once */
    trace->rounds++;
    if (trace->rounds >= trace->rounds_most) {
        trace->final_error = *error;
        error_within(&trace->final_error, "the final state was not accepted");
        report_over(trace);
        return;
    }
    trace->retry_ms = now_ms + wait_ms;
    trace_timer(trace, wait_ms, step_due);
}

/* DataOps lost the log: everything once more, from the reader. */
static void resend_all(struct trace *trace, const struct dataops_answer *answer)
{
    if (++trace->moved >= trace->rounds_most) {
        trace->rounds = trace->rounds_most;
        report_failed(trace, &answer->error);
        return;
    }
    trace_drop_bytes(trace);
    trace->position = trace->wanted = 0;
    trace_move_slowly(trace);
    trace_timer(trace, trace->interval_ms, step_due);
    trace->events.wants(trace->owner);
}

static void archive_pending(struct trace *trace)
{
    if (loop_now_ms(trace->loop) - trace->final_since_ms > ARCHIVE_MOST_MS) {
        report_over(trace); /* the state was stored with the first 202 */
        return;
    }
    trace_timer(trace, trace->interval_ms, step_due);
}

static void final_answered(void *owner, const struct dataops_answer *answer)
{
    struct trace *trace = owner;

    trace->call = NULL;
    /* 200 comes with the state that we asked for, which may be "failed"; no other answer brings the job back either */
    if (answer->status == 200 || trace_note(trace, answer) || answer->status == 404)
        report_over(trace);
    else if (answer->status == 202)
        archive_pending(trace);
    else if (answer->status == 412)
        resend_all(trace, answer);
    else
        report_failed(trace, &answer->error);
}

static void send_final(struct trace *trace)
{
    const struct dataops_update update = {
        .job_id = trace->job_id,
        .job_token = trace->job_token,
        .state = trace->success ? "success" : "failed",
        .failure_reason = trace->success ? "" : reason_sent(trace->reason, trace->reasons, trace->reason_count),
        .exit_code = trace->success ? 0 : trace->exit_code,
        .with_output = trace_crc_is_whole(trace),
        .crc = trace->crc,
        .bytes = trace->position,
    };
    timer_stop(&trace->timer);
    trace->call = dataops_update_job(trace->dataops, &update, final_answered, trace);
}

/* The reader had its chance: what DataOps has is all there will be. */
static void read_again_over(void *owner)
{
    struct trace *trace = owner;

    trace->end_at = trace->wanted;
    report_step(trace);
}

void report_step(struct trace *trace)
{
    if (trace->call || trace->phase != TRACE_FINAL)
        return;
    if (trace->aborted)
        report_over(trace);
    else if (!trace->gave_up_bytes && trace_pending(trace) > 0 && loop_now_ms(trace->loop) < trace->retry_ms)
        trace_timer(trace, trace->retry_ms - loop_now_ms(trace->loop), step_due);
    else if (!trace->gave_up_bytes && trace_pending(trace) > 0)
        trace_send(trace);
    else if (!trace->gave_up_bytes && trace->wanted < trace->end_at)
        trace_timer(trace, READ_AGAIN_MS, read_again_over);
    else
        send_final(trace);
}

void trace_finish(struct trace *trace, bool success, enum reason reason, int exit_code)
{
    if (trace->phase == TRACE_OVER)
        return;
    if (trace->phase == TRACE_LIVE) {
        trace->phase = TRACE_FINAL;
        trace->success = success;
        trace->reason = reason;
        trace->exit_code = exit_code;
        trace->interval_ms = INTERVAL_MS;
        trace->final_since_ms = loop_now_ms(trace->loop);
        timer_stop(&trace->timer);
    }
    trace->end_at = trace->wanted;
    report_step(trace);
}

void trace_abandon(struct trace *trace)
{
    if (trace->phase == TRACE_OVER)
        return;
    dataops_cancel(trace->call);
    trace->call = NULL;
    trace->aborted = true;
    report_over(trace);
}
