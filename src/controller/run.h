/* One job, from DataOps' 201 to the deleted pod. A run conducts: its attempt (attempt.h) and its log (joblog.h) say
 * what happened, the table of job/machine.h says what follows, and the run has it done. Events that arrive while one is
 * being handled wait in a queue, so a state never changes under an action's feet.
 *
 * What comes later was kept in mind: a slot (a Lease) will own jobs, so a controller may take over a run at any time
 * (run_resume needs nothing but the pod) and may lose its own (run_free touches no pod); a job that waits for its
 * services is one more wait of an attempt before its courier speaks. */
#ifndef CONTROLLER_RUN_H
#define CONTROLLER_RUN_H

#include "entry.h"
#include "job/machine.h"
#include "job/payload.h"
#include "sealed.h"

struct attempt;
struct run;

struct run_events {
    /* DataOps has the result, or it was given up. */
    void (*reported)(void *owner, bool is_success);
    /* The run is over: nothing is left of it but this. It is to be freed from here. */
    void (*over)(void *owner, struct run *run);
};

/* Takes a job that DataOps handed over; keeps job. */
struct run *run_new(struct entry *entry, struct job *job, const struct run_events *events, void *owner);
/* A payload that could not be read: the job is reported as failed with this error. */
struct run *run_new_failed(struct entry *entry, uint64_t job_id, const char *job_token, const struct error *error,
                           const struct run_events *events, void *owner);
/* Goes on with an earlier controller's job: with what it sealed (emptied) and its Pod object (borrowed). */
struct run *run_resume(struct entry *entry, struct sealed_text *sealed, const struct cJSON *pod,
                       const struct run_events *events, void *owner);
/* The process is being stopped (frame.stopping): a job that waits for its next attempt ends now, because it has no
 * pod that another controller could go on with. */
void run_stop(struct run *run);
/* Stops everything; the pod goes on. NULL is fine. */
void run_free(struct run *run);

const struct entry *run_entry(const struct run *run);
/* Something of it exists only in this process. */
bool run_is_unsafe(const struct run *run);

/* For tests: what it is doing. */
struct run_view {
    enum job_state state;
    bool has_payload, has_spoken;
    uint64_t trace_wanted;
    const struct attempt *attempt; /* NULL before the first */
};
struct run_view run_view(const struct run *run);

#endif
