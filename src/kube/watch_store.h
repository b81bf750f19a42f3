/* What a watch remembers: for each UID as much as is needed to say later that the object is gone. */
#ifndef KUBE_WATCH_STORE_H
#define KUBE_WATCH_STORE_H

#include "base/strmap.h"

struct cJSON;

struct watch_store {
    struct strmap objects; /* UID to struct known */
    unsigned generation;   /* number of the list that is being read */
};

void watch_store_init(struct watch_store *store);
void watch_store_clear(struct watch_store *store);
size_t watch_store_count(const struct watch_store *store);
/* A new list begins: what it does not name is gone afterwards. */
void watch_store_begin(struct watch_store *store);
/* Remembers the object; false when it has no UID. */
bool watch_store_put(struct watch_store *store, const struct cJSON *object);
void watch_store_remove(struct watch_store *store, const char *uid);
/* Takes out one object that the list did not name, as an object of metadata only (json_free); NULL when none is left.
 * position: 0 at first. */
struct cJSON *watch_store_take_vanished(struct watch_store *store, size_t *position);

#endif
