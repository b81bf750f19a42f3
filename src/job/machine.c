#include "job/machine.h"

struct step {
    bool known;
    enum job_state next;
    unsigned actions;
};
#define GO(state, does)                                                                                                \
    {                                                                                                                  \
        true, state, does                                                                                              \
    }

/* Rows in the order of a job's life. A pair that nobody filled is a bug. */
static const struct step table[JOB_STATES][JOB_EVENTS] = {
    [JOB_ACCEPTING] = {
        [JOB_ACCEPTED] = GO(JOB_CREATING, ACT_CREATE_POD),
        [JOB_ADOPTED] = GO(JOB_STORING, ACT_NONE),
        [JOB_REFUSED] = GO(JOB_DONE, ACT_FORGET),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_CANCEL] = GO(JOB_ENDING, ACT_REPORT_CANCEL),
        [JOB_ABORT] = GO(JOB_DONE, ACT_FORGET),
    },
    [JOB_CREATING] = {
        [JOB_POD_CREATED] = GO(JOB_STORING, ACT_STORE_PLAN),
        [JOB_POD_REFUSED] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_POD_DELAYED] = GO(JOB_RETRYING, ACT_RETRY_SAME),
        [JOB_NEVER_BEGAN] = GO(JOB_RETRYING, ACT_RETRY),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_CANCEL] = GO(JOB_ENDING, ACT_REPORT_CANCEL),
        [JOB_ABORT] = GO(JOB_ENDING, ACT_ABANDON),
        [JOB_POD_RUNS] = GO(JOB_CREATING, ACT_NONE),
        [JOB_POD_OVER] = GO(JOB_CREATING, ACT_NONE),
    },
    [JOB_STORING] = {
        [JOB_PLAN_STORED] = GO(JOB_STARTING, ACT_AWAIT_START),
        /* A pod is deleted after the report: until then it is what another controller would go on with. */
        [JOB_PLAN_REFUSED] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        /* The pod waits for its plan; with another one the script could run twice. */
        [JOB_PLAN_DELAYED] = GO(JOB_STORING, ACT_NONE),
        [JOB_NEVER_BEGAN] = GO(JOB_RETRYING, ACT_RETRY),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_POD_OVER] = GO(JOB_ENDING, ACT_REPORT_RULING),
        [JOB_POD_RUNS] = GO(JOB_STORING, ACT_NONE),
        [JOB_CANCEL] = GO(JOB_ENDING, ACT_REPORT_CANCEL),
        [JOB_ABORT] = GO(JOB_ENDING, ACT_ABANDON | ACT_DELETE_POD),
    },
    [JOB_STARTING] = {
        [JOB_POD_RUNS] = GO(JOB_STARTING, ACT_FOLLOW_LOG),
        [JOB_SPOKE] = GO(JOB_RUNNING, ACT_NONE),
        [JOB_NEVER_BEGAN] = GO(JOB_RETRYING, ACT_RETRY),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_RESULT] = GO(JOB_ENDING, ACT_REPORT_RESULT),
        [JOB_POD_OVER] = GO(JOB_ENDING, ACT_REPORT_RULING),
        /* The report does not wait for the pod; a courier that is there ends the job even when DataOps is slow. */
        [JOB_CANCEL] = GO(JOB_ENDING, ACT_REPORT_CANCEL | ACT_ORDER_CANCEL),
        [JOB_ABORT] = GO(JOB_ENDING, ACT_ABANDON | ACT_DELETE_POD),
    },
    [JOB_RUNNING] = {
        [JOB_POD_RUNS] = GO(JOB_RUNNING, ACT_FOLLOW_LOG),
        [JOB_SPOKE] = GO(JOB_RUNNING, ACT_NONE),
        [JOB_RESULT] = GO(JOB_ENDING, ACT_REPORT_RESULT),
        [JOB_POD_OVER] = GO(JOB_ENDING, ACT_REPORT_RULING),
        [JOB_NEVER_BEGAN] = GO(JOB_ENDING, ACT_REPORT_RULING),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_CANCEL] = GO(JOB_RUNNING, ACT_ORDER_CANCEL),
        [JOB_ABORT] = GO(JOB_ENDING, ACT_ABANDON | ACT_DELETE_POD),
    },
    [JOB_RETRYING] = {
        [JOB_TRY_AGAIN] = GO(JOB_CREATING, ACT_CREATE_POD),
        [JOB_POD_DELETED] = GO(JOB_RETRYING, ACT_NONE),
        [JOB_POD_RUNS] = GO(JOB_RETRYING, ACT_NONE),
        [JOB_POD_OVER] = GO(JOB_RETRYING, ACT_NONE),
        [JOB_NEVER_BEGAN] = GO(JOB_RETRYING, ACT_NONE),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_REPORT_CAUSE),
        [JOB_CANCEL] = GO(JOB_ENDING, ACT_REPORT_CANCEL),
        [JOB_ABORT] = GO(JOB_ENDING, ACT_ABANDON),
    },
    [JOB_ENDING] = {
        /* A cancel may overtake the create: its pod must not stay. */
        [JOB_POD_CREATED] = GO(JOB_ENDING, ACT_DELETE_POD),
        [JOB_POD_REFUSED] = GO(JOB_ENDING, ACT_NONE),
        [JOB_POD_DELAYED] = GO(JOB_ENDING, ACT_NONE),
        [JOB_PLAN_STORED] = GO(JOB_ENDING, ACT_NONE),
        [JOB_PLAN_REFUSED] = GO(JOB_ENDING, ACT_NONE),
        [JOB_PLAN_DELAYED] = GO(JOB_ENDING, ACT_NONE),
        [JOB_POD_RUNS] = GO(JOB_ENDING, ACT_NONE),
        [JOB_SPOKE] = GO(JOB_ENDING, ACT_NONE),
        [JOB_NEVER_BEGAN] = GO(JOB_ENDING, ACT_NONE),
        [JOB_CANNOT_START] = GO(JOB_ENDING, ACT_NONE),
        [JOB_RESULT] = GO(JOB_ENDING, ACT_NONE),
        [JOB_POD_OVER] = GO(JOB_ENDING, ACT_NONE),
        [JOB_CANCEL] = GO(JOB_ENDING, ACT_NONE),
        [JOB_ABORT] = GO(JOB_ENDING, ACT_ABANDON | ACT_DELETE_POD),
        [JOB_POD_DELETED] = GO(JOB_ENDING, ACT_NONE),
        /* The log is needed until DataOps has taken all of it: the pod goes only now. */
        [JOB_REPORTED] = GO(JOB_CLEANING, ACT_DELETE_POD),
    },
    [JOB_CLEANING] = {
        [JOB_POD_CREATED] = GO(JOB_CLEANING, ACT_DELETE_POD),
        [JOB_POD_REFUSED] = GO(JOB_DONE, ACT_FORGET), /* there is no pod */
        [JOB_POD_DELAYED] = GO(JOB_DONE, ACT_FORGET),
        [JOB_PLAN_STORED] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_PLAN_REFUSED] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_PLAN_DELAYED] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_POD_RUNS] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_SPOKE] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_NEVER_BEGAN] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_CANNOT_START] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_RESULT] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_POD_OVER] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_CANCEL] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_ABORT] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_REPORTED] = GO(JOB_CLEANING, ACT_NONE),
        [JOB_POD_DELETED] = GO(JOB_DONE, ACT_FORGET),
    },
};

struct job_step_taken job_machine(enum job_state state, enum job_event event)
{
    const struct step *step = &table[state][event];

    if (!step->known)
        return (struct job_step_taken){ .known = false, .next = state, .actions = ACT_NONE };
    return (struct job_step_taken){ .known = true, .next = step->next, .actions = step->actions };
}

bool job_state_is_unsafe(enum job_state state)
{
    switch (state) {
    case JOB_ACCEPTING:
    case JOB_CREATING:
    case JOB_STORING:
    case JOB_RETRYING:
    case JOB_ENDING: /* our own last lines are not in the pod */
        return true;
    case JOB_STARTING:
    case JOB_RUNNING:
    case JOB_CLEANING:
    case JOB_DONE:
    case JOB_STATES:
        break;
    }
    return false;
}

const char *job_state_name(enum job_state state)
{
    static const char *const names[JOB_STATES] = { "accepting", "creating", "storing",  "starting", "running",
                                                   "retrying",  "ending",   "cleaning", "done" };
    return names[state];
}

const char *job_event_name(enum job_event event)
{
    static const char *const names[JOB_EVENTS] = {
        "accepted",     "adopted",      "refused",  "pod_created", "pod_refused", "pod_delayed",  "plan_stored",
        "plan_refused", "plan_delayed", "pod_runs", "spoke",       "never_began", "cannot_start", "result",
        "pod_over",     "cancel",       "abort",    "try_again",   "reported",    "pod_deleted",
    };
    return names[event];
}
