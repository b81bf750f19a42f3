/* The sealing keys of a release grow old: once a day a new one is made where it is due, and those that no pod needs any
 * more go (docs/formats.md section 8). Owns its timer and what it knows of the pods. */
#ifndef CONTROLLER_KEYS_H
#define CONTROLLER_KEYS_H

#include "cluster.h"

struct keys;

/* Borrows both. */
struct keys *keys_new(const struct frame *frame, const struct cluster_set *clusters);
/* Begins to look after them. */
void keys_start(struct keys *keys);
/* Each pod of the release is told of, so that the key of its sealed text stays. */
void keys_saw_pod(struct keys *keys, const struct cluster *cluster, const struct cJSON *pod);
void keys_pod_gone(struct keys *keys, const char *uid);
/* NULL is fine. */
void keys_free(struct keys *keys);

#endif
