#include "schema.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#define AT(type, member) offsetof(struct type, member)
#define TEXT(type, name_, member, otherwise_, help_)                                                                   \
    {                                                                                                                  \
        .name = name_, .kind = KEY_TEXT, .offset = AT(type, member), .otherwise = otherwise_, .help = help_            \
    }
#define CHOICE(type, name_, member, otherwise_, choices_, help_)                                                       \
    {                                                                                                                  \
        .name = name_, .kind = KEY_TEXT, .offset = AT(type, member), .otherwise = otherwise_, .choices = choices_,     \
        .help = help_                                                                                                  \
    }
#define WHOLE(type, name_, member, least_, most_, otherwise_, help_)                                                   \
    {                                                                                                                  \
        .name = name_, .kind = KEY_INTEGER, .offset = AT(type, member), .least = least_, .most = most_,                \
        .otherwise = otherwise_, .help = help_                                                                         \
    }
#define YES_NO(type, name_, member, otherwise_, help_)                                                                 \
    {                                                                                                                  \
        .name = name_, .kind = KEY_BOOLEAN, .offset = AT(type, member), .otherwise = otherwise_, .help = help_         \
    }
#define TIME(type, name_, member, otherwise_, help_)                                                                   \
    {                                                                                                                  \
        .name = name_, .kind = KEY_DURATION, .offset = AT(type, member), .otherwise = otherwise_, .help = help_        \
    }
#define AMOUNT(name_, member, help_)                                                                                   \
    {                                                                                                                  \
        .name = name_, .kind = KEY_QUANTITY, .offset = AT(config_kubernetes, member), .help = help_                    \
    }
#define BYTES(name_, member, otherwise_, help_)                                                                        \
    {                                                                                                                  \
        .name = name_, .kind = KEY_BYTES, .offset = AT(config_kubernetes, member), .otherwise = otherwise_,            \
        .help = help_                                                                                                  \
    }
#define TEXTS(type, name_, member, help_)                                                                              \
    {                                                                                                                  \
        .name = name_, .kind = KEY_TEXTS, .offset = AT(type, member), .help = help_                                    \
    }
#define PAIRS(type, name_, member, help_)                                                                              \
    {                                                                                                                  \
        .name = name_, .kind = KEY_PAIRS, .offset = AT(type, member), .help = help_                                    \
    }
#define SECTION(name_, help_)                                                                                          \
    {                                                                                                                  \
        .name = name_, .kind = KEY_SECTION, .help = help_                                                              \
    }
#define SILENT(name_)                                                                                                  \
    {                                                                                                                  \
        .name = name_, .kind = KEY_SILENT                                                                              \
    }
/* Not supported yet: each such key says whether passing over it is harmless or unsafe. */
#define LATER(name_)                                                                                                   \
    {                                                                                                                  \
        .name = name_, .kind = KEY_LATER, .ignored = IGNORED_HARMLESS                                                  \
    }
#define GUARD(name_, open_, help_)                                                                                     \
    {                                                                                                                  \
        .name = name_, .kind = KEY_LATER, .ignored = IGNORED_UNSAFE, .open = open_, .help = help_                      \
    }
#define CONTEXT(name_)                                                                                                 \
    {                                                                                                                  \
        .name = name_, .kind = KEY_LATER, .ignored = IGNORED_UNSAFE, .section = &schema_context                        \
    }
#define SCHEMA(title_, keys_)                                                                                          \
    {                                                                                                                  \
        .title = title_, .keys = keys_, .count = COUNT_OF(keys_)                                                       \
    }

static const struct schema_key global_keys[] = {
    WHOLE(config, "concurrent", concurrent, 1, 10000, "1", "jobs this controller drives at once, over all [[runners]]"),
    WHOLE(config, "check_interval", check_interval_s, INT_MIN, 86400, "3",
          "seconds between job requests, divided by the number of [[runners]]; below 1 means 3"),
    CHOICE(config, "log_level", log_level, "info", "debug info warn warning error fatal panic",
           "least important event that is logged"),
    CHOICE(config, "log_format", log_format, "runner", "runner text json", "form of the log on stderr"),
    WHOLE(config, "shutdown_timeout", shutdown_timeout_s, 0, 86400, "30", "seconds a forced stop may take"),
    TEXT(config, "listen_address", listen_address, NULL, "host:port of /healthz, /readyz and /metrics; unset: none"),
    SECTION("runners", "one entry for each registration"),
    SILENT("session_server"),
    SILENT("user"),
    SILENT("sentry_dsn"),
    SILENT("machine"),
    SILENT("experimental"),
    SILENT("connection_max_age"),
    LATER("labels"),
};
const struct schema schema_global = SCHEMA("global section", global_keys);

static const struct schema_key runner_keys[] = {
    TEXT(config_runner, "name", name, "", "description of the runner, shown in the job's log"),
    TEXT(config_runner, "url", url, NULL, "DataOps URL, for example https://app.dataops.live"),
    TEXT(config_runner, "token", token, NULL, "runner token; better token_file"),
    TEXT(config_runner, "token_file", token_file, NULL,
         "file that holds the runner token, for example a mounted Secret"),
    TEXT(config_runner, "executor", executor, "kubernetes", "kubernetes; docker is read as kubernetes"),
    WHOLE(config_runner, "limit", limit, 0, 10000, "0", "jobs at once for this entry; 0: no limit of its own"),
    WHOLE(config_runner, "request_concurrency", request_concurrency, 0, 100, "1", "job requests open at once"),
    YES_NO(config_runner, "strict_check_interval", strict_check_interval, "false",
           "do not ask again at once after a job came"),
    WHOLE(config_runner, "output_limit", output_limit_kib, 1, 1048576, "4096",
          "KiB of job log; later output is dropped, the job goes on"),
    WHOLE(config_runner, "unhealthy_requests_limit", unhealthy_requests_limit, 1, 1000, "3",
          "refused job requests in a row before this entry sleeps"),
    TIME(config_runner, "unhealthy_interval", unhealthy_interval_ms, "60m", "how long it sleeps"),
    TEXTS(config_runner, "environment", environment, "KEY=value for every job, below the job's own variables"),
    TEXT(config_runner, "builds_dir", builds_dir, "/builds", "folder in the pod that projects are cloned into"),
    CHOICE(config_runner, "shell", shell, "bash", "bash sh",
           "shell of the scripts; bash falls back to sh where the image has none"),
    TEXT(config_runner, "clone_url", clone_url, NULL, "other base URL for git"),
    TEXT(config_runner, "tls-ca-file", tls_ca_file, NULL,
         "CA certificates for DataOps, also trusted by git and transfers in the pod"),
    TEXT(config_runner, "tls-cert-file", tls_cert_file, NULL, "client certificate for DataOps"),
    TEXT(config_runner, "tls-key-file", tls_key_file, NULL, "its key"),
    { .name = "feature_flags",
      .kind = KEY_PAIRS,
      .offset = AT(config_runner, feature_flags),
      .choices = "true false",
      .help = "FF_NAME = true or false; final, a job cannot change it" },
    WHOLE(config_runner, "id", id, 0, INT64_MAX, "0", "number of the runner at DataOps, written by register"),
    SECTION("kubernetes", "how a job's pod looks"),
    SECTION("docker", "read for image and volumes, so that files written for Docker work"),
    SILENT("token_obtained_at"),
    SILENT("token_expires_at"),
    SILENT("custom_build_dir"),
    SILENT("safe_directory_checkout"),
    SILENT("clean_git_config"),
    SILENT("ssh"),
    SILENT("parallels"),
    SILENT("virtualbox"),
    SILENT("machine"),
    SILENT("custom"),
    SILENT("instance"),
    SILENT("autoscaler"),
    SILENT("referees"),
    SILENT("monitoring"),
    SILENT("step_runner_image"),
    SILENT("proxy_exec"),
    SILENT("cache_dir"),
    LATER("cache"),
    LATER("pre_build_script"),
    LATER("post_build_script"),
    LATER("pre_get_sources_script"),
    LATER("post_get_sources_script"),
    LATER("prepare_timeout"),
    LATER("get_sources_timeout"),
    GUARD("debug_trace_disabled", NULL, NULL),
    LATER("job_status_final_update_retry_limit"),
    LATER("labels"),
    LATER("artifact"),
};
const struct schema schema_runner = SCHEMA("[[runners]]", runner_keys);

#define AS_ONE_USER "pod_security = \"restricted\" runs both containers as run_as_user without capabilities"
static const struct schema_key context_keys[] = {
    GUARD("run_as_user", NULL, AS_ONE_USER),
    GUARD("run_as_group", NULL, AS_ONE_USER),
    GUARD("run_as_non_root", NULL, AS_ONE_USER),
    GUARD("read_only_root_filesystem", NULL, NULL),
    GUARD("capabilities", NULL, AS_ONE_USER),
    GUARD("se_linux_options", NULL, NULL),
    GUARD("selinux_type", NULL, NULL),
    GUARD("seccomp_profile", NULL, NULL),
    GUARD("app_armor_profile", NULL, NULL),
    GUARD("sysctls", NULL, NULL),
    LATER("proc_mount"),
    LATER("privileged"), /* allows; no container is privileged here */
    LATER("allow_privilege_escalation"),
    LATER("fs_group"),
    LATER("fs_group_change_policy"),
    LATER("supplemental_groups"),
};
const struct schema schema_context = SCHEMA("a security context", context_keys);

static const struct schema_key kubernetes_keys[] = {
    TEXT(config_kubernetes, "host", host, NULL, "API server URL; unset: in-cluster account, then kubeconfig"),
    TEXT(config_kubernetes, "context", context, NULL, "kubeconfig context"),
    TEXT(config_kubernetes, "cert_file", cert_file, NULL, "client certificate, with host"),
    TEXT(config_kubernetes, "key_file", key_file, NULL, "client key, with host"),
    TEXT(config_kubernetes, "ca_file", ca_file, NULL, "CA of the API server"),
    TEXT(config_kubernetes, "bearer_token", bearer_token, NULL, "token for API calls"),
    TEXT(config_kubernetes, "namespace", ns, NULL,
         "where job pods are created; unset: the service account's or context's"),
    TEXT(config_kubernetes, "image", image, NULL,
         "image of a job that names none; expanded by the job's own variables, like the image of a job"),
    TEXT(config_kubernetes, "helper_image", helper_image, "docker.io/dataops-runner:" DATAOPS_VERSION,
         "image that holds dataops-courier, dataops-step and git; expanded"),
    TEXT(config_kubernetes, "service_account", service_account, NULL, "service account of job pods"),
    TEXTS(config_kubernetes, "pull_policy", pull_policy,
          "always, if-not-present, never; what a job may ask for when set"),
    TEXTS(config_kubernetes, "image_pull_secrets", image_pull_secrets, "names of registry Secrets"),
    AMOUNT("cpu_request", build.cpu_request, "CPU request of the build container"),
    AMOUNT("cpu_limit", build.cpu_limit, "CPU limit of the build container"),
    AMOUNT("memory_request", build.memory_request, "memory request of the build container"),
    AMOUNT("memory_limit", build.memory_limit, "memory limit of the build container"),
    AMOUNT("helper_cpu_request", helper.cpu_request, "CPU request of courier (10m)"),
    AMOUNT("helper_cpu_limit", helper.cpu_limit, "CPU limit of courier"),
    AMOUNT("helper_memory_request", helper.memory_request, "memory request of courier (32Mi)"),
    AMOUNT("helper_memory_limit", helper.memory_limit, "memory limit of courier"),
    PAIRS(config_kubernetes, "node_selector", node_selector, "labels a node must have"),
    { .name = "node_tolerations",
      .kind = KEY_PAIRS,
      .offset = AT(config_kubernetes, node_tolerations),
      .choices = "NoSchedule PreferNoSchedule NoExecute",
      .help = "\"key=value\" = \"effect\"; a key alone: whatever its value, an empty effect: all" },
    PAIRS(config_kubernetes, "pod_labels", pod_labels,
          "labels of job pods; values are expanded, and made fit for a label"),
    PAIRS(config_kubernetes, "pod_annotations", pod_annotations, "annotations of job pods; values are expanded"),
    WHOLE(config_kubernetes, "poll_timeout", poll_timeout_s, 1, 86400, "180", "seconds a pod may take to start"),
    WHOLE(config_kubernetes, "pod_termination_grace_period_seconds", grace_s, 0, 3600, "30",
          "grace for after_script when a pod is drained"),
    CHOICE(config_kubernetes, "pod_security", pod_security, "baseline", "baseline restricted",
           "shape of the pod: courier as root with five capabilities, or both containers as one uid"),
    WHOLE(config_kubernetes, "run_as_user", run_as_user, 1, INT_MAX, "1000",
          "uid of both containers with pod_security = \"restricted\""),
    WHOLE(config_kubernetes, "run_as_group", run_as_group, 1, INT_MAX, "1000", "their gid"),
    YES_NO(config_kubernetes, "mask_mounted_secrets", mask_mounted_secrets, "true",
           "mask the values of mounted Secrets in the log"),
    YES_NO(config_kubernetes, "automount_service_account_token", automount_service_account_token, "false",
           "give job pods an API token"),
    BYTES("artifact_upload_limit", artifact_upload_limit, "64Gi",
          "most that one artifact may have when it is packed; it is sent while it is packed and stored nowhere"),
    BYTES("artifact_download_limit", artifact_download_limit, "16Gi",
          "most that one downloaded artifact may have; it lies on the node's disk while it is unpacked"),
    BYTES("artifact_unpacked_limit", artifact_unpacked_limit, "64Gi",
          "most that the files of one downloaded artifact may have together"),
    WHOLE(config_kubernetes, "artifact_ratio_limit", artifact_ratio_limit, 1, INT_MAX, "200",
          "how many times its packed size a downloaded artifact may have; looked at past 1 GiB of files"),
    WHOLE(config_kubernetes, "artifact_entries_limit", artifact_entries_limit, 1, INT_MAX, "2000000",
          "most files, folders and links of one artifact, up and down"),
    BYTES("artifact_memory_limit", artifact_memory_limit, "1Gi",
          "most memory for packing or unpacking one artifact; names of files may take a quarter of it"),
    SECTION("volumes", "secret, config_map, pvc, empty_dir, host_path"),
    SILENT("helper_image_flavor"),
    SILENT("helper_image_autoset_arch_and_os"),
    SILENT("poll_interval"),
    SILENT("logs_base_dir"),
    SILENT("scripts_base_dir"),
    SILENT("suspend_pvc_size"),
    SILENT("suspend_pvc_storage_class"),
    SILENT("print_pod_warning_events"),
    SILENT("cleanup_resources_timeout"),
    SILENT("resource_availability_check_max_attempts"),
    LATER("affinity"),
    LATER("services"),
    LATER("service_cpu_request"), /* a job that asks for services fails, so none runs without its limits */
    LATER("service_cpu_limit"),
    LATER("service_memory_request"),
    LATER("service_memory_limit"),
    LATER("privileged"),
    LATER("allow_privilege_escalation"),
    LATER("cap_add"),
    GUARD("cap_drop", NULL, "pod_security = \"restricted\" drops all capabilities"),
    CONTEXT("pod_security_context"),
    CONTEXT("build_container_security_context"),
    CONTEXT("helper_container_security_context"),
    CONTEXT("service_container_security_context"),
    CONTEXT("init_permissions_container_security_context"),
    LATER("priority_class_name"),
    LATER("scheduler_name"),
    GUARD("runtime_class_name", NULL, NULL),
    LATER("dns_policy"),
    LATER("dns_config"),
    LATER("host_aliases"),
    LATER("container_lifecycle"),
    GUARD("pod_spec", NULL, NULL),
    GUARD("allowed_images", "**/*", NULL),
    GUARD("allowed_services", "**/*", NULL),
    GUARD("allowed_pull_policies", "always if-not-present never", "pull_policy lists what a job may ask for"),
    GUARD("allowed_users", NULL, "pod_security = \"restricted\" runs every job as run_as_user and run_as_group"),
    GUARD("allowed_groups", NULL, "pod_security = \"restricted\" runs every job as run_as_user and run_as_group"),
    GUARD("namespace_overwrite_allowed", ".*", NULL),
    GUARD("namespace_per_job", NULL, NULL),
    GUARD("service_account_overwrite_allowed", ".*", NULL),
    LATER("bearer_token_overwrite_allowed"), /* allows, does not restrict */
    GUARD("pod_labels_overwrite_allowed", ".*", NULL),
    GUARD("pod_annotations_overwrite_allowed", ".*", NULL),
    GUARD("node_selector_overwrite_allowed", ".*", NULL),
    GUARD("node_tolerations_overwrite_allowed", ".*", NULL),
    /* no job can overwrite a request or a limit here, so none passes a ceiling */
    LATER("cpu_limit_overwrite_max_allowed"),
    LATER("cpu_request_overwrite_max_allowed"),
    LATER("memory_limit_overwrite_max_allowed"),
    LATER("memory_request_overwrite_max_allowed"),
    GUARD("ephemeral_storage_limit", NULL, "a LimitRange of the namespace can restrict ephemeral storage"),
    LATER("ephemeral_storage_request"),
    GUARD("helper_ephemeral_storage_limit", NULL, "a LimitRange of the namespace can restrict ephemeral storage"),
    LATER("helper_ephemeral_storage_request"),
    LATER("service_ephemeral_storage_limit"),
    LATER("service_ephemeral_storage_request"),
    LATER("ephemeral_storage_limit_overwrite_max_allowed"),
    LATER("ephemeral_storage_request_overwrite_max_allowed"),
    LATER("helper_cpu_limit_overwrite_max_allowed"),
    LATER("helper_cpu_request_overwrite_max_allowed"),
    LATER("helper_memory_limit_overwrite_max_allowed"),
    LATER("helper_memory_request_overwrite_max_allowed"),
    LATER("helper_ephemeral_storage_limit_overwrite_max_allowed"),
    LATER("helper_ephemeral_storage_request_overwrite_max_allowed"),
    LATER("service_cpu_limit_overwrite_max_allowed"),
    LATER("service_cpu_request_overwrite_max_allowed"),
    LATER("service_memory_limit_overwrite_max_allowed"),
    LATER("service_memory_request_overwrite_max_allowed"),
    LATER("service_ephemeral_storage_limit_overwrite_max_allowed"),
    LATER("service_ephemeral_storage_request_overwrite_max_allowed"),
    GUARD("pod_cpu_limit", NULL, "cpu_limit and helper_cpu_limit restrict each container"),
    LATER("pod_cpu_limit_overwrite_max_allowed"),
    LATER("pod_cpu_request"),
    LATER("pod_cpu_request_overwrite_max_allowed"),
    GUARD("pod_memory_limit", NULL, "memory_limit and helper_memory_limit restrict each container"),
    LATER("pod_memory_limit_overwrite_max_allowed"),
    LATER("pod_memory_request"),
    LATER("pod_memory_request_overwrite_max_allowed"),
    LATER("cleanup_grace_period_seconds"),
    LATER("use_service_account_image_pull_secrets"),
    LATER("retry_limit"),
    LATER("retry_backoff_max"),
    LATER("retry_limits"),
    LATER("autoscaler"),
    LATER("pod_disruption_budget"),
};
const struct schema schema_kubernetes = SCHEMA("[runners.kubernetes]", kubernetes_keys);

#define RESTRICTED "pod_security = \"restricted\" of [runners.kubernetes] runs jobs as one uid without capabilities"
static const struct schema_key docker_keys[] = {
    TEXT(config_runner, "image", docker_image, NULL,
         "image of a job that names none, when [runners.kubernetes] has none either"),
    TEXTS(config_runner, "volumes", docker_volumes,
          "host:container:mode; /secrets becomes the Secret dataops-vault, /agent_cache the claim dataops-agent-cache, "
          "/local_config an empty folder, unless [runners.kubernetes.volumes] mounts something there"),
    GUARD("allowed_images", "**/*", NULL),
    SILENT("allowed_privileged_images"),
    SILENT("allowed_privileged_services"),
    GUARD("allowed_pull_policies", "always if-not-present never",
          "pull_policy of [runners.kubernetes] lists what a job may ask for"),
    GUARD("allowed_services", "**/*", NULL),
    GUARD("allowed_users", NULL, RESTRICTED),
    GUARD("allowed_groups", NULL, RESTRICTED),
    SILENT("cache_dir"),
    SILENT("cap_add"),
    GUARD("cap_drop", NULL, RESTRICTED),
    SILENT("container_labels"),
    SILENT("cpu_shares"),
    GUARD("cpus", NULL, "cpu_limit of [runners.kubernetes] restricts a job"),
    SILENT("cpuset_cpus"),
    SILENT("cpuset_mems"),
    SILENT("device_cgroup_rules"),
    SILENT("devices"),
    SILENT("disable_cache"),
    SILENT("disable_entrypoint_overwrite"),
    SILENT("dns"),
    SILENT("dns_search"),
    SILENT("enable_ipv6"),
    SILENT("extra_hosts"),
    SILENT("gpus"),
    SILENT("group_add"),
    SILENT("helper_image"),
    SILENT("helper_image_autoset_arch_and_os"),
    SILENT("helper_image_flavor"),
    SILENT("host"),
    SILENT("hostname"),
    SILENT("init"),
    SILENT("isolation"),
    SILENT("links"),
    SILENT("log_options"),
    SILENT("mac_address"),
    GUARD("memory", NULL, "memory_limit of [runners.kubernetes] restricts a job"),
    SILENT("memory_reservation"),
    SILENT("memory_swap"),
    GUARD("network_mode", "bridge host default", "a NetworkPolicy restricts what job pods reach"),
    SILENT("network_mtu"),
    SILENT("oom_kill_disable"),
    SILENT("oom_score_adj"),
    SILENT("privileged"),
    SILENT("pull_policy"),
    GUARD("runtime", "runc", NULL),
    GUARD("security_opt", NULL, RESTRICTED),
    SILENT("service_cgroup_parent"),
    SILENT("service_cpu_shares"),
    SILENT("service_cpus"),
    SILENT("service_cpuset_cpus"),
    SILENT("service_gpus"),
    SILENT("service_memory"),
    SILENT("service_memory_reservation"),
    SILENT("service_memory_swap"),
    SILENT("services"),
    SILENT("services_devices"),
    SILENT("services_limit"),
    SILENT("services_privileged"),
    SILENT("services_security_opt"),
    SILENT("shm_size"),
    SILENT("sysctls"),
    SILENT("tls_cert_path"),
    SILENT("tls_verify"),
    SILENT("ulimit"),
    GUARD("user", NULL, RESTRICTED),
    SILENT("userns_mode"),
    SILENT("volume_driver"),
    SILENT("volume_driver_ops"),
    SILENT("volume_keep"),
    SILENT("volumes_from"),
    SILENT("wait_for_services_timeout"),
};
const struct schema schema_docker = SCHEMA("[runners.docker]", docker_keys);

#define VOLUME_COMMON                                                                                                  \
    TEXT(config_volume, "name", name, NULL,                                                                            \
         "name of the Secret, ConfigMap or claim (a claim's is expanded); a free name otherwise"),                     \
        TEXT(config_volume, "mount_path", mount_path, NULL, "where it appears in the build container; expanded"),      \
        TEXT(config_volume, "sub_path", sub_path, NULL, "folder or file inside the volume; expanded"),                 \
        YES_NO(config_volume, "read_only", read_only, "false", "mounted without write access")
#define VOLUME_ITEMS PAIRS(config_volume, "items", items, "key = path: only these keys, under these paths")
#define VOLUME_PROPAGATION                                                                                             \
    TEXT(config_volume, "mount_propagation", mount_propagation, NULL, "Kubernetes' mountPropagation")

static const struct schema_key secret_keys[] = {
    VOLUME_COMMON,
    VOLUME_ITEMS,
    WHOLE(config_volume, "default_mode", default_mode, -1, 0777, "-1", "mode of the files"),
    YES_NO(config_volume, "optional", optional, "false", "the pod starts without it"),
};
static const struct schema_key config_map_keys[] = { VOLUME_COMMON, VOLUME_ITEMS };
static const struct schema_key pvc_keys[] = { VOLUME_COMMON, VOLUME_PROPAGATION };
static const struct schema_key empty_dir_keys[] = {
    VOLUME_COMMON,
    VOLUME_PROPAGATION,
    TEXT(config_volume, "medium", medium, NULL, "\"Memory\" for a memory volume"),
    { .name = "size_limit", .kind = KEY_QUANTITY, .offset = AT(config_volume, size_limit), .help = "most it may hold" },
};
static const struct schema_key host_path_keys[] = {
    VOLUME_COMMON,
    VOLUME_PROPAGATION,
    TEXT(config_volume, "host_path", host_path, NULL, "folder on the node; unset: mount_path"),
};
/* In the order of enum config_volume_kind. */
const struct schema schema_volumes[] = {
    SCHEMA("[[runners.kubernetes.volumes.secret]]", secret_keys),
    SCHEMA("[[runners.kubernetes.volumes.config_map]]", config_map_keys),
    SCHEMA("[[runners.kubernetes.volumes.pvc]]", pvc_keys),
    SCHEMA("[[runners.kubernetes.volumes.empty_dir]]", empty_dir_keys),
    SCHEMA("[[runners.kubernetes.volumes.host_path]]", host_path_keys),
};
const char *const schema_volume_names[] = { "secret", "config_map", "pvc", "empty_dir", "host_path" };

const struct schema_key *schema_find(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (strcmp(schema->keys[i].name, name) == 0)
            return &schema->keys[i];
    return NULL;
}
