#include "pod/render.h"

#include "parts.h"
#include "pod/name.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_SPARE_S                                                                                               \
    300 /* activeDeadlineSeconds is the fail-safe when no controller is left: never before the job's own limit */

bool pod_is_restricted(const struct config_runner *runner)
{
    return runner->kubernetes.pod_security != NULL && strcmp(runner->kubernetes.pod_security, "restricted") == 0;
}

char *pod_image(const struct job *job, const struct variables *variables, const struct config_runner *runner,
                struct error *error)
{
    const char *wished = job->image.name;
    char *image;

    if (wished == NULL || wished[0] == '\0')
        wished = runner->kubernetes.image;
    if (wished == NULL || wished[0] == '\0')
        wished = runner->docker_image;
    if (wished == NULL || wished[0] == '\0') {
        error_set(
            error, BLAME_CONFIG, 0,
            "the job names no image and the runner has no default: set image in the job or in [runners.kubernetes]");
        return NULL;
    }
    image = variables_expand(variables, wished);
    if (image[0] == '\0' || strchr(image, ' ') != NULL || image[0] == ':' || image[strlen(image) - 1] == ':') {
        error_set(error, BLAME_CONFIG, 0,
                  "image \"%s\" expands to \"%s\", which is no image name: is a variable in it unset?", wished, image);
        mem_free(image);
        return NULL;
    }
    return image;
}

static void set_label(struct cJSON *labels, const char *key, const char *text)
{
    OWNED_TEXT char *value = pod_label_value(text != NULL ? text : "");

    json_set_text(labels, key, value);
}

static void set_number_label(struct cJSON *labels, const char *key, uint64_t number)
{
    OWNED_TEXT char *value = mem_format("%" PRIu64, number);

    json_set_text(labels, key, value);
}

static void add_labels(struct cJSON *meta, const struct pod_input *input, const char *name)
{
    struct cJSON *labels = json_set_object(meta, "labels");
    const struct config_pairs *more = &input->runner->kubernetes.pod_labels;

    for (size_t i = 0; i < more->count; i++) {
        OWNED_TEXT char *value = job_facts_expand(input->facts, more->items[i].value, NULL);
        if (strstr(more->items[i].key, "runner.gitlab.com") == NULL)
            set_label(labels, more->items[i].key, value);
    }
    set_label(labels, POD_LABEL_RELEASE, input->release);
    set_label(labels, POD_LABEL_SLOT, input->slot);
    set_number_label(labels, POD_LABEL_JOB, input->job->id);
    set_number_label(labels, POD_LABEL_ATTEMPT, input->attempt);
    set_label(labels, "job.runner.gitlab.com/pod", name);
    set_number_label(labels, "project.runner.gitlab.com/id", input->job->project_id);
    set_label(labels, "manager.runner.gitlab.com/name", input->runner->name);
    set_label(labels, "manager.runner.gitlab.com/id-short", input->short_token);
}

/* The stock runner's annotations, as dashboards know them; never a variable that may hold a secret. */
static void add_stock_annotations(struct cJSON *annotations, const struct pod_input *input)
{
    const char *url = job_fact(input->facts, FACT_JOB_URL);
    OWNED_TEXT char *id = mem_format("%" PRIu64, input->job->id);

    json_set_text(annotations, "job.runner.gitlab.com/id", id);
    json_set_text(annotations, "job.runner.gitlab.com/name", input->job->name != NULL ? input->job->name : "");
    json_set_text(annotations, "job.runner.gitlab.com/ref", input->job->ref != NULL ? input->job->ref : "");
    json_set_text(annotations, "job.runner.gitlab.com/sha", input->job->sha != NULL ? input->job->sha : "");
    if (url != NULL)
        json_set_text(annotations, "job.runner.gitlab.com/url", url);
}

static void add_annotations(struct cJSON *meta, const struct pod_input *input)
{
    struct cJSON *annotations = json_set_object(meta, "annotations");
    const struct config_pairs *more = &input->runner->kubernetes.pod_annotations;
    OWNED_TEXT char *key = pod_key(input->runner->url, input->short_token, input->job->id);

    for (size_t i = 0; i < more->count; i++) {
        OWNED_TEXT char *value = job_facts_expand(input->facts, more->items[i].value, NULL);
        json_set_text(annotations, more->items[i].key, value);
    }
    add_stock_annotations(annotations, input);
    json_set_text(annotations, "kubectl.kubernetes.io/default-container", POD_COURIER);
    json_set_text(annotations, "cluster-autoscaler.kubernetes.io/safe-to-evict", "false");
    json_set_text(annotations, "karpenter.sh/do-not-disrupt", "true");
    json_set_text(annotations, POD_ANNOTATION_KEY, key);
    json_set_text(annotations, POD_ANNOTATION_ORDER, "");
    if (input->notes != NULL)
        json_set_text(annotations, POD_ANNOTATION_NOTES, input->notes);
    if (input->sealed != NULL)
        json_set_text(annotations, POD_ANNOTATION_SEALED, input->sealed);
}

static void add_owner(struct cJSON *meta, const struct pod_input *input)
{
    struct cJSON *owner;

    if (input->owner_uid == NULL)
        return;
    owner = json_add_object(json_set_array(meta, "ownerReferences"));
    json_set_text(owner, "apiVersion", input->owner_api);
    json_set_text(owner, "kind", input->owner_kind);
    json_set_text(owner, "name", input->owner_name);
    json_set_text(owner, "uid", input->owner_uid);
}

/* "key=value" is operator Equal, a bare key Exists, an empty key tolerates everything (docs/reference/dataops.md,
 * "Configuration of the stock runner"). */
static void add_tolerations(struct cJSON *spec, const struct config_pairs *wish)
{
    struct cJSON *list;

    if (wish->count == 0)
        return;
    list = json_set_array(spec, "tolerations");
    for (size_t i = 0; i < wish->count; i++) {
        struct cJSON *toleration = json_add_object(list);
        const char *equals = strchr(wish->items[i].key, '=');

        if (equals != NULL) {
            OWNED_TEXT char *key = mem_copy(wish->items[i].key, (size_t)(equals - wish->items[i].key));
            json_set_text(toleration, "key", key);
            json_set_text(toleration, "operator", "Equal");
            json_set_text(toleration, "value", equals + 1);
        } else {
            if (wish->items[i].key[0] != '\0')
                json_set_text(toleration, "key", wish->items[i].key);
            json_set_text(toleration, "operator", "Exists");
        }
        if (wish->items[i].value[0] != '\0')
            json_set_text(toleration, "effect", wish->items[i].value);
    }
}

static void add_placement(struct cJSON *spec, const struct config_kubernetes *wish)
{
    if (wish->node_selector.count > 0) {
        struct cJSON *selector = json_set_object(spec, "nodeSelector");
        for (size_t i = 0; i < wish->node_selector.count; i++)
            json_set_text(selector, wish->node_selector.items[i].key, wish->node_selector.items[i].value);
    }
    add_tolerations(spec, &wish->node_tolerations);
}

/* The job's own Secret doubles as pull Secret; configured ones come first. */
static void add_pull_secrets(struct cJSON *spec, const struct pod_input *input, const char *name)
{
    const struct config_texts *wish = &input->runner->kubernetes.image_pull_secrets;
    struct cJSON *list = json_set_array(spec, "imagePullSecrets");

    for (size_t i = 0; i < wish->count; i++)
        json_set_text(json_add_object(list), "name", wish->items[i]);
    json_set_text(json_add_object(list), "name", name);
}

static void add_pod_security(struct cJSON *spec, const struct config_runner *runner)
{
    struct cJSON *context = json_set_object(spec, "securityContext");

    json_set_text(json_set_object(context, "seccompProfile"), "type", "RuntimeDefault");
    if (pod_is_restricted(runner)) {
        json_set_bool(context, "runAsNonRoot", true);
        json_set_int(context, "fsGroup", runner->kubernetes.run_as_group);
    }
}

static int add_spec(struct cJSON *pod, const struct pod_input *input, const char *name, struct error *error)
{
    const struct config_kubernetes *wish = &input->runner->kubernetes;
    struct cJSON *spec = json_set_object(pod, "spec"), *containers, *volumes;
    OWNED_TEXT char *image = pod_image(input->job, input->variables, input->runner, error);

    if (image == NULL)
        return -1;
    json_set_text(spec, "restartPolicy", "Never");
    json_set_int(spec, "activeDeadlineSeconds", input->job->timeout_s + wish->poll_timeout_s + DEADLINE_SPARE_S);
    json_set_int(spec, "terminationGracePeriodSeconds", wish->grace_s);
    json_set_bool(spec, "automountServiceAccountToken", wish->automount_service_account_token);
    json_set_bool(spec, "enableServiceLinks", false);
    json_set_text(json_set_object(spec, "os"), "name", "linux");
    if (wish->service_account != NULL && wish->service_account[0] != '\0')
        json_set_text(spec, "serviceAccountName", wish->service_account);
    add_pod_security(spec, input->runner);
    add_placement(spec, wish);
    add_pull_secrets(spec, input, name);
    containers = pod_containers(input, image, error);
    if (containers == NULL)
        return -1;
    json_set(spec, "containers", containers);
    volumes = pod_volumes(input, name, error);
    if (volumes == NULL)
        return -1;
    json_set(spec, "volumes", volumes);
    return 0;
}

int pod_render(const struct pod_input *input, struct cJSON **given, struct error *error)
{
    struct cJSON *pod = json_object(), *meta;
    OWNED_TEXT char *name = pod_name(input->runner->url, input->short_token, input->job->id, input->attempt);

    json_set_text(pod, "apiVersion", "v1");
    json_set_text(pod, "kind", "Pod");
    meta = json_set_object(pod, "metadata");
    json_set_text(meta, "name", name);
    json_set_text(meta, "namespace", input->ns);
    add_labels(meta, input, name);
    add_annotations(meta, input);
    add_owner(meta, input);
    if (add_spec(pod, input, name, error) < 0) {
        json_free(pod);
        return -1;
    }
    *given = pod;
    return 0;
}
