/* The stage upload_artifacts (docs/reference/dataops.md, "Uploading artifacts" and "Which files an artifact holds"):
 * each artifact is chosen and packed by a child as the job's user, then streamed to DataOps. */
#ifndef COURIER_ARTIFACTS_H
#define COURIER_ARTIFACTS_H

#include "context.h"

struct artifacts;
struct plan;

/* Some artifact of the plan is for a job that ended so. Pure. */
bool artifacts_are_wanted(const struct plan *plan, bool success);
/* Begins; done is called once: an artifact that could not be uploaded is an error (BLAME_SCRIPT, 1) after all were
 * tried. */
struct artifacts *artifacts_start(struct context *context, bool success, stage_done *done, void *owner);
/* Ends what runs; done is not called any more. NULL is fine. */
void artifacts_free(struct artifacts *artifacts);

#endif
