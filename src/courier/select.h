/* Which files an artifact holds (docs/reference/dataops.md, "Which files an artifact holds"): globbing below a folder
 * that may be hostile. Nothing outside the folder is seen; symlinks are entries, never followed while walking. */
#ifndef COURIER_SELECT_H
#define COURIER_SELECT_H

#include "base/strbuf.h"
#include "base/strmap.h"

#include <stdbool.h>

struct selection {
    int folder;                  /* borrowed descriptor of the project folder */
    const char *const *excludes; /* patterns, borrowed */
    size_t exclude_count;
    size_t entries_most, bytes_most; /* of names, those of the folders that are being walked included */
    size_t bytes;
    struct strmap names;     /* chosen paths, relative, without trailing slash */
    bool too_many, too_long; /* entries_most or bytes_most was reached, the rest is missing */
    bool escaped; /* a path led out of the folder through a symlink and was not followed; the caller resets it */
};

/* The pattern or path as one relative to folder: cleaned of ".", "//" and a trailing slash. -1 when it leads out of the
 * folder
 * (".." at its start, or an absolute path elsewhere). "" is the folder itself. Pure. */
int select_clean(const char *folder, const char *pattern, struct strbuf *out) MUST_CHECK;
/* Adds what a cleaned pattern matches, folders with all they hold; gives the number of new and old matches. */
size_t selection_add(struct selection *selection, const char *pattern);
/* Adds one path as it is, unless excluded or not there. */
bool selection_add_path(struct selection *selection, const char *path);
/* Gives the chosen names, sorted; an array of count (mem_free; the names are the selection's). */
const char **selection_sorted(const struct selection *selection, size_t *count);
void selection_clear(struct selection *selection);

#endif
