/* The blocks of a payload that describe image, sources and transfers. */
#include "payload.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

static bool is_among(const char *name, const char *const *known)
{
    for (; *known; known++) {
        if (strcmp(name, *known) == 0)
            return true;
    }
    return false;
}

/* Fails about a key with the exit code that goes with it. */
static void fail_key(struct read *read, const char *path, const char *key)
{
    if (read->failed)
        return;
    read->failed = true;
    error_set(read->error, BLAME_INPUT, PAYLOAD_EXIT_CODE, "%s.%s: unknown key %s", read->where, path, key);
}

static void check_keys(struct read *read, const char *path, const struct cJSON *object, const char *const *known)
{
    for (const struct cJSON *item = json_first(object); item; item = json_next(item)) {
        const char *key = json_item_name(item);
        if (key && !is_among(key, known))
            fail_key(read, path, key);
    }
}

void payload_read_executor_opts(struct read *read, const struct cJSON *object, char **user)
{
    static const char *const executors[] = { "docker", "kubernetes", NULL };
    static const char *const docker_keys[] = { "platform", "user", NULL };
    static const char *const kubernetes_keys[] = { "user", NULL };
    const struct cJSON *options = read_object(read, object, "executor_opts");

    check_keys(read, "executor_opts", options, executors);
    check_keys(read, "executor_opts.docker", read_object(read, options, "docker"), docker_keys);
    const struct cJSON *kubernetes = read_object(read, options, "kubernetes");
    check_keys(read, "executor_opts.kubernetes", kubernetes, kubernetes_keys);
    const struct cJSON *item = json_get(kubernetes, "user");
    if (json_is_number(item)) {
        int64_t uid = read_int(read, kubernetes, "user", 0, 0);
        *user = mem_format("%" PRId64, uid);
    } else {
        *user = read_text(read, kubernetes, "user");
    }
}

void payload_read_image(struct read *read, const struct cJSON *image, struct job_image *given)
{
    given->name = read_text_or(read, image, "name", "");
    given->entrypoint = read_texts(read, image, "entrypoint", &given->entrypoint_count);
    given->pull_policies = read_texts(read, image, "pull_policy", &given->pull_policy_count);
    payload_read_executor_opts(read, image, &given->user);
}

static bool is_hash(const char *text)
{
    size_t length = strspn(text, "0123456789abcdef");

    return text[length] == '\0' && (length == 40 || length == 64);
}

/* What ends up in the command line of git must not be able to be an option. */
static void check_git(struct read *read, const struct job *job)
{
    if (read->failed)
        return;
    if (*job->sha && !is_hash(job->sha))
        read_refuse(read, "sha", "is no commit hash");
    if (*job->ref == '-')
        read_refuse(read, "ref", "begins with -");
    if (*job->object_format && strcmp(job->object_format, "sha1") != 0 && strcmp(job->object_format, "sha256") != 0)
        read_refuse(read, "repo_object_format", "is neither sha1 nor sha256");
    for (size_t i = 0; i < job->refspec_count; i++) {
        if (job->refspecs[i][0] == '-' || job->refspecs[i][0] == '\0')
            read_refuse(read, "refspecs", "one is empty or begins with -");
    }
}

void payload_read_git(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *git = read_object(read, tree, "git_info");

    read_at(read, "git_info", -1);
    job->repo_url = read_text_or(read, git, "repo_url", "");
    job->ref = read_text_or(read, git, "ref", "");
    job->ref_type = read_text_or(read, git, "ref_type", "");
    job->sha = read_text_or(read, git, "sha", "");
    job->before_sha = read_text_or(read, git, "before_sha", "");
    job->object_format = read_text_or(read, git, "repo_object_format", "");
    job->depth = read_int(read, git, "depth", 0, INT64_MIN);
    if (job->depth < 0)
        job->depth = 0;
    job->refspecs = read_texts(read, git, "refspecs", &job->refspec_count);
    check_git(read, job);
}

static void read_artifacts(struct read *read, const struct cJSON *tree, struct job *job)
{
    static const char *const whens[] = { "on_success", "on_failure", "always", NULL };

    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "artifacts");
    job->artifacts = mem_new_array(json_count(array), sizeof(*job->artifacts));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "artifacts", index, item))
            continue;
        struct job_artifact *artifact = &job->artifacts[job->artifact_count++];
        artifact->name = read_text_or(read, item, "name", "");
        artifact->when = read_text_or(read, item, "when", "on_success");
        artifact->expire_in = read_text_or(read, item, "expire_in", "");
        artifact->type = read_text_or(read, item, "artifact_type", "archive");
        artifact->format = read_text_or(read, item, "artifact_format", "zip");
        artifact->untracked = read_bool(read, item, "untracked", false);
        artifact->paths = read_texts(read, item, "paths", &artifact->path_count);
        artifact->excludes = read_texts(read, item, "exclude", &artifact->exclude_count);
        if (!read->failed && !is_among(artifact->when, whens))
            read_refuse(read, "when", "is none of on_success, on_failure, always");
    }
}

static void read_dependencies(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "dependencies");

    job->dependencies = mem_new_array(json_count(array), sizeof(*job->dependencies));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "dependencies", index, item))
            continue;
        struct job_dependency *dependency = &job->dependencies[job->dependency_count++];
        dependency->id = (uint64_t)read_int(read, item, "id", 0, 1);
        dependency->name = read_text_or(read, item, "name", "");
        dependency->token = read_text_or(read, item, "token", "");
        dependency->filename = read_text_or(read, read_object(read, item, "artifacts_file"), "filename", "");
        if (!read->failed && *dependency->filename && (dependency->id == 0 || !payload_is_token(dependency->token)))
            read_refuse(read, "token", "an artifact to download needs an id and a token");
    }
}

static void read_credentials(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "credentials");

    job->credentials = mem_new_array(json_count(array), sizeof(*job->credentials));
    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "credentials", index, item))
            continue;
        OWNED_TEXT char *type = read_text_or(read, item, "type", "");
        if (strcmp(type, "registry") != 0)
            continue;
        struct job_credential *credential = &job->credentials[job->credential_count++];
        credential->url = read_text_or(read, item, "url", "");
        credential->username = read_text_or(read, item, "username", "");
        credential->password = read_text_or(read, item, "password", "");
    }
}

void payload_read_transfers(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_artifacts(read, tree, job);
    read_dependencies(read, tree, job);
    read_credentials(read, tree, job);
}
