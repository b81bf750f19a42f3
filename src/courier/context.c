#include "context.h"

#include "job/plan.h"

#include <string.h>

const char *context_variable(const struct context *context, const char *key)
{
    const struct plan *plan = context->plan;
    for (size_t i = plan->environment_count; i > 0; i--)
        if (strcmp(plan->environment[i - 1].key, key) == 0)
            return plan->environment[i - 1].value;
    return NULL;
}
