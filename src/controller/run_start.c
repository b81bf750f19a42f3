/* A run's pod on its way: what it waits for, how long, and the next attempt. */
#include "parts.h"

#include "base/log.h"
#include "pod/name.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void run_start_due(void *owner)
{
    struct run *run = owner;
    char waits[RUN_WAITS_MOST];

    run_waits_for(run, waits);
    OWNED_TEXT char *text =
        mem_format("the pod did not start within %" PRId64 " s%s%s (poll_timeout in [runners.kubernetes])",
                   run->intake->runner->kubernetes.poll_timeout_s, waits[0] ? ": " : "", waits);
    bool image = pod_image_fails(&run->status.courier) || pod_image_fails(&run->status.build);
    run_fail(run, JOB_CANNOT_START, image ? REASON_IMAGE_PULL : REASON_SYSTEM, text);
}

/* While an image is pulled the pod is mute: the controller itself says what it waits for. */
static void run_wait_due(void *owner)
{
    struct run *run = owner;
    char waits[RUN_WAITS_MOST];

    run_waits_for(run, waits);
    if (waits[0] != '\0' && strcmp(waits, run->waited_for) != 0) {
        snprintf(run->waited_for, sizeof(run->waited_for), "%s", waits);
        OWNED_TEXT char *line = mem_format("Waiting for pod %s/%s: %s", run->cluster->ns, run->pod, waits);
        run_note(run, line);
    }
    loop_after(run->controller->loop, &run->wait_timer, RUN_WAIT_LINE_AFTER_MS, run_wait_due, run);
}

void run_await_start(struct run *run)
{
    struct loop *loop = run->controller->loop;

    loop_after(loop, &run->start_timer, (uint64_t)run->intake->runner->kubernetes.poll_timeout_s * 1000, run_start_due,
               run);
    loop_after(loop, &run->wait_timer, RUN_WAIT_LINE_AFTER_MS, run_wait_due, run);
}

void run_stop_notes(struct run *run)
{
    timer_stop(&run->wait_timer);
}

void run_stop_waiting(struct run *run)
{
    timer_stop(&run->start_timer);
    timer_stop(&run->wait_timer);
    timer_stop(&run->pull_timer);
    timer_stop(&run->store_timer);
}

static void run_pull_due(void *owner)
{
    struct run *run = owner;
    char waits[RUN_WAITS_MOST];

    run_waits_for(run, waits);
    OWNED_TEXT char *text = mem_format("image %s: %s", run->image != NULL ? run->image : "of the job", waits);
    run_fail(run, JOB_CANNOT_START, REASON_IMAGE_PULL, text);
}

void run_watch_build(struct run *run)
{
    const struct container_status *build = &run->status.build;

    if (build->state == CONTAINER_RUNNING || build->state == CONTAINER_TERMINATED)
        run_stop_waiting(run);
    else if (!pod_image_fails(build))
        timer_stop(&run->pull_timer);
    else if (run->pull_timer == NULL)
        loop_after(run->controller->loop, &run->pull_timer, RUN_PULL_PATIENCE_MS, run_pull_due, run);
}

static void run_retry_due(void *owner)
{
    run_handle(owner, JOB_TRY_AGAIN);
}

static void run_say_attempt(struct run *run)
{
    OWNED_TEXT char *line =
        mem_format("Attempt %u of %u never began: %s; trying again", run->attempt, RUN_ATTEMPTS_MOST, run->cause_text);

    run_event(run, LOG_WARN, "job_attempt_failed", LOG_NUMBER("attempt", run->attempt),
              LOG_TEXT("why", run->cause_text));
    run_note(run, line);
}

static void run_give_up(struct run *run, const char *why)
{
    OWNED_TEXT char *text = mem_format("the pod never began (attempt %u): %s%s", run->attempt, why, run->cause_text);

    run_fail(run, JOB_CANNOT_START, REASON_SYSTEM, text);
}

void run_retry(struct run *run, bool same_attempt)
{
    struct controller *controller = run->controller;
    uint64_t delay_ms = run->retry_wait_ms;
    bool counts = delay_ms == 0;

    run->retry_wait_ms = 0;
    if (controller->stopping) {
        run_give_up(run, "the runner is being stopped, and ");
        return;
    }
    /* An adopted run has no payload left to make another pod from. */
    if (run->adopted || (counts && backoff_is_over(&run->attempts))) {
        run_give_up(run, "");
        return;
    }
    if (counts) {
        delay_ms = backoff_next_ms(&run->attempts, loop_random(controller->loop));
        run_say_attempt(run);
    }
    run->attempt += !same_attempt;
    loop_after(controller->loop, &run->retry_timer, delay_ms, run_retry_due, run);
}
