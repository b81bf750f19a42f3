#include "watch_store.h"

#include "text/json.h"

#include <string.h>

struct known {
    unsigned generation;
    char *version;
    char *name; /* with the namespace behind its NUL: one block, there may be thousands */
};

static void known_free(void *value)
{
    struct known *known = value;
    mem_free(known->version);
    mem_free(known->name);
    mem_free(known);
}

void watch_store_init(struct watch_store *store)
{
    *store = (struct watch_store){ .objects = { .free_value = known_free } };
}

void watch_store_clear(struct watch_store *store)
{
    strmap_clear(&store->objects);
}

size_t watch_store_count(const struct watch_store *store)
{
    return store->objects.live;
}

void watch_store_begin(struct watch_store *store)
{
    store->generation++;
}

static char *name_and_namespace(const struct cJSON *metadata)
{
    const char *name = json_text(metadata, "name", "");
    const char *ns = json_text(metadata, "namespace", "");
    size_t first = strlen(name) + 1, second = strlen(ns) + 1;
    char *both = mem_new(first + second);
    memcpy(both, name, first);
    memcpy(both + first, ns, second);
    return both;
}

bool watch_store_put(struct watch_store *store, const struct cJSON *object)
{
    const struct cJSON *metadata = json_get(object, "metadata");
    const char *uid = json_text(metadata, "uid", NULL);
    if (!uid)
        return false;
    struct known *known = strmap_get(&store->objects, uid);
    if (!known) {
        known = mem_new(sizeof *known);
        known->name = name_and_namespace(metadata);
        strmap_set(&store->objects, uid, known);
    }
    mem_free(known->version);
    known->version = mem_text(json_text(metadata, "resourceVersion", ""));
    known->generation = store->generation;
    return true;
}

void watch_store_remove(struct watch_store *store, const char *uid)
{
    strmap_remove(&store->objects, uid);
}

struct cJSON *watch_store_take_vanished(struct watch_store *store, size_t *position)
{
    for (struct strmap_entry *entry = strmap_next(&store->objects, position); entry;
         entry = strmap_next(&store->objects, position)) {
        const struct known *known = entry->value;
        if (known->generation == store->generation)
            continue;
        struct cJSON *object = json_object();
        struct cJSON *metadata = json_set_object(object, "metadata");
        json_set_text(metadata, "name", known->name);
        json_set_text(metadata, "namespace", known->name + strlen(known->name) + 1);
        json_set_text(metadata, "uid", entry->key);
        json_set_text(metadata, "resourceVersion", known->version);
        OWNED_TEXT char *uid = mem_text(entry->key);
        strmap_remove(&store->objects, uid);
        return object;
    }
    return NULL;
}
