/* Going on with jobs that an earlier controller began: all that is needed is in the pod (docs/design.md section 3). */
#include "parts.h"

#include "base/log.h"
#include "follow.h"
#include "pod/name.h"
#include "state.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

char *adopt_seal(struct run *run)
{
    OWNED_JSON struct cJSON *json = json_object();
    struct cJSON *reasons;
    char *text, *sealed;

    if (!state_can_seal(run->controller->state))
        return NULL;
    json_set_int(json, "v", 1);
    json_set_text(json, "url", run->intake->runner->url);
    json_set_text(json, "runner", run->intake->short_token);
    json_set_int(json, "job_id", (int64_t)run->job_id);
    json_set_text(json, "token", run->job_token);
    json_set_int(json, "timeout_s", run->job->timeout_s);
    reasons = json_set_array(json, "reasons");
    for (size_t i = 0; i < run->reason_count; i++)
        json_add_text(reasons, run->reasons[i]);
    json_set_int(json, "created", loop_wall_us(run->controller->loop) / 1000000);
    text = json_print(json);
    sealed = state_seal(run->controller->state, run->cluster->ns, run->pod, text);
    mem_wipe_free(text, strlen(text));
    return sealed;
}

static struct intake *adopt_intake(struct cluster *cluster, const struct cJSON *json)
{
    struct controller *controller = cluster->controller;

    for (size_t i = 0; i < controller->intake_count; i++) {
        struct intake *intake = &controller->intakes[i];
        if (intake->cluster == cluster && strcmp(intake->runner->url, json_text(json, "url", "")) == 0 &&
            strcmp(intake->short_token, json_text(json, "runner", "")) == 0)
            return intake;
    }
    return NULL;
}

static struct cJSON *adopt_open(struct cluster *cluster, const char *pod, const char *sealed)
{
    struct strbuf text = STRBUF_UP_TO(64 * KIB);
    struct error ignored = ERROR_NONE;
    struct cJSON *json = NULL;

    if (state_open_sealed(cluster->controller->state, cluster->ns, pod, sealed, &text) == 0)
        json = json_parse(text.bytes, text.length, &ignored);
    strbuf_wipe(&text);
    return json;
}

static void adopt_take_reasons(struct run *run, const struct cJSON *list)
{
    run->reasons = mem_new_array(json_count(list) + 1, sizeof(*run->reasons));
    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
        if (json_item_text(item) != NULL)
            run->reasons[run->reason_count++] = mem_text(json_item_text(item));
}

static void adopt_take_notes(struct run *run, const struct cJSON *pod)
{
    const char *notes = json_text(json_get(json_get(pod, "metadata"), "annotations"), POD_ANNOTATION_NOTES, NULL);
    struct error ignored = ERROR_NONE;
    OWNED_JSON struct cJSON *list = notes != NULL ? json_parse(notes, strlen(notes), &ignored) : NULL;

    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
        strbuf_add_text(&run->notes, json_item_text(item) != NULL ? json_item_text(item) : "");
}

static void adopt_asked_plan(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->store_call = NULL;
    if (answer->kind == KUBE_OK)
        run_fail(run, JOB_CANNOT_START, REASON_SYSTEM,
                 "the controller was restarted before the job's plan was stored; nothing of the job ran");
    else if (answer->kind == KUBE_EXISTS)
        run_handle(run, JOB_PLAN_STORED);
    else
        run_fail(run, JOB_CANNOT_START, REASON_SYSTEM, answer->error.text);
    if (run->state == JOB_STARTING) {
        struct pod_status seen = run->status;
        run_pod_changed(run, &seen);
    }
}

/* Nobody may read Secrets here: a dry create tells whether the plan exists (409) or not (201). */
static void adopt_ask_plan(struct run *run)
{
    OWNED_JSON struct cJSON *secret = json_object();
    struct cJSON *meta = json_set_object(secret, "metadata");

    json_set_text(secret, "apiVersion", "v1");
    json_set_text(secret, "kind", "Secret");
    json_set_text(meta, "name", run->pod);
    json_set_text(meta, "namespace", run->cluster->ns);
    run->store_call = kube_create_dry(run->cluster->kube, run->cluster->ns, "secrets", secret, adopt_asked_plan, run);
}

struct run *adopt_pod(struct cluster *cluster, const struct cJSON *pod, const struct pod_status *status)
{
    const struct cJSON *meta = json_get(pod, "metadata"), *labels = json_get(meta, "labels");
    const char *sealed = json_text(json_get(meta, "annotations"), POD_ANNOTATION_SEALED, NULL);
    OWNED_JSON struct cJSON *json = sealed != NULL ? adopt_open(cluster, status->name, sealed) : NULL;
    struct intake *intake = json != NULL ? adopt_intake(cluster, json) : NULL;
    struct run *run;

    if (intake == NULL) {
        log_event(LOG_WARN, "pod_not_adopted", "pod=%s why=\"%s\"", status->name,
                  sealed == NULL ? "it carries no sealed annotation"
                  : json == NULL ? "its sealed annotation cannot be opened"
                                 : "no runner entry fits");
        return NULL;
    }
    run = run_begin(intake, (uint64_t)json_int(json, "job_id", 0), json_text(json, "token", ""));
    run->attempt = (unsigned)json_int(labels, POD_LABEL_ATTEMPT, 1);
    run->pod = mem_text(status->name);
    run->uid = mem_text(status->uid);
    adopt_take_reasons(run, json_get(json, "reasons"));
    adopt_take_notes(run, pod);
    run->adopted = true;
    run->state = JOB_STORING;
    run->status = *status;
    strmap_set(&cluster->runs, run->pod, run);
    log_event(LOG_INFO, "job_adopted", "job=%" PRIu64 " pod=%s", run->job_id, run->pod);
    run_open_trace(run, false);
    if (status->courier.state == CONTAINER_RUNNING || status->courier.state == CONTAINER_TERMINATED)
        run_handle(run, JOB_PLAN_STORED); /* courier's container needs the Secret to be created at all */
    else
        adopt_ask_plan(run);
    return run;
}
