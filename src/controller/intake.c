#include "intake.h"

#include "base/list.h"
#include "base/log.h"
#include "cluster.h"
#include "dataops/api.h"
#include "io/loop.h"

#include <string.h>

#define ANSWER_MOST_MS 120000 /* an open request may be held for 50 s; two minutes of silence are an outage */

/* One entry's requests. */
struct asker {
    struct intake *intake;
    struct entry *entry;
    struct list requests;
    unsigned failures; /* refused requests in a row */
    uint64_t asleep_until_ms;
    bool is_eager;           /* a job came: ask again at once */
    bool was_answered;       /* there was a good answer */
    uint64_t asked_since_ms; /* the first request after the last good answer; 0: none */
};
struct request {
    struct list node;
    struct asker *asker;
    struct dataops_call *call;
};
struct intake {
    const struct frame *frame;
    const struct intake_events *events;
    void *owner;
    struct asker *askers;
    size_t count, next;
    struct timer *timer;
    bool is_stopped;
};

static unsigned open_of(const struct asker *asker)
{
    unsigned count = 0;

    LIST_EACH(node, &asker->requests)
    count++;
    return count;
}

unsigned intake_open_requests(const struct intake *intake)
{
    unsigned count = 0;

    for (size_t i = 0; i < intake->count; i++)
        count += open_of(&intake->askers[i]);
    return count;
}

static bool may_ask(const struct asker *asker)
{
    const struct intake *intake = asker->intake;
    const struct config_runner *runner = asker->entry->runner;
    unsigned open = open_of(asker);

    if (intake->is_stopped || !cluster_is_listed(asker->entry->cluster) ||
        loop_now_ms(intake->frame->loop) < asker->asleep_until_ms)
        return false;
    return open < (unsigned)(runner->request_concurrency > 0 ? runner->request_concurrency : 1) &&
           intake->events->has_room(intake->owner, asker->entry, intake_open_requests(intake), open);
}

static void asker_refused(struct asker *asker, const struct error *error)
{
    const struct config_runner *runner = asker->entry->runner;

    asker->failures++;
    log_event(LOG_WARN, "poll_refused", LOG_TEXT("runner", asker->entry->short_token),
              LOG_NUMBER("failures", asker->failures), LOG_TEXT("error", error->text));
    if (asker->failures < (unsigned)runner->unhealthy_requests_limit)
        return;
    asker->failures = 0;
    asker->asleep_until_ms = loop_now_ms(asker->intake->frame->loop) + runner->unhealthy_interval_ms;
    OWNED_TEXT char *why =
        mem_format("DataOps refused the token %lld times: it may be removed or expired; run verify, or "
                   "register again",
                   (long long)runner->unhealthy_requests_limit);
    log_event(LOG_ERROR, "runner_unhealthy", LOG_TEXT("runner", asker->entry->short_token),
              LOG_NUMBER("for_s", runner->unhealthy_interval_ms / 1000), LOG_TEXT("why", why));
}

static void asker_answered(struct asker *asker, const struct dataops_answer *answer)
{
    struct intake *intake = asker->intake;

    if (answer->status == 403) {
        asker_refused(asker, &answer->error);
        return;
    }
    asker->failures = 0;
    if (answer->status == 201 || answer->status == 204) {
        asker->was_answered = true;
        asker->asked_since_ms = 0;
    }
    if (answer->status == 201) {
        bool was_read = intake->events->job(intake->owner, asker->entry, answer);
        asker->is_eager = was_read && !asker->entry->runner->strict_check_interval;
    } else if (answer->status != 204) {
        log_event(LOG_WARN, "poll_failed", LOG_TEXT("runner", asker->entry->short_token),
                  LOG_NUMBER("status", answer->status), LOG_TEXT("error", answer->error.text));
    }
}

static void request_answered(void *owner, const struct dataops_answer *answer)
{
    struct request *request = owner;
    struct asker *asker = request->asker;

    list_remove(&request->node);
    mem_free(request);
    asker_answered(asker, answer);
    intake_ask_again(asker->intake);
}

static void ask(struct asker *asker)
{
    struct request *request = mem_new(sizeof(*request));

    request->asker = asker;
    list_append(&asker->requests, &request->node);
    asker->is_eager = false;
    if (asker->asked_since_ms == 0)
        asker->asked_since_ms = loop_now_ms(asker->intake->frame->loop);
    request->call = dataops_request_job(asker->entry->dataops, request_answered, request);
}

static void intake_due(void *owner)
{
    struct intake *intake = owner;
    uint64_t interval_ms = (uint64_t)intake->frame->options.config->check_interval_s * 1000 / intake->count;

    loop_after(intake->frame->loop, &intake->timer, interval_ms > 0 ? interval_ms : 1, intake_due, intake);
    for (size_t i = 0; i < intake->count; i++) {
        struct asker *asker = &intake->askers[intake->next];

        intake->next = (intake->next + 1) % intake->count;
        if (may_ask(asker)) {
            ask(asker);
            return;
        }
    }
}

void intake_start(struct intake *intake)
{
    loop_after(intake->frame->loop, &intake->timer, 0, intake_due, intake);
}

void intake_stop(struct intake *intake)
{
    intake->is_stopped = true;
    timer_stop(&intake->timer);
}

void intake_ask_again(struct intake *intake)
{
    for (size_t i = 0; i < intake->count; i++)
        if (intake->askers[i].is_eager && may_ask(&intake->askers[i]))
            ask(&intake->askers[i]);
}

bool intake_is_well(const struct intake *intake, bool is_busy)
{
    uint64_t now_ms = loop_now_ms(intake->frame->loop);

    for (size_t i = 0; i < intake->count; i++) {
        const struct asker *asker = &intake->askers[i];
        bool is_silent = asker->asked_since_ms != 0 && now_ms - asker->asked_since_ms > ANSWER_MOST_MS;

        if (is_silent || (!asker->was_answered && !is_busy))
            return false;
    }
    return true;
}

struct intake *intake_new(const struct frame *frame, struct entry *entries, size_t count,
                          const struct intake_events *events, void *owner)
{
    struct intake *intake = mem_new(sizeof(*intake));

    intake->frame = frame;
    intake->events = events;
    intake->owner = owner;
    intake->askers = mem_new_array(count + 1, sizeof(*intake->askers));
    intake->count = count;
    for (size_t i = 0; i < count; i++) {
        intake->askers[i].intake = intake;
        intake->askers[i].entry = &entries[i];
        list_init(&intake->askers[i].requests);
    }
    return intake;
}

void intake_free(struct intake *intake)
{
    if (intake == NULL)
        return;
    timer_stop(&intake->timer);
    for (size_t i = 0; i < intake->count; i++)
        LIST_EACH_SAFE(node, &intake->askers[i].requests)
        {
            struct request *request = list_of(node, struct request, node);
            dataops_cancel(request->call);
            mem_free(request);
        }
    mem_free(intake->askers);
    mem_free(intake);
}
