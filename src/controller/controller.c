#include "parts.h"

#include "base/log.h"
#include "io/http.h"
#include "io/listen.h"
#include "io/ws.h"
#include "state.h"

#include <inttypes.h>
#include <signal.h>

#define STOP_WAIT_MS 55000 /* DataOps may hold a poll for 50 s: a job it brings must not be lost */

static void controller_end_due(void *owner)
{
    struct controller *controller = owner;

    loop_stop(controller->loop);
}

/* A job that came with the last poll is made safe, or reported, before the process goes. */
static unsigned controller_unsafe_jobs(const struct controller *controller)
{
    unsigned count = 0;

    LIST_EACH(node, &controller->runs)
    count += run_is_unsafe(list_of(node, struct run, node));
    return count;
}

/* Who waits for the next attempt has no pod that somebody else could go on with. */
static void controller_give_up_retries(struct controller *controller)
{
    LIST_EACH_SAFE(node, &controller->runs)
    {
        struct run *run = list_of(node, struct run, node);
        if (run->state == JOB_RETRYING)
            run_fail(run, JOB_CANNOT_START, REASON_SYSTEM, "the runner was stopped before the job's pod began");
    }
}

static void controller_check_end(void *owner);

static void controller_check_later(struct controller *controller)
{
    loop_after(controller->loop, &controller->end_timer, 50, controller_check_end, controller);
}

static void controller_check_end(void *owner)
{
    struct controller *controller = owner;
    unsigned left = controller->stopping ? controller_unsafe_jobs(controller) : controller->run_count;
    unsigned asked = controller->open_requests + controller->grave_count;
    bool late = controller->stopping && loop_now_ms(controller->loop) - controller->stopping_since_ms > STOP_WAIT_MS;

    if (late && (left > 0 || asked > 0))
        log_event(LOG_ERROR, "stopped_too_early", LOG_NUMBER("open_requests", asked), LOG_NUMBER("jobs_at_risk", left));
    if (late || (left == 0 && asked == 0))
        controller_end_due(controller);
    else
        controller_check_later(controller);
}

static void controller_signalled(void *owner, int number)
{
    struct controller *controller = owner;
    log_event(LOG_INFO, "signal", LOG_NUMBER("number", number), LOG_NUMBER("jobs", controller->run_count),
              LOG_NUMBER("open_requests", controller->open_requests));
    timer_stop(&controller->poll_timer);
    if (controller->stopping) {
        controller->end = number == SIGINT ? CONTROLLER_FORCED_INT : CONTROLLER_FORCED_TERM;
        controller_end_due(controller);
        return;
    }
    if (number == SIGQUIT && !controller->draining) {
        controller->draining = true;
    } else {
        controller->stopping = true;
        controller->stopping_since_ms = loop_now_ms(controller->loop);
        controller_give_up_retries(controller);
    }
    controller_check_later(controller);
}

struct controller *controller_new(const struct controller_options *options, struct error *error)
{
    struct controller *controller = mem_new(sizeof(*controller));
    size_t count = options->config->runner_count;

    controller->options = *options;
    list_init(&controller->clusters);
    list_init(&controller->runs);
    controller->loop = loop_new();
    controller->http = http_new(controller->loop, "dataops-runner/" DATAOPS_VERSION);
    controller->ws = ws_new(controller->loop);
    controller->intakes = mem_new_array(count + 1, sizeof(*controller->intakes));
    if (controller->ws == NULL) {
        error_set(error, BLAME_SYSTEM, 0,
                  "libwebsockets cannot work on libuv's loop: install its plug-in (Debian and Ubuntu: "
                  "libwebsockets-evlib-uv)");
        controller_free(controller);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        controller->intake_count = i + 1;
        if (intake_init(&controller->intakes[i], controller, &options->config->runners[i], error) < 0) {
            controller_free(controller);
            return NULL;
        }
    }
    if (count == 0) {
        error_set(error, BLAME_CONFIG, 0, "no [[runners]] in the configuration: run register first");
        controller_free(controller);
        return NULL;
    }
    if (health_start(controller, error) < 0) {
        controller_free(controller);
        return NULL;
    }
    return controller;
}

void controller_begin(struct controller *controller)
{
    LIST_EACH(node, &controller->clusters)
    cluster_start(list_of(node, struct cluster, node));
    keys_start(controller);
    if (!controller->draining && !controller->stopping)
        intake_start(controller);
}

enum controller_end controller_run(struct controller *controller)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGQUIT };

    for (size_t i = 0; i < COUNT_OF(signals); i++)
        loop_on_signal(controller->loop, signals[i], controller_signalled, controller);
    log_event(LOG_INFO, "controller_started", LOG_TEXT("version", DATAOPS_VERSION),
              LOG_TEXT("revision", DATAOPS_REVISION), LOG_TEXT("release", controller->options.release),
              LOG_TEXT("system_id", controller->options.system_id), LOG_NUMBER("runners", controller->intake_count),
              LOG_NUMBER("concurrent", controller->options.config->concurrent));
    enroll_start(controller);
    loop_run(controller->loop);
    log_event(LOG_INFO, "controller_stopped", LOG_NUMBER("jobs_handed_over", controller->run_count),
              LOG_NUMBER("received", controller->jobs_received), LOG_NUMBER("succeeded", controller->jobs_succeeded),
              LOG_NUMBER("failed", controller->jobs_failed));
    return controller->end;
}

void controller_free(struct controller *controller)
{
    if (controller == NULL)
        return;
    timer_stop(&controller->poll_timer);
    timer_stop(&controller->end_timer);
    timer_stop(&controller->enroll_timer);
    timer_stop(&controller->keys_timer);
    dataops_cancel(controller->enroll_call);
    controller->stopping = true;
    LIST_EACH_SAFE(node, &controller->runs)
    run_free(list_of(node, struct run, node));
    for (size_t i = 0; i < controller->intake_count; i++)
        intake_clear(&controller->intakes[i]);
    state_free(controller->state);
    LIST_EACH(node, &controller->clusters)
    cluster_stop(list_of(node, struct cluster, node));
    LIST_EACH_SAFE(node, &controller->clusters)
    cluster_free(list_of(node, struct cluster, node));
    listen_stop(controller->listen);
    http_free(controller->http);
    ws_free(controller->ws);
    loop_free(controller->loop);
    mem_free(controller->intakes);
    mem_free(controller);
}
