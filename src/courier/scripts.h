/* The job's scripts, run in build by step: order block, time limit, output into the trace, the end in one answer. Owns
 * the relay. */
#ifndef COURIER_SCRIPTS_H
#define COURIER_SCRIPTS_H

#include "context.h"
#include "job/payload.h"

#include <stdint.h>

#define SCRIPT_GRACE_MS 10000u /* between TERM and KILL */

struct scripts;

struct script_wish {
    const struct job_step *step;
    const char *folder; /* working folder */
    const char *status; /* CI_JOB_STATUS */
    bool is_after;
    bool is_alone;     /* nothing that it starts outlives it */
    uint64_t limit_ms; /* 0: none */
};

enum script_how {
    SCRIPT_EXITED,    /* code is its exit code, 128 + signal when it was killed */
    SCRIPT_TIMED_OUT, /* limit_ms passed */
    SCRIPT_REFUSED,   /* nothing was started: why */
    SCRIPT_LOST,      /* the build container went away: why */
};
struct script_end {
    enum script_how how;
    int code;
    bool oom;
    const char *why; /* borrowed until return */
};
typedef void script_done(void *owner, const struct script_end *end);

struct scripts_events {
    void (*connected)(void *owner);             /* the context knows the job's user now */
    void (*lost)(void *owner, const char *why); /* the build container went away while no script ran; once */
};

/* Listens for step. Fills context->uid and the like when it connects. Keeps events and owner; borrows context. */
struct scripts *scripts_new(struct context *context, const struct scripts_events *events, void *owner,
                            struct error *error);
void scripts_free(struct scripts *scripts);
bool scripts_are_possible(const struct scripts *scripts);
bool scripts_is_running(const struct scripts *scripts);
/* Some script was handed to step: something of the job may have run. */
bool scripts_have_run(const struct scripts *scripts);
/* Runs one; done is called once, never before this returned. One at a time. */
void scripts_run(struct scripts *scripts, const struct script_wish *wish, script_done *done, void *owner);
/* TERM, then KILL after SCRIPT_GRACE_MS; now: KILL, also for what a stopped script left. */
void scripts_stop(struct scripts *scripts, bool now);
/* Ends everything in build; nothing is called any more. */
void scripts_bye(struct scripts *scripts);

#endif
