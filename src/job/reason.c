#include "job/reason.h"

#include <string.h>

static const char *const names[] = {
    [REASON_NONE] = "",
    [REASON_SCRIPT] = "script_failure",
    [REASON_SYSTEM] = "runner_system_failure",
    [REASON_TIMEOUT] = "job_execution_timeout",
    [REASON_IMAGE_PULL] = "image_pull_failure",
    [REASON_CONFIGURATION] = "runner_configuration_error",
    [REASON_DEPENDENCY] = "runner_external_dependency_failure",
    [REASON_INTERRUPTED] = "runner_interrupted",
    [REASON_UNKNOWN] = "unknown_failure",
};

const char *reason_name(enum reason reason)
{
    return (size_t)reason < COUNT_OF(names) ? names[reason] : names[REASON_UNKNOWN];
}

int reason_parse(const char *name, enum reason *reason)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *reason = (enum reason)i;
            return 0;
        }
    }
    return -1;
}

/* Known to every server, whether the payload lists them or not. */
static bool is_always_known(enum reason reason)
{
    return reason == REASON_SCRIPT || reason == REASON_SYSTEM || reason == REASON_TIMEOUT;
}

static bool is_listed(const char *name, char *const *supported, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(supported[i], name) == 0)
            return true;
    }
    return false;
}

const char *reason_sent(enum reason reason, char *const *supported, size_t count)
{
    if (reason == REASON_NONE)
        return names[REASON_SCRIPT];
    if (is_always_known(reason) || is_listed(reason_name(reason), supported, count))
        return reason_name(reason);
    if (reason == REASON_IMAGE_PULL || reason == REASON_DEPENDENCY)
        return names[REASON_SYSTEM];
    return reason == REASON_CONFIGURATION ? names[REASON_SCRIPT] : names[REASON_UNKNOWN];
}
