/* Any bytes as the answer of POST /jobs/request, and what follows from a payload that was taken: variables, plan,
 * scripts. */
#include "job/payload.h"

#include "job/plan.h"
#include "job/script.h"
#include "job/variables.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void follow(const struct job *job)
{
    const struct job_facts_input asked = { .job = job, .builds_dir = "/builds", .server_url = "https://h/g" };
    struct job_facts facts;
    const struct plan_settings settings = { .api_root = "https://h/api/v4", .facts = &facts };
    struct variables_input input = { .job = job, .facts = &facts, .image = "i", .files_dir = "/f" };
    struct strbuf out = STRBUF_EMPTY;
    struct variables variables;
    struct error error;

    if (job_facts_find(&asked, &facts, &error) < 0) {
        job_facts_clear(&facts);
        return;
    }
    variables_merge(&input, &variables);
    int fits = variables_check(&variables, &error);
    if (fits == 0 && plan_render(job, &variables, &settings, &out, &error) == 0) {
        struct plan *plan = plan_parse(out.bytes, out.length, &error);
        if (!plan)
            abort(); /* what we wrote ourselves is readable */
        plan_free(plan);
    }
    for (size_t i = 0; i < job->step_count; i++)
        script_render(&job->steps[i], 5, &out);
    strbuf_clear(&out);
    variables_clear(&variables);
    job_facts_clear(&facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct error error;
    uint64_t id;
    char *token;
    struct job *job = job_parse((const char *)bytes, length, &id, &token, &error);

    if (job)
        follow(job);
    job_free(job);
    mem_free(token);
    return 0;
}
