/* The parts of a controller, and how they meet:
 *
 *     enroll    a token for each entry      \
 *     cluster   pods found, watched, deleted  \
 *     intake    payloads                       >  controller  -->  run  -->  attempt  (one pod)
 *     adopt     jobs of an earlier controller /                         -->  joblog   (one trace)
 *     health    what may be asked            /
 *
 * Each part knows only what stands below it, and speaks to the controller by events. */
#include "controller/controller.h"

#include "adopt.h"
#include "base/log.h"
#include "cluster.h"
#include "dataops/api.h"
#include "enroll.h"
#include "health.h"
#include "inside.h"
#include "intake.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/ws.h"
#include "keys.h"
#include "runs.h"
#include "say.h"
#include "state.h"
#include "text/json.h"

#include <inttypes.h>
#include <signal.h>

#define STOP_WAIT_MS 55000 /* DataOps may hold a request for 50 s: a job that it brings must not be lost */
#define END_LOOK_MS  50

struct controller {
    struct frame frame;
    struct cluster_set *clusters;
    struct entry *entries;
    size_t entry_count;
    struct intake *intake;
    struct runs *runs;
    struct enroll *enroll;
    struct keys *keys;
    struct health *health;
    struct timer *end_timer;
    bool is_draining; /* running jobs are waited for, none is taken */
    uint64_t stopping_since_ms;
    enum controller_end end;
};

/* --- jobs come in --- */

/* A request that is open may bring a job: it holds a place already. So does a pod that is still to be deleted. */
static bool controller_has_room(void *owner, const struct entry *entry, unsigned open_for_all, unsigned open_for_entry)
{
    const struct controller *controller = owner;
    unsigned taken = runs_count(controller->runs) + cluster_set_deletions(controller->clusters) + open_for_all;
    int64_t limit = entry->runner->limit;

    return taken < (unsigned)controller->frame.options.config->concurrent &&
           (limit <= 0 || runs_count_of(controller->runs, entry) + open_for_entry < (unsigned)limit);
}

/* A payload that cannot be read, or that is over the ceiling or cut off: the job fails when its id and token were seen.
 */
static void controller_bad_job(struct controller *controller, struct entry *entry, uint64_t id, const char *token,
                               const struct error *error)
{
    if (id != 0 && token != NULL)
        runs_add_failed(controller->runs, entry, id, token, error);
    else
        log_event(LOG_ERROR, "payload_unreadable", LOG_TEXT("runner", entry->short_token),
                  LOG_TEXT("error", error->text));
}

static bool controller_got_job(void *owner, struct entry *entry, const struct dataops_answer *answer)
{
    struct controller *controller = owner;
    const struct http_reply *reply = answer->reply;
    struct error error = answer->error;
    struct job *job = NULL;
    uint64_t id = 0;
    char *token = NULL;

    if (error.blame == BLAME_NONE)
        job = job_parse(reply->body.bytes, reply->body.length, &id, &token, &error);
    else if (reply != NULL && !job_peek(reply->body.bytes, reply->body.length, &id, &token))
        id = 0;
    if (job != NULL)
        runs_add(controller->runs, entry, job);
    else
        controller_bad_job(controller, entry, id, token, &error);
    mem_free(token);
    return job != NULL;
}

static const struct intake_events intake_events = { .has_room = controller_has_room, .job = controller_got_job };

static void controller_room_came(void *owner)
{
    struct controller *controller = owner;

    intake_ask_again(controller->intake);
}

/* --- jobs of an earlier controller --- */

static void controller_adopt_job(void *owner, struct entry *entry, struct sealed_text *sealed, const struct cJSON *pod)
{
    struct controller *controller = owner;

    runs_resume(controller->runs, entry, sealed, pod);
}

static void controller_adopt_leftover(void *owner UNUSED, struct entry *entry, const struct sealed_text *sealed,
                                      const struct cJSON *pod)
{
    const char *name = json_text_at(pod, "metadata.name", "");

    say_event(&sealed->job, LOG_INFO, "pod_left_over", LOG_TEXT("pod", name));
    cluster_delete_pod(entry->cluster, &sealed->job, name, json_text_at(pod, "metadata.uid", ""));
}

static const struct adopt_events adopt_events = { .job = controller_adopt_job, .leftover = controller_adopt_leftover };

static void controller_pods_found(void *owner, struct cluster *cluster, const struct strmap *pods)
{
    struct controller *controller = owner;

    adopt_found(controller->frame.state, controller->entries, controller->entry_count, cluster, pods, &adopt_events,
                controller);
}

static void controller_pod_seen(void *owner, const struct cluster *cluster, const struct cJSON *pod)
{
    struct controller *controller = owner;

    keys_saw_pod(controller->keys, cluster, pod);
}

static void controller_pod_vanished(void *owner, const char *uid)
{
    struct controller *controller = owner;

    keys_pod_gone(controller->keys, uid);
}

static const struct cluster_events cluster_events = { .found = controller_pods_found,
                                                      .seen = controller_pod_seen,
                                                      .vanished = controller_pod_vanished,
                                                      .deleted = controller_room_came };

/* --- what may be asked --- */

static const char *controller_why_unready(void *owner)
{
    const struct controller *controller = owner;

    if (!cluster_set_is_well(controller->clusters))
        return "Kubernetes has not answered yet, or not lately";
    if (!intake_is_well(controller->intake, runs_count(controller->runs) > 0))
        return "DataOps has not answered yet, or not lately";
    return NULL;
}

static void controller_count(void *owner, struct health_numbers *numbers)
{
    const struct controller *controller = owner;
    const struct runs_totals totals = runs_totals(controller->runs);

    *numbers = (struct health_numbers){
        .jobs = runs_count(controller->runs),
        .jobs_limit = controller->frame.options.config->concurrent,
        .received = totals.received,
        .succeeded = totals.succeeded,
        .failed = totals.failed,
    };
}

static const struct health_events health_events = { .why_unready = controller_why_unready, .count = controller_count };

/* --- the end --- */

static void controller_look_for_end(void *owner);

static void controller_look_again(struct controller *controller)
{
    loop_after(controller->frame.loop, &controller->end_timer, END_LOOK_MS, controller_look_for_end, controller);
}

/* A job that came with the last request is made safe, or reported, before the process goes. */
static void controller_look_for_end(void *owner)
{
    struct controller *controller = owner;
    bool stopping = controller->frame.stopping;
    unsigned left = stopping ? runs_count_unsafe(controller->runs) : runs_count(controller->runs);
    unsigned asked = intake_open_requests(controller->intake) + cluster_set_deletions(controller->clusters);
    bool is_late = stopping && loop_now_ms(controller->frame.loop) - controller->stopping_since_ms > STOP_WAIT_MS;

    if (is_late && (left > 0 || asked > 0))
        log_event(LOG_ERROR, "stopped_too_early", LOG_NUMBER("open_requests", asked), LOG_NUMBER("jobs_at_risk", left));
    if (is_late || (left == 0 && asked == 0))
        loop_stop(controller->frame.loop);
    else
        controller_look_again(controller);
}

static void controller_signalled(void *owner, int number)
{
    struct controller *controller = owner;
    struct frame *frame = &controller->frame;

    log_event(LOG_INFO, "signal", LOG_NUMBER("number", number), LOG_NUMBER("jobs", runs_count(controller->runs)),
              LOG_NUMBER("open_requests", intake_open_requests(controller->intake)));
    intake_stop(controller->intake);
    if (frame->stopping) {
        controller->end = number == SIGINT ? CONTROLLER_FORCED_INT : CONTROLLER_FORCED_TERM;
        loop_stop(frame->loop);
        return;
    }
    if (number == SIGQUIT && !controller->is_draining) {
        controller->is_draining = true;
    } else {
        frame->stopping = true;
        controller->stopping_since_ms = loop_now_ms(frame->loop);
        runs_stop(controller->runs);
    }
    controller_look_again(controller);
}

/* --- life --- */

static int controller_prepare(struct controller *controller, struct error *error)
{
    const struct frame *frame = &controller->frame;
    const struct config *config = frame->options.config;

    if (frame->ws == NULL)
        return error_set(error, BLAME_SYSTEM, 0,
                         "libwebsockets cannot work on libuv's loop: install its plug-in (Debian and Ubuntu: "
                         "libwebsockets-evlib-uv)");
    for (size_t i = 0; i < config->runner_count; i++) {
        controller->entry_count = i + 1;
        if (entry_init(&controller->entries[i], frame, controller->clusters, &config->runners[i], error) < 0)
            return -1;
    }
    if (config->runner_count == 0)
        return error_set(error, BLAME_CONFIG, 0, "no [[runners]] in the configuration: run register first");
    controller->intake = intake_new(frame, controller->entries, controller->entry_count, &intake_events, controller);
    return health_start(frame, &health_events, controller, &controller->health, error);
}

struct controller *controller_new(const struct controller_options *options, struct error *error)
{
    struct controller *controller = mem_new(sizeof(*controller));
    struct frame *frame = &controller->frame;

    frame->options = *options;
    frame->loop = loop_new();
    frame->http = http_new(frame->loop, "dataops-runner/" DATAOPS_VERSION);
    frame->ws = ws_new(frame->loop);
    controller->clusters = cluster_set_new(frame, &cluster_events, controller);
    controller->keys = keys_new(frame, controller->clusters);
    controller->runs = runs_new(controller_room_came, controller);
    controller->entries = mem_new_array(options->config->runner_count + 1, sizeof(*controller->entries));
    if (controller_prepare(controller, error) < 0) {
        controller_free(controller);
        return NULL;
    }
    return controller;
}

static void controller_begin(void *owner)
{
    struct controller *controller = owner;

    cluster_set_start(controller->clusters);
    keys_start(controller->keys);
    if (!controller->is_draining && !controller->frame.stopping)
        intake_start(controller->intake);
}

enum controller_end controller_run(struct controller *controller)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGQUIT };
    struct frame *frame = &controller->frame;
    struct runs_totals totals;

    for (size_t i = 0; i < COUNT_OF(signals); i++)
        loop_on_signal(frame->loop, signals[i], controller_signalled, controller);
    log_event(LOG_INFO, "controller_started", LOG_TEXT("version", DATAOPS_VERSION),
              LOG_TEXT("revision", DATAOPS_REVISION), LOG_TEXT("release", frame->options.release),
              LOG_TEXT("system_id", frame->options.system_id), LOG_NUMBER("runners", controller->entry_count),
              LOG_NUMBER("concurrent", frame->options.config->concurrent));
    controller->enroll =
        enroll_start(frame, controller->entries, controller->entry_count, controller_begin, controller);
    loop_run(frame->loop);
    totals = runs_totals(controller->runs);
    log_event(LOG_INFO, "controller_stopped", LOG_NUMBER("jobs_handed_over", runs_count(controller->runs)),
              LOG_NUMBER("received", totals.received), LOG_NUMBER("succeeded", totals.succeeded),
              LOG_NUMBER("failed", totals.failed));
    return controller->end;
}

void controller_free(struct controller *controller)
{
    if (controller == NULL)
        return;
    timer_stop(&controller->end_timer);
    runs_free(controller->runs);
    intake_free(controller->intake);
    keys_free(controller->keys);
    enroll_free(controller->enroll);
    for (size_t i = 0; i < controller->entry_count; i++)
        entry_clear(&controller->entries[i]);
    cluster_set_free(controller->clusters);
    health_stop(controller->health);
    http_free(controller->frame.http);
    ws_free(controller->frame.ws);
    loop_free(controller->frame.loop);
    mem_free(controller->entries);
    mem_free(controller);
}

/* --- for tests --- */

const struct frame *controller_frame(const struct controller *controller)
{
    return &controller->frame;
}

const struct runs *controller_runs(const struct controller *controller)
{
    return controller->runs;
}

struct entry *controller_entry(const struct controller *controller, size_t at)
{
    return at < controller->entry_count ? &controller->entries[at] : NULL;
}

enum controller_end controller_end_of(const struct controller *controller)
{
    return controller->end;
}

unsigned controller_open_requests(const struct controller *controller)
{
    return intake_open_requests(controller->intake);
}
