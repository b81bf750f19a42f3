/* The child's own side, between fork and exec. */
#ifndef IO_CHILD_EXEC_H
#define IO_CHILD_EXEC_H

#include "io/child.h"

/* Descriptors as the child shall get them; -1: /dev/null. */
struct child_fds {
    int input, output, errors, pass;
    int rules;           /* confine_rules; -1: not confined */
    const char *program; /* NULL: start->program_fd */
};
/* Why exec did not happen, as sent through the report pipe. */
struct child_failure {
    int number; /* errno */
    char step[24];
};

/* Runs in the forked child and does not return: becomes start->argv, or writes a struct child_failure to report_fd and
 * exits 127. */
_Noreturn void child_become(const struct child_start *start, const struct child_fds *fds, int report_fd);

#endif
