/* The kernel's count of processes killed for memory in step's own cgroup. */
#ifndef SRC_STEP_OOM_H
#define SRC_STEP_OOM_H

#include <stdint.h>

/* Finds the counter of this process's cgroup, version 2 or 1, and keeps it open. Once, at start. */
void oom_open(void);

/* The count so far, or -1: not known here. */
int64_t oom_kills(void);

#endif
