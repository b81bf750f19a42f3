/* Folders below the builds volume, which a job may have filled with symlinks: no step of a path is followed blindly. */
#ifndef COURIER_FOLDERS_H
#define COURIER_FOLDERS_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct folder_owner {
    bool give; /* change the owner of what is made */
    uid_t uid;
    gid_t gid;
};

/* Opens path, which must lie in base, without leaving base and without following symlinks. The descriptor or -1. */
int folder_open(const char *base, const char *path, struct error *error) MUST_CHECK;
/* mkdir -p of path below base, which is made too when missing. Existing folders keep mode and owner; a step that is a
 * symlink or a file fails (BLAME_INPUT). */
int folder_make(const char *base, const char *path, const struct folder_owner *owner, struct error *error) MUST_CHECK;
/* Gives an existing folder itself (not what is in it). */
int folder_give(const char *base, const char *path, const struct folder_owner *owner, struct error *error) MUST_CHECK;
/* Removes the tree at path below base; missing is fine. */
int folder_remove(const char *base, const char *path, struct error *error) MUST_CHECK;
/* A path to an opened folder's entry that needs no walk from the root: /proc/self/fd/N/name; mem_free. */
char *folder_entry(int folder, const char *name);
/* The part of path below base ("" for base itself), or NULL when it lies elsewhere or has a ".." in it. Borrows. */
const char *folder_below(const char *base, const char *path);
/* openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS, and the flags of resolve besides; without any symlink where
 * the kernel has no openat2. The descriptor or -1, errno. */
int open_beneath(int folder, const char *path, int flags, mode_t mode, unsigned long long resolve);

#endif
