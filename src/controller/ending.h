/* How a job's trace ends, once its verdict is known: what the controller's last lines say, and whether the rest of
 * courier's log is waited for. */
#ifndef CONTROLLER_ENDING_H
#define CONTROLLER_ENDING_H

#include "job/verdict.h"

struct joblog;
struct pod_status;
struct sealed_job;

struct ending {
    const struct sealed_job *job;
    struct joblog *log;
    struct verdict *verdict; /* kept by the log */
};
/* Sets why the job fails; foreign words in it are masked. */
void ending_set_cause(const struct ending *ending, enum reason reason, int exit_code, const char *text);
/* Courier's end record says it all: its log is sent to the end. */
void ending_by_result(const struct ending *ending);
/* There is no end record: the pod's status decides, and never for success. */
void ending_by_status(const struct ending *ending, const struct pod_status *status);
/* The cause that was set decides, whatever an end record says. */
void ending_by_cause(const struct ending *ending);
/* DataOps canceled the job, and nothing of it is waited for. */
void ending_by_cancel(const struct ending *ending);
/* DataOps wants to hear nothing more of the job. */
void ending_abandon(const struct ending *ending);

#endif
