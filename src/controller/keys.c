/* The sealing keys of a release grow old: once a day a new one is made where it is due, and those that no pod needs any
 * more go (docs/formats.md section 8). */
#include "parts.h"

#include "base/log.h"
#include "pod/name.h"
#include "state.h"
#include "text/json.h"

#include <string.h>

#define KEYS_FIRST_MS  (10 * 60 * 1000) /* the pods of an earlier controller are known by then */
#define KEYS_EVERY_MS  (24 * 3600 * 1000)
#define KEYS_JITTER_MS (10 * 60 * 1000)

static void keys_due(void *owner);

static void keys_later(struct controller *controller, uint64_t delay_ms)
{
    loop_after(controller->loop, &controller->keys_timer, delay_ms + loop_random(controller->loop) % KEYS_JITTER_MS,
               keys_due, controller);
}

void keys_start(struct controller *controller)
{
    keys_later(controller, KEYS_FIRST_MS);
}

/* A text that does not open needs no key, so nobody can keep a key alive by writing its number into a pod. */
static unsigned keys_number(const struct cluster *cluster, const struct cJSON *pod)
{
    const struct state *state = cluster->controller->state;
    const char *name = json_text_at(pod, "metadata.name", "");
    const char *text = json_text(json_at(pod, "metadata.annotations"), POD_ANNOTATION_SEALED, NULL);
    struct strbuf json = STRBUF_UP_TO(64 * KIB);
    unsigned number = text != NULL ? state_key_of(text) : 0;

    if (state_can_seal(state) && number > 0 && state_open_sealed(state, cluster->ns, name, text, &json) < 0)
        number = 0;
    strbuf_wipe(&json);
    return number;
}

void keys_saw_pod(struct cluster *cluster, const struct cJSON *pod)
{
    const char *uid = json_text_at(pod, "metadata.uid", "");

    if (!strmap_has(&cluster->keys, uid))
        strmap_set(&cluster->keys, uid, (void *)(uintptr_t)keys_number(cluster, pod));
}

void keys_pod_gone(struct cluster *cluster, const char *uid)
{
    strmap_remove(&cluster->keys, uid);
}

static bool keys_is_used(void *owner, unsigned number)
{
    const struct controller *controller = owner;

    LIST_EACH(node, &controller->clusters)
    {
        const struct cluster *cluster = list_of(node, struct cluster, node);
        size_t position = 0;

        if (!cluster->listed)
            return true; /* what is there is not known */
        for (struct strmap_entry *entry = strmap_next(&cluster->keys, &position); entry != NULL;
             entry = strmap_next(&cluster->keys, &position))
            if ((uintptr_t)entry->value == number)
                return true;
    }
    return false;
}

static void keys_renewed(void *owner, const struct error *error)
{
    struct controller *controller = owner;

    if (error->blame != BLAME_NONE)
        log_event(LOG_WARN, "state_unreadable", LOG_TEXT("why", error->text),
                  LOG_TEXT("effect", "no key is made or dropped today"));
    else
        state_drop_keys(controller->state, keys_is_used, controller);
}

static void keys_due(void *owner)
{
    struct controller *controller = owner;

    state_renew(controller->state, keys_renewed, controller);
    keys_later(controller, KEYS_EVERY_MS);
}
