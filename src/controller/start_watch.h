/* Waits for a pod's job to start, and says how long it has patience. A pod whose image is being pulled serves no log,
 * so the controller itself tells what the pod waits for. Owns its timers. */
#ifndef CONTROLLER_START_WATCH_H
#define CONTROLLER_START_WATCH_H

#include "job/reason.h"

#include <stdint.h>

#define START_WATCH_SAID 512

struct loop;
struct pod_status;
struct sealed_job;
struct start_watch;

struct start_watch_input {
    struct loop *loop;
    const struct sealed_job *job; /* borrowed for the watch's life, as ns and pod */
    const char *ns, *pod;
    const char *image;               /* copied; NULL: not known to this controller */
    char *said;                      /* START_WATCH_SAID bytes, borrowed: what the job's log heard last of any pod */
    const struct pod_status *status; /* borrowed: as the pod is shown, always the newest */
    int64_t limit_s;                 /* poll_timeout: the job's script must have begun within it */
};
struct start_watch_events {
    /* A line for the job's log: the pod waits for something, and for how long it has so far. */
    void (*line)(void *owner, const char *text);
    /* Patience is over. The watch may be freed from here. */
    void (*failed)(void *owner, enum reason reason, const char *text);
};
struct start_watch *start_watch_new(const struct start_watch_input *input, const struct start_watch_events *events,
                                    void *owner);
/* The status changed: an image that cannot be pulled has 30 s from the first failure on, and no deadline counts once
 * the build container has started. */
void start_watch_look(struct start_watch *watch);
/* Courier speaks: no further lines, but the deadlines stay. */
void start_watch_be_quiet(struct start_watch *watch);
/* NULL is fine. */
void start_watch_free(struct start_watch *watch);

#endif
