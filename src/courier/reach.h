/* What each kind of courier's children may reach, with which rights, as whom: one table. A child that is started
 * without a row of it sees the system's programs only (io/child.h), so that a new one cannot forget. */
#ifndef COURIER_REACH_H
#define COURIER_REACH_H

#include "io/child.h"
#include "io/confine.h"

struct context;

enum child_kind {
    CHILD_GIT,    /* git with the job's credentials */
    CHILD_LFS,    /* git lfs, the same, and it moves files between folders */
    CHILD_CLEAR,  /* removes the project folder, with courier's own rights */
    CHILD_TIDY,   /* makes a kept repository anew around its packs; runs git for it */
    CHILD_PACK,   /* packs artifacts; runs git for untracked ones */
    CHILD_UNPACK, /* unpacks artifacts */
};

/* Fills what start says about user, capabilities, memory and confinement. Keeps the confinement in reach, which must
 * live until the child was started; borrows the plan's builds folder and the context's scratch. */
void reach_set(const struct context *context, enum child_kind kind, struct confinement *reach,
               struct child_start *start);

/* Why a child of that kind cannot be confined on a kernel of that abi, or NULL. Pure; static text. */
const char *reach_exception(enum child_kind kind, int abi);

#endif
