/* A job as DataOps hands it over: the 201 answer of POST /jobs/request, parsed (docs/reference/dataops.md, "The
 * payload"). Pure. Liberal: null and missing blocks, unknown keys. Strict where a wrong reading would run the wrong
 * thing. */
#ifndef JOB_PAYLOAD_H
#define JOB_PAYLOAD_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define JOB_PAYLOAD_MOST (16u * MIB)

struct cJSON;

struct job_variable {
    char *key, *value;
    bool is_public, masked, file, raw;
};
struct job_step {
    char *name; /* "script", "release", "after_script" */
    char **lines;
    size_t line_count;
};
struct job_artifact {
    char *name, *when, *expire_in, *type, *format;
    bool untracked;
    char **paths, **excludes;
    size_t path_count, exclude_count;
};
struct job_dependency {
    uint64_t id;
    char *name, *token, *filename;
};
struct job_credential {
    char *url, *username, *password; /* type registry only */
};
struct job_image {
    char *name;
    char **entrypoint;
    size_t entrypoint_count;
    char **pull_policies;
    size_t pull_policy_count;
    char *user; /* executor_opts.kubernetes.user */
};

struct job {
    uint64_t id;
    char *token;
    char *name, *stage, *project_name, *project_full_path;
    uint64_t project_id, pipeline_id;
    bool allow_git_fetch;
    char *repo_url, *ref, *ref_type, *sha, *before_sha, *object_format;
    int64_t depth;
    char **refspecs;
    size_t refspec_count;
    int64_t timeout_s; /* 7200 when the payload has none */
    struct job_variable *variables;
    size_t variable_count;
    struct job_step *steps;
    size_t step_count;
    struct job_image image;
    size_t service_count, cache_count; /* entries that ask for something */
    struct job_artifact *artifacts;
    size_t artifact_count;
    struct job_dependency *dependencies;
    size_t dependency_count;
    struct job_credential *credentials;
    size_t credential_count;
    char **pre_get_sources, **post_get_sources;
    size_t pre_get_sources_count, post_get_sources_count;
    bool trace_sections;
    char **failure_reasons, **mask_prefixes;
    size_t failure_reason_count, mask_prefix_count;
    bool has_run, has_secrets;
    char *unsupported; /* names the first thing that this runner cannot do yet (services, cache, run, secrets): the job
                          must fail with it; or NULL */
};

/* Gives a job (job_free). On BLAME_INPUT *id and *token are still filled when they could be read (free token with
 * mem_free), so that the job can be reported as failed. error->code is the exit code to report: 3 for an unknown key in
 * executor_opts (docs/reference/dataops.md, "Accepting a job"), else 0. Over JOB_PAYLOAD_MOST fails. */
struct job *job_parse(const char *text, size_t length, uint64_t *id, char **token, struct error *error) MUST_CHECK;
/* Finds "id" and "token" at the top level of a payload that is cut off or over the ceiling, reading only its beginning;
 * false when not both were seen. */
bool job_peek(const char *text, size_t length, uint64_t *id, char **token);
void job_free(struct job *job);
/* Value of the last definition of a payload variable, or NULL. */
const char *job_variable(const struct job *job, const char *key);
/* CI_DEBUG_TRACE: the log will show every variable, so DataOps restricts who sees it. */
bool job_traces_its_shell(const struct job *job);

#endif
