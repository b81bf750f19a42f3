/* What the operator chose: config.toml with gitlab-runner's names, or the same tree in YAML. One schema table
 * (config/schema.h) drives reading, checks, help, and the reference page. Pure: the caller reads the file. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

/* Said about an address of DataOps that url_is_in_clear (text/url.h). */
#define CONFIG_URL_IN_CLEAR                                                                                            \
    "tokens and logs travel to this http:// address in clear, for everybody on the way to read: use https:// (a "      \
    "certificate authority of your own goes into tls-ca-file)"

struct config_pair {
    char *key, *value;
};
struct config_pairs {
    struct config_pair *items;
    size_t count;
};
struct config_texts {
    char **items; /* NULL-ended for convenience */
    size_t count;
};
enum config_volume_kind { VOLUME_SECRET, VOLUME_CONFIG_MAP, VOLUME_PVC, VOLUME_EMPTY_DIR, VOLUME_HOST_PATH };
struct config_volume {
    enum config_volume_kind kind;
    char *name, *mount_path, *sub_path;
    bool read_only;
    struct config_pairs items; /* secret, config_map: key = path */
    char *medium, *size_limit; /* empty_dir */
    char *host_path, *mount_propagation;
    int64_t default_mode; /* secret; -1 unset */
    bool optional;        /* secret */
    bool from_docker;     /* came from a [runners.docker] volumes entry */
};
struct config_volumes {
    struct config_volume *items;
    size_t count;
};
/* Quantities as Kubernetes text ("500m", "1Gi"), NULL unset. */
struct config_resources {
    char *cpu_request, *cpu_limit, *memory_request, *memory_limit;
};
struct config_kubernetes {
    char *host, *context, *cert_file, *key_file, *ca_file, *bearer_token;
    char *ns; /* key "namespace"; NULL: the cluster's own */
    char *image, *helper_image, *service_account;
    struct config_texts pull_policy, image_pull_secrets;
    struct config_resources build, helper;
    struct config_pairs node_selector, node_tolerations, pod_labels, pod_annotations;
    int64_t poll_timeout_s;            /* 180 */
    int64_t grace_s;                   /* pod_termination_grace_period_seconds, 30 */
    char *pod_security;                /* "baseline" (default) or "restricted" */
    int64_t run_as_user, run_as_group; /* restricted: uid and gid of both containers; default 1000 */
    bool mask_mounted_secrets;         /* true */
    bool automount_service_account_token;
    /* most bytes (and entries, and times) of one artifact, see the schema table */
    int64_t artifact_upload_limit, artifact_download_limit, artifact_unpacked_limit, artifact_memory_limit;
    int64_t artifact_entries_limit, artifact_ratio_limit;
    struct config_volumes volumes;
};
struct config_runner {
    char *name, *url, *token, *token_file, *executor, *shell, *builds_dir, *clone_url;
    int64_t id;
    int64_t limit, request_concurrency, output_limit_kib;
    bool strict_check_interval;
    int64_t unhealthy_requests_limit;
    uint64_t unhealthy_interval_ms;
    struct config_texts environment;   /* KEY=value */
    struct config_pairs feature_flags; /* FF = "true" | "false" */
    char *tls_ca_file, *tls_cert_file, *tls_key_file;
    char *docker_image;                 /* [runners.docker] image: second after kubernetes.image */
    struct config_texts docker_volumes; /* as written; what they mean stands in kubernetes.volumes */
    struct config_kubernetes kubernetes;
    unsigned line;
};
struct config {
    int64_t concurrent, check_interval_s, shutdown_timeout_s;
    char *log_level, *log_format, *listen_address;
    struct config_runner *runners;
    size_t runner_count;
    struct strbuf warnings; /* one line each, "file:line: text" */
};

enum config_syntax { CONFIG_TOML, CONFIG_YAML };
/* By file name: .yaml and .yml are YAML, all else TOML. */
enum config_syntax config_syntax_of(const char *file_name);
/* Gives a checked configuration (config_free), or NULL with BLAME_CONFIG "file:line: key: why". file_name only for
 * messages; values that may be secrets stand in none. Unknown keys: a warning with line and nearest name. executor =
 * "docker" is read as kubernetes with one warning. */
struct config *config_load(const char *text, size_t length, enum config_syntax syntax, const char *file_name,
                           struct error *error) MUST_CHECK;
void config_free(struct config *config);
/* Whether a feature flag of this runner is set; -1 when the table does not name it. */
int config_runner_flag(const struct config_runner *runner, const char *flag);
/* All feature_flags as "FF_X=true", NULL-ended; free with config_free_flags. */
char **config_runner_flags(const struct config_runner *runner);
void config_free_flags(char **flags);
/* Appends a reference page (Markdown) of all keys with defaults and help, from the schema table. */
void config_reference(struct strbuf *out);

#endif
