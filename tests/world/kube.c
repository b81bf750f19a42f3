/* kube/client.h and kube/watch.h as a faulty API server in this process. */
#include "kube/client.h"

#include "base/strmap.h"
#include "clock.h"
#include "kube/watch.h"
#include "pod/name.h"
#include "text/json.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kube {
    struct list calls;
    struct strmap said;
};
struct operation;
struct kube_call {
    struct list node;
    struct operation *operation;
    kube_done *done;
    void *owner;
};
/* Goes on when its call was cancelled: what was sent may have arrived. */
struct operation {
    struct kube_call *call;
    enum operation_verb { DO_CREATE, DO_DRY, DO_GET, DO_DELETE, DO_PATCH, DO_PUT } verb;
    char *resource, *name, *uid;
    struct cJSON *body;
    enum kube_class kind;
    struct cJSON *answer;
};
static unsigned calls_open;

/* --- the client --- */

struct kube *kube_new(struct loop *loop UNUSED, struct http *http UNUSED, struct ws *ws UNUSED,
                      const struct kube_place *place UNUSED, struct error *error UNUSED)
{
    struct kube *kube = mem_new(sizeof(*kube));

    list_init(&kube->calls);
    return kube;
}

void kube_free(struct kube *kube)
{
    if (kube == NULL)
        return;
    LIST_EACH_SAFE(node, &kube->calls)
    kube_cancel(list_of(node, struct kube_call, node));
    strmap_clear(&kube->said);
    mem_free(kube);
}

const char *kube_namespace(const struct kube *kube UNUSED)
{
    return "jobs";
}

const char *kube_server(const struct kube *kube UNUSED)
{
    return "life";
}

bool kube_is_first(struct kube *kube, const char *words)
{
    const bool is_first = !strmap_has(&kube->said, words);

    strmap_set(&kube->said, words, kube);
    return is_first;
}

void kube_cancel(struct kube_call *call)
{
    if (call == NULL || call->done == NULL)
        return;
    call->operation->call = NULL;
    list_remove(&call->node);
    calls_open--;
    mem_free(call);
}

void kube_check_nothing_left(void)
{
    if (calls_open != 0)
        life_failed("%u Kubernetes calls were left", calls_open);
    state_secret_clear();
}

static int status_of(enum kube_class kind)
{
    static const int statuses[] = {
        [KUBE_OK] = 200,      [KUBE_EXISTS] = 409,       [KUBE_CONFLICT] = 409, [KUBE_MISSING] = 404,
        [KUBE_EXPIRED] = 410, [KUBE_QUOTA] = 403,        [KUBE_REFUSED] = 422,  [KUBE_FORBIDDEN] = 403,
        [KUBE_BUSY] = 429,    [KUBE_UNAUTHORIZED] = 401, [KUBE_FAILED] = 0,
    };
    return statuses[kind];
}

static void operation_free(struct operation *operation)
{
    mem_free(operation->resource);
    mem_free(operation->name);
    mem_free(operation->uid);
    json_free(operation->body);
    json_free(operation->answer);
    mem_free(operation);
}

static void answer_due(void *owner)
{
    struct operation *operation = owner;
    struct kube_call *call = operation->call;
    struct kube_answer answer = { .kind = operation->kind, .reason = "", .object = operation->answer };

    if (call != NULL) {
        kube_done *done = call->done;
        answer.status = status_of(answer.kind);
        if (answer.kind != KUBE_OK)
            error_set(&answer.error, answer.kind == KUBE_FAILED ? BLAME_REMOTE : BLAME_DENIED, answer.status,
                      "%s: the answer was %d", operation->resource, answer.status);
        call->done = NULL;
        list_remove(&call->node);
        done(call->owner, &answer);
        calls_open--;
        mem_free(call);
    }
    operation_free(operation);
}

/* --- what the API server does --- */

static void create_pod(struct operation *operation)
{
    bool exists = pod_named(operation->name) != NULL;

    if (clock_now_ms() < world.quota_until_ms) {
        operation->kind = KUBE_QUOTA;
    } else if (happens(POD_REFUSED, 40)) {
        operation->kind = KUBE_REFUSED;
    } else if (exists) {
        operation->kind = KUBE_EXISTS;
    } else if (happens(CREATE_FAILS, 40)) {
        operation->kind = KUBE_FAILED;
        if (chance_percent(50))
            pod_create(operation->body);
    } else {
        operation->answer = pod_object(pod_create(operation->body));
        if (happens(CREATE_LOST, 40)) {
            json_free(operation->answer);
            operation->answer = NULL;
            operation->kind = KUBE_EXISTS;
        }
    }
}

static struct wpod *pod_of_plan(const struct operation *operation)
{
    const struct cJSON *owner = json_first(json_get(json_get(operation->body, "metadata"), "ownerReferences"));
    struct wpod *pod = pod_named(operation->name);

    return pod != NULL && strcmp(pod->uid, json_text(owner, "uid", "")) == 0 ? pod : NULL;
}

static void create_secret(struct operation *operation)
{
    struct wpod *pod = pod_of_plan(operation);

    if (strstr(operation->name, "-state") != NULL) {
        operation->kind = state_secret_create(operation->body, &operation->answer);
        return;
    }
    if (operation->verb == DO_DRY) {
        pod = pod_named(operation->name);
        operation->kind = happens(PLAN_FAILS, 30)           ? KUBE_FAILED
                          : pod != NULL && pod->plan_stored ? KUBE_EXISTS
                                                            : KUBE_OK;
        return;
    }
    if (pod != NULL && pod->plan_stored) {
        operation->kind = KUBE_EXISTS;
        return;
    }
    if (happens(PLAN_FAILS, 40)) {
        operation->kind = chance_percent(50) ? KUBE_FAILED : chance_percent(50) ? KUBE_QUOTA : KUBE_REFUSED;
        if (operation->kind != KUBE_FAILED || chance_percent(50))
            return;
    }
    if (pod != NULL)
        pod_plan_stored(pod);
}

static void get_object(struct operation *operation)
{
    const struct wpod *pod = pod_named(operation->name);

    if (strcmp(operation->resource, "pods") == 0) {
        operation->kind = pod != NULL ? KUBE_OK : KUBE_MISSING;
        operation->answer = pod != NULL ? pod_object(pod) : NULL;
    } else {
        operation->answer = state_secret_get();
        operation->kind = operation->answer != NULL ? KUBE_OK : KUBE_MISSING;
    }
}

static void delete_pod(struct operation *operation)
{
    struct wpod *pod = pod_named(operation->name);

    if (happens(DELETE_FAILS, 50)) {
        operation->kind = KUBE_FAILED;
        if (chance_percent(70))
            return;
    }
    if (pod != NULL && strcmp(pod->uid, operation->uid) == 0) {
        pod_delete(pod);
        operation->answer = pod_object(pod);
    }
}

static void patch_pod(struct operation *operation)
{
    const struct cJSON *notes = json_get(json_get(operation->body, "metadata"), "annotations");
    struct wpod *pod = pod_named(operation->name);

    if (pod == NULL) {
        operation->kind = KUBE_MISSING;
        return;
    }
    if (happens(PATCH_FAILS, 50)) {
        operation->kind = KUBE_FAILED;
        if (chance_percent(50))
            return;
    }
    for (const struct cJSON *item = json_first(notes); item != NULL; item = json_next(item))
        pod_set_annotation(pod, json_item_name(item), json_item_text(item));
}

/* --- answers that a test laid down --- */

struct planned {
    struct list node;
    char *what;
    enum kube_class kind;
    unsigned times;
    bool happens;
};
static struct list plans = { &plans, &plans };
static unsigned asked[DO_PUT + 1];

static const char *const verbs[] = { "create", "dry", "get", "delete", "patch", "put" };

static void planned_free(struct planned *planned)
{
    list_remove(&planned->node);
    mem_free(planned->what);
    mem_free(planned);
}

void kube_plan(const char *what, enum kube_class kind, unsigned times, bool happens)
{
    struct planned *planned = mem_new(sizeof(*planned));

    planned->what = mem_text(what);
    planned->kind = kind;
    planned->times = times;
    planned->happens = happens;
    list_append(&plans, &planned->node);
}

void kube_unplan(void)
{
    LIST_EACH_SAFE(node, &plans)
    planned_free(list_of(node, struct planned, node));
    memset(asked, 0, sizeof(asked));
}

unsigned kube_asked(const char *verb)
{
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (strcmp(verbs[i], verb) == 0)
            return asked[i];
    abort();
}

static struct planned *planned_of(const struct operation *operation)
{
    OWNED_TEXT char *what = mem_format("%s %s", verbs[operation->verb], operation->resource);

    LIST_EACH(node, &plans)
    {
        struct planned *planned = list_of(node, struct planned, node);
        if (strcmp(planned->what, what) == 0)
            return planned;
    }
    return NULL;
}

static void take_effect(struct operation *operation)
{
    bool secret = strcmp(operation->resource, "secrets") == 0;

    switch (operation->verb) {
    case DO_CREATE:
    case DO_DRY:
        if (secret)
            create_secret(operation);
        else
            create_pod(operation);
        break;
    case DO_GET:
        get_object(operation);
        break;
    case DO_DELETE:
        delete_pod(operation);
        break;
    case DO_PATCH:
        patch_pod(operation);
        break;
    case DO_PUT:
        operation->kind = state_secret_put(operation->body, &operation->answer);
        break;
    }
}

/* A put, which is no job's, takes no time and leaves the chances of the world to the jobs. */
static uint64_t time_of(const struct operation *operation, uint64_t most_ms)
{
    return operation->verb == DO_PUT ? 0 : chance_of(1, most_ms);
}

static void effect_due(void *owner)
{
    struct operation *operation = owner;
    struct planned *planned = planned_of(operation);

    operation->kind = KUBE_OK;
    if (planned == NULL || planned->happens)
        take_effect(operation);
    if (planned != NULL) {
        if (planned->kind != KUBE_OK) {
            json_free(operation->answer);
            operation->answer = NULL;
            operation->kind = planned->kind;
        }
        if (--planned->times == 0)
            planned_free(planned);
    }
    /* no answer at all is known only after all tries of the client */
    clock_after(operation->kind == KUBE_FAILED ? chance_of(2000, 20000) : time_of(operation, 60), answer_due,
                operation);
}

static struct kube_call *begin(struct kube *kube, enum operation_verb verb, const char *resource, const char *name,
                               const struct cJSON *body, kube_done *done, void *owner)
{
    struct kube_call *call = mem_new(sizeof(*call));
    struct operation *operation = mem_new(sizeof(*operation));

    call->operation = operation;
    call->done = done;
    call->owner = owner;
    list_append(&kube->calls, &call->node);
    calls_open++;
    operation->call = call;
    operation->verb = verb;
    asked[verb]++;
    operation->resource = mem_text(resource);
    operation->name = mem_text(name != NULL ? name : json_text(json_get(body, "metadata"), "name", ""));
    operation->body = body != NULL ? json_copy(body) : NULL;
    clock_after(time_of(operation, 30), effect_due, operation);
    return call;
}

struct kube_call *kube_create(struct kube *kube, const char *ns UNUSED, const char *resource,
                              const struct cJSON *object, kube_done *done, void *owner)
{
    return begin(kube, DO_CREATE, resource, NULL, object, done, owner);
}

struct kube_call *kube_create_dry(struct kube *kube, const char *ns UNUSED, const char *resource,
                                  const struct cJSON *object, kube_done *done, void *owner)
{
    return begin(kube, DO_DRY, resource, NULL, object, done, owner);
}

struct kube_call *kube_get(struct kube *kube, const char *ns UNUSED, const char *resource, const char *name,
                           kube_done *done, void *owner)
{
    return begin(kube, DO_GET, resource, name, NULL, done, owner);
}

struct kube_call *kube_delete(struct kube *kube, const char *ns UNUSED, const char *resource, const char *name,
                              const char *uid, int grace_s UNUSED, kube_done *done, void *owner)
{
    struct kube_call *call = begin(kube, DO_DELETE, resource, name, NULL, done, owner);

    call->operation->uid = mem_text(uid);
    return call;
}

struct kube_call *kube_patch(struct kube *kube, const char *ns UNUSED, const char *resource, const char *name,
                             const struct cJSON *patch, kube_done *done, void *owner)
{
    return begin(kube, DO_PATCH, resource, name, patch, done, owner);
}

struct kube_call *kube_put(struct kube *kube, const char *ns UNUSED, const char *resource, const char *name,
                           const struct cJSON *object, kube_done *done, void *owner)
{
    return begin(kube, DO_PUT, resource, name, object, done, owner);
}

/* --- the watch: events in order, or a list --- */

struct event {
    struct list node;
    struct cJSON *object;
    bool gone;
};
struct kube_watch {
    const struct kube_watch_events *events;
    void *owner;
    struct list queue;
    struct strmap known; /* uid -> name, freed with it */
    bool listing, stopped, pumping;
    unsigned holds; /* timers that know it */
};
static struct kube_watch *the_watch;

static void watch_drop_queue(struct kube_watch *watch)
{
    LIST_EACH_SAFE(node, &watch->queue)
    {
        struct event *event = list_of(node, struct event, node);
        list_remove(node);
        json_free(event->object);
        mem_free(event);
    }
}

static bool watch_let_go(struct kube_watch *watch)
{
    watch->holds--;
    if (watch->stopped && watch->holds == 0) {
        watch_drop_queue(watch);
        strmap_clear(&watch->known);
        mem_free(watch);
        return true;
    }
    return watch->stopped;
}

static void watch_hold(struct kube_watch *watch, uint64_t delay_ms, void (*then)(void *owner))
{
    watch->holds++;
    clock_after(delay_ms, then, watch);
}

static void tell_vanished(struct kube_watch *watch)
{
    size_t position = 0;

    for (struct strmap_entry *entry = strmap_next(&watch->known, &position); entry != NULL;
         entry = strmap_next(&watch->known, &position)) {
        const struct wpod *pod = pod_named(entry->value);
        OWNED_JSON struct cJSON *last = json_object();
        struct cJSON *meta = json_set_object(last, "metadata");

        if (pod != NULL && strcmp(pod->uid, entry->key) == 0)
            continue;
        json_set_text(meta, "name", entry->value);
        json_set_text(meta, "uid", entry->key);
        OWNED_TEXT char *uid = mem_text(entry->key);
        strmap_remove(&watch->known, uid);
        watch->events->gone(watch->owner, last);
        if (watch->stopped)
            return;
    }
}

static void list_due(void *owner)
{
    struct kube_watch *watch = owner;

    if (watch_let_go(watch))
        return;
    watch->listing = false;
    watch->holds++;
    LIST_EACH(node, &pods)
    {
        const struct wpod *pod = list_of(node, struct wpod, node);
        if (pod->gone || watch->stopped)
            continue;
        OWNED_JSON struct cJSON *object = pod_object(pod);
        strmap_set(&watch->known, pod->uid, mem_text(pod->name));
        watch->events->changed(watch->owner, object);
    }
    if (!watch->stopped)
        tell_vanished(watch);
    if (!watch->stopped)
        watch->events->listed(watch->owner);
    watch_let_go(watch);
}

static void watch_list(struct kube_watch *watch, uint64_t delay_ms)
{
    watch->listing = true;
    watch_drop_queue(watch);
    watch_hold(watch, delay_ms, list_due);
}

static void event_due(void *owner)
{
    struct kube_watch *watch = owner;

    watch->pumping = false;
    watch->holds++;
    watch_let_go(watch);
    if (!watch->stopped && !list_is_empty(&watch->queue)) {
        struct event *event = list_of(watch->queue.next, struct event, node);
        const char *uid = json_text_at(event->object, "metadata.uid", "");

        list_remove(&event->node);
        if (event->gone)
            strmap_remove(&watch->known, uid);
        else
            strmap_set(&watch->known, uid, mem_text(json_text_at(event->object, "metadata.name", "")));
        (event->gone ? watch->events->gone : watch->events->changed)(watch->owner, event->object);
        json_free(event->object);
        mem_free(event);
    }
    if (!watch->stopped && !watch->pumping && !list_is_empty(&watch->queue)) {
        watch->pumping = true;
        watch_hold(watch, happens(WATCH_STALLS, 10) ? chance_of(100, 40000) : chance_of(0, 20), event_due);
    }
    watch_let_go(watch);
}

void watch_pod_changed(struct wpod *pod)
{
    struct kube_watch *watch = the_watch;
    struct event *event;

    if (watch == NULL || watch->listing)
        return; /* the list will show it */
    if (happens(WATCH_RELISTS, 10)) {
        watch_list(watch, chance_of(10, 20000));
        return;
    }
    event = mem_new(sizeof(*event));
    event->object = pod_object(pod);
    event->gone = pod->gone;
    list_append(&watch->queue, &event->node);
    if (!watch->pumping) {
        watch->pumping = true;
        watch_hold(watch, happens(WATCH_STALLS, 10) ? chance_of(100, 40000) : chance_of(0, 40), event_due);
    }
}

static void relist_due(void *owner)
{
    struct kube_watch *watch = owner;

    if (watch_let_go(watch))
        return;
    if (!watch->listing)
        watch_list(watch, 20);
    watch_hold(watch, 450000, relist_due);
}

struct kube_watch *kube_watch_start(struct kube *kube UNUSED, const char *ns UNUSED, const char *resource UNUSED,
                                    const char *selector UNUSED, const struct kube_watch_tuning *tuning UNUSED,
                                    const struct kube_watch_events *events, void *owner)
{
    struct kube_watch *watch = mem_new(sizeof(*watch));

    watch->events = events;
    watch->owner = owner;
    list_init(&watch->queue);
    watch->known = (struct strmap){ .free_value = mem_free };
    the_watch = watch;
    watch_list(watch, chance_of(1, 200));
    watch_hold(watch, 450000, relist_due);
    return watch;
}

void kube_watch_stop(struct kube_watch *watch)
{
    if (watch == NULL)
        return;
    if (the_watch == watch)
        the_watch = NULL;
    watch->stopped = true;
    watch->holds++;
    watch_let_go(watch);
}
