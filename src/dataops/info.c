/* What we tell DataOps about ourselves (docs/reference/dataops.md, "What a runner says about itself"). */
#include "call.h"

#include "text/json.h"

#include <string.h>

/* True only where the thing is there: DataOps hands a job to whoever claims that it can do it, and fails the job
 * otherwise. */
static const struct {
    const char *name;
    bool is_there;
} features[] = {
    { "variables", true },
    { "image", true },
    { "services", false },
    { "artifacts", true },
    { "cache", false },
    { "fallback_cache_keys", false },
    { "shared", false },
    { "upload_multiple_artifacts", true },
    { "upload_raw_artifacts", true },
    { "session", false },
    { "terminal", false },
    { "refspecs", true },
    { "masking", true },
    { "proxy", false },
    { "raw_variables", true },
    { "artifacts_exclude", true },
    { "multi_build_steps", false },
    { "trace_reset", true },
    { "trace_checksum", true },
    { "trace_size", true },
    { "vault_secrets", false },
    { "cancelable", true },
    { "cancel_gracefully", true },
    { "return_exit_code", true },
    { "service_variables", false },
    { "service_multiple_aliases", false },
    { "image_executor_opts", false },
    { "service_executor_opts", false },
    { "two_phase_job_commit", true },
    { "job_inputs", false },
    { "native_steps_integration", false },
};

static void set_filled(struct cJSON *object, const char *name, const char *text)
{
    if (text && *text)
        json_set_text(object, name, text);
}

struct cJSON *info_object(const struct dataops *dataops)
{
    struct cJSON *info = json_object();

    json_set_text(info, "name", "dataops-runner");
    set_filled(info, "version", dataops->version);
    set_filled(info, "revision", dataops->revision);
    json_set_text(info, "platform", "linux");
    json_set_text(info, "architecture", "amd64");
    set_filled(info, "executor", dataops->executor);
    set_filled(info, "shell", dataops->shell);
    struct cJSON *list = json_set_object(info, "features");
    for (size_t i = 0; i < COUNT_OF(features); i++)
        json_set_bool(list, features[i].name, features[i].is_there);
    json_set_text(json_set_object(info, "config"), "gpus", "");
    return info;
}

bool token_is_runner(const char *token)
{
    /* an instance may put a prefix of its own in front */
    return strncmp(token, "glrt-", 5) == 0 || strstr(token, "-glrt-") != NULL;
}
