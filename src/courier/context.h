/* What the stages of one job share. Everything is borrowed from main.c; the user becomes known when step connected. */
#ifndef COURIER_CONTEXT_H
#define COURIER_CONTEXT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct loop;
struct http;
struct output;
struct paths;
struct plan;
struct plan_pair;
struct relay;

struct context {
    struct loop *loop;
    struct http *http;
    struct output *output;
    struct relay *relay;
    const struct paths *paths;
    const struct plan *plan;
    int program_fd;      /* this program, opened at the start, for its children: not what stands at its path by then */
    const char *git;     /* path of git, found at the start; NULL: there is none */
    const char *scratch; /* private folder, 0711: git's CA and key files, an empty home */
    bool is_root;
    bool user_known; /* uid and gid are the job's */
    uid_t uid;
    gid_t gid;
};

/* The end of a stage: error is BLAME_NONE when it went well. Called once, never before the start returned. */
typedef void stage_done(void *owner, const struct error *error);

/* Value of a variable of the plan (the last of that name), or NULL. */
const char *context_variable(const struct context *context, const char *key);

#endif
