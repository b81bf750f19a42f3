/* One websocket watch: list, then watch with bookmarks, resume, 410, pings, a periodic relist
 * (docs/reference/kubernetes.md, "Opening a watch" and "List and watch"). Keyed by UID. */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct kube;
struct kube_watch;
struct cJSON;

struct kube_watch_events {
    /* The object is new, or changed, or was seen again by a list. Borrows. managedFields and what a pod's spec says of
     * containers and volumes are left out. */
    void (*changed)(void *owner, const struct cJSON *object);
    /* It is gone (deleted, or missing from a new list). last is the last known object (metadata only when nothing else
     * is known). Borrows. */
    void (*gone)(void *owner, const struct cJSON *last);
    /* The first list is complete; later again after each relist. */
    void (*listed)(void *owner);
    /* Something is wrong (403, unreachable ...) or right again (BLAME_NONE); reported once per change. */
    void (*trouble)(void *owner, const struct error *error);
};
struct kube_watch_tuning {                      /* 0: the ordinary value */
    uint64_t relist_ms;                         /* safety net, 7.5 min with jitter */
    unsigned server_timeout_s;                  /* timeoutSeconds, 240 to 600 with jitter */
    uint64_t first_backoff_ms, most_backoff_ms; /* 0.8 s, 30 s */
};
/* selector: raw query part ("labelSelector=...") or NULL. Keeps events and owner. */
struct kube_watch *kube_watch_start(struct kube *kube, const char *ns, const char *resource, const char *selector,
                                    const struct kube_watch_tuning *tuning, const struct kube_watch_events *events,
                                    void *owner);
void kube_watch_stop(struct kube_watch *watch);
/* For tests and metrics. */
struct kube_watch_counts {
    uint64_t lists, connections, events, bookmarks;
};
struct kube_watch_counts kube_watch_counts(const struct kube_watch *watch);

#endif
