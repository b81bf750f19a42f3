#include "job/plan.h"

#include "plan_settings.h"
#include "read.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

static void read_job(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    const struct cJSON *job = read_object(read, tree, "job");

    read_at(read, "job", -1);
    plan->job_id = (uint64_t)read_int(read, job, "id", 0, 1);
    if (plan->job_id == 0)
        read_refuse(read, "id", "is missing");
    plan->job_name = read_text_or(read, job, "name", "");
    plan->job_stage = read_text_or(read, job, "stage", "");
    plan->project_id = (uint64_t)read_int(read, job, "project_id", 0, 0);
    plan->job_token = read_text_needed(read, job, "token");
}

static void read_places(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_at(read, "", -1);
    const struct cJSON *server = read_object(read, tree, "server"), *runner = read_object(read, tree, "runner");
    const struct cJSON *pod = read_object(read, tree, "pod");

    read_at(read, "server", -1);
    plan->server_url = read_text_or(read, server, "url", "");
    plan->api_root = read_text_needed(read, server, "api");
    plan->ca_pem = read_text(read, server, "ca");
    plan->cert_pem = read_text(read, server, "cert");
    plan->key_pem = read_text(read, server, "key");
    read_at(read, "runner", -1);
    plan->runner_name = read_text_or(read, runner, "name", "");
    plan->short_token = read_text_or(read, runner, "short_token", "");
    plan->system_id = read_text_or(read, runner, "system_id", "");
    plan->version = read_text_or(read, runner, "version", "");
    plan->revision = read_text_or(read, runner, "revision", "");
    read_at(read, "pod", -1);
    plan->pod_name = read_text_or(read, pod, "name", "");
    plan->ns = read_text_or(read, pod, "namespace", "");
    plan->image = read_text_or(read, pod, "image", "");
    plan->attempt = (unsigned)read_int(read, pod, "attempt", 1, 0);
}

static void read_limits(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_at(read, "", -1);
    plan->shell = read_text_or(read, tree, "shell", "bash");
    plan->project_dir = read_text_needed(read, tree, "project_dir");
    plan->tmp_dir = read_text_needed(read, tree, "tmp_dir");
    plan->builds_dir = read_text_needed(read, tree, "builds_dir");
    plan->timeout_s = read_int(read, tree, "timeout_s", 7200, 1);
    plan->script_timeout_s = read_int(read, tree, "script_timeout_s", 0, 0);
    plan->after_script_timeout_s = read_int(read, tree, "after_script_timeout_s", 300, 1);
    plan->after_script_ignore_errors = read_bool(read, tree, "after_script_ignore_errors", true);
    plan->output_limit_bytes = (uint64_t)read_int(read, tree, "output_limit_bytes", 4 * MIB, 0);
    plan->trace_sections = read_bool(read, tree, "trace_sections", false);
    plan->timestamps = read_bool(read, tree, "timestamps", false);
    plan->download_attempts = (unsigned)read_int(read, tree, "download_attempts", 1, 1);
    plan->direct_download = read_bool(read, tree, "direct_download", true);

    const struct cJSON *mask = read_object(read, tree, "mask");
    read_at(read, "mask", -1);
    plan->mask_values = read_texts(read, mask, "values", &plan->mask_value_count);
    plan->mask_prefixes = read_texts(read, mask, "prefixes", &plan->mask_prefix_count);
    plan->mask_folders = read_texts(read, mask, "folders", &plan->mask_folder_count);
}

static void read_ceilings(struct read *read, const struct cJSON *tree, struct plan_limits *limits)
{
    const struct plan_limits otherwise = PLAN_LIMITS_DEFAULT;

    read_at(read, "", -1);
    const struct cJSON *object = read_object(read, tree, "artifact_limits");
    read_at(read, "artifact_limits", -1);
    limits->upload_bytes = read_int(read, object, "upload_bytes", otherwise.upload_bytes, 1);
    limits->download_bytes = read_int(read, object, "download_bytes", otherwise.download_bytes, 1);
    limits->unpacked_bytes = read_int(read, object, "unpacked_bytes", otherwise.unpacked_bytes, 1);
    limits->memory_bytes = read_int(read, object, "memory_bytes", otherwise.memory_bytes, 1);
    limits->entries = read_int(read, object, "entries", otherwise.entries, 1);
    limits->ratio = read_int(read, object, "ratio", otherwise.ratio, 1);
}

static void read_git(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_at(read, "", -1);
    const struct cJSON *git = read_object(read, tree, "git"), *hooks = read_object(read, tree, "hooks");

    read_at(read, "git", -1);
    plan->git_url = read_text_or(read, git, "url", "");
    plan->ref = read_text_or(read, git, "ref", "");
    plan->sha = read_text_or(read, git, "sha", "");
    plan->object_format = read_text_or(read, git, "object_format", "sha1");
    plan->depth = read_int(read, git, "depth", 0, 0);
    plan->refspecs = read_texts(read, git, "refspecs", &plan->refspec_count);
    plan->clean_flags = read_texts(read, git, "clean_flags", &plan->clean_flag_count);
    plan->fetch_flags = read_texts(read, git, "fetch_flags", &plan->fetch_flag_count);
    plan->checkout = read_bool(read, git, "checkout", true);
    plan->lfs = read_bool(read, git, "lfs", true);
    plan->get_sources_attempts = (unsigned)read_int(read, git, "attempts", 1, 1);
    OWNED_TEXT char *strategy = read_text_or(read, git, "strategy", "");
    if (plan_strategy_parse(strategy, &plan->strategy) < 0)
        read_refuse(read, "strategy", "is none that is known");
    read_at(read, "hooks", -1);
    plan->pre_get_sources = read_texts(read, hooks, "pre_get_sources", &plan->pre_get_sources_count);
    plan->post_get_sources = read_texts(read, hooks, "post_get_sources", &plan->post_get_sources_count);
}

/* Gives a list of [key, value]. */
static struct plan_pair *read_pairs(struct read *read, const struct cJSON *tree, const char *name, size_t *count)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, name);
    struct plan_pair *pairs = mem_new_array(json_count(array), sizeof(*pairs));

    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item)) {
        const char *key = json_item_text(json_first(item));
        const char *value = key ? json_item_text(json_next(json_first(item))) : NULL;
        if (!value || !*key) {
            read_refuse(read, name, "a list of pairs is expected");
            return pairs;
        }
        pairs[(*count)++] = (struct plan_pair){ mem_text(key), mem_text(value) };
    }
    return pairs;
}

static void read_steps(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "steps");

    plan->steps = mem_new_array(json_count(array), sizeof(*plan->steps));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "steps", index, item))
            continue;
        struct job_step *step = &plan->steps[plan->step_count++];
        step->name = read_text_needed(read, item, "name");
        step->lines = read_texts(read, item, "lines", &step->line_count);
    }
}

static void read_artifacts(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "artifacts");

    plan->artifacts = mem_new_array(json_count(array), sizeof(*plan->artifacts));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "artifacts", index, item))
            continue;
        struct plan_artifact *artifact = &plan->artifacts[plan->artifact_count++];
        artifact->name = read_text_or(read, item, "name", "");
        artifact->paths = read_texts(read, item, "paths", &artifact->path_count);
        artifact->excludes = read_texts(read, item, "exclude", &artifact->exclude_count);
        artifact->untracked = read_bool(read, item, "untracked", false);
        artifact->when = read_text_or(read, item, "when", "on_success");
        artifact->expire_in = read_text_or(read, item, "expire_in", "");
        artifact->type = read_text_or(read, item, "type", "archive");
        artifact->format = read_text_or(read, item, "format", "zip");
        artifact->level = read_text_or(read, item, "level", "default");
    }
}

static void read_dependencies(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "dependencies");

    plan->dependencies = mem_new_array(json_count(array), sizeof(*plan->dependencies));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "dependencies", index, item))
            continue;
        struct job_dependency *dependency = &plan->dependencies[plan->dependency_count++];
        dependency->id = (uint64_t)read_int(read, item, "id", 0, 1);
        dependency->name = read_text_or(read, item, "name", "");
        dependency->token = read_text_needed(read, item, "token");
        dependency->filename = read_text_or(read, item, "filename", "artifacts.zip");
    }
}

static void read_plan(struct read *read, const struct cJSON *tree, struct plan *plan)
{
    read_job(read, tree, plan);
    read_places(read, tree, plan);
    read_limits(read, tree, plan);
    read_ceilings(read, tree, &plan->limits);
    read_git(read, tree, plan);
    plan->environment = read_pairs(read, tree, "environment", &plan->environment_count);
    plan->files = read_pairs(read, tree, "files", &plan->file_count);
    read_steps(read, tree, plan);
    read_artifacts(read, tree, plan);
    read_dependencies(read, tree, plan);
}

struct plan *plan_parse(const char *text, size_t length, struct error *error)
{
    struct read read = { .error = error };

    if (length > PLAN_MOST) {
        error_set(error, BLAME_INPUT, 0, "plan: %zu bytes are more than the %u that are allowed", length, PLAN_MOST);
        return NULL;
    }
    OWNED_JSON struct cJSON *tree = json_parse(text, length, error);
    if (!tree) {
        error_within(error, "plan");
        return NULL;
    }
    int64_t version = json_int(tree, "version", 0);
    if (version != PLAN_VERSION) {
        error_set(error, BLAME_INPUT, 0, "plan: version %" PRId64 ", this program reads %d", version, PLAN_VERSION);
        return NULL;
    }
    struct plan *plan = mem_new(sizeof(*plan));
    read_plan(&read, tree, plan);
    if (!read.failed)
        return plan;
    plan_free(plan);
    error_within(error, "plan");
    return NULL;
}

const struct job_step *plan_step(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        if (plan->steps[i].line_count > 0 && strcmp(plan->steps[i].name, name) == 0)
            return &plan->steps[i];
    }
    return NULL;
}

static void free_pairs(struct plan_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(pairs[i].key);
        mem_free(pairs[i].value);
    }
    mem_free(pairs);
}

static void free_records(struct plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        mem_free(plan->steps[i].name);
        texts_free(plan->steps[i].lines, plan->steps[i].line_count);
    }
    for (size_t i = 0; i < plan->artifact_count; i++) {
        struct plan_artifact *artifact = &plan->artifacts[i];
        char *texts[] = { artifact->name, artifact->when,   artifact->expire_in,
                          artifact->type, artifact->format, artifact->level };
        for (size_t j = 0; j < COUNT_OF(texts); j++)
            mem_free(texts[j]);
        texts_free(artifact->paths, artifact->path_count);
        texts_free(artifact->excludes, artifact->exclude_count);
    }
    for (size_t i = 0; i < plan->dependency_count; i++) {
        mem_free(plan->dependencies[i].name);
        mem_free(plan->dependencies[i].token);
        mem_free(plan->dependencies[i].filename);
    }
    mem_free(plan->steps);
    mem_free(plan->artifacts);
    mem_free(plan->dependencies);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    char *texts[] = { plan->job_name,  plan->job_stage, plan->job_token,   plan->server_url,   plan->api_root,
                      plan->ca_pem,    plan->cert_pem,  plan->key_pem,     plan->runner_name,  plan->short_token,
                      plan->system_id, plan->version,   plan->revision,    plan->pod_name,     plan->ns,
                      plan->image,     plan->shell,     plan->project_dir, plan->tmp_dir,      plan->builds_dir,
                      plan->git_url,   plan->ref,       plan->sha,         plan->object_format };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        mem_free(texts[i]);
    texts_free(plan->mask_values, plan->mask_value_count);
    texts_free(plan->mask_prefixes, plan->mask_prefix_count);
    texts_free(plan->mask_folders, plan->mask_folder_count);
    texts_free(plan->refspecs, plan->refspec_count);
    texts_free(plan->clean_flags, plan->clean_flag_count);
    texts_free(plan->fetch_flags, plan->fetch_flag_count);
    texts_free(plan->pre_get_sources, plan->pre_get_sources_count);
    texts_free(plan->post_get_sources, plan->post_get_sources_count);
    free_pairs(plan->environment, plan->environment_count);
    free_pairs(plan->files, plan->file_count);
    free_records(plan);
    mem_free(plan);
}
