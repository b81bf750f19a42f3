#include "run.h"

#include "cluster.h"
#include "ending.h"
#include "io/loop.h"
#include "job/verdict.h"
#include "joblog.h"
#include "kernel.h"
#include "news.h"
#include "patience.h"
#include "pod/name.h"
#include "say.h"
#include "text/json.h"
#include "text/url.h"
#include "tries.h"

#include <stdio.h>
#include <string.h>

#define STATUS_GRACE_MS 5000 /* how long a missing end record waits for the pod's status */
#define LIMIT_SPARE_S   600  /* beyond the job's own limit: nothing in the pod keeps it any more */

struct run {
    struct entry *entry;
    const struct run_events *events;
    void *owner;
    enum job_state state;
    struct sealed_job job;
    struct workload workload; /* empty once courier spoke, and in a resumed run */
    struct joblog *log;
    struct tries *tries;
    uint64_t wait_ms; /* before the same attempt asks for its pod again */
    struct verdict verdict;
    struct ending ending; /* of these: job, log, verdict */
    struct news_queue news;
    bool is_handling;
    uint64_t received_ms;
    struct timer *status_timer, *limit_timer, *over_timer;
};

static struct attempt *attempt_of(const struct run *run)
{
    return tries_current(run->tries);
}

static struct loop *run_loop(const struct run *run)
{
    return run->entry->frame->loop;
}

/* --- the queue --- */

static void run_handle(struct run *run, const struct news *news);

/* text is the cause in words, or NULL. */
static void run_tell(void *owner, enum job_event event, enum reason reason, const char *text)
{
    struct run *run = owner;
    struct news next;

    news_add(&run->news, event, reason, text);
    if (run->is_handling)
        return;
    run->is_handling = true;
    while (news_take(&run->news, &next)) {
        run_handle(run, &next);
        mem_free(next.text);
    }
    run->is_handling = false;
}

/* --- what the table asks for --- */

static void run_create_pod(struct run *run)
{
    OWNED_TEXT char *notes = joblog_notes_for_pod(run->log);

    tries_create(run->tries, notes);
}

static void run_read_log(struct run *run)
{
    joblog_read(run->log, attempt_status(attempt_of(run))->node);
}

static void run_delete_pod(struct run *run)
{
    tries_drop_previous(run->tries);
    if (run->state == JOB_CLEANING && attempt_of(run) == NULL)
        run_tell(run, JOB_POD_DELETED, REASON_NONE, NULL);
    else if (run->state == JOB_CLEANING)
        attempt_end(attempt_of(run), !run->verdict.has_result);
    else if (attempt_of(run) != NULL)
        attempt_delete(attempt_of(run));
}

static void run_report_result(struct run *run)
{
    timer_stop(&run->status_timer);
    kernel_tell(&run->job, cluster_kube(run->entry->cluster), attempt_status(attempt_of(run))->node,
                &run->verdict.result);
    ending_by_result(&run->ending);
}

static void run_report_ruling(struct run *run)
{
    timer_stop(&run->status_timer);
    if (run->verdict.has_result)
        run_report_result(run);
    else
        ending_by_status(&run->ending, attempt_status(attempt_of(run)));
}

static void run_over_due(void *owner)
{
    struct run *run = owner;

    run->events->over(run->owner, run);
}

static void run_forget(struct run *run)
{
    loop_after(run_loop(run), &run->over_timer, 0, run_over_due, run);
}

/* --- another attempt --- */

static void run_pause_over(void *owner)
{
    run_tell(owner, JOB_TRY_AGAIN, REASON_NONE, NULL);
}

static void run_give_up(struct run *run, const char *why)
{
    OWNED_TEXT char *text =
        mem_format("the pod never began (attempt %u): %s%s", tries_number(run->tries), why, run->verdict.text);

    run_tell(run, JOB_CANNOT_START, REASON_SYSTEM, text);
}

static void run_say_attempt(struct run *run)
{
    OWNED_TEXT char *line = mem_format("Attempt %u of %u never began: %s; trying again", tries_number(run->tries),
                                       tries_most(), run->verdict.text);

    say_event(&run->job, LOG_WARN, "job_attempt_failed", LOG_NUMBER("attempt", tries_number(run->tries)),
              LOG_TEXT("why", run->verdict.text));
    joblog_note(run->log, line);
}

static void run_retry_same(struct run *run)
{
    if (run->entry->frame->stopping)
        run_give_up(run, "the runner is being stopped, and ");
    else
        tries_pause_same(run->tries, run->wait_ms);
}

static void run_retry_next(struct run *run)
{
    if (run->entry->frame->stopping) {
        run_give_up(run, "the runner is being stopped, and ");
    } else if (!tries_has_another(run->tries)) {
        run_give_up(run, "");
    } else {
        run_say_attempt(run);
        tries_pause_next(run->tries);
    }
}

/* --- the table --- */

/* What belongs to leaving one state and entering another, whatever the event. */
static void run_change_state(struct run *run, const struct job_step_taken *step)
{
    if (run->state == JOB_RETRYING && step->next != JOB_RETRYING)
        tries_stop_pause(run->tries);
    if (step->next == JOB_ENDING && attempt_of(run) != NULL)
        attempt_settle(attempt_of(run));
    if ((step->actions & ACT_RETRY) != 0) {
        timer_stop(&run->status_timer);
        tries_leave(run->tries);
        joblog_leave_pod(run->log);
        verdict_drop_result(&run->verdict); /* it was about this attempt alone */
    }
    run->state = step->next;
}

/* The only place where a job's state changes. */
static void run_handle(struct run *run, const struct news *news)
{
    static const struct {
        enum job_action action;
        void (*act)(struct run *run);
        void (*of_attempt)(struct attempt *attempt);
        void (*of_ending)(const struct ending *ending);
    } acts[] = {
        { ACT_CREATE_POD, .act = run_create_pod },
        { ACT_STORE_PLAN, .of_attempt = attempt_store_plan },
        { ACT_AWAIT_START, .of_attempt = attempt_await_start },
        { ACT_FOLLOW_LOG, .act = run_read_log },
        { ACT_ORDER_CANCEL, .of_attempt = attempt_order_cancel },
        { ACT_DELETE_POD, .act = run_delete_pod },
        { ACT_REPORT_RESULT, .act = run_report_result },
        { ACT_REPORT_RULING, .act = run_report_ruling },
        { ACT_REPORT_CAUSE, .of_ending = ending_by_cause },
        { ACT_REPORT_CANCEL, .of_ending = ending_by_cancel },
        { ACT_RETRY, .act = run_retry_next },
        { ACT_RETRY_SAME, .act = run_retry_same },
        { ACT_ABANDON, .of_ending = ending_abandon },
        { ACT_FORGET, .act = run_forget },
    };
    const struct job_step_taken step = job_machine(run->state, news->event);
    const enum job_state before = run->state;

    if (!step.known) {
        say_event(&run->job, LOG_ERROR, "job_event_unexpected", LOG_TEXT("state", job_state_name(run->state)),
                  LOG_TEXT("on", job_event_name(news->event)));
        return;
    }
    if (news->text != NULL && run->state < JOB_ENDING) /* after that, what is reported is fixed */
        ending_set_cause(&run->ending, news->reason, run->verdict.exit_code, news->text);
    run_change_state(run, &step);
    if (before != run->state)
        say_event(&run->job, LOG_DEBUG, "job_state", LOG_TEXT("from", job_state_name(before)),
                  LOG_TEXT("on", job_event_name(news->event)), LOG_TEXT("to", job_state_name(run->state)));
    for (size_t i = 0; i < COUNT_OF(acts); i++) {
        if ((step.actions & acts[i].action) == 0)
            continue;
        if (acts[i].act != NULL)
            acts[i].act(run);
        else if (acts[i].of_attempt != NULL)
            acts[i].of_attempt(attempt_of(run));
        else
            acts[i].of_ending(&run->ending);
    }
}

/* --- what the attempt says --- */

static void run_pod_created(void *owner, const char *found_notes)
{
    struct run *run = owner;
    const struct cluster *cluster = run->entry->cluster;

    joblog_has_pod(run->log, cluster_kube(cluster), cluster_namespace(cluster), attempt_pod(attempt_of(run)),
                   found_notes);
    run_tell(run, JOB_POD_CREATED, REASON_NONE, NULL);
}

static void run_delayed(void *owner, enum job_event event, const struct patience_advice *advice)
{
    struct run *run = owner;

    if (event == JOB_POD_DELAYED && !attempt_may_have_pod(attempt_of(run)))
        joblog_has_no_pod(run->log);
    if (tries_remember_line(run->tries, advice->text)) {
        OWNED_TEXT char *line =
            mem_format("Waiting for %s: %s", advice->is_quota ? "quota" : "Kubernetes", advice->text);
        joblog_note(run->log, line);
    }
    if (advice->is_quota)
        tries_drop_previous(run->tries); /* its pod counts, too */
    run->wait_ms = advice->wait_ms;
    run_tell(run, event, REASON_SYSTEM, advice->text);
}

static void run_is_safe(void *owner)
{
    struct run *run = owner;

    tries_drop_previous(run->tries);
    say_event(&run->job, LOG_DEBUG, "job_safe", LOG_NUMBER("after_ms", loop_now_ms(run_loop(run)) - run->received_ms));
    run_tell(run, JOB_PLAN_STORED, REASON_NONE, NULL);
}

static void run_status_due(void *owner)
{
    struct run *run = owner;

    joblog_stop_reading(run->log);
    run_tell(run, JOB_POD_OVER, REASON_NONE, NULL);
}

/* The termination message is a second copy of the end record: it needs no log. */
static void run_courier_ended(void *owner, const char *termination)
{
    struct run *run = owner;
    struct error ignored = ERROR_NONE; /* it may be cut or missing: then the log decides */

    if (!run->verdict.has_result && run->state < JOB_ENDING && termination[0] != '\0' &&
        verdict_read(&run->verdict, termination, strlen(termination), &ignored) < 0)
        say_event(&run->job, LOG_DEBUG, "termination_message_unreadable", LOG_TEXT("error", ignored.text));
    if (joblog_is_read(run->log))
        joblog_container_over(run->log);
    else if (run->status_timer == NULL)
        loop_after(run_loop(run), &run->status_timer, STATUS_GRACE_MS, run_status_due, run);
}

static void run_pod_vanished(void *owner)
{
    const struct run *run = owner;

    joblog_pod_gone(run->log);
}

static void run_pod_over(void *owner)
{
    struct run *run = owner;

    if (joblog_is_read(run->log))
        joblog_container_over(run->log);
    else
        run_status_due(run);
}

static void run_only_log_knows(void *owner)
{
    const struct run *run = owner;

    joblog_container_over(run->log);
}

static void run_line(void *owner, const char *text)
{
    const struct run *run = owner;

    joblog_note(run->log, text);
}

static const struct attempt_events attempt_events = {
    .happened = run_tell,
    .delayed = run_delayed,
    .created = run_pod_created,
    .safe = run_is_safe,
    .ended = run_courier_ended,
    .only_log_knows = run_only_log_knows,
    .vanished = run_pod_vanished,
    .over = run_pod_over,
    .line = run_line,
};

/* --- what the log says --- */

static void run_accepted(void *owner, bool go, bool canceling)
{
    run_tell(owner, go ? JOB_ACCEPTED : canceling ? JOB_CANCEL : JOB_REFUSED, REASON_NONE, NULL);
}

/* No further attempt will be made, so the payload with its secrets is not needed any more. */
static void run_courier_spoke(void *owner)
{
    struct run *run = owner;

    attempt_courier_spoke(attempt_of(run));
    workload_clear(&run->workload);
    run_tell(run, JOB_SPOKE, REASON_NONE, NULL);
}

/* Nothing of the job ran, and DataOps has no byte of this attempt: it is not the job's end. */
static bool run_log_proves_no_start(struct run *run, char why[512])
{
    struct verdict *verdict = &run->verdict;

    if (run->state != JOB_STARTING)
        return false;
    if (verdict->has_result && verdict->result.outcome == OUTCOME_NEVER_BEGAN) {
        verdict_drop_result(verdict);
        snprintf(why, 512, "%s", verdict->result.message);
        return true;
    }
    return !verdict->has_result && joblog_was_read_whole(run->log) &&
           pod_never_began(attempt_status(attempt_of(run)), false, why);
}

static void run_log_ended(void *owner)
{
    struct run *run = owner;
    char why[512];

    if (run_log_proves_no_start(run, why))
        run_tell(run, JOB_NEVER_BEGAN, REASON_SYSTEM, why);
    else
        run_tell(run, run->verdict.has_result ? JOB_RESULT : JOB_POD_OVER, REASON_NONE, NULL);
}

static void run_log_over(void *owner, const char *end, size_t length)
{
    struct run *run = owner;
    struct error error = ERROR_NONE;

    if (end != NULL && verdict_read(&run->verdict, end, length, &error) < 0)
        say_event(&run->job, LOG_ERROR, "end_record_unreadable", LOG_TEXT("error", error.text));
    if (run->verdict.has_result)
        run_log_ended(run);
    else
        loop_after(run_loop(run), &run->status_timer, STATUS_GRACE_MS, run_log_ended, run);
}

static void run_cancel_wanted(void *owner, bool gracefully)
{
    struct run *run = owner;

    say_event(&run->job, LOG_INFO, "job_cancel", LOG_TRUTH("graceful", gracefully),
              LOG_TEXT("state", job_state_name(run->state)));
    run_tell(run, gracefully ? JOB_CANCEL : JOB_ABORT, REASON_NONE, NULL);
}

static void run_reported(void *owner, const struct error *error)
{
    struct run *run = owner;
    const struct verdict *verdict = &run->verdict;
    double seconds = (double)(loop_now_ms(run_loop(run)) - run->received_ms) / 1000;
    bool is_good = verdict_is_success(verdict);

    timer_stop(&run->limit_timer);
    if (error->blame != BLAME_NONE)
        say_event(&run->job, LOG_ERROR, "job_report_failed", LOG_TEXT("error", error->text));
    run->events->reported(run->owner, is_good);
    say_event(&run->job, is_good ? LOG_INFO : LOG_WARN, is_good ? "Job succeeded" : "Job failed",
              LOG_SECONDS("duration_s", seconds),
              LOG_TEXT("result", verdict->has_result ? outcome_name(verdict->result.outcome) : "none"),
              LOG_TEXT("reason", reason_name(verdict_reason(verdict))), LOG_NUMBER("bytes", joblog_bytes(run->log)),
              LOG_NUMBER("repairs", joblog_repairs(run->log)));
    run_tell(run, JOB_REPORTED, REASON_NONE, NULL);
}

static const struct joblog_events joblog_events = {
    .accepted = run_accepted,
    .spoke = run_courier_spoke,
    .over = run_log_over,
    .cancel = run_cancel_wanted,
    .reported = run_reported,
};

/* --- life --- */

static void run_limit_due(void *owner)
{
    struct run *run = owner;
    OWNED_TEXT char *text = mem_format("the job passed its time limit%s",
                                       attempt_of(run) != NULL ? ", and nothing is heard of its pod" : "");

    run_tell(run, JOB_CANNOT_START, REASON_TIMEOUT, text);
}

/* The job is given up when its limit has passed: limit_s counts from age_s ago. */
static void run_start_limit(struct run *run, int64_t limit_s, int64_t age_s)
{
    int64_t left_s = limit_s + run->entry->runner->kubernetes.poll_timeout_s + LIMIT_SPARE_S - age_s;

    loop_after(run_loop(run), &run->limit_timer, left_s > 0 ? (uint64_t)left_s * 1000 : 0, run_limit_due, run);
}

/* Takes what job holds. */
static struct run *run_begin(struct entry *entry, struct sealed_job *job, const struct run_events *events, void *owner)
{
    struct run *run = mem_new(sizeof(*run));

    run->entry = entry;
    run->events = events;
    run->owner = owner;
    run->state = JOB_ACCEPTING;
    run->job = *job;
    *job = (struct sealed_job){ 0 };
    run->received_ms = loop_now_ms(run_loop(run));
    run->tries = tries_new(&(struct tries_input){
        .entry = entry,
        .job = &run->job,
        .workload = &run->workload,
        .events = &attempt_events,
        .pause_over = run_pause_over,
        .owner = run,
    });
    return run;
}

static void run_open_log(struct run *run, bool debug_trace, bool resumed, const char *found_notes)
{
    const struct joblog_input input = {
        .loop = run_loop(run),
        .dataops = run->entry->dataops,
        .job = &run->job,
        .debug_trace = debug_trace,
        .resumed = resumed,
        .found_notes = found_notes,
    };

    run->log = joblog_new(&input, &joblog_events, run);
    run->ending = (struct ending){ .job = &run->job, .log = run->log, .verdict = &run->verdict };
}

static void run_fail_at_once(struct run *run, enum reason reason, int exit_code, const char *text)
{
    run->verdict.exit_code = exit_code;
    run_tell(run, JOB_CANNOT_START, reason, text);
}

struct run *run_new_failed(struct entry *entry, uint64_t job_id, const char *job_token, const struct error *error,
                           const struct run_events *events, void *owner)
{
    struct sealed_job sealed = sealed_job_of(entry->runner->url, entry->short_token, job_id, job_token);
    struct run *run;

    sealed.masking = masking_of(NULL, NULL); /* the error names places and keys of the payload, no values */
    run = run_begin(entry, &sealed, events, owner);
    say_event(&run->job, LOG_WARN, "job_refused", LOG_TEXT("error", error->text));
    run_open_log(run, false, false, NULL);
    run_fail_at_once(run, REASON_SYSTEM, 3, error->text);
    return run;
}

struct run *run_new(struct entry *entry, struct job *job, const struct run_events *events, void *owner)
{
    struct error error = ERROR_NONE;
    struct sealed_job sealed = sealed_job_of(entry->runner->url, entry->short_token, job->id, job->token);
    OWNED_TEXT char *repository = url_for_people(job->repo_url);
    struct run *run;

    sealed_job_take(&sealed, job);
    run = run_begin(entry, &sealed, events, owner);
    int merged = workload_init(&run->workload, entry, job, &error);
    run->job.masking = masking_of(job, &run->workload.variables);
    say_event(&run->job, LOG_INFO, "Checking for jobs... received", LOG_TEXT("repo_url", repository),
              LOG_TEXT("runner", entry->short_token));
    run_open_log(run, job_traces_its_shell(job), false, NULL);
    if (job->unsupported != NULL) {
        run_fail_at_once(run, REASON_SYSTEM, 3, job->unsupported);
    } else if (merged < 0) {
        run_fail_at_once(run, REASON_CONFIGURATION, 0, error.text);
    } else {
        run_start_limit(run, job->timeout_s, 0);
        joblog_accept(run->log);
    }
    return run;
}

struct run *run_resume(struct entry *entry, struct sealed_text *sealed, const struct cJSON *pod,
                       const struct run_events *events, void *owner)
{
    struct run *run = run_begin(entry, &sealed->job, events, owner);
    const struct cluster *cluster = entry->cluster;
    int64_t age_s = loop_wall_us(run_loop(run)) / 1000000 - sealed->created_unix_s;
    const char *notes = json_text(json_at(pod, "metadata.annotations"), POD_ANNOTATION_NOTES, NULL);

    tries_resume(run->tries, sealed->attempt, pod);
    say_event(&run->job, LOG_INFO, "job_adopted", LOG_TEXT("pod", attempt_pod(attempt_of(run))));
    run_open_log(run, false, true, notes);
    joblog_has_pod(run->log, cluster_kube(cluster), cluster_namespace(cluster), attempt_pod(attempt_of(run)), NULL);
    run_start_limit(run, run->job.timeout_s, age_s > 0 ? age_s : 0);
    run_tell(run, JOB_ADOPTED, REASON_NONE, NULL);
    attempt_look(attempt_of(run));
    return run;
}

void run_stop(struct run *run)
{
    if (run->state == JOB_RETRYING)
        run_tell(run, JOB_CANNOT_START, REASON_SYSTEM, "the runner was stopped before the job's pod began");
}

void run_free(struct run *run)
{
    if (run == NULL)
        return;
    timer_stop(&run->status_timer);
    timer_stop(&run->limit_timer);
    timer_stop(&run->over_timer);
    tries_free(run->tries);
    joblog_free(run->log);
    workload_clear(&run->workload);
    sealed_job_clear(&run->job);
    news_clear(&run->news);
    mem_free(run);
}

bool run_is_unsafe(const struct run *run)
{
    if (run->state == JOB_CLEANING)
        return attempt_of(run) != NULL && attempt_is_asking(attempt_of(run));
    return job_state_is_unsafe(run->state);
}

const struct entry *run_entry(const struct run *run)
{
    return run->entry;
}

struct run_view run_view(const struct run *run)
{
    return (struct run_view){
        .state = run->state,
        .has_payload = run->workload.job != NULL,
        .has_spoken = joblog_has_spoken(run->log),
        .trace_wanted = joblog_wanted(run->log),
        .attempt = attempt_of(run),
    };
}
