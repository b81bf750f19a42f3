/* Going on with jobs that an earlier controller began: all that is needed is in the pod (docs/design.md section 3). */
#include "parts.h"

#include "base/log.h"
#include "follow.h"
#include "pod/name.h"
#include "state.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SEALED_VERSION         2
#define SEALED_WITHOUT_ATTEMPT 1 /* as it was before: the pod's name alone says which attempt it is */

/* A pod of the first list. Whoever may create pods chooses its labels, its annotations and (before we do) its name, so
 * all that is believed of it is what its sealed text says: that was written by a controller of this release, for the
 * pod of this name. */
struct found {
    const struct cJSON *pod;
    const char *name, *why_not; /* why_not: it cannot be adopted */
    struct cJSON *sealed;       /* owned; NULL: it does not open */
    struct intake *intake;
    uint64_t job_id;
    unsigned attempt;
};

char *adopt_seal(struct run *run)
{
    OWNED_JSON struct cJSON *json = json_object();
    struct cJSON *reasons;
    char *text, *sealed;

    if (!state_can_seal(run->controller->state))
        return NULL;
    json_set_int(json, "v", SEALED_VERSION);
    json_set_text(json, "url", run->intake->runner->url);
    json_set_text(json, "runner", run->intake->short_token);
    json_set_int(json, "job_id", (int64_t)run->job_id);
    json_set_int(json, "attempt", run->attempt);
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

/* Which attempt a text sealed for this pod speaks of; 0: none. The name that is made of it must be the pod's. */
static unsigned adopt_attempt(const char *name, const struct cJSON *sealed)
{
    const char *dash = strrchr(name, '-');
    int64_t attempt = json_int(sealed, "attempt", 0);

    if (json_int(sealed, "v", 0) == SEALED_WITHOUT_ATTEMPT)
        attempt = dash != NULL ? strtoll(dash + 1, NULL, 10) : 0;
    if (attempt < 1 || attempt > UINT32_MAX)
        return 0;
    OWNED_TEXT char *expected = pod_name(json_text(sealed, "url", ""), json_text(sealed, "runner", ""),
                                         (uint64_t)json_int(sealed, "job_id", 0), (unsigned)attempt);
    return strcmp(expected, name) == 0 ? (unsigned)attempt : 0;
}

static const char *adopt_why_not(struct cluster *cluster, struct found *found)
{
    const char *text = json_text(json_at(found->pod, "metadata.annotations"), POD_ANNOTATION_SEALED, NULL);
    int64_t version;

    if (text == NULL)
        return "it carries no sealed annotation";
    found->sealed = adopt_open(cluster, found->name, text);
    if (found->sealed == NULL)
        return "its sealed annotation cannot be opened: it was made for another pod, or its key is not in the state "
               "Secret any more";
    version = json_int(found->sealed, "v", 0);
    if (version < SEALED_WITHOUT_ATTEMPT || version > SEALED_VERSION)
        return "its sealed annotation is of another version of the controller";
    found->job_id = (uint64_t)json_int(found->sealed, "job_id", 0);
    found->attempt = adopt_attempt(found->name, found->sealed);
    if (found->attempt == 0)
        return "its sealed annotation is not that of a job's pod of this name";
    found->intake = adopt_intake(cluster, found->sealed);
    return found->intake == NULL ? "no runner entry fits: its entry is not in the configuration any more" : NULL;
}

bool adopt_names_run(const struct run *run, const struct cJSON *meta)
{
    const struct cJSON *annotations = json_get(meta, "annotations");
    const char *name = json_text(meta, "name", ""), *text = json_text(annotations, POD_ANNOTATION_SEALED, NULL);
    OWNED_JSON struct cJSON *sealed = NULL;

    if (strcmp(json_text(annotations, POD_ANNOTATION_KEY, ""), run->plan_key) != 0)
        return false;
    if (!state_can_seal(run->controller->state))
        return true;
    sealed = text != NULL ? adopt_open(run->cluster, name, text) : NULL;
    return sealed != NULL && (uint64_t)json_int(sealed, "job_id", 0) == run->job_id &&
           adopt_attempt(name, sealed) == run->attempt;
}

static void adopt_pod(const struct found *found, bool is_last)
{
    struct run *run = run_begin(found->intake, found->job_id, json_text(found->sealed, "token", ""));

    run->masking = masking_read(found->sealed);
    run->attempt = found->attempt;
    run->pod = mem_text(found->name);
    run->uid = mem_text(json_text_at(found->pod, "metadata.uid", ""));
    pod_status_read(found->pod, &run->status);
    strmap_set(&run->cluster->runs, run->pod, run);
    if (is_last)
        adopt_job(run, found->pod, found->sealed);
    else
        adopt_leftover(run);
}

/* Of several attempts only the last one can be the job; one that cannot be adopted takes no part. */
static bool adopt_is_last(const struct found *all, size_t count, const struct found *one)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].why_not == NULL && all[i].intake == one->intake && all[i].job_id == one->job_id &&
            all[i].attempt > one->attempt)
            return false;
    return true;
}

static void adopt_leave_alone(const struct cluster *cluster, const struct found *found)
{
    log_event(LOG_WARN, "pod_not_adopted", LOG_TEXT("pod", found->name), LOG_TEXT("namespace", cluster->ns),
              LOG_TEXT("why", found->why_not),
              LOG_TEXT("effect", "it is left alone, and whatever job it runs is not reported"),
              LOG_TEXT("help", "delete it when nobody needs it"));
}

void adopt_found(struct cluster *cluster)
{
    struct found *all = mem_new_array(cluster->found.count + 1, sizeof(*all));
    size_t count = 0, position = 0;

    for (struct strmap_entry *entry = strmap_next(&cluster->found, &position); entry != NULL;
         entry = strmap_next(&cluster->found, &position)) {
        struct found *found = &all[count++];

        found->pod = entry->value;
        found->name = json_text_at(found->pod, "metadata.name", "");
        found->why_not = adopt_why_not(cluster, found);
    }
    for (size_t i = 0; i < count; i++) {
        if (all[i].why_not == NULL)
            adopt_pod(&all[i], adopt_is_last(all, count, &all[i]));
        else
            adopt_leave_alone(cluster, &all[i]);
    }
    for (size_t i = 0; i < count; i++)
        json_free(all[i].sealed);
    mem_free(all);
    strmap_clear(&cluster->found);
}
