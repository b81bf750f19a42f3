/* All that runs below step: ending it and reaping it. */
#ifndef SRC_STEP_PROCESSES_H
#define SRC_STEP_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * KILL for everything: as PID 1 every other process of the container, else the process group (0: none) and what
 * step is the parent of; what those leave behind becomes step's child and falls to the next call.
 */
void processes_kill(pid_t group);

/* Kills and reaps until nothing is left, or the limit is over. Exit statuses are lost. True when something was killed
 * that did not end by itself. */
bool processes_end(pid_t group, unsigned limit_ms);

/*
 * Makes sure that the next script finds room for its processes: when what earlier scripts left behind uses up what
 * the container may have (a fork bomb), it is killed. True when that was done. Call only while no script runs.
 */
bool processes_make_room(pid_t group);

#endif
