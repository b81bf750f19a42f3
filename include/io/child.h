/* Child processes on the loop: a changed user, few descriptors, output through pipes, an end. */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct child;

struct child_start {
    const char *const *argv; /* NULL-ended; argv[0] is looked up in PATH when it has no slash */
    const char *const *env;  /* NULL-ended, the whole environment */
    const char *folder;      /* working folder or NULL */
    bool change_user;        /* setgroups({}), setgid, setuid, and drop every capability before exec */
    uid_t uid;
    gid_t gid;
    bool no_capabilities; /* drop them also when the user stays; either way nothing it runs can gain any (no_new_privs)
                           */
    int oom_score_adj;    /* 0: as the parent; heavy work asks for 500 */
    const char *input;    /* written to its stdin, borrowed until done; NULL: /dev/null */
    size_t input_length;
    int output_fd;       /* >= 0: becomes its stdout (stays the caller's); -1: stdout goes to output() */
    int pass_fd;         /* >= 0: becomes its descriptor 3; -1 none */
    uint64_t timeout_ms; /* then TERM, 5 s later KILL; 0 none */
};
struct child_events {
    /* stdout and stderr in the order written; borrowed. NULL: thrown away (child_last_words keeps the end of it). */
    void (*output)(void *owner, const char *bytes, size_t length);
    /* Once, after exit and after output's end (or 1 s after exit when something else holds the pipe). status as of
     * waitpid. */
    void (*ended)(void *owner, int status, bool timed_out);
};

/* NULL and an error when it could not be started. Keeps events and owner until ended. The child is its own process
 * group. */
struct child *child_start(struct loop *loop, const struct child_start *start, const struct child_events *events,
                          void *owner, struct error *error);
/* What it wrote last to stdout (unless output_fd took that) and stderr, at most 400 bytes, for error texts. Borrows;
 * also inside ended. */
const char *child_last_words(const struct child *child);
/* Sends a signal to the child's process group. */
void child_signal(struct child *child, int number);
/* KILL to the group, and ended is not called. NULL is fine. */
void child_cancel(struct child *child);

#endif
