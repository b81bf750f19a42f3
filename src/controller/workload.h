/* What a job's pods are made of: its payload, the variables and facts that follow from it, its image. Kept until
 * courier speaks; after that no further pod is made, and the payload with its secrets is not needed any more. */
#ifndef CONTROLLER_WORKLOAD_H
#define CONTROLLER_WORKLOAD_H

#include "entry.h"
#include "job/facts.h"
#include "job/payload.h"
#include "job/variables.h"

struct workload {
    const struct entry *entry; /* borrowed */
    struct job *job;
    struct variables variables; /* the job's: settings and what its script sees */
    struct job_facts facts;     /* what is true whatever the variables say */
    char *image;
};

/* Merges the variables and finds the image; keeps job, also when it fails (BLAME_INPUT or BLAME_CONFIG: no pod can be
 * made of it). */
int workload_init(struct workload *workload, const struct entry *entry, struct job *job,
                  struct error *error) MUST_CHECK;
/* For an empty one, too. */
void workload_clear(struct workload *workload);

/* One attempt's pod. Texts are borrowed; sealed and notes may be NULL. */
struct workload_pod {
    const char *name, *sealed, *notes;
    unsigned attempt;
};
/* Gives the Pod (json_free), or NULL with BLAME_CONFIG or BLAME_INPUT. */
struct cJSON *workload_render_pod(const struct workload *workload, const struct workload_pod *pod, struct error *error);
/* Gives the Secret with the plan (json_free), owned by the pod with that uid, or NULL with BLAME_CONFIG or BLAME_INPUT.
 */
struct cJSON *workload_render_secret(const struct workload *workload, const struct workload_pod *pod, const char *uid,
                                     struct error *error);

#endif
