/* The plan: what courier is told to do (docs/formats.md section 4). Written by the controller, read by courier; pure.
 */
#ifndef JOB_PLAN_H
#define JOB_PLAN_H

#include "base/strbuf.h"
#include "job/payload.h"
#include "job/variables.h"

#define PLAN_VERSION 1
#define PLAN_PACKED_MOST                                                                                               \
    (1000u * 1000u) /* a Secret holds 1 MiB with base64 not counted; leave room for the other key */
#define PLAN_MOST (24u * MIB)

struct plan_pair {
    char *key, *value;
};
/* Ceilings of one artifact: what the keys artifact_*_limit of [runners.kubernetes] say. */
struct plan_limits {
    int64_t upload_bytes, download_bytes, unpacked_bytes, memory_bytes;
    int64_t entries, ratio;
};
/* What holds for a plan that names none: the defaults of those keys. */
#define PLAN_LIMITS_DEFAULT                                                                                            \
    ((struct plan_limits){ .upload_bytes = INT64_C(64) << 30,                                                          \
                           .download_bytes = INT64_C(16) << 30,                                                        \
                           .unpacked_bytes = INT64_C(64) << 30,                                                        \
                           .memory_bytes = INT64_C(1) << 30,                                                           \
                           .entries = 2000000,                                                                         \
                           .ratio = 200 })
struct plan_artifact {
    char *name, *when, *expire_in, *type, *format, *level;
    bool untracked;
    char **paths, **excludes;
    size_t path_count, exclude_count;
};
struct plan {
    uint64_t job_id, project_id;
    char *job_name, *job_stage, *job_token;
    char *server_url, *api_root, *ca_pem, *cert_pem, *key_pem;
    char *runner_name, *short_token, *system_id, *version, *revision;
    char *pod_name, *ns, *image;
    unsigned attempt;
    char *shell, *project_dir, *tmp_dir, *builds_dir;
    int64_t timeout_s, script_timeout_s, after_script_timeout_s;
    bool after_script_ignore_errors, trace_sections, timestamps;
    uint64_t output_limit_bytes;
    struct plan_limits limits;
    char **mask_values, **mask_prefixes, **mask_folders;
    size_t mask_value_count, mask_prefix_count, mask_folder_count;
    char *git_url, *ref, *sha, *object_format;
    enum plan_strategy { PLAN_CLONE, PLAN_FETCH, PLAN_NONE, PLAN_EMPTY } strategy;
    int64_t depth;
    char **refspecs, **clean_flags, **fetch_flags;
    size_t refspec_count, clean_flag_count, fetch_flag_count;
    bool checkout, lfs;
    unsigned get_sources_attempts, download_attempts;
    char **pre_get_sources, **post_get_sources;
    size_t pre_get_sources_count, post_get_sources_count;
    struct plan_pair *environment, *files;
    size_t environment_count, file_count;
    struct job_step *steps;
    size_t step_count;
    struct plan_artifact *artifacts;
    size_t artifact_count;
    struct job_dependency *dependencies;
    size_t dependency_count;
    bool direct_download;
};

/* What the operator's configuration and this attempt add to the job. Borrows everything. */
struct plan_settings {
    const char *server_url, *api_root, *ca_pem, *cert_pem, *key_pem;
    const char *runner_name, *short_token, *system_id, *version, *revision;
    const char *pod_name, *ns, *image;
    unsigned attempt;
    const char *shell;
    const struct job_facts *facts; /* the folders come from here */
    uint64_t output_limit_bytes;
    struct plan_limits limits;       /* a field that is 0: its default */
    const char *const *mask_folders; /* NULL-ended */
    const char *clone_url;           /* other base for git, or NULL */
};
/* Appends the plan as JSON to out; environment ends with GITLAB_ENV, GIT_TERMINAL_PROMPT and GCM_INTERACTIVE. Fails
 * (BLAME_INPUT) on what cannot be done: job->unsupported, submodules, no usable repository or sha. An unknown
 * GIT_STRATEGY reads as the default. */
int plan_render(const struct job *job, const struct variables *variables, const struct plan_settings *settings,
                struct strbuf *out, struct error *error) MUST_CHECK;
/* Gives a plan (plan_free) from JSON; BLAME_INPUT when the version is newer or something needed is missing. */
struct plan *plan_parse(const char *text, size_t length, struct error *error) MUST_CHECK;
void plan_free(struct plan *plan);
/* The step by name, NULL when there is none or it has no lines. */
const struct job_step *plan_step(const struct plan *plan, const char *name);

#endif
