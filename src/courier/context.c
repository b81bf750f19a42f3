#include "context.h"

#include "io/child.h"
#include "job/plan.h"

#include <string.h>

#define CHILD_OOM_SCORE 500

void context_unprivilege(const struct context *context, struct child_start *start)
{
    start->no_capabilities = true;
    start->oom_score_adj = CHILD_OOM_SCORE;
    start->change_user = context->is_root && context->user_known;
    start->uid = context->uid;
    start->gid = context->gid;
}

const char *context_variable(const struct context *context, const char *key)
{
    const struct plan *plan = context->plan;
    for (size_t i = plan->environment_count; i > 0; i--)
        if (strcmp(plan->environment[i - 1].key, key) == 0)
            return plan->environment[i - 1].value;
    return NULL;
}
