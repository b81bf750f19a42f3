#include "job/verdict.h"

#include <stdio.h>

void verdict_set_cause(struct verdict *verdict, enum reason reason, int exit_code, const char *text)
{
    verdict->cause = reason;
    verdict->exit_code = exit_code;
    snprintf(verdict->text, sizeof(verdict->text), "%s", text);
}

int verdict_read(struct verdict *verdict, const char *text, size_t length, struct error *error)
{
    struct result result;

    if (result_parse(text, length, &result, error) < 0)
        return -1;
    verdict->result = result;
    verdict->has_result = true;
    return 0;
}

void verdict_drop_result(struct verdict *verdict)
{
    verdict->has_result = false;
}

bool verdict_is_success(const struct verdict *verdict)
{
    return verdict->has_result && verdict->result.outcome == OUTCOME_SUCCESS;
}

bool verdict_is_system(const struct verdict *verdict)
{
    return verdict->cause != REASON_SCRIPT && verdict->cause != REASON_TIMEOUT;
}

enum reason verdict_reason(const struct verdict *verdict)
{
    if (!verdict->has_result)
        return verdict->cause;
    if (verdict->result.reason == REASON_NONE && verdict->result.outcome == OUTCOME_INTERRUPTED)
        return REASON_INTERRUPTED;
    if (verdict->result.reason == REASON_NONE && verdict->result.outcome == OUTCOME_NEVER_BEGAN)
        return REASON_SYSTEM;
    return verdict->result.reason;
}

int verdict_exit_code(const struct verdict *verdict)
{
    return verdict->has_result ? verdict->result.exit_code : verdict->exit_code;
}

char *verdict_line(const struct verdict *verdict)
{
    return mem_format("ERROR: Job failed%s: %s", verdict_is_system(verdict) ? " (system failure)" : "", verdict->text);
}
