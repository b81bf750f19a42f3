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
    masking_write(run->masking, json); /* too long: the one who adopts shows no text that could hold a value */
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

void adopt_read_notes(const struct cJSON *meta, struct strbuf *notes)
{
    const char *text = json_text(json_get(meta, "annotations"), POD_ANNOTATION_NOTES, NULL);
    struct error ignored = ERROR_NONE;
    OWNED_JSON struct cJSON *list = text != NULL ? json_parse(text, strlen(text), &ignored) : NULL;

    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
        strbuf_add_text(notes, json_item_text(item) != NULL ? json_item_text(item) : "");
}

/* Only a clear "it is not there" ends the job: without an answer the start deadline decides. */
static void adopt_asked_plan(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->store_call = NULL;
    if (run->state != JOB_STORING)
        return;
    if (answer->kind == KUBE_OK) {
        run_fail(run, JOB_CANNOT_START, REASON_SYSTEM,
                 "the controller was restarted before the job's plan was stored; nothing of the job ran");
        return;
    }
    if (answer->kind != KUBE_EXISTS)
        run_event(run, LOG_WARN, "plan_unknown", LOG_TEXT("error", answer->error.text));
    run_plan_is_stored(run);
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

/* An earlier attempt whose delete was on its way: only the pod is left to do. */
static void adopt_leftover(struct run *run)
{
    run_event(run, LOG_INFO, "pod_left_over", LOG_TEXT("pod", run->pod));
    run->controller->jobs_received--;
    run->state = JOB_CLEANING;
    run_delete_pod(run);
}

static void adopt_job(struct run *run, const struct cJSON *pod, const struct cJSON *json)
{
    int64_t age_s = loop_wall_us(run->controller->loop) / 1000000 - json_int(json, "created", 0);

    adopt_take_reasons(run, json_get(json, "reasons"));
    adopt_read_notes(json_get(pod, "metadata"), &run->notes);
    run->notes_safe = run->notes_sent = run->notes.length;
    run->adopted = true;
    run->state = JOB_STORING;
    run_event(run, LOG_INFO, "job_adopted", LOG_TEXT("pod", run->pod));
    run_open_trace(run, false);
    run_start_limit(run, json_int(json, "timeout_s", 3600), age_s > 0 ? age_s : 0);
    adopt_ask_plan(run);
    run_pod_changed(run, &run->status);
}

static void adopt_pod(struct cluster *cluster, const struct cJSON *pod, bool is_last)
{
    const struct cJSON *meta = json_get(pod, "metadata"), *labels = json_get(meta, "labels");
    const char *name = json_text(meta, "name", "");
    const char *sealed = json_text(json_get(meta, "annotations"), POD_ANNOTATION_SEALED, NULL);
    OWNED_JSON struct cJSON *json = sealed != NULL ? adopt_open(cluster, name, sealed) : NULL;
    struct intake *intake = json != NULL ? adopt_intake(cluster, json) : NULL;
    struct run *run;

    if (intake == NULL) {
        log_event(LOG_WARN, "pod_not_adopted", LOG_TEXT("pod", name),
                  LOG_TEXT("why", sealed == NULL ? "it carries no sealed annotation"
                                  : json == NULL ? "its sealed annotation cannot be opened"
                                                 : "no runner entry fits"));
        return;
    }
    run = run_begin(intake, (uint64_t)json_int(json, "job_id", 0), json_text(json, "token", ""));
    run->masking = masking_read(json);
    run->attempt = (unsigned)json_int(labels, POD_LABEL_ATTEMPT, 1);
    run->pod = mem_text(name);
    run->uid = mem_text(json_text(meta, "uid", ""));
    pod_status_read(pod, &run->status);
    strmap_set(&cluster->runs, run->pod, run);
    if (is_last)
        adopt_job(run, pod, json);
    else
        adopt_leftover(run);
}

/* Of several attempts only the last one can be the job. */
static bool adopt_is_last(const struct cluster *cluster, const struct cJSON *pod)
{
    const struct cJSON *labels = json_at(pod, "metadata.labels");
    const char *key = json_text(json_at(pod, "metadata.annotations"), POD_ANNOTATION_KEY, "");
    size_t position = 0;

    for (struct strmap_entry *entry = strmap_next(&cluster->found, &position); entry != NULL;
         entry = strmap_next(&cluster->found, &position)) {
        const struct cJSON *other = entry->value;

        if (strcmp(json_text(json_at(other, "metadata.annotations"), POD_ANNOTATION_KEY, ""), key) == 0 &&
            json_int(json_at(other, "metadata.labels"), POD_LABEL_ATTEMPT, 1) > json_int(labels, POD_LABEL_ATTEMPT, 1))
            return false;
    }
    return true;
}

void adopt_found(struct cluster *cluster)
{
    size_t position = 0;

    for (struct strmap_entry *entry = strmap_next(&cluster->found, &position); entry != NULL;
         entry = strmap_next(&cluster->found, &position))
        adopt_pod(cluster, entry->value, adopt_is_last(cluster, entry->value));
    strmap_clear(&cluster->found);
}
