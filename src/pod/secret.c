#include "pod/render.h"

#include "pod/name.h"
#include "text/digest.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

#define SECRET_MOST                                                                                                    \
    (1000u * 1000u) /* the API server refuses over 1 MiB of data; the error has to be ours to be understood */

/* Registry credentials: the payload's, overlaid by DOCKER_AUTH_CONFIG of the job (docs/reference/dataops.md, "The
 * payload"). */
static struct cJSON *pull_config(const struct pod_input *input)
{
    const char *own = variables_get(input->variables, "DOCKER_AUTH_CONFIG");
    struct error ignored;
    struct cJSON *config = own != NULL && own[0] != '\0' ? json_parse(own, strlen(own), &ignored) : NULL;
    struct cJSON *auths;

    if (!json_is_object(config)) {
        json_free(config);
        config = json_object();
    }
    auths = json_get(config, "auths");
    if (!json_is_object(auths))
        auths = json_set_object(config, "auths");
    for (size_t i = 0; i < input->job->credential_count; i++) {
        const struct job_credential *credential = &input->job->credentials[i];
        OWNED_TEXT char *pair = mem_format("%s:%s", credential->username, credential->password);
        struct strbuf encoded = STRBUF_EMPTY;

        if (json_get(auths, credential->url) == NULL) {
            base64_encode(pair, strlen(pair), &encoded);
            json_set_text(json_set_object(auths, credential->url), "auth", strbuf_text(&encoded));
        }
        strbuf_wipe(&encoded);
    }
    return config;
}

static void set_base64(struct cJSON *data, const char *key, const void *bytes, size_t length)
{
    struct strbuf encoded = STRBUF_EMPTY;

    base64_encode(bytes, length, &encoded);
    json_set_text(data, key, strbuf_text(&encoded));
    strbuf_wipe(&encoded);
}

int pod_secret_render(const struct pod_input *input, const char *pod_uid, const void *packed_plan, size_t length,
                      struct cJSON **given, struct error *error)
{
    OWNED_TEXT char *name = pod_name(input->runner->url, input->short_token, input->job->id, input->attempt);
    OWNED_TEXT char *job_id = mem_format("%" PRIu64, input->job->id);
    OWNED_JSON struct cJSON *config = pull_config(input);
    OWNED_TEXT char *pull = json_print(config);
    OWNED_TEXT char *release = pod_label_value(input->release);
    struct cJSON *secret, *meta, *owner, *data;

    if (length + strlen(pull) > SECRET_MOST)
        return error_set(
            error, BLAME_INPUT, 0,
            "the job's plan has %zu bytes compressed, a Kubernetes Secret holds 1 MiB: shorten its variables", length);
    secret = json_object();
    json_set_text(secret, "apiVersion", "v1");
    json_set_text(secret, "kind", "Secret");
    meta = json_set_object(secret, "metadata");
    json_set_text(meta, "name", name);
    json_set_text(meta, "namespace", input->ns);
    json_set_text(json_set_object(meta, "labels"), POD_LABEL_RELEASE, release);
    json_set_text(json_get(meta, "labels"), POD_LABEL_JOB, job_id);
    owner = json_add_object(json_set_array(meta, "ownerReferences"));
    json_set_text(owner, "apiVersion", "v1");
    json_set_text(owner, "kind", "Pod");
    json_set_text(owner, "name", name);
    json_set_text(owner, "uid", pod_uid);
    json_set_text(secret, "type", "kubernetes.io/dockerconfigjson");
    json_set_bool(secret, "immutable", true);
    data = json_set_object(secret, "data");
    set_base64(data, ".dockerconfigjson", pull, strlen(pull));
    set_base64(data, "plan", packed_plan, length);
    *given = secret;
    return 0;
}
