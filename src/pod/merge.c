#include "pod/render.h"

int pod_merge(const struct pod_merge_input *input, struct job_facts *facts, struct variables *variables,
              struct error *error)
{
    const struct config_runner *runner = input->runner;
    const struct job_facts_input asked = {
        .job = input->job,
        .builds_dir = runner->builds_dir,
        .server_url = runner->url,
        .short_token = input->short_token,
        .runner_name = runner->name,
        .runner_id = (uint64_t)runner->id,
        .version = input->version,
        .revision = input->revision,
        .ca_pem = input->ca_pem,
        .runner_environment = (const char *const *)runner->environment.items,
    };

    if (job_facts_find(&asked, facts, error) < 0)
        return -1;
    char **flags = config_runner_flags(runner);
    const struct variables_input merged = {
        .job = input->job,
        .facts = facts,
        .runner_environment = (const char *const *)runner->environment.items,
        .runner_flags = (const char *const *)flags,
        .image = input->job->image.name,
        .files_dir = "/.dataops/files",
    };
    variables_merge(&merged, variables);
    config_free_flags(flags);
    return variables_check(variables, error);
}
