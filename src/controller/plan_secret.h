/* The Secret that carries a job's plan into its pod: stored until it is there, or asked for. The pod does not start its
 * containers without it. Owns its request and its timer. */
#ifndef CONTROLLER_PLAN_SECRET_H
#define CONTROLLER_PLAN_SECRET_H

#include "job/reason.h"

struct kube;
struct loop;
struct patience;
struct patience_advice;
struct plan_secret;
struct sealed_job;
struct workload;
struct workload_pod;

struct plan_secret_input {
    struct loop *loop;
    struct kube *kube;
    const struct sealed_job *job; /* borrowed for the life of this, as all that follows */
    struct patience *patience;
    const char *ns, *pod, *uid;
};
struct plan_secret_events {
    /* It is stored; or, after plan_secret_ask, it may be: only a clear "it is not there" is an answer. */
    void (*stored)(void *owner);
    /* After plan_secret_ask: it was never stored. */
    void (*missing)(void *owner);
    /* It cannot be stored now; it is tried again. */
    void (*delayed)(void *owner, const struct patience_advice *advice);
    /* It is refused for good. Also from inside plan_secret_store. */
    void (*refused)(void *owner, enum reason reason, const char *text);
};
struct plan_secret *plan_secret_new(const struct plan_secret_input *input, const struct plan_secret_events *events,
                                    void *owner);
/* Stores the plan of this pod. Borrows both until stored or refused. */
void plan_secret_store(struct plan_secret *secret, const struct workload *workload, const struct workload_pod *pod);
/* Asks whether an earlier controller stored it. Nobody may read Secrets here: a dry-run create tells whether it exists
 * (409) or not (201). */
void plan_secret_ask(struct plan_secret *secret);
/* NULL is fine. */
void plan_secret_free(struct plan_secret *secret);

#endif
