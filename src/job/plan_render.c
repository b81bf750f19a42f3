#include "job/plan.h"

#include "plan_settings.h"
#include "text/json.h"
#include "text/url.h"

#include <inttypes.h>
#include <string.h>

#define AFTER_SCRIPT_TIMEOUT_S 300

struct rendering {
    const struct job *job;
    const struct variables *variables;
    const struct plan_settings *settings;
    struct cJSON *tree;
};

static void set_texts(struct cJSON *object, const char *name, char *const *texts, size_t count)
{
    struct cJSON *array = json_set_array(object, name);

    for (size_t i = 0; i < count; i++)
        json_add_text(array, texts[i]);
}

/* Absent, not empty, when there is none. */
static void set_optional(struct cJSON *object, const char *name, const char *text)
{
    if (text && *text)
        json_set_text(object, name, text);
}

static void set_text(struct cJSON *object, const char *name, const char *text)
{
    json_set_text(object, name, text ? text : "");
}

static void set_identity(const struct rendering *r)
{
    const struct plan_settings *settings = r->settings;
    struct cJSON *job = json_set_object(r->tree, "job");
    json_set_int(job, "id", (int64_t)r->job->id);
    set_text(job, "name", r->job->name);
    set_text(job, "stage", r->job->stage);
    json_set_int(job, "project_id", (int64_t)r->job->project_id);
    set_text(job, "token", r->job->token);

    struct cJSON *server = json_set_object(r->tree, "server");
    set_text(server, "url", settings->server_url);
    set_text(server, "api", settings->api_root);
    set_optional(server, "ca", settings->ca_pem);
    set_optional(server, "cert", settings->cert_pem);
    set_optional(server, "key", settings->key_pem);

    struct cJSON *runner = json_set_object(r->tree, "runner");
    set_text(runner, "name", settings->runner_name);
    set_text(runner, "short_token", settings->short_token);
    set_text(runner, "system_id", settings->system_id);
    set_text(runner, "version", settings->version);
    set_text(runner, "revision", settings->revision);

    struct cJSON *pod = json_set_object(r->tree, "pod");
    set_text(pod, "name", settings->pod_name);
    set_text(pod, "namespace", settings->ns);
    set_text(pod, "image", settings->image);
    set_text(pod, "executor", "kubernetes");
    json_set_int(pod, "attempt", settings->attempt);
}

static void set_limits(const struct rendering *r)
{
    const struct variables *variables = r->variables;
    int64_t timeout_s = r->job->timeout_s;

    set_text(r->tree, "shell", r->settings->shell && *r->settings->shell ? r->settings->shell : "bash");
    set_text(r->tree, "project_dir", job_fact(r->settings->facts, FACT_PROJECT_DIR));
    set_text(r->tree, "tmp_dir", job_fact(r->settings->facts, FACT_TMP_DIR));
    set_text(r->tree, "builds_dir", job_fact(r->settings->facts, FACT_BUILDS_DIR));
    json_set_int(r->tree, "timeout_s", timeout_s);
    json_set_int(r->tree, "script_timeout_s", plan_seconds(variables, "RUNNER_SCRIPT_TIMEOUT", 0, timeout_s));
    json_set_int(r->tree, "after_script_timeout_s",
                 plan_seconds(variables, "RUNNER_AFTER_SCRIPT_TIMEOUT", AFTER_SCRIPT_TIMEOUT_S, timeout_s));
    json_set_bool(r->tree, "after_script_ignore_errors", variables_bool(variables, "AFTER_SCRIPT_IGNORE_ERRORS", true));
    json_set_int(r->tree, "output_limit_bytes", (int64_t)r->settings->output_limit_bytes);
    json_set_bool(r->tree, "trace_sections", r->job->trace_sections);
    json_set_bool(r->tree, "timestamps", variables_bool(variables, "FF_TIMESTAMPS", false));
}

static void set_ceiling(struct cJSON *object, const char *name, int64_t wanted, int64_t otherwise)
{
    json_set_int(object, name, wanted > 0 ? wanted : otherwise);
}

static void set_ceilings(const struct rendering *r)
{
    const struct plan_limits *wanted = &r->settings->limits, otherwise = PLAN_LIMITS_DEFAULT;
    struct cJSON *object = json_set_object(r->tree, "artifact_limits");

    set_ceiling(object, "upload_bytes", wanted->upload_bytes, otherwise.upload_bytes);
    set_ceiling(object, "download_bytes", wanted->download_bytes, otherwise.download_bytes);
    set_ceiling(object, "unpacked_bytes", wanted->unpacked_bytes, otherwise.unpacked_bytes);
    set_ceiling(object, "memory_bytes", wanted->memory_bytes, otherwise.memory_bytes);
    set_ceiling(object, "entries", wanted->entries, otherwise.entries);
    set_ceiling(object, "ratio", wanted->ratio, otherwise.ratio);
}

/* Gives the URL to clone from: the job's, or its path and credentials at the operator's host. */
static char *clone_url(const struct rendering *r, struct error *error)
{
    struct url url = URL_EMPTY, base = URL_EMPTY;
    struct strbuf out = STRBUF_EMPTY;

    if (!r->settings->clone_url || !*r->settings->clone_url)
        return mem_text(r->job->repo_url);
    if (url_parse(r->settings->clone_url, &base, error) < 0) {
        error_within(error, "clone_url");
        error->blame = BLAME_CONFIG;
        return NULL;
    }
    if (url_parse(r->job->repo_url, &url, error) < 0) {
        url_clear(&base);
        error_within(error, "git_info.repo_url");
        return NULL;
    }
    OWNED_TEXT char *origin = url_origin(&base);
    size_t scheme = strcspn(origin, ":") + strlen("://");
    strbuf_add(&out, origin, scheme);
    if (url.user) {
        url_escape(url.user, &out);
        if (url.password) {
            strbuf_add_char(&out, ':');
            url_escape(url.password, &out);
        }
        strbuf_add_char(&out, '@');
    }
    strbuf_add_text(&out, origin + scheme);
    strbuf_add_text(&out, url.path);
    url_clear(&url);
    url_clear(&base);
    return strbuf_take(&out, NULL);
}

/* Submodules would silently be missing. */
static int check_git(const struct rendering *r, enum plan_strategy strategy, struct error *error)
{
    const char *submodules = variables_get(r->variables, "GIT_SUBMODULE_STRATEGY");
    struct url url = URL_EMPTY;

    if (strategy == PLAN_NONE || strategy == PLAN_EMPTY)
        return 0;
    if (submodules && *submodules && strcmp(submodules, "none") != 0)
        return error_set(error, BLAME_INPUT, 0,
                         "git submodules are not supported yet by this runner (GIT_SUBMODULE_STRATEGY is set)");
    if (url_parse(r->job->repo_url, &url, error) < 0)
        return error_within(error, "git_info.repo_url");
    url_clear(&url);
    if (!*r->job->sha)
        return error_set(error, BLAME_INPUT, 0, "git_info.sha: is missing");
    return 0;
}

static int set_git(const struct rendering *r, struct error *error)
{
    const struct job *job = r->job;
    const struct variables *variables = r->variables;
    enum plan_strategy strategy = plan_strategy_of(job, variables);
    struct cJSON *git = json_set_object(r->tree, "git");

    if (check_git(r, strategy, error) < 0)
        return -1;
    OWNED_TEXT char *url = clone_url(r, error);
    if (!url)
        return -1;
    set_text(git, "url", url);
    set_text(git, "ref", job->ref);
    set_text(git, "sha", job->sha);
    json_set_int(git, "depth", job->depth);
    set_texts(git, "refspecs", job->refspecs, job->refspec_count);
    set_text(git, "object_format", job->object_format && *job->object_format ? job->object_format : "sha1");
    set_text(git, "strategy", plan_strategy_name(strategy));
    json_set_bool(git, "checkout", variables_bool(variables, "GIT_CHECKOUT", true));
    plan_set_flags(git, "clean_flags", variables, "GIT_CLEAN_FLAGS", "-ffdx");
    plan_set_flags(git, "fetch_flags", variables, "GIT_FETCH_EXTRA_FLAGS", "--prune --quiet");
    json_set_bool(git, "lfs", !variables_bool(variables, "GIT_LFS_SKIP_SMUDGE", false));
    json_set_int(git, "attempts", plan_attempts(variables, "GET_SOURCES_ATTEMPTS"));

    struct cJSON *hooks = json_set_object(r->tree, "hooks");
    set_texts(hooks, "pre_get_sources", job->pre_get_sources, job->pre_get_sources_count);
    set_texts(hooks, "post_get_sources", job->post_get_sources, job->post_get_sources_count);
    return 0;
}

static void add_pair(struct cJSON *array, const char *key, const char *value)
{
    struct cJSON *pair = json_add(array, json_array());

    json_add_text(pair, key);
    json_add_text(pair, value);
}

static void set_variables(const struct rendering *r)
{
    struct cJSON *environment = json_set_array(r->tree, "environment");
    struct cJSON *files = json_set_array(r->tree, "files");

    for (size_t i = 0; i < r->variables->count; i++) {
        const struct variable *variable = &r->variables->items[i];
        add_pair(environment, variable->key, variable->value);
        if (variable->file_content)
            add_pair(files, variable->key, variable->file_content);
    }
    /* what the stock runner's shell adds by itself */
    for (size_t i = 0; i < FACTS; i++)
        if (fact_owner((enum fact)i) == FACT_OF_SHELL)
            add_pair(environment, fact_name((enum fact)i), job_fact(r->settings->facts, (enum fact)i));
}

static void set_steps(const struct rendering *r)
{
    struct cJSON *steps = json_set_array(r->tree, "steps");

    for (size_t i = 0; i < r->job->step_count; i++) {
        struct cJSON *step = json_add_object(steps);
        set_text(step, "name", r->job->steps[i].name);
        set_texts(step, "lines", r->job->steps[i].lines, r->job->steps[i].line_count);
    }
}

static void set_artifacts(const struct rendering *r)
{
    struct cJSON *artifacts = json_set_array(r->tree, "artifacts");

    for (size_t i = 0; i < r->job->artifact_count; i++) {
        const struct job_artifact *artifact = &r->job->artifacts[i];
        struct cJSON *item = json_add_object(artifacts);
        set_text(item, "name", artifact->name);
        set_texts(item, "paths", artifact->paths, artifact->path_count);
        set_texts(item, "exclude", artifact->excludes, artifact->exclude_count);
        json_set_bool(item, "untracked", artifact->untracked);
        set_text(item, "when", artifact->when);
        set_text(item, "expire_in", artifact->expire_in);
        set_text(item, "type", artifact->type);
        set_text(item, "format", artifact->format);
        set_text(item, "level", plan_compression(r->variables));
    }
}

static void set_dependencies(const struct rendering *r)
{
    struct cJSON *dependencies = json_set_array(r->tree, "dependencies");

    for (size_t i = 0; i < r->job->dependency_count; i++) {
        const struct job_dependency *dependency = &r->job->dependencies[i];
        if (!dependency->filename || !*dependency->filename)
            continue; /* that job left nothing to download */
        struct cJSON *item = json_add_object(dependencies);
        json_set_int(item, "id", (int64_t)dependency->id);
        set_text(item, "name", dependency->name);
        set_text(item, "token", dependency->token);
        set_text(item, "filename", dependency->filename);
    }
    json_set_int(r->tree, "download_attempts", plan_attempts(r->variables, "ARTIFACT_DOWNLOAD_ATTEMPTS"));
    json_set_bool(r->tree, "direct_download", variables_bool(r->variables, "FF_USE_DIRECT_DOWNLOAD", true));
}

int plan_render(const struct job *job, const struct variables *variables, const struct plan_settings *settings,
                struct strbuf *out, struct error *error)
{
    OWNED_JSON struct cJSON *tree = json_object();
    struct rendering r = { job, variables, settings, tree };

    if (job->unsupported)
        return error_set(error, BLAME_INPUT, 0, "%s", job->unsupported);
    json_set_int(tree, "version", PLAN_VERSION);
    set_identity(&r);
    set_limits(&r);
    set_ceilings(&r);
    plan_set_mask(tree, job, variables, settings->mask_folders);
    if (set_git(&r, error) < 0)
        return -1;
    set_variables(&r);
    set_steps(&r);
    set_artifacts(&r);
    set_dependencies(&r);
    OWNED_TEXT char *text = json_print(tree);
    if (strlen(text) > PLAN_MOST || strbuf_add_text(out, text) < 0)
        return error_set(error, BLAME_INPUT, 0, "the job is too large: its plan takes %zu bytes, %u are allowed",
                         strlen(text), PLAN_MOST);
    return 0;
}
