/* One attempt at a job: the life of one pod, from the request that creates it to the moment it is gone. A retry is a
 * new attempt with a number and a pod name of its own.
 *
 * An attempt owns its pod's name in the namespace (cluster.h), its requests and its timers. What it finds out it says
 * by events, and it never decides what becomes of the job. Its phases, and what it says in them:
 *
 *     creating   the create is under way          created, delayed, refused, never_began
 *     storing    the pod waits for its plan       safe, delayed, refused, never_began, cannot_start, vanished, over
 *     watching   the plan is stored               runs, ended, never_began, cannot_start, line, vanished, over
 *     settled    the owner knows the job's end    created (a create that was under way), vanished
 *     left       another attempt follows          nothing
 *     ending     the pod is being deleted         gone
 *
 * An example, a job whose first answer is lost:
 *     attempt_create   POST pods job-...-1                     (the answer does not come)
 *     delayed(5 s)     the owner waits, then attempt_create    POST pods job-...-1 -> 409, GET -> our seal
 *     created          attempt_store_plan                      POST secrets job-...-1 -> 201
 *     safe, runs       the owner reads the log ...
 *     attempt_end      DELETE pods job-...-1                   gone
 *
 * An event comes before the call that led to it has returned only where its comment says so. The attempt must not be
 * freed from inside an event. */
#ifndef CONTROLLER_ATTEMPT_H
#define CONTROLLER_ATTEMPT_H

#include "entry.h"
#include "job/machine.h"
#include "job/reason.h"
#include "pod/status.h"
#include "sealed.h"
#include "workload.h"

struct attempt;
struct patience_advice;

struct attempt_events {
    /* One of the events of job/machine.h, with its cause when it has one (text is NULL without):
     *
     *     JOB_POD_REFUSED     the pod is refused for good; also from inside attempt_create
     *     JOB_PLAN_REFUSED    its Secret is refused for good; also from inside attempt_store_plan
     *     JOB_POD_RUNS        courier's container runs or has run; repeated with each change of the pod
     *     JOB_NEVER_BEGAN     nothing of the job ran, another attempt is allowed
     *     JOB_CANNOT_START    nothing of the job ran and nothing will
     *     JOB_POD_DELETED     after attempt_end, never from inside it: the pod does not count any more
     */
    void (*happened)(void *owner, enum job_event event, enum reason reason, const char *text);
    /* JOB_POD_DELAYED or JOB_PLAN_DELAYED: the pod, or its Secret, cannot be made now. The Secret is tried again
     * without further ado, the pod waits for attempt_create. */
    void (*delayed)(void *owner, enum job_event event, const struct patience_advice *advice);
    /* The pod exists. found_notes: the notes annotation of a pod that an earlier, unanswered create had made, or NULL
     * when the pod has the notes that attempt_create was given. */
    void (*created)(void *owner, const char *found_notes);
    /* The plan is stored: whatever happens to this controller, the job has an end. */
    void (*safe)(void *owner);
    /* Courier's container has ended, or the whole pod; termination is courier's termination message or "". Repeated
     * with each change of the pod. */
    void (*ended)(void *owner, const char *termination);
    /* build ended, and it may be that nothing of the job ran: courier's log alone tells. */
    void (*only_log_knows)(void *owner);
    /* The pod is gone. */
    void (*vanished)(void *owner);
    /* Nothing more will come: the pod is gone, or somebody deleted it and it does not end. */
    void (*over)(void *owner);
    /* A line for the job's log. */
    void (*line)(void *owner, const char *text);
};

struct attempt_input {
    const struct entry *entry;       /* borrowed */
    const struct sealed_job *job;    /* borrowed for the attempt's life */
    const struct workload *workload; /* borrowed until the plan is stored; NULL for a resumed attempt */
    const struct attempt_events *events;
    void *owner;
    unsigned number; /* 1 is the first */
    char *said;      /* START_WATCH_SAID bytes, borrowed: the last line about what a pod waits for */
};
struct attempt *attempt_new(const struct attempt_input *input);
/* Goes on with the pod of an earlier controller, and asks whether its plan was stored: safe, or cannot_start when it
 * was not. */
struct attempt *attempt_resume(const struct attempt_input *input, const struct cJSON *pod);
/* Concludes from the pod as it is shown, as every change of it does; for a resumed attempt, once. */
void attempt_look(struct attempt *attempt);
/* Stops everything; a pod that exists stays. NULL is fine. */
void attempt_free(struct attempt *attempt);

/* Asks for the pod; notes (a JSON array of texts, or NULL) go into its annotation. May be called again after delayed.
 */
void attempt_create(struct attempt *attempt, const char *notes);
/* After created: stores the plan in a Secret that the pod owns. */
void attempt_store_plan(struct attempt *attempt);
/* After safe: from now on the start has a deadline, and the job's log hears what the pod waits for. */
void attempt_await_start(struct attempt *attempt);
/* Courier spoke: the job began. No line comes any more. */
void attempt_courier_spoke(struct attempt *attempt);
/* Asks courier, by an annotation, to end the script; repeated until it is in the pod. Without the right to do so the
 * pod is deleted, which courier takes as the end of the script. */
void attempt_order_cancel(struct attempt *attempt);
/* The owner knows the job's end: nothing is waited for any more, and no order is repeated. The pod stays. */
void attempt_settle(struct attempt *attempt);
/* This attempt came to nothing: its requests are dropped, and it says nothing any more. The pod stays, until it is
 * known that another one takes its place. */
void attempt_leave(struct attempt *attempt);
/* Frees an attempt that was left, and lets the namespace delete its pod. NULL is fine. */
void attempt_abandon(struct attempt *attempt);
/* Deletes the pod if there is one, without a word about it. */
void attempt_delete(struct attempt *attempt);
/* Deletes the pod, also one that a create under way still makes, and says gone. until_gone: a pod whose containers
 * still run counts until the watch says that it is gone. */
void attempt_end(struct attempt *attempt, bool until_gone);

unsigned attempt_number(const struct attempt *attempt);
const char *attempt_pod(const struct attempt *attempt);
const struct pod_status *attempt_status(const struct attempt *attempt);
/* A pod of this attempt exists for sure. */
bool attempt_has_pod(const struct attempt *attempt);
/* A create went out and nobody knows whether it made a pod. */
bool attempt_may_have_pod(const struct attempt *attempt);
/* A request is under way without whose answer a pod might stay behind. */
bool attempt_is_asking(const struct attempt *attempt);

#endif
