#include "keys.h"

#include "base/log.h"
#include "base/strmap.h"
#include "io/loop.h"
#include "pod/name.h"
#include "state.h"
#include "text/json.h"

#define FIRST_MS  (10 * 60 * 1000) /* the pods of an earlier controller are known by then */
#define EVERY_MS  (24 * 3600 * 1000)
#define JITTER_MS (10 * 60 * 1000)

struct keys {
    const struct frame *frame;
    const struct cluster_set *clusters;
    struct strmap of_pods; /* uid of each pod -> number of the key that its sealed text needs; 0: none */
    struct timer *timer;
};

static void keys_due(void *owner);

static void keys_later(struct keys *keys, uint64_t delay_ms)
{
    struct loop *loop = keys->frame->loop;

    loop_after(loop, &keys->timer, delay_ms + loop_random(loop) % JITTER_MS, keys_due, keys);
}

void keys_start(struct keys *keys)
{
    keys_later(keys, FIRST_MS);
}

/* A text that does not open needs no key, so nobody can keep a key alive by writing its number into a pod. */
static unsigned number_of(const struct state *state, const char *ns, const struct cJSON *pod)
{
    const char *name = json_text_at(pod, "metadata.name", "");
    const char *text = json_text(json_at(pod, "metadata.annotations"), POD_ANNOTATION_SEALED, NULL);
    struct strbuf json = STRBUF_UP_TO(STATE_SEALED_MOST);
    unsigned number = text != NULL ? state_key_of(text) : 0;

    if (state_can_seal(state) && number > 0 && state_open_sealed(state, ns, name, text, &json) < 0)
        number = 0;
    strbuf_wipe(&json);
    return number;
}

void keys_saw_pod(struct keys *keys, const struct cluster *cluster, const struct cJSON *pod)
{
    const char *uid = json_text_at(pod, "metadata.uid", "");

    if (!strmap_has(&keys->of_pods, uid))
        strmap_set(&keys->of_pods, uid,
                   (void *)(uintptr_t)number_of(keys->frame->state, cluster_namespace(cluster), pod));
}

void keys_pod_gone(struct keys *keys, const char *uid)
{
    strmap_remove(&keys->of_pods, uid);
}

static bool is_used(void *owner, unsigned number)
{
    const struct keys *keys = owner;
    size_t position = 0;

    if (!cluster_set_is_listed(keys->clusters))
        return true; /* what is there is not known */
    for (struct strmap_entry *entry = strmap_next(&keys->of_pods, &position); entry != NULL;
         entry = strmap_next(&keys->of_pods, &position))
        if ((uintptr_t)entry->value == number)
            return true;
    return false;
}

static void keys_renewed(void *owner, const struct error *error)
{
    struct keys *keys = owner;

    if (error->blame != BLAME_NONE)
        log_event(LOG_WARN, "state_unreadable", LOG_TEXT("why", error->text),
                  LOG_TEXT("effect", "no key is made or dropped today"));
    else
        state_drop_keys(keys->frame->state, is_used, keys);
}

static void keys_due(void *owner)
{
    struct keys *keys = owner;

    state_renew(keys->frame->state, keys_renewed, keys);
    keys_later(keys, EVERY_MS);
}

struct keys *keys_new(const struct frame *frame, const struct cluster_set *clusters)
{
    struct keys *keys = mem_new(sizeof(*keys));

    keys->frame = frame;
    keys->clusters = clusters;
    return keys;
}

void keys_free(struct keys *keys)
{
    if (keys == NULL)
        return;
    timer_stop(&keys->timer);
    strmap_clear(&keys->of_pods);
    mem_free(keys);
}
