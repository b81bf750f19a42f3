/* The attempts at one job: the one that counts now, the pod of one that never began (kept until the next one is safe),
 * and the pause before the next. */
#ifndef CONTROLLER_TRIES_H
#define CONTROLLER_TRIES_H

#include "attempt.h"

struct tries;

struct tries_input {
    const struct entry *entry; /* borrowed, as all that follows */
    const struct sealed_job *job;
    const struct workload *workload; /* an empty one cannot make another pod */
    const struct attempt_events *events;
    /* The pause before the next attempt, or before the same one asks again, is over. */
    void (*pause_over)(void *owner);
    void *owner; /* of both */
};
struct tries *tries_new(const struct tries_input *input);
/* Stops everything; pods stay, but one that was kept for the sake of a next attempt goes. NULL is fine. */
void tries_free(struct tries *tries);

/* Goes on with the pod of an earlier controller, instead of making the first. */
void tries_resume(struct tries *tries, unsigned number, const struct cJSON *pod);

/* NULL before the first. */
struct attempt *tries_current(const struct tries *tries);
unsigned tries_number(const struct tries *tries);
/* Makes the attempt whose turn it is, unless it was made before, and has it ask for its pod; notes as in attempt.h. */
void tries_create(struct tries *tries, const char *notes);
/* The pod that was kept is needed no longer. */
void tries_drop_previous(struct tries *tries);

/* The current attempt came to nothing: it is left. */
void tries_leave(struct tries *tries);
/* Another attempt is allowed: the payload is there, and fewer than five were made. */
bool tries_has_another(const struct tries *tries);
/* Pauses, ever longer, before the next attempt. */
void tries_pause_next(struct tries *tries);
/* Pauses before the same attempt asks for its pod again. */
void tries_pause_same(struct tries *tries, uint64_t wait_ms);
void tries_stop_pause(struct tries *tries);
unsigned tries_most(void);
/* Remembers what the job's log hears about what a pod waits for; false when that is what it heard last. */
bool tries_remember_line(struct tries *tries, const char *text);

#endif
