/* What a job's pod and its Secret look like. Pure: same input, same bytes. */
#ifndef POD_RENDER_H
#define POD_RENDER_H

#include "base/error.h"
#include "config/config.h"
#include "job/facts.h"
#include "job/payload.h"
#include "job/variables.h"

struct cJSON;

/* A job, its runner's entry, and what this program adds. Borrows everything; ca_pem may be NULL. */
struct pod_merge_input {
    const struct job *job;
    const struct config_runner *runner;
    const char *short_token, *version, *revision, *ca_pem;
};
/* Gives the job's facts and its variables; both are to be cleared whatever comes back, and must be empty before.
 * BLAME_INPUT: the repository names no folder, or the variables are too large for a process. */
int pod_merge(const struct pod_merge_input *input, struct job_facts *facts, struct variables *variables,
              struct error *error) MUST_CHECK;

struct pod_input {
    const struct job *job;
    const struct job_facts *facts;
    const struct variables *variables;
    const struct config_runner *runner;
    const char *ns, *release, *slot, *short_token, *version;
    const char *sealed; /* annotation text or NULL */
    const char *notes;  /* the controller's own lines so far, JSON array of texts, or NULL */
    unsigned attempt;
    const char *owner_name, *owner_uid, *owner_kind, *owner_api; /* owner reference of the pod or NULL */
};
/* Gives the Pod (json_free). BLAME_CONFIG or BLAME_INPUT names the key to set (no image, pull policy not allowed, two
 * mounts on one path ...). */
int pod_render(const struct pod_input *input, struct cJSON **given, struct error *error) MUST_CHECK;
/* Gives the immutable Secret of type dockerconfigjson with the packed plan, owned by the pod (name, uid). registry
 * credentials come from the job (credentials, DOCKER_AUTH_CONFIG). BLAME_INPUT when it would pass 1 MiB. */
int pod_secret_render(const struct pod_input *input, const char *pod_uid, const void *packed_plan, size_t length,
                      struct cJSON **given, struct error *error) MUST_CHECK;
/* The build image of this job: payload image expanded, else runner's. Gives a text, or NULL with an error naming the
 * key or variable. */
char *pod_image(const struct job *job, const struct variables *variables, const struct config_runner *runner,
                struct error *error);
/* NULL-ended list of mask folders for the plan ("/.dataops-mask/<volume>"); free each and the list with mem_free. */
char **pod_mask_folders(const struct config_runner *runner);

#endif
