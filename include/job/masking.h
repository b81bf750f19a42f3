/* What must never be shown of a job, kept small for as long as somebody may say something about it: the values of its
 * masked variables, its tokens, the prefixes of tokens. It outlives the payload, and it can be written down (sealed)
 * and read again. Pure. */
#ifndef JOB_MASKING_H
#define JOB_MASKING_H

#include "job/payload.h"
#include "job/variables.h"
#include "text/mask.h"

/* A text about a job that the runner itself writes is cut at less than this; a longer value is kept so far. */
#define MASKING_VALUE_MOST  512u
#define MASKING_SEALED_MOST (24u * KIB)

struct cJSON;
struct masking;

/* Copies. variables may be NULL or empty (they were not merged, or could not be): then the payload's values count as
 * they stand there. job may be NULL: only what every job has. */
struct masking *masking_of(const struct job *job, const struct variables *variables);
/* Sets "mask" in an object that will be sealed. False, and nothing is set, when it would be longer than
 * MASKING_SEALED_MOST. */
bool masking_write(const struct masking *masking, struct cJSON *object);
/* What masking_write wrote; NULL when it is not there, or is not of this form. */
struct masking *masking_read(const struct cJSON *object);
/* Gives a filter (mask_free) for some texts; the tables behind it are large, so nobody keeps one per job. */
struct mask *masking_open(const struct masking *masking);
/* Gives a copy; NULL stays NULL. */
struct masking *masking_copy(const struct masking *masking);
/* Wipes; NULL is fine. */
void masking_free(struct masking *masking);

#endif
