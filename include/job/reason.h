/* Failure reasons: which one a cause is, and which of them DataOps knows (docs/reference/dataops.md, "Failure
 * reasons"). Pure. */
#ifndef JOB_REASON_H
#define JOB_REASON_H

#include "job/payload.h"

enum reason {
    REASON_NONE,
    REASON_SCRIPT,        /* script_failure */
    REASON_SYSTEM,        /* runner_system_failure */
    REASON_TIMEOUT,       /* job_execution_timeout */
    REASON_IMAGE_PULL,    /* image_pull_failure */
    REASON_CONFIGURATION, /* runner_configuration_error */
    REASON_DEPENDENCY,    /* runner_external_dependency_failure */
    REASON_INTERRUPTED,   /* runner_interrupted */
    REASON_UNKNOWN,       /* unknown_failure; canceled goes out as this */
};
/* "script_failure"; "" for none. */
const char *reason_name(enum reason reason);
int reason_parse(const char *name, enum reason *reason);
/* The name to send: mapped to one that is in the payload's features.failure_reasons or always known. supported: count
 * names. */
const char *reason_sent(enum reason reason, char *const *supported, size_t count);

#endif
