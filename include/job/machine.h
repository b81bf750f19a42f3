/* The life of a job, as a table: which event leads from which state to which, and what is to be done (docs/design.md
 * sections 1 to 3). Pure: the controller does the actions (controller/run.c and what it conducts). */
#ifndef JOB_MACHINE_H
#define JOB_MACHINE_H

#include <stdbool.h>

enum job_state {
    JOB_ACCEPTING, /* DataOps was told "running"; nothing exists yet */
    JOB_CREATING,  /* the create of the pod is under way */
    JOB_STORING,   /* the pod exists, its plan is being stored */
    JOB_STARTING,  /* safe: the plan is stored; courier has not spoken yet */
    JOB_RUNNING,   /* courier speaks */
    JOB_RETRYING,  /* this attempt came to nothing; the next one waits */
    JOB_ENDING,    /* the verdict is known; log and report are on their way */
    JOB_CLEANING,  /* reported; the pod is being deleted */
    JOB_DONE,
    JOB_STATES,
};
enum job_event {
    JOB_ACCEPTED, /* DataOps took "running" */
    JOB_ADOPTED,  /* an earlier controller's pod was found: whether its plan was stored is being asked */
    JOB_REFUSED,  /* DataOps does not want it any more: nothing may run */
    JOB_POD_CREATED,
    JOB_POD_REFUSED, /* final: the cause is known */
    JOB_POD_DELAYED, /* quota or a dying pod of the same name: later */
    JOB_PLAN_STORED,
    JOB_PLAN_REFUSED,
    JOB_PLAN_DELAYED,
    JOB_POD_RUNS,     /* courier's container is running: its log can be opened */
    JOB_SPOKE,        /* first committed record */
    JOB_NEVER_BEGAN,  /* nothing of the job ran, another attempt is allowed */
    JOB_CANNOT_START, /* nothing of the job ran and none will: image, deadline, attempts used up */
    JOB_RESULT,       /* a valid end record, from the log or the termination message */
    JOB_POD_OVER,     /* the pod ended or vanished, no end record in time */
    JOB_CANCEL,       /* graceful cancel */
    JOB_ABORT,        /* stop everything, DataOps knows the end */
    JOB_TRY_AGAIN,    /* the wait between two attempts is over */
    JOB_REPORTED,
    JOB_POD_DELETED,
    JOB_EVENTS,
};
enum job_action {
    ACT_NONE = 0,
    ACT_CREATE_POD = 1 << 0,
    ACT_STORE_PLAN = 1 << 1,
    ACT_AWAIT_START = 1 << 2, /* start deadline, waiting lines */
    ACT_FOLLOW_LOG = 1 << 3,
    ACT_ORDER_CANCEL = 1 << 4,  /* the annotation */
    ACT_RETRY = 1 << 5,         /* next attempt, after a wait */
    ACT_RETRY_SAME = 1 << 6,    /* the same attempt again, after a wait */
    ACT_REPORT_RESULT = 1 << 7, /* what the end record says */
    ACT_REPORT_RULING = 1 << 8, /* what the pod's status says */
    ACT_REPORT_CAUSE = 1 << 9,  /* the cause that came with the event */
    ACT_REPORT_CANCEL = 1 << 10,
    ACT_ABANDON = 1 << 11, /* send nothing more */
    ACT_DELETE_POD = 1 << 12,
    ACT_FORGET = 1 << 13, /* the run is over: free it at the end of the turn */
};
struct job_step_taken {
    bool known; /* false: this pair is not in the table, a bug: log both names, stay */
    enum job_state next;
    unsigned actions;
};
struct job_step_taken job_machine(enum job_state state, enum job_event event);
/* Something of the job exists only in the process that runs it: ending now would lose it. */
bool job_state_is_unsafe(enum job_state state);
const char *job_state_name(enum job_state state);
const char *job_event_name(enum job_event event);

#endif
