/* The new process, from fork to the shell. */
#ifndef SRC_STEP_CHILD_H
#define SRC_STEP_CHILD_H

#include <stdint.h>
#include <stdnoreturn.h>

/* What the new process is to become. All borrowed. */
struct child {
    const char *folder;
    char **environment;
    uint32_t shell; /* enum step_shell */
    int script_fd;  /* holds the script text */
    int output_fd;  /* becomes stdout and stderr */
    int failure_fd; /* closed on exec; takes one struct failure when the shell was not reached */
};

/* Why no script runs. */
struct failure {
    uint32_t call; /* enum step_call */
    int32_t error; /* errno */
};

/* Becomes the shell, or writes a struct failure and ends. Call in the child of a fork only. */
noreturn void child_become(const struct child *child);

#endif
