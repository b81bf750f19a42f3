/* Errors carry context and blame and own nothing: a struct error lives on the caller's stack, functions
 * return 0 or -1, and each layer may put its own words in front on the way up. Only the top logs. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/mem.h"

/* Who has to act. Decides whether a call is tried again and what DataOps is told. */
enum blame {
    BLAME_NONE,    /* no error */
    BLAME_INPUT,   /* what we were given is wrong: payload, file, argument; trying again is useless */
    BLAME_CONFIG,  /* the operator's configuration; names file, key or flag to change */
    BLAME_DENIED,  /* the other side knows us and says no (401, 403, RBAC) */
    BLAME_REMOTE,  /* the other side failed or is not reachable; trying again may help */
    BLAME_SCRIPT,  /* the job's own script */
    BLAME_SYSTEM,  /* our machine: no memory, no file descriptor, disk full, a bug */
    BLAME_TIMEOUT, /* a deadline passed */
};

struct error {
    enum blame blame;
    int code;       /* HTTP status, errno or exit code, by context; 0 when there is none */
    char text[480]; /* what failed, why, what to do; no secrets; cut with "..." */
};

#define ERROR_NONE ((struct error){ .blame = BLAME_NONE })

/* Sets a new error and returns -1, so that `return error_set(...)` works. error may be NULL. */
int error_set(struct error *error, enum blame blame, int code, const char *format, ...) PRINTF_LIKE(4, 5);
/* Puts "format: " in front of the text that is there; keeps blame and code; returns -1. */
int error_within(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sets an error from errno: "what: No such file or directory", BLAME_SYSTEM, code errno; returns -1. */
int error_errno(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);
/* The word for a blame, for logs: "remote". */
const char *blame_name(enum blame blame);

#endif
