/* A job inside its pod, from the first line of the trace to the end record: the order of stages and their rules
 * (docs/reference/dataops.md, "Stages"), time limits, orders, the verdict. Every decision about a job is here. */
#ifndef COURIER_STAGES_H
#define COURIER_STAGES_H

#include "context.h"
#include "order.h"

#include <stdint.h>

struct result;
struct scripts;
struct stages;

/* Called once, with the end as it has to be reported; bytes and crc are still 0. Nothing of the job runs any more. */
typedef void stages_over(void *owner, const struct result *result);

/* Gives the job (stages_free). Borrows context and scripts. started_ms: when courier began, on the loop's clock. */
struct stages *stages_new(struct context *context, struct scripts *scripts, uint64_t started_ms, stages_over *over,
                          void *owner);
void stages_free(struct stages *stages);
/* Prints the trace's head and begins the first stage. */
void stages_begin(struct stages *stages);

/* What happens to it. */
void stages_connected(struct stages *stages);
void stages_lost(struct stages *stages, const char *why);
void stages_order(struct stages *stages, enum order order);
/* SIGTERM: the pod is being deleted by somebody else. */
void stages_terminated(struct stages *stages);

#endif
