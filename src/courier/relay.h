/* Courier's end of the socket to step (step/protocol.h): waits for the one connection, has scripts run, reads their
 * pipe to its end. A process left behind may still hold it: then until one second past the exit, or, when the script
 * was stopped, until the grace of what it left is over. What comes from step is checked, and can falsify only the job's
 * own result. */
#ifndef COURIER_RELAY_H
#define COURIER_RELAY_H

#include "base/error.h"
#include "step/protocol.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct relay;

enum relay_how {
    RELAY_EXITED,  /* status is a wait status */
    RELAY_REFUSED, /* step could not start it: why says so in words */
    RELAY_LOST,    /* step went away meanwhile */
};
struct relay_end {
    enum relay_how how;
    int status;
    bool oom;        /* the build container's out-of-memory counter rose during the run */
    bool held_open;  /* a background process still held the output when it was not waited for any more */
    const char *why; /* static or borrowed until return */
};

/* What is to be run. */
struct relay_wish {
    int order_fd; /* a sealed order block, kept and closed */
    enum step_shell shell;
    uint32_t grace_ms; /* between TERM and KILL when it is stopped */
    bool alone;        /* what it leaves running is killed at its end */
};

struct relay_events {
    /* step said hello; uid and gid are the job's. Once. */
    void (*connected)(void *owner, uid_t uid, gid_t gid);
    /* The script runs; what earlier ones left may have been killed for it. Once a run, not when it was refused. */
    void (*started)(void *owner, enum step_cleaned cleaned);
    /* A piece of the script's output; borrows. */
    void (*output)(void *owner, const char *bytes, size_t length);
    /* The run is over and its output read. Once a run. */
    void (*ended)(void *owner, const struct relay_end *end);
    /* step is gone while nothing ran, or was never understood. Once, and never after relay_bye. */
    void (*lost)(void *owner, const char *why);
};

/* Listens on socket_path (mode 0666; an old file is removed). Keeps events and owner. NULL and an error when it cannot.
 */
struct relay *relay_new(struct loop *loop, const char *socket_path, const struct relay_events *events, void *owner,
                        struct error *error);
void relay_free(struct relay *relay);
bool relay_is_connected(const struct relay *relay);
/* Runs one script. One run at a time. */
int relay_run(struct relay *relay, const struct relay_wish *wish, struct error *error) MUST_CHECK;
/* TERM to the script, KILL after the grace; now: KILL without waiting, also for what a stopped script left. False when
 * no script runs, though the output of one that ended may still be waited for. */
bool relay_stop(struct relay *relay, bool now);
/* Stops or goes on reading the script's output. */
void relay_pause(struct relay *relay, bool paused);
/* The end: step kills what is left. No event follows. */
void relay_bye(struct relay *relay);

#endif
