#include "parts.h"

#include "base/log.h"
#include "follow.h"
#include "pod/name.h"
#include "pod/render.h"
#include "text/duration.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void run_free_due(void *owner)
{
    run_free(owner);
}

/* What belongs to the attempt alone; answers to it would be taken for the next one's. */
static void run_leave_attempt(struct run *run)
{
    kube_cancel(run->store_call);
    kube_cancel(run->notes_call);
    kube_cancel(run->order_call);
    run->store_call = run->notes_call = run->order_call = NULL;
    run->notes_sent = run->notes_safe;
    run->notes_tries = 0;
    timer_stop(&run->notes_timer);
    timer_stop(&run->status_timer);
    timer_stop(&run->outside_timer);
    timer_stop(&run->order_timer);
    follow_free(run->follow);
    run->follow = NULL;
}

/* The only place where a job's state changes. */
void run_handle(struct run *run, enum job_event event)
{
    static const struct {
        enum job_action action;
        void (*does)(struct run *run);
    } doers[] = {
        { ACT_CREATE_POD, run_create_pod },       { ACT_STORE_PLAN, run_store_plan },
        { ACT_AWAIT_START, run_await_start },     { ACT_FOLLOW_LOG, run_follow_log },
        { ACT_ORDER_CANCEL, run_order_cancel },   { ACT_DELETE_POD, run_delete_pod },
        { ACT_REPORT_RESULT, run_report_result }, { ACT_REPORT_RULING, run_report_ruling },
        { ACT_REPORT_CAUSE, run_report_cause },   { ACT_REPORT_CANCEL, run_report_cancel },
    };
    struct job_step_taken step = job_machine(run->state, event);

    if (!step.known) {
        run_event(run, LOG_ERROR, "job_event_unexpected", LOG_TEXT("state", job_state_name(run->state)),
                  LOG_TEXT("on", job_event_name(event)));
        return;
    }
    if (run->state != step.next)
        run_event(run, LOG_DEBUG, "job_state", LOG_TEXT("from", job_state_name(run->state)),
                  LOG_TEXT("on", job_event_name(event)), LOG_TEXT("to", job_state_name(step.next)));
    if (run->state == JOB_RETRYING && step.next != JOB_RETRYING)
        timer_stop(&run->retry_timer);
    if (step.next == JOB_ENDING || step.next == JOB_RETRYING)
        run_stop_waiting(run);
    else if (step.next == JOB_RUNNING)
        run_stop_notes(run);
    if (step.next == JOB_RETRYING && run->state != JOB_RETRYING)
        run_leave_attempt(run);
    run->state = step.next;
    for (size_t i = 0; i < COUNT_OF(doers); i++)
        if (step.actions & doers[i].action)
            doers[i].does(run);
    if (step.actions & (ACT_RETRY | ACT_RETRY_SAME))
        run_retry(run, (step.actions & ACT_RETRY_SAME) != 0);
    if (step.actions & ACT_ABANDON)
        trace_abandon(run->trace);
    if (step.actions & ACT_FORGET)
        loop_after(run->controller->loop, &run->free_timer, 0, run_free_due, run);
}

void run_fail(struct run *run, enum job_event event, enum reason reason, const char *text)
{
    if (run->state >= JOB_ENDING) {
        run_handle(run, event); /* what is reported is fixed */
        return;
    }
    run->cause = reason;
    run->cause_is_system = reason != REASON_SCRIPT && reason != REASON_TIMEOUT;
    run_set_cause(run, text);
    run_handle(run, event);
}

static void run_cancel_wished(void *owner, bool gracefully)
{
    struct run *run = owner;

    run_event(run, LOG_INFO, "job_cancel", LOG_TRUTH("graceful", gracefully),
              LOG_TEXT("state", job_state_name(run->state)));
    run_handle(run, gracefully ? JOB_CANCEL : JOB_ABORT);
}

static void run_trace_wants(void *owner)
{
    struct run *run = owner;

    run_log_rewind(run);
    run_pump(run);
}

static void run_limit_due(void *owner)
{
    struct run *run = owner;
    OWNED_TEXT char *text =
        mem_format("the job passed its time limit%s", run->pod != NULL ? ", and nothing is heard of its pod" : "");

    run_fail(run, JOB_CANNOT_START, REASON_TIMEOUT, text);
}

void run_start_limit(struct run *run, int64_t limit_s, int64_t age_s)
{
    int64_t left_s = limit_s + run->intake->runner->kubernetes.poll_timeout_s + RUN_LIMIT_SPARE_S - age_s;

    loop_after(run->controller->loop, &run->limit_timer, left_s > 0 ? (uint64_t)left_s * 1000 : 0, run_limit_due, run);
}

bool run_is_unsafe(const struct run *run)
{
    switch (run->state) {
    case JOB_ACCEPTING:
    case JOB_CREATING:
    case JOB_STORING:
    case JOB_RETRYING:
    case JOB_ENDING: /* our own last lines are not in the pod */
        return true;
    case JOB_CLEANING:
        return run->delete_call != NULL || run->delete_timer != NULL || run->create_call != NULL;
    case JOB_STARTING:
    case JOB_RUNNING:
    case JOB_DONE:
    case JOB_STATES:
        break;
    }
    return false;
}

static void run_reported(void *owner, const struct error *error)
{
    struct run *run = owner;
    struct controller *controller = run->controller;
    double seconds = (double)(loop_now_ms(controller->loop) - run->received_ms) / 1000;
    bool good = run->has_result && run->result.outcome == OUTCOME_SUCCESS;

    timer_stop(&run->limit_timer);
    if (error->blame != BLAME_NONE)
        run_event(run, LOG_ERROR, "job_report_failed", LOG_TEXT("error", error->text));
    controller->jobs_succeeded += good;
    controller->jobs_failed += !good;
    run_event(run, good ? LOG_INFO : LOG_WARN, good ? "Job succeeded" : "Job failed",
              LOG_SECONDS("duration_s", seconds),
              LOG_TEXT("result", run->has_result ? outcome_name(run->result.outcome) : "none"),
              LOG_TEXT("reason", reason_name(run->has_result ? run->result.reason : run->cause)),
              LOG_NUMBER("bytes", trace_bytes(run->trace)),
              LOG_NUMBER("repairs", run->follow != NULL ? follow_repairs(run->follow) : 0));
    run_handle(run, JOB_REPORTED);
}

static const struct trace_events run_trace_events = { .cancel = run_cancel_wished,
                                                      .wants = run_trace_wants,
                                                      .reported = run_reported };

static void run_accept_answered(void *owner, bool go, bool canceling)
{
    struct run *run = owner;

    if (go)
        run_handle(run, JOB_ACCEPTED);
    else
        run_handle(run, canceling ? JOB_CANCEL : JOB_REFUSED);
}

struct run *run_begin(struct intake *intake, uint64_t job_id, const char *job_token)
{
    struct controller *controller = intake->controller;
    struct run *run = mem_new(sizeof(*run));

    run->controller = controller;
    run->intake = intake;
    run->cluster = intake->cluster;
    run->state = JOB_ACCEPTING;
    run->job_id = job_id;
    run->job_token = mem_text(job_token);
    run->attempt = 1;
    run->log_end = UINT64_MAX;
    run->attempts = (struct backoff){ .first_ms = 1000, .most_ms = 15000, .tries_most = RUN_ATTEMPTS_MOST - 1 };
    run->received_ms = loop_now_ms(controller->loop);
    list_append(&controller->runs, &run->node);
    controller->run_count++;
    controller->jobs_received++;
    intake->jobs++;
    return run;
}

void run_open_trace(struct run *run, bool debug_trace)
{
    struct trace_input input = {
        .dataops = run->intake->dataops,
        .loop = run->controller->loop,
        .job_id = run->job_id,
        .job_token = run->job_token,
        .failure_reasons = run->reasons,
        .failure_reason_count = run->reason_count,
        .debug_trace = debug_trace,
        .final_tries = RUN_FINAL_TRIES,
        .resumed = run->adopted,
    };

    run->trace = trace_new(&input, &run_trace_events, run);
}

struct run *run_new_failed(struct intake *intake, uint64_t job_id, const char *job_token, const struct error *error)
{
    struct run *run = run_begin(intake, job_id, job_token);

    run_learn_masking(run); /* the error names places and keys of the payload, no values */
    run_event(run, LOG_WARN, "job_refused", LOG_TEXT("error", error->text));
    run->cause_exit_code = 3;
    run_open_trace(run, false);
    run_fail(run, JOB_CANNOT_START, REASON_SYSTEM, error->text);
    return run;
}

/* The job's variables with what this runner adds, and what is true whatever they say. */
static int run_merge_variables(struct run *run, struct error *error)
{
    const struct pod_merge_input input = {
        .job = run->job,
        .runner = run->intake->runner,
        .short_token = run->intake->short_token,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
        .ca_pem = run->intake->ca_pem,
    };

    if (pod_merge(&input, &run->facts, &run->variables, error) < 0)
        return -1;
    run_learn_masking(run);
    run->image = pod_image(run->job, &run->variables, run->intake->runner, error);
    return run->image == NULL ? -1 : 0;
}

/* DataOps restricts who sees the log of a job that traces its shell. */
static bool debug_trace_wished(const struct job *job)
{
    const char *wish = job_variable(job, "CI_DEBUG_TRACE");
    bool value = false;

    return wish != NULL && boolean_parse(wish, &value) == 0 && value;
}

struct run *run_new(struct intake *intake, const char *payload, size_t length)
{
    struct error error = ERROR_NONE;
    uint64_t id = 0;
    char *token = NULL;
    struct job *job = job_parse(payload, length, &id, &token, &error);
    struct run *run = NULL;

    if (job == NULL) {
        if (id != 0 && token != NULL)
            run = run_new_failed(intake, id, token, &error);
        else
            log_event(LOG_ERROR, "payload_unreadable", LOG_TEXT("runner", intake->short_token),
                      LOG_TEXT("error", error.text));
        mem_free(token);
        return run;
    }
    mem_free(token);
    run = run_begin(intake, job->id, job->token);
    run->job = job;
    run_learn_masking(run);
    run->job_name = mem_text(job->name);
    run->reason_count = job->failure_reason_count;
    run->reasons = mem_new_array(run->reason_count + 1, sizeof(*run->reasons));
    for (size_t i = 0; i < run->reason_count; i++)
        run->reasons[i] = mem_text(job->failure_reasons[i]);
    OWNED_TEXT char *repository = url_for_people(job->repo_url);
    run_event(run, LOG_INFO, "Checking for jobs... received", LOG_TEXT("repo_url", repository),
              LOG_TEXT("runner", intake->short_token));
    run_open_trace(run, debug_trace_wished(job));
    if (job->unsupported != NULL) {
        run->cause_exit_code = 3;
        run_fail(run, JOB_CANNOT_START, REASON_SYSTEM, job->unsupported);
    } else if (run_merge_variables(run, &error) < 0) {
        run_fail(run, JOB_CANNOT_START, REASON_CONFIGURATION, error.text);
    } else {
        run_start_limit(run, job->timeout_s, 0);
        trace_accept(run->trace, run_accept_answered);
    }
    return run;
}

static void run_status_due(void *owner)
{
    struct run *run = owner;

    run->log_over = true;
    run_handle(run, JOB_POD_OVER);
}

/* The termination message is a second copy of the end record: it needs no log. */
static void run_read_termination(struct run *run)
{
    struct error error = ERROR_NONE;

    if (!run->has_result && !run->tail_made && run->status.courier.termination[0] != '\0' &&
        result_parse(run->status.courier.termination, strlen(run->status.courier.termination), &run->result, &error) ==
            0)
        run->has_result = true;
}

/* build ended, and it may have run the script before: only courier's log tells that it did not. A kubelet that was
 * started again may refuse a pod that ran, and shows no containers of it. */
static bool run_must_ask_log(const struct run *run)
{
    const struct container_status *courier = &run->status.courier, *build = &run->status.build;

    if (courier->state == CONTAINER_UNKNOWN && build->state == CONTAINER_UNKNOWN)
        return run->follow != NULL;
    return build->state == CONTAINER_TERMINATED && build->exit_code != POD_START_ERROR &&
           (courier->state == CONTAINER_RUNNING || courier->state == CONTAINER_TERMINATED);
}

static void run_check_start(struct run *run)
{
    enum reason reason = REASON_SYSTEM;
    char why[512];

    if (pod_never_began(&run->status, run->spoke, why)) {
        if (!run_must_ask_log(run)) {
            run_set_cause(run, why);
            run_handle(run, JOB_NEVER_BEGAN);
        } else if (run->state == JOB_STARTING) {
            run_handle(run, JOB_POD_RUNS);
            follow_container_over(run->follow);
        }
    } else if (!run->spoke && pod_cannot_start(&run->status, &reason, why)) {
        run_fail(run, JOB_CANNOT_START, reason, why);
    }
}

/* Nothing more will come from the pod. */
static void run_pod_over(struct run *run)
{
    if (run->follow != NULL)
        follow_container_over(run->follow);
    else
        run_status_due(run);
}

static void run_outside_due(void *owner)
{
    struct run *run = owner;

    run_event(run, LOG_WARN, "pod_does_not_end", LOG_TEXT("pod", run->pod));
    if (run->state == JOB_STARTING || run->state == JOB_RUNNING)
        run_pod_over(run);
}

/* Somebody else deleted it: courier gets its grace; a node that is gone never says more. */
static void run_watch_deletion(struct run *run)
{
    int64_t grace_s = run->intake->runner->kubernetes.grace_s + RUN_OUTSIDE_PATIENCE_S;

    if (run->status.deleting && run->outside_timer == NULL)
        loop_after(run->controller->loop, &run->outside_timer, (uint64_t)grace_s * 1000, run_outside_due, run);
}

static bool courier_began(const struct pod_status *status)
{
    return status->courier.state == CONTAINER_RUNNING || status->courier.state == CONTAINER_TERMINATED;
}

/* The pod has its plan and courier may be at work. */
static void run_watch_pod(struct run *run)
{
    const struct pod_status *status = &run->status;

    run_watch_build(run);
    run_watch_deletion(run);
    if (courier_began(status))
        run_handle(run, JOB_POD_RUNS);
    if (status->courier.state != CONTAINER_TERMINATED && !pod_is_over(status))
        return;
    run_read_termination(run);
    if (run->follow != NULL)
        follow_container_over(run->follow);
    else if (run->status_timer == NULL)
        loop_after(run->controller->loop, &run->status_timer, RUN_STATUS_GRACE_MS, run_status_due, run);
}

void run_pod_changed(struct run *run, const struct pod_status *status)
{
    if (run->uid != NULL && strcmp(run->uid, status->uid) != 0)
        return;
    if (&run->status != status)
        run->status = *status;
    if (run->uid == NULL)
        return; /* looked at once the create was answered */
    /* courier's container needs the Secret to be created at all */
    if (run->state == JOB_STORING && courier_began(status)) {
        run_plan_is_stored(run);
        return;
    }
    if (run->state == JOB_STORING || run->state == JOB_STARTING || run->state == JOB_RUNNING)
        run_check_start(run);
    if (run->state == JOB_STARTING || run->state == JOB_RUNNING)
        run_watch_pod(run);
}

void run_pod_gone(struct run *run)
{
    run_event(run, LOG_DEBUG, "pod_gone", LOG_TEXT("pod", run->pod), LOG_TEXT("state", job_state_name(run->state)));
    run->pod_deleted = true;
    if (run->follow != NULL)
        follow_pod_gone(run->follow);
    if (run->state == JOB_CLEANING || run->state == JOB_RETRYING)
        run_handle(run, JOB_POD_DELETED);
    else if (run->state == JOB_STORING || run->state == JOB_STARTING || run->state == JOB_RUNNING)
        run_pod_over(run);
}

static void run_clear_job(struct run *run)
{
    variables_clear(&run->variables);
    job_facts_clear(&run->facts);
    job_free(run->job);
    run->job = NULL;
}

/* Courier spoke: no further attempt will be made, so the payload with its secrets is not needed any more. */
void run_spoke(struct run *run)
{
    run->spoke = true;
    run->spoke_ms = loop_now_ms(run->controller->loop);
    run_clear_job(run);
    run_handle(run, JOB_SPOKE);
}

void run_free(struct run *run)
{
    struct controller *controller = run->controller;

    kube_cancel(run->create_call);
    kube_cancel(run->store_call);
    kube_cancel(run->delete_call);
    kube_cancel(run->order_call);
    kube_cancel(run->notes_call);
    timer_stop(&run->retry_timer);
    timer_stop(&run->status_timer);
    timer_stop(&run->gone_timer);
    timer_stop(&run->delete_timer);
    timer_stop(&run->order_timer);
    timer_stop(&run->notes_timer);
    timer_stop(&run->outside_timer);
    timer_stop(&run->limit_timer);
    timer_stop(&run->free_timer);
    run_stop_waiting(run);
    follow_free(run->follow);
    trace_free(run->trace);
    if (run->pod != NULL && strmap_get(&run->cluster->runs, run->pod) == run)
        strmap_remove(&run->cluster->runs, run->pod);
    run_clear_job(run);
    for (size_t i = 0; i < run->reason_count; i++)
        mem_free(run->reasons[i]);
    mem_free(run->reasons);
    strbuf_clear(&run->notes);
    strbuf_clear(&run->tail);
    mem_free(run->holes);
    mem_wipe_free(run->job_token, strlen(run->job_token));
    mem_free(run->job_name);
    mem_free(run->image);
    run_bury_old(run);
    mem_free(run->pod);
    mem_free(run->uid);
    mem_free(run->plan_key);
    masking_free(run->masking);
    list_remove(&run->node);
    controller->run_count--;
    run->intake->jobs--;
    mem_free(run);
    intake_has_room(controller);
}
