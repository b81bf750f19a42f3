/* The parts of reading a payload (job/payload.h). */
#ifndef SRC_JOB_PAYLOAD_H
#define SRC_JOB_PAYLOAD_H

#include "job/payload.h"
#include "read.h"

/* Exit code that DataOps is told for a payload that asks for what no version of this runner knows
 * (docs/reference/dataops.md, "Accepting a job"). */
#define PAYLOAD_EXIT_CODE 3

/* Fill one block each; what they gave belongs to job, also after a failure. */
void payload_read_image(struct read *read, const struct cJSON *tree, struct job_image *image);
void payload_read_git(struct read *read, const struct cJSON *tree, struct job *job);
void payload_read_transfers(struct read *read, const struct cJSON *tree, struct job *job);
/* Counts services and cache entries, notes run and secrets, and words job->unsupported. After the other blocks. */
void payload_read_unsupported(struct read *read, const struct cJSON *tree, struct job *job);
/* Unknown keys of executor_opts fail with code PAYLOAD_EXIT_CODE; user (text or number) is given. */
void payload_read_executor_opts(struct read *read, const struct cJSON *object, char **user);
/* Visible ASCII without blanks: may stand in a header. */
bool payload_is_token(const char *text);

#endif
