/* Child processes on the loop: confined, a changed user, few descriptors, output through pipes, an end. */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct child;
struct confinement;

/* Where programs without a slash in their name are looked for: never in a PATH that somebody else set. */
#define CHILD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct child_start {
    const char *const *argv; /* NULL-ended */
    const char *program;     /* what is started; NULL: argv[0], looked up in CHILD_PATH when it has no slash */
    const int *program_fd;  /* not NULL: the program behind that descriptor (O_PATH will do) is started, whatever stands
                               at its path by now; argv[0] is only its name */
    const char *const *env; /* NULL-ended, the whole environment */
    /* What it can reach besides the system's programs (io/confine.h), where the kernel has Landlock; NULL: nothing. */
    const struct confinement *confinement;
    /* The named exception: why this child has to reach what its user may reach. NULL: it is confined. */
    const char *unconfined_because;
    const char *folder; /* working folder or NULL */
    bool change_user;   /* setgroups({}), setgid, setuid, and drop every capability before exec */
    uid_t uid;
    gid_t gid;
    bool no_capabilities; /* drop them also when the user stays; in any case nothing it runs gains any (no_new_privs) */
    int oom_score_adj;    /* 0: as the parent; heavy work asks for 500 */
    uint64_t data_most;   /* bytes of memory it may have of its own (RLIMIT_DATA); 0: no limit but the pod's. A program
                             built with the address sanitizer cannot start with one */
    uint64_t file_most;   /* bytes of the longest file it may write (RLIMIT_FSIZE, beyond it EFBIG); 0: no limit */
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
/* The path of a program in CHILD_PATH, or NULL; mem_free. */
char *child_program_find(const char *name);
/* Sends a signal to the child's process group. */
void child_signal(struct child *child, int number);
/* KILL to the group, and ended is not called. NULL is fine. */
void child_cancel(struct child *child);

#endif
