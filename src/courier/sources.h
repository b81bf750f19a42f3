/* The stage get_sources (docs/reference/dataops.md, "Settings variables" and "Getting sources"): .git is fetched early,
 * while build's image is pulled; the working tree is written late, by the job's own user (docs/design.md section 1). */
#ifndef COURIER_SOURCES_H
#define COURIER_SOURCES_H

#include "context.h"

struct sources;

/* Gives the stage (sources_free). Borrows context, keeps done and owner. */
struct sources *sources_new(struct context *context, stage_done *done, void *owner);
/* Whether the fetch may begin before the job's user is known: a new repository, and no hook that comes first. */
bool sources_is_early(const struct context *context);
/* Obtains what has to be fetched (nothing for the strategies none and empty); calls done. early: as courier's own user.
 */
void sources_fetch(struct sources *sources, bool early);
/* Writes the project and temporary folder for the job's user, who is known now; calls done. Starts over when this fails
 * and an attempt of GET_SOURCES_ATTEMPTS is left. */
void sources_check_out(struct sources *sources);
/* Ends what runs; done is not called any more. NULL is fine. */
void sources_free(struct sources *sources);

/* The child that removes a project folder with all that is in it; the exit code. */
int sources_clear(const char *builds_dir, const char *folder);
/* The child that clears a repository of what an earlier job may have left in it: configuration, hooks, locks. Runs as
 * the job's user in folder; the exit code. */
int sources_tidy(const char *builds_dir, const char *folder);
/* The commits that it proved, one a line, or NULL (mem_free); git itself says no to one that is not there. */
char *sources_tips(const char *builds_dir, const char *folder);

#endif
