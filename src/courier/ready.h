/* Making ready: the step program in the shared volume, the postStart hook that waits for it, the plan. */
#ifndef COURIER_READY_H
#define COURIER_READY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct paths;
struct plan;

#define READY_HOOK_LIMIT_MS 30000u
#define READY_PLAN_LIMIT_MS 60000u
#define READY_LOOK_MS       20u

/* Gives the path of this program; mem_free. */
char *ready_own_path(struct error *error);
/* Copies dataops-step from beside the program to /.dataops/step, mode 0555, by rename: it is there whole or not at all.
 */
int ready_install_step(const struct paths *paths, const char *own_path, struct error *error) MUST_CHECK;
/* The hook: waits until step is there. 0, or -1 after most_ms. */
int ready_wait(const struct paths *paths, uint64_t most_ms);
/* The plan's file is there; the kubelet shows it whole. */
bool ready_has_plan(const struct paths *paths);
/* Gives the plan (plan_free) from its file; BLAME_INPUT when it is no plan. The file's bytes are overwritten in memory.
 */
struct plan *ready_plan(const struct paths *paths, struct error *error);

#endif
