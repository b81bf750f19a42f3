/* What a later controller needs to go on with a job's pod and nobody else may read: a JSON text, sealed for that pod,
 * in the annotation dataops-runner/sealed (docs/formats.md section 2). */
#ifndef CONTROLLER_SEALED_H
#define CONTROLLER_SEALED_H

#include "job/masking.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct state;

/* The job's part of the text. */
struct sealed_job {
    char *url, *short_token; /* which [[runners]] entry it came from */
    uint64_t id;
    char *token;    /* a secret */
    char **reasons; /* features.failure_reasons of its payload */
    size_t reason_count;
    int64_t timeout_s;
    struct masking *masking; /* what must not be shown of it; NULL: not known */
};
/* Copies what names a job. */
struct sealed_job sealed_job_of(const char *url, const char *short_token, uint64_t id, const char *token);
/* Copies the rest from its payload; the masking stays empty. */
void sealed_job_take(struct sealed_job *sealed, const struct job *job);
/* Frees everything, wiping secrets. */
void sealed_job_clear(struct sealed_job *job);

/* Where the text stands. */
struct sealed_pod {
    const char *ns, *name;
    unsigned attempt;
};
/* Gives the annotation's text, or NULL when nothing can be sealed (state is NULL or has no key). created_unix_s: now.
 */
char *sealed_write(const struct state *state, const struct sealed_job *job, const struct sealed_pod *pod,
                   int64_t created_unix_s);

/* What was read of a pod. */
struct sealed_text {
    struct sealed_job job;
    unsigned attempt;
    int64_t created_unix_s;
};
/* Opens the sealed text of a Pod object in namespace ns. Whoever may create pods chooses its labels and annotations, so
 * this text is all that is believed of a pod: a controller of this release wrote it, for the pod of this name. NULL and
 * sealed_text_clear() when it opens; else why not, a static text for people. */
const char *sealed_open(const struct state *state, const char *ns, const struct cJSON *pod, struct sealed_text *read);
void sealed_text_clear(struct sealed_text *read);
/* Whether the metadata of a pod are those of this job's attempt: by the key, which anybody can compute, and by the
 * sealed text unless nothing can be sealed. */
bool sealed_is_of(const struct state *state, const char *ns, const struct cJSON *pod, const struct sealed_job *job,
                  unsigned attempt);

#endif
