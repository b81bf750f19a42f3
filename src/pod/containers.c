#include "parts.h"

#include "pod/name.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>

#define COURIER_CPU    "10m"
#define COURIER_MEMORY "32Mi"

static void add_mount(struct cJSON *mounts, const char *name, const char *path, bool read_only)
{
    struct cJSON *mount = json_add_object(mounts);

    json_set_text(mount, "name", name);
    json_set_text(mount, "mountPath", path);
    if (read_only)
        json_set_bool(mount, "readOnly", true);
}

/* kubelet's word for gitlab-runner's pull policy; NULL: the cluster's default. */
static const char *pull_policy_word(const char *policy)
{
    static const char *const words[][2] = { { "always", "Always" },
                                            { "if-not-present", "IfNotPresent" },
                                            { "never", "Never" } };

    for (size_t i = 0; policy != NULL && i < COUNT_OF(words); i++)
        if (strcmp(policy, words[i][0]) == 0)
            return words[i][1];
    return NULL;
}

/* The job's own pull policy must be among the configured ones, when some are configured (docs/reference/dataops.md,
 * "Images and services"). */
static int build_pull_policy(const struct pod_input *input, const char **policy, struct error *error)
{
    const struct config_texts *allowed = &input->runner->kubernetes.pull_policy;
    const struct job_image *image = &input->job->image;

    *policy = allowed->count > 0 ? allowed->items[0] : NULL;
    if (image->pull_policy_count == 0)
        return 0;
    for (size_t i = 0; i < image->pull_policy_count; i++)
        for (size_t j = 0; j < allowed->count; j++)
            if (strcmp(image->pull_policies[i], allowed->items[j]) == 0) {
                *policy = image->pull_policies[i];
                return 0;
            }
    if (allowed->count == 0) {
        *policy = image->pull_policies[0];
        return 0;
    }
    return error_set(error, BLAME_CONFIG, 0,
                     "the job's pull_policy %s is not among pull_policy of [runners.kubernetes]",
                     image->pull_policies[0]);
}

static struct cJSON *drop_all(struct cJSON *context)
{
    struct cJSON *capabilities = json_set_object(context, "capabilities");

    json_add_text(json_set_array(capabilities, "drop"), "ALL");
    return capabilities;
}

/* Its root file system cannot be written by anybody. Root with six capabilities, or the uid that both containers share
 * (docs/design.md section 1). */
static void add_courier_security(struct cJSON *container, const struct config_runner *runner)
{
    static const char *const wanted[] = { "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETUID", "SETGID" };
    struct cJSON *context = json_set_object(container, "securityContext"), *capabilities, *add;

    json_set_bool(context, "allowPrivilegeEscalation", false);
    json_set_bool(context, "readOnlyRootFilesystem", true);
    capabilities = drop_all(context);
    if (pod_is_restricted(runner)) {
        json_set_bool(context, "runAsNonRoot", true);
        json_set_int(context, "runAsUser", runner->kubernetes.run_as_user);
        json_set_int(context, "runAsGroup", runner->kubernetes.run_as_group);
        return;
    }
    json_set_int(context, "runAsUser", 0);
    json_set_int(context, "runAsGroup", 0);
    add = json_set_array(capabilities, "add");
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        json_add_text(add, wanted[i]);
}

static int parse_user(const char *user, int64_t *uid, int64_t *gid)
{
    char *end;

    *gid = -1;
    *uid = strtoll(user, &end, 10);
    if (end == user || *uid < 0)
        return -1;
    if (*end == ':') {
        const char *group = end + 1;
        *gid = strtoll(group, &end, 10);
        if (end == group || *gid < 0)
            return -1;
    }
    return *end == '\0' ? 0 : -1;
}

static int add_build_security(struct cJSON *container, const struct pod_input *input, struct error *error)
{
    const struct config_kubernetes *wish = &input->runner->kubernetes;
    struct cJSON *context = json_set_object(container, "securityContext");
    int64_t uid = -1, gid = -1;

    json_set_bool(context, "allowPrivilegeEscalation", false);
    if (input->job->image.user != NULL && parse_user(input->job->image.user, &uid, &gid) < 0)
        return error_set(error, BLAME_CONFIG, 0, "image:kubernetes:user \"%s\" is no uid or uid:gid",
                         input->job->image.user);
    if (pod_is_restricted(input->runner)) {
        drop_all(context);
        json_set_bool(context, "runAsNonRoot", true);
        uid = wish->run_as_user;
        gid = wish->run_as_group;
    }
    if (uid >= 0)
        json_set_int(context, "runAsUser", uid);
    if (gid >= 0)
        json_set_int(context, "runAsGroup", gid);
    return 0;
}

static struct cJSON *courier_container(const struct pod_input *input, const char *image)
{
    const struct config_kubernetes *wish = &input->runner->kubernetes;
    struct cJSON *container = json_object(), *mounts, *hook;
    const char *policy = pull_policy_word(wish->pull_policy.count > 0 ? wish->pull_policy.items[0] : NULL);
    size_t index;
    const struct config_volume *builds = pod_builds_volume(input, &index);
    OWNED_TEXT char *builds_name = builds != NULL ? pod_volume_name(builds, index) : mem_text("builds");

    json_set_text(container, "name", POD_COURIER);
    json_set_text(container, "image", image);
    if (policy != NULL)
        json_set_text(container, "imagePullPolicy", policy);
    json_add_text(json_set_array(container, "command"), "dataops-courier");
    hook = json_set_array(
        json_set_object(json_set_object(json_set_object(container, "lifecycle"), "postStart"), "exec"), "command");
    json_add_text(hook, "dataops-courier");
    json_add_text(hook, "--wait-ready");
    pod_add_resources(container, &wish->helper, COURIER_CPU, COURIER_MEMORY);
    add_courier_security(container, input->runner);
    mounts = json_set_array(container, "volumeMounts");
    add_mount(mounts, "dataops", POD_FOLDER, false);
    add_mount(mounts, builds_name, input->runner->builds_dir, false);
    add_mount(mounts, "plan", POD_PLAN_FOLDER, true);
    add_mount(mounts, "order", POD_ORDER_FOLDER, true);
    add_mount(mounts, "scratch", POD_SCRATCH_FOLDER, false);
    if (strcmp(input->runner->builds_dir, "/tmp") != 0)
        add_mount(mounts, "tmp", "/tmp", false);
    for (size_t i = 0; wish->mask_mounted_secrets && i < wish->volumes.count; i++)
        if (wish->volumes.items[i].kind == VOLUME_SECRET) {
            OWNED_TEXT char *name = pod_volume_name(&wish->volumes.items[i], i);
            OWNED_TEXT char *path = mem_format(POD_MASK_FOLDER "/%s", name);
            add_mount(mounts, name, path, true);
        }
    return container;
}

static struct cJSON *build_container(const struct pod_input *input, const char *image, struct error *error)
{
    const char *policy = NULL;
    struct cJSON *container, *mounts;
    size_t index;

    if (build_pull_policy(input, &policy, error) < 0)
        return NULL;
    policy = pull_policy_word(policy);
    container = json_object();
    json_set_text(container, "name", POD_BUILD);
    json_set_text(container, "image", image);
    if (policy != NULL)
        json_set_text(container, "imagePullPolicy", policy);
    json_add_text(json_set_array(container, "command"), POD_FOLDER "/step");
    pod_add_resources(container, &input->runner->kubernetes.build, NULL, NULL);
    mounts = json_set_array(container, "volumeMounts");
    add_mount(mounts, "dataops", POD_FOLDER, false);
    if (pod_builds_volume(input, &index) == NULL)
        add_mount(mounts, "builds", input->runner->builds_dir, false);
    if (add_build_security(container, input, error) < 0 || pod_add_mounts(input, mounts, error) < 0) {
        json_free(container);
        return NULL;
    }
    return container;
}

struct cJSON *pod_containers(const struct pod_input *input, const char *image, struct error *error)
{
    struct cJSON *build, *containers;

    if (input->runner->kubernetes.helper_image == NULL || input->runner->kubernetes.helper_image[0] == '\0') {
        error_set(error, BLAME_CONFIG, 0,
                  "no helper_image in [runners.kubernetes]: set it to the image that holds dataops-courier");
        return NULL;
    }
    OWNED_TEXT char *helper =
        pod_text(input->facts, TEXT_IMAGE, "helper_image", input->runner->kubernetes.helper_image, error);
    build = helper != NULL ? build_container(input, image, error) : NULL;
    if (build == NULL)
        return NULL;
    containers = json_array();
    json_add(containers, courier_container(input, helper));
    json_add(containers, build);
    return containers;
}
