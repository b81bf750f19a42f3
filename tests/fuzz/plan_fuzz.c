/* Any bytes as the plan or as an end record. */
#include "job/plan.h"
#include "job/result.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct error error;
    struct result result, again;
    struct plan *plan = plan_parse((const char *)bytes, length, &error);

    if (plan)
        plan_step(plan, "script");
    plan_free(plan);
    if (result_parse((const char *)bytes, length, &result, &error) == 0) {
        struct strbuf out = STRBUF_EMPTY;
        result_print(&result, &out);
        if (out.length > 1024 || result_parse(out.bytes, out.length, &again, &error) < 0)
            abort();
        strbuf_clear(&out);
    }
    return 0;
}
