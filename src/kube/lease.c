/* A Lease as client-go's leader election does it: the record of another holder is judged by how long it did not change
 * on our monotonic clock, never by the times written in it. One request at a time; whatever ends, decides what comes
 * next by one timer. */
#include "kube/lease.h"

#include "base/pace.h"
#include "connection.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    DURATION_S = 15,
    RENEW_MS = 5000,
    DOUBT_MS = 10000,
    TRY_MS = 3000,   /* one request; two of them fit between doubt and the end of the lease */
    AGAIN_MS = 1000, /* after a failure, plus as much jitter */
    FORBIDDEN_MS = 30000,
    AT_ONCE_MOST = 4, /* what leads from one request to the next without a wait: read, write, conflict, read ... */
    AT_ONCE_MS = 500,
    AT_ONCE_MOST_MS = 5000,
    AT_ONCE_CALM_MS = 4000, /* a renewal comes later */
};

struct kube_lease {
    struct kube *kube;
    struct loop *loop;
    char *ns, *name, *identity, *label, *value;
    unsigned duration_s;
    uint64_t renew_ms, doubt_ms;
    struct pace at_once;
    const struct kube_lease_events *events;
    void *owner;
    void (*gone)(void *owner); /* after release */
    void *gone_owner;

    struct cJSON *object;  /* as last read or written; NULL: to be read */
    char *holder, *record; /* the other one, and his record as it was when observed_ms was set */
    uint64_t observed_ms;
    uint64_t sent_ms;   /* when the request under way was sent */
    uint64_t proven_ms; /* when the last good renewal was sent */
    bool mine, doubted, stopped, releasing;
    struct kube_call *call;
    struct timer *next, *doubt;
    struct error trouble;
};

static void lease_read(void *owner);
static void lease_write(void *owner);

/* --- telling the owner --- */

static void tell_trouble(struct kube_lease *lease, const struct error *error)
{
    struct error *last = &lease->trouble;
    if (last->blame == error->blame && last->code == error->code && strcmp(last->text, error->text) == 0)
        return;
    *last = *error;
    if (lease->events->trouble)
        lease->events->trouble(lease->owner, error);
}

static void doubt_due(void *owner)
{
    struct kube_lease *lease = owner;
    lease->doubted = true;
    if (lease->events->doubted)
        lease->events->doubted(lease->owner);
}

/* --- the record --- */

static void keep_object(struct kube_lease *lease, const struct cJSON *object)
{
    json_free(lease->object);
    lease->object = object ? json_copy(object) : NULL;
}

static const char *holder_of(const struct cJSON *object)
{
    return json_text_at(object, "spec.holderIdentity", "");
}

/* Exactly six fraction digits, or the server refuses it. */
static void write_time(const struct kube_lease *lease, char *text, size_t size)
{
    int64_t now_us = loop_wall_us(lease->loop);
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm parts = { 0 };
    char whole[32];
    gmtime_r(&seconds, &parts);
    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, size, "%s.%06dZ", whole, (int)(now_us % 1000000));
}

static void fill_spec(const struct kube_lease *lease, struct cJSON *object)
{
    char now[48];
    struct cJSON *spec = json_get(object, "spec");
    bool new_holder = strcmp(holder_of(object), lease->identity) != 0;
    int64_t transitions = json_int(spec, "leaseTransitions", 0);
    write_time(lease, now, sizeof now);
    if (!spec)
        spec = json_set_object(object, "spec");
    json_set_text(spec, "holderIdentity", lease->releasing ? "" : lease->identity);
    json_set_int(spec, "leaseDurationSeconds", lease->releasing ? 1 : lease->duration_s);
    json_set_text(spec, "renewTime", now);
    if (new_holder && !lease->releasing) {
        json_set_text(spec, "acquireTime", now);
        json_set_int(spec, "leaseTransitions", json_get(json_get(object, "metadata"), "uid") ? transitions + 1 : 0);
    }
}

static struct cJSON *new_object(const struct kube_lease *lease)
{
    struct cJSON *object = json_object();
    json_set_text(object, "apiVersion", "coordination.k8s.io/v1");
    json_set_text(object, "kind", "Lease");
    struct cJSON *metadata = json_set_object(object, "metadata");
    json_set_text(metadata, "name", lease->name);
    json_set_text(metadata, "namespace", lease->ns);
    if (lease->label)
        json_set_text(json_set_object(metadata, "labels"), lease->label, lease->value);
    return object;
}

/* --- what an answer leads to --- */

static void again(struct kube_lease *lease, uint64_t delay_ms, loop_due *then)
{
    loop_after(lease->loop, &lease->next, delay_ms, then, lease);
}

/* The next request follows from the answer; not faster and faster when answers lead in a circle. */
static void at_once(struct kube_lease *lease, loop_due *then)
{
    again(lease, pace_next_ms(&lease->at_once, loop_now_ms(lease->loop), loop_random(lease->loop)), then);
}

static void failed(struct kube_lease *lease, const struct kube_answer *answer)
{
    uint64_t wait_ms = answer->kind == KUBE_FORBIDDEN ? FORBIDDEN_MS : AGAIN_MS;
    tell_trouble(lease, &answer->error);
    if (!lease->stopped)
        again(lease, wait_ms + loop_random(lease->loop) % (wait_ms + 1), lease_read);
}

static void is_mine(struct kube_lease *lease)
{
    bool news = !lease->mine || lease->doubted;
    lease->mine = true;
    lease->doubted = false;
    lease->proven_ms = lease->sent_ms;
    mem_free(lease->holder);
    lease->holder = NULL;
    uint64_t passed_ms = loop_now_ms(lease->loop) - lease->proven_ms;
    loop_after(lease->loop, &lease->doubt, passed_ms < lease->doubt_ms ? lease->doubt_ms - passed_ms : 0, doubt_due,
               lease);
    again(lease, lease->renew_ms, lease_write);
    if (news && lease->events->held)
        lease->events->held(lease->owner);
    if (!lease->stopped)
        tell_trouble(lease, &ERROR_NONE);
}

/* Somebody else's: remember when his record changed last, and come back when it should have changed again. */
static void is_taken(struct kube_lease *lease, const char *holder)
{
    const struct cJSON *spec = json_get(lease->object, "spec");
    uint64_t now = loop_now_ms(lease->loop);
    uint64_t duration_ms = (uint64_t)json_int(spec, "leaseDurationSeconds", DURATION_S) * 1000;
    OWNED_TEXT char *record = json_print(spec);
    bool news = !lease->holder || strcmp(lease->holder, holder) != 0;
    if (!lease->record || strcmp(lease->record, record) != 0) {
        mem_free(lease->record);
        lease->record = mem_text(record);
        lease->observed_ms = now;
    }
    lease->mine = lease->doubted = false;
    timer_stop(&lease->doubt);
    uint64_t silent_ms = now - lease->observed_ms;
    if (silent_ms >= duration_ms) {
        at_once(lease, lease_write);
    } else {
        uint64_t left_ms = duration_ms - silent_ms;
        again(lease, (left_ms < lease->renew_ms ? left_ms : lease->renew_ms) + loop_random(lease->loop) % 100,
              lease_read);
    }
    if (news) {
        mem_free(lease->holder);
        lease->holder = mem_text(holder);
        if (lease->events->taken)
            lease->events->taken(lease->owner, lease->holder);
    }
    if (!lease->stopped)
        tell_trouble(lease, &ERROR_NONE);
}

static void was_read(void *owner, const struct kube_answer *answer)
{
    struct kube_lease *lease = owner;
    lease->call = NULL;
    if (answer->kind == KUBE_MISSING) {
        keep_object(lease, NULL);
        at_once(lease, lease_write);
    } else if (answer->kind != KUBE_OK) {
        failed(lease, answer);
    } else {
        keep_object(lease, answer->object);
        const char *holder = holder_of(lease->object);
        /* a Lease of ours from before is renewed at once: that is the proof */
        if (*holder == '\0' || strcmp(holder, lease->identity) == 0)
            at_once(lease, lease_write);
        else
            is_taken(lease, holder);
    }
}

static void was_written(void *owner, const struct kube_answer *answer)
{
    struct kube_lease *lease = owner;
    lease->call = NULL;
    if (answer->kind == KUBE_OK) {
        keep_object(lease, answer->object);
        is_mine(lease);
    } else if (answer->kind == KUBE_CONFLICT || answer->kind == KUBE_EXISTS || answer->kind == KUBE_MISSING) {
        at_once(lease, lease_read); /* somebody was faster, or our own answer was lost */
    } else {
        failed(lease, answer);
    }
}

/* --- requests --- */

static void send(struct kube_lease *lease, const char *method, const struct cJSON *body, kube_done *done)
{
    bool create = strcmp(method, "POST") == 0;
    OWNED_TEXT char *path = kube_path(lease->ns, "leases", create ? NULL : lease->name);
    OWNED_TEXT char *what = mem_format("%s lease %s", body ? "write" : "get", lease->name);
    struct kube_request request = { .method = method, .path = path, .body = body, .timeout_ms = TRY_MS, .what = what };
    lease->sent_ms = loop_now_ms(lease->loop);
    lease->call = kube_start(lease->kube, &request, done, lease);
}

static void lease_read(void *owner)
{
    send(owner, "GET", NULL, was_read);
}

static void lease_write(void *owner)
{
    struct kube_lease *lease = owner;
    OWNED_JSON struct cJSON *object = lease->object ? json_copy(lease->object) : new_object(lease);
    fill_spec(lease, object);
    send(lease, lease->object ? "PUT" : "POST", object, was_written);
}

/* --- start and end --- */

struct kube_lease *kube_lease_start(struct kube *kube, const struct kube_lease_request *request,
                                    const struct kube_lease_events *events, void *owner)
{
    struct kube_lease *lease = mem_new(sizeof *lease);
    lease->kube = kube;
    lease->loop = kube_loop(kube);
    lease->ns = mem_text(request->ns);
    lease->name = mem_text(request->name);
    lease->identity = mem_text(request->identity);
    lease->label = mem_text(request->label);
    lease->value = mem_text(request->value);
    lease->duration_s = request->duration_s ? request->duration_s : DURATION_S;
    lease->renew_ms = request->renew_ms ? request->renew_ms : RENEW_MS;
    lease->doubt_ms = request->doubt_ms ? request->doubt_ms : DOUBT_MS;
    lease->at_once = (struct pace){
        .first_ms = AT_ONCE_MS, .most_ms = AT_ONCE_MOST_MS, .calm_ms = AT_ONCE_CALM_MS, .at_once = AT_ONCE_MOST
    };
    lease->events = events;
    lease->owner = owner;
    again(lease, 0, lease_read); /* once: the first request */
    return lease;
}

bool kube_lease_is_held(const struct kube_lease *lease)
{
    return lease && lease->mine && !lease->doubted && !lease->stopped &&
           loop_now_ms(lease->loop) - lease->proven_ms < lease->doubt_ms;
}

const char *kube_lease_uid(const struct kube_lease *lease)
{
    return json_text_at(lease->object, "metadata.uid", NULL);
}

static void lease_free(void *owner)
{
    struct kube_lease *lease = owner;
    json_free(lease->object);
    mem_free(lease->ns);
    mem_free(lease->name);
    mem_free(lease->identity);
    mem_free(lease->label);
    mem_free(lease->value);
    mem_free(lease->holder);
    mem_free(lease->record);
    mem_free(lease);
}

void kube_lease_stop(struct kube_lease *lease)
{
    if (lease == NULL || lease->stopped)
        return;
    lease->stopped = true;
    kube_cancel(lease->call);
    lease->call = NULL;
    timer_stop(&lease->next);
    timer_stop(&lease->doubt);
    loop_later(lease->loop, lease_free, lease);
}

static void was_released(void *owner, const struct kube_answer *answer)
{
    (void)answer; /* whoever waits for it waits for its duration then */
    struct kube_lease *lease = owner;
    void (*gone)(void *) = lease->gone;
    void *gone_owner = lease->gone_owner;
    lease->call = NULL;
    kube_lease_stop(lease);
    if (gone)
        gone(gone_owner);
}

static void nothing_to_release(void *owner)
{
    was_released(owner, NULL);
}

void kube_lease_release(struct kube_lease *lease, void (*gone)(void *owner), void *owner)
{
    if (lease == NULL || lease->stopped || lease->releasing)
        return;
    lease->releasing = true;
    lease->gone = gone;
    lease->gone_owner = owner;
    kube_cancel(lease->call);
    lease->call = NULL;
    timer_stop(&lease->doubt);
    timer_stop(&lease->next);
    if (!lease->mine || !lease->object) {
        again(lease, 0, nothing_to_release); /* once: the last callback */
        return;
    }
    lease->mine = false;
    OWNED_JSON struct cJSON *object = json_copy(lease->object);
    fill_spec(lease, object);
    send(lease, "PUT", object, was_released);
}
