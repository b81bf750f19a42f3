#include "job/payload.h"

#include "payload.h"
#include "text/duration.h"
#include "text/json.h"

#include <limits.h>
#include <string.h>

#define TIMEOUT_S      7200         /* the stock runner's, when the payload has none */
#define TIMEOUT_MOST_S (30 * 86400) /* what activeDeadlineSeconds and our timers take without thought */
#define KEY_MOST       1024u
#define TOKEN_MOST     8192u

bool payload_is_token(const char *text)
{
    size_t length = 0;

    for (; text[length]; length++) {
        if (text[length] <= ' ' || text[length] > '~' || length >= TOKEN_MOST)
            return false;
    }
    return length > 0;
}

static void read_identity(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    job->id = (uint64_t)read_int(read, tree, "id", 0, 1);
    if (job->id == 0)
        read_refuse(read, "id", "is missing");
    job->token = read_text_needed(read, tree, "token");
    if (!read->failed && !payload_is_token(job->token))
        read_refuse(read, "token", "holds what no token can hold");
    job->allow_git_fetch = read_bool(read, tree, "allow_git_fetch", false);

    const struct cJSON *info = read_object(read, tree, "job_info");
    read_at(read, "job_info", -1);
    job->name = read_text_or(read, info, "name", "");
    job->stage = read_text_or(read, info, "stage", "");
    job->project_name = read_text_or(read, info, "project_name", "");
    job->project_full_path = read_text_or(read, info, "project_full_path", "");
    job->project_id = (uint64_t)read_int(read, info, "project_id", 0, 0);
    job->pipeline_id = (uint64_t)read_int(read, info, "pipeline_id", 0, 0);
}

static void read_timeout(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *info = read_object(read, tree, "runner_info");
    read_at(read, "runner_info", -1);
    int64_t timeout_s = read_int(read, info, "timeout", 0, INT64_MIN);
    job->timeout_s = timeout_s <= 0 ? TIMEOUT_S : timeout_s < TIMEOUT_MOST_S ? timeout_s : TIMEOUT_MOST_S;
}

/* A key becomes the part before "=" of an environment entry, and for a file the last part of a path. */
static void check_key(struct read *read, const struct job_variable *variable)
{
    const char *key = variable->key;

    if (strlen(key) > KEY_MOST)
        read_refuse(read, "key", "is too long");
    if (variable->file && (*key == '.' || strchr(key, '/')))
        read_refuse(read, "key", "cannot be the name of a file");
    for (; *key; key++) {
        if (*key == '=' || (unsigned char)*key < ' ' || *key == 0x7F)
            read_refuse(read, "key", "holds = or a control character");
    }
}

static void read_variables(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "variables");

    job->variables = mem_new_array(json_count(array), sizeof(*job->variables));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "variables", index, item))
            continue;
        struct job_variable *variable = &job->variables[job->variable_count++];
        variable->key = read_text_needed(read, item, "key");
        variable->value = read_text_or(read, item, "value", "");
        variable->is_public = read_bool(read, item, "public", false);
        variable->masked = read_bool(read, item, "masked", false);
        variable->file = read_bool(read, item, "file", false);
        variable->raw = read_bool(read, item, "raw", false);
        check_key(read, variable);
    }
}

static void read_steps(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "steps");

    job->steps = mem_new_array(json_count(array), sizeof(*job->steps));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "steps", index, item))
            continue;
        struct job_step *step = &job->steps[job->step_count++];
        step->name = read_text_needed(read, item, "name");
        step->lines = read_texts(read, item, "script", &step->line_count);
    }
}

static void read_hooks(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "hooks");

    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "hooks", index, item))
            continue;
        OWNED_TEXT char *name = read_text_or(read, item, "name", "");
        if (strcmp(name, "pre_get_sources_script") == 0 && !job->pre_get_sources)
            job->pre_get_sources = read_texts(read, item, "script", &job->pre_get_sources_count);
        else if (strcmp(name, "post_get_sources_script") == 0 && !job->post_get_sources)
            job->post_get_sources = read_texts(read, item, "script", &job->post_get_sources_count);
    }
}

static void read_features(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *features = read_object(read, tree, "features");

    read_at(read, "features", -1);
    job->trace_sections = read_bool(read, features, "trace_sections", false);
    job->failure_reasons = read_texts(read, features, "failure_reasons", &job->failure_reason_count);
    job->mask_prefixes = read_texts(read, features, "token_mask_prefixes", &job->mask_prefix_count);
}

/* A job that would run nothing must not come out as a success. */
static void check_has_script(struct read *read, const struct job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        if (strcmp(job->steps[i].name, "script") == 0)
            return;
    }
    read_at(read, "", -1);
    if (!job->unsupported)
        read_refuse(read, "steps", "there is no step named script");
}

static struct job *read_job(const struct cJSON *tree, struct error *error)
{
    struct read read = { .error = error };
    struct job *job = mem_new(sizeof(*job));

    read_identity(&read, tree, job);
    payload_read_git(&read, tree, job);
    read_timeout(&read, tree, job);
    read_variables(&read, tree, job);
    read_steps(&read, tree, job);
    read_at(&read, "", -1);
    const struct cJSON *image = read_object(&read, tree, "image");
    read_at(&read, "image", -1);
    payload_read_image(&read, image, &job->image);
    payload_read_transfers(&read, tree, job);
    read_hooks(&read, tree, job);
    read_features(&read, tree, job);
    payload_read_unsupported(&read, tree, job);
    check_has_script(&read, job);
    if (!read.failed)
        return job;
    job_free(job);
    error_within(error, "job payload");
    return NULL;
}

struct job *job_parse(const char *text, size_t length, uint64_t *id, char **token, struct error *error)
{
    struct job *job = NULL;

    *id = 0;
    *token = NULL;
    if (length > JOB_PAYLOAD_MOST) {
        error_set(error, BLAME_INPUT, 0, "job payload: %zu bytes are more than the %u that are allowed", length,
                  JOB_PAYLOAD_MOST);
        job_peek(text, length, id, token);
        return NULL;
    }
    OWNED_JSON struct cJSON *tree = json_parse(length > 0 ? text : "", length, error);
    if (tree && json_is_object(tree))
        job = read_job(tree, error);
    else if (tree)
        error_set(error, BLAME_INPUT, 0, "job payload: an object is expected");
    else
        error_within(error, "job payload");
    if (!job)
        job_peek(text, length, id, token);
    return job;
}

const char *job_variable(const struct job *job, const char *key)
{
    for (size_t i = job->variable_count; i > 0; i--) {
        if (strcmp(job->variables[i - 1].key, key) == 0)
            return job->variables[i - 1].value;
    }
    return NULL;
}

bool job_traces_its_shell(const struct job *job)
{
    const char *wish = job_variable(job, "CI_DEBUG_TRACE");
    bool value = false;

    return wish && boolean_parse(wish, &value) == 0 && value;
}

static void free_lists(struct job *job)
{
    for (size_t i = 0; i < job->variable_count; i++) {
        mem_free(job->variables[i].key);
        mem_free(job->variables[i].value);
    }
    for (size_t i = 0; i < job->step_count; i++) {
        mem_free(job->steps[i].name);
        texts_free(job->steps[i].lines, job->steps[i].line_count);
    }
    for (size_t i = 0; i < job->artifact_count; i++) {
        struct job_artifact *artifact = &job->artifacts[i];
        mem_free(artifact->name);
        mem_free(artifact->when);
        mem_free(artifact->expire_in);
        mem_free(artifact->type);
        mem_free(artifact->format);
        texts_free(artifact->paths, artifact->path_count);
        texts_free(artifact->excludes, artifact->exclude_count);
    }
    for (size_t i = 0; i < job->dependency_count; i++) {
        mem_free(job->dependencies[i].name);
        mem_free(job->dependencies[i].token);
        mem_free(job->dependencies[i].filename);
    }
    for (size_t i = 0; i < job->credential_count; i++) {
        mem_free(job->credentials[i].url);
        mem_free(job->credentials[i].username);
        mem_free(job->credentials[i].password);
    }
    mem_free(job->variables);
    mem_free(job->steps);
    mem_free(job->artifacts);
    mem_free(job->dependencies);
    mem_free(job->credentials);
}

void job_free(struct job *job)
{
    if (!job)
        return;
    free_lists(job);
    char *texts[] = { job->token,      job->name,       job->stage,         job->project_name,
                      job->repo_url,   job->ref,        job->ref_type,      job->project_full_path,
                      job->sha,        job->before_sha, job->object_format, job->image.name,
                      job->image.user, job->unsupported };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        mem_free(texts[i]);
    texts_free(job->refspecs, job->refspec_count);
    texts_free(job->image.entrypoint, job->image.entrypoint_count);
    texts_free(job->image.pull_policies, job->image.pull_policy_count);
    texts_free(job->pre_get_sources, job->pre_get_sources_count);
    texts_free(job->post_get_sources, job->post_get_sources_count);
    texts_free(job->failure_reasons, job->failure_reason_count);
    texts_free(job->mask_prefixes, job->mask_prefix_count);
    mem_free(job);
}
