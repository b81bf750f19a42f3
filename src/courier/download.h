/* The stage download_artifacts (docs/reference/dataops.md, "Downloading artifacts"): archives of earlier jobs, fetched
 * from DataOps and unpacked into the project folder by a child as the job's user. */
#ifndef COURIER_DOWNLOAD_H
#define COURIER_DOWNLOAD_H

#include "context.h"

struct download;
struct plan;

/* Some dependency has an archive. Pure. */
bool download_is_wanted(const struct plan *plan);
/* Begins; done is called once, with an error (BLAME_SCRIPT, 1) for the first one that failed in every attempt. */
struct download *download_start(struct context *context, stage_done *done, void *owner);
/* Ends what runs; done is not called any more. NULL is fine. */
void download_free(struct download *download);

#endif
