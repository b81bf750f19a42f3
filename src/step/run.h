/* One script: starting and stopping it. */
#ifndef SRC_STEP_RUN_H
#define SRC_STEP_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "step/protocol.h"
#include "child.h"

/* The script that runs, or ran last. */
struct run {
    uint32_t number;
    pid_t pid;           /* 0: ended, or none yet */
    pid_t group;         /* its process group, which may outlive it; 0: none yet */
    uint32_t grace_ms;   /* between TERM and KILL */
    uint64_t kill_at_ms; /* the grace is over then; 0: nothing was stopped */
    bool alone;          /* nothing that it leaves running outlives it */
};

/* A script that was started. */
struct started {
    int output_fd;             /* read end of its output, closed by who got it */
    enum step_cleaned cleaned; /* whether leftovers of earlier scripts were killed for it */
};

/*
 * Starts a script. Borrows order_fd. 0: run is the new one. -1: nothing was started, *failure says why, run is
 * unchanged.
 */
int run_start(struct run *run, const struct step_run *wish, int order_fd, struct started *started,
              struct failure *failure);

/* STOP: TERM to the group, or KILL when TERM was sent before and the group is not gone. Nothing when the script ended
 * before the first one. */
void run_stop(struct run *run);

/* Milliseconds until the grace is over, or -1: nothing was stopped. */
int run_wait_ms(const struct run *run);

/* KILL when the grace is over. Call whenever run_wait_ms is over, and more often as you like. */
void run_tick(struct run *run);

/* The script's process was reaped, or another one was: the grace ends with the last process of the group, and a script
 * that runs alone takes with it what it left. */
void run_reaped(struct run *run, pid_t pid);

#endif
