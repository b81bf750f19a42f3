/* One namespace of one Kubernetes: its client, one watch for all pods of the release, and who looks after which pod.
 *
 * An attempt claims the name of its pod before it creates it, and hears of every change of a pod of that name. Pods
 * that the first list shows and nobody claimed are the jobs of an earlier controller: they are handed to the owner
 * once. A pod that nobody looks after any more is left to the cluster to delete (cluster_delete_pod). */
#ifndef CONTROLLER_CLUSTER_H
#define CONTROLLER_CLUSTER_H

#include "frame.h"

struct cJSON;
struct cluster;
struct cluster_set;
struct kube;
struct pod_status;
struct sealed_job;
struct strmap;

struct cluster_events {
    /* The first list is complete: pods (uid -> Pod object, borrowed until return) that nobody claimed. */
    void (*found)(void *owner, struct cluster *cluster, const struct strmap *pods);
    /* A pod of the release is shown, for the first time or changed; or it is gone. Before anybody else hears of it. */
    void (*seen)(void *owner, const struct cluster *cluster, const struct cJSON *pod);
    void (*vanished)(void *owner, const char *uid);
    /* A pod that cluster_delete_pod took is done with: there may be room for another job. */
    void (*deleted)(void *owner);
};
/* All namespaces of a controller. */
struct cluster_set *cluster_set_new(const struct frame *frame, const struct cluster_events *events, void *owner);
/* Starts all watches. */
void cluster_set_start(struct cluster_set *set);
/* Frees everything; pods that were to be deleted stay. All claims must have been released. */
void cluster_set_free(struct cluster_set *set);
/* Every first list is complete. */
bool cluster_set_is_listed(const struct cluster_set *set);
/* And no watch is in trouble. */
bool cluster_set_is_well(const struct cluster_set *set);
/* Pods that are still to be deleted: each counts against the limit of jobs. */
unsigned cluster_set_deletions(const struct cluster_set *set);

/* The namespace that the configuration names, borrowed; one is made when no entry named it before. Entries that say the
 * same of the API server share one client. */
struct cluster *cluster_for(struct cluster_set *set, const struct config_kubernetes *wish, struct error *error);
struct kube *cluster_kube(const struct cluster *cluster);
const char *cluster_namespace(const struct cluster *cluster);
/* The first list is complete: jobs may be taken. */
bool cluster_is_listed(const struct cluster *cluster);

/* What happens to the pod of a claimed name. */
struct pod_events {
    void (*changed)(void *owner, const struct pod_status *status);
    void (*gone)(void *owner, const char *uid);
    /* A later list is complete. What it did not show, and no list before, does not exist. */
    void (*listed)(void *owner);
};
/* One claim a name; events and owner are kept until it is released. */
void cluster_claim(struct cluster *cluster, const char *pod, const struct pod_events *events, void *owner);
/* Nothing happens when the name is not claimed by this owner. */
void cluster_release(struct cluster *cluster, const char *pod, const void *owner);

/* Deletes a pod of this job that no attempt looks after any more; tried until it is done. */
void cluster_delete_pod(struct cluster *cluster, const struct sealed_job *job, const char *pod, const char *uid);

#endif
