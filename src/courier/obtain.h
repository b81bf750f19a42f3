/* The stage get_sources as a whole: wait for build, hooks, fetch, checkout, file variables. The fetch runs before build
 * is there when it may (sources.h). Hooks are the job's own words and run in build, like its scripts. */
#ifndef COURIER_OBTAIN_H
#define COURIER_OBTAIN_H

#include "context.h"

struct obtain;
struct scripts;

/* Begins; done is called once. Borrows context and scripts. */
struct obtain *obtain_start(struct context *context, struct scripts *scripts, stage_done *done, void *owner);
/* build is there: the context knows the job's user. */
void obtain_connected(struct obtain *obtain);
/* Ends what runs here; done is not called any more. NULL is fine. */
void obtain_free(struct obtain *obtain);

#endif
