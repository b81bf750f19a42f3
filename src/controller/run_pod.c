/* A run's pod: create it, store the plan, wait for its start, try again, give it orders, delete it. */
#include "parts.h"

#include "base/log.h"
#include "follow.h"
#include "job/plan.h"
#include "pod/name.h"
#include "pod/render.h"
#include "text/gzip.h"
#include "text/json.h"
#include "text/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUOTA_WAIT_MS     30000
#define GONE_WAIT_MOST_MS 600000 /* a deleted pod that does not go away stops counting after this */

static struct pod_input run_pod_input(struct run *run)
{
    struct controller *controller = run->controller;

    return (struct pod_input){
        .job = run->job,
        .variables = &run->variables,
        .runner = run->intake->runner,
        .ns = run->cluster->ns,
        .release = controller->options.release,
        .slot = "0",
        .short_token = run->intake->short_token,
        .version = DATAOPS_VERSION,
        .attempt = run->attempt,
    };
}

/* What a refusal of the pod or its Secret means for the job. */
static void run_refused(struct run *run, const struct kube_answer *answer, enum job_event delayed,
                        enum job_event refused)
{
    char text[480];
    struct strbuf words = STRBUF_EMPTY;

    quote_for_people(answer->error.text, 400, &words);
    snprintf(text, sizeof(text), "%s", strbuf_text(&words));
    strbuf_clear(&words);
    if (answer->kind == KUBE_QUOTA) {
        OWNED_TEXT char *line = mem_format("Waiting for quota: %s", text);
        run_note(run, line);
        run_handle(run, delayed);
    } else {
        run_fail(run, refused, answer->kind == KUBE_REFUSED && answer->status < 500 ? REASON_CONFIGURATION : REASON_SYSTEM, text);
    }
}

static void run_pod_exists(struct run *run, const char *uid)
{
    mem_free(run->uid);
    run->uid = mem_text(uid);
    log_event(LOG_INFO, "pod_created", "job=%" PRIu64 " pod=%s attempt=%u", run->job_id, run->pod, run->attempt);
    run_handle(run, JOB_POD_CREATED);
}

/* AlreadyExists: our own lost answer, an older pod of ours that is dying, or somebody else's. */
static void run_found_pod(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;
    struct cJSON *meta = answer->kind == KUBE_OK ? json_get(answer->object, "metadata") : NULL;
    const char *key = json_text(json_get(meta, "annotations"), POD_ANNOTATION_KEY, "");

    run->create_call = NULL;
    if (meta == NULL && answer->kind != KUBE_MISSING) {
        run_refused(run, answer, JOB_POD_DELAYED, JOB_POD_REFUSED);
    } else if (meta == NULL || json_text(meta, "deletionTimestamp", NULL) != NULL) {
        snprintf(run->cause_text, sizeof(run->cause_text), "pod %s of an earlier attempt is still being deleted",
                 run->pod);
        run_handle(run, JOB_NEVER_BEGAN);
    } else if (strcmp(key, run->plan_key) == 0) {
        run_pod_exists(run, json_text(meta, "uid", ""));
    } else {
        OWNED_TEXT char *text =
            mem_format("a pod named %s that is not of this job exists in namespace %s: two runners share the "
                       "namespace and a name; give this release a namespace of its own",
                       run->pod, run->cluster->ns);
        run_fail(run, JOB_POD_REFUSED, REASON_SYSTEM, text);
    }
}

static void run_created(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->create_call = NULL;
    if (answer->kind == KUBE_OK)
        run_pod_exists(run, json_text_at(answer->object, "metadata.uid", ""));
    else if (answer->kind == KUBE_EXISTS)
        run->create_call = kube_get(run->cluster->kube, run->cluster->ns, "pods", run->pod, run_found_pod, run);
    else
        run_refused(run, answer, JOB_POD_DELAYED, JOB_POD_REFUSED);
}

/* A new attempt has a pod, a log and a status of its own. */
static void run_new_attempt(struct run *run)
{
    const char *url = run->intake->runner->url;

    if (run->pod != NULL)
        strmap_remove(&run->cluster->runs, run->pod);
    follow_free(run->follow);
    run->follow = NULL;
    mem_free(run->pod);
    mem_free(run->uid);
    mem_free(run->plan_key);
    run->uid = NULL;
    memset(&run->status, 0, sizeof(run->status));
    timer_stop(&run->status_timer);
    run->pod_deleted = run->log_over = run->has_result = false;
    run->log_next = 0;
    run->pod = pod_name(url, run->intake->short_token, run->job_id, run->attempt);
    run->plan_key = pod_key(url, run->intake->short_token, run->job_id);
    strmap_set(&run->cluster->runs, run->pod, run);
}

void run_create_pod(struct run *run)
{
    struct error error = ERROR_NONE;
    struct cJSON *pod = NULL;
    struct pod_input input = run_pod_input(run);
    OWNED_TEXT char *notes = NULL, *sealed = NULL;

    run_new_attempt(run);
    sealed = adopt_seal(run);
    input.sealed = sealed;
    if (run->notes.length > 0) {
        OWNED_JSON struct cJSON *list = json_array();
        json_add_text(list, strbuf_text(&run->notes));
        notes = json_print(list);
        input.notes = notes;
    }
    if (pod_render(&input, &pod, &error) < 0) {
        run_fail(run, JOB_POD_REFUSED, REASON_CONFIGURATION, error.text);
        return;
    }
    run->create_call = kube_create(run->cluster->kube, run->cluster->ns, "pods", pod, run_created, run);
    json_free(pod);
}

static void run_stored(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->store_call = NULL;
    if (answer->kind == KUBE_OK || answer->kind == KUBE_EXISTS) {
        run->stored_ms = loop_now_ms(run->controller->loop);
        log_event(LOG_DEBUG, "job_safe", "job=%" PRIu64 " after_ms=%" PRIu64, run->job_id,
                  run->stored_ms - run->received_ms);
        run_handle(run, JOB_PLAN_STORED);
        if (run->state == JOB_STARTING && run->status.uid[0] != '\0') {
            struct pod_status seen = run->status;
            run_pod_changed(run, &seen);
        }
    } else {
        run_delete_pod(run);
        run_refused(run, answer, JOB_PLAN_DELAYED, JOB_PLAN_REFUSED);
    }
}

static int run_render_plan(struct run *run, struct strbuf *packed, struct error *error)
{
    const struct config_runner *runner = run->intake->runner;
    struct strbuf plan = STRBUF_UP_TO(PLAN_MOST);
    char **folders = pod_mask_folders(runner);
    const char *project_dir = variables_get(&run->variables, "CI_PROJECT_DIR");
    OWNED_TEXT char *tmp_dir = mem_format("%s.tmp", project_dir);
    struct plan_settings settings = {
        .server_url = runner->url,
        .api_root = dataops_api_root(run->intake->dataops),
        .ca_pem = run->intake->ca_pem,
        .cert_pem = run->intake->cert_pem,
        .key_pem = run->intake->key_pem,
        .runner_name = runner->name,
        .short_token = run->intake->short_token,
        .system_id = run->controller->options.system_id,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
        .pod_name = run->pod,
        .ns = run->cluster->ns,
        .image = run->image,
        .attempt = run->attempt,
        .shell = runner->shell,
        .builds_dir = runner->builds_dir,
        .project_dir = project_dir,
        .tmp_dir = tmp_dir,
        .output_limit_bytes = (uint64_t)runner->output_limit_kib * KIB,
        .mask_folders = (const char *const *)folders,
        .clone_url = runner->clone_url,
    };
    int result = plan_render(run->job, &run->variables, &settings, &plan, error);

    if (result == 0)
        gzip_pack(plan.bytes, plan.length, 6, packed);
    strbuf_wipe(&plan);
    for (size_t i = 0; folders[i] != NULL; i++)
        mem_free(folders[i]);
    mem_free(folders);
    return result;
}

void run_store_plan(struct run *run)
{
    struct error error = ERROR_NONE;
    struct cJSON *secret = NULL;
    struct strbuf packed = STRBUF_EMPTY;
    struct pod_input input = run_pod_input(run);

    if (run_render_plan(run, &packed, &error) < 0 ||
        pod_secret_render(&input, run->uid, packed.bytes, packed.length, &secret, &error) < 0) {
        run_delete_pod(run);
        run_fail(run, JOB_PLAN_REFUSED, REASON_CONFIGURATION, error.text);
    } else {
        run->store_call = kube_create(run->cluster->kube, run->cluster->ns, "secrets", secret, run_stored, run);
    }
    json_free(secret);
    strbuf_wipe(&packed);
}

static void run_start_due(void *owner)
{
    struct run *run = owner;
    char waits[512];

    pod_waits_for(&run->status, waits);
    OWNED_TEXT char *text =
        mem_format("the pod did not start within %" PRId64 " s%s%s (poll_timeout in [runners.kubernetes])",
                   run->intake->runner->kubernetes.poll_timeout_s, waits[0] ? ": " : "", waits);
    run_fail(run, JOB_CANNOT_START, strstr(waits, "image") != NULL ? REASON_IMAGE_PULL : REASON_SYSTEM, text);
}

/* While an image is pulled the pod is mute: the controller itself says what it waits for. */
static void run_wait_due(void *owner)
{
    struct run *run = owner;
    char waits[512];

    pod_waits_for(&run->status, waits);
    if (waits[0] != '\0' && strcmp(waits, run->waited_for) != 0) {
        snprintf(run->waited_for, sizeof(run->waited_for), "%s", waits);
        OWNED_TEXT char *line = mem_format("Waiting for pod %s/%s: %s", run->cluster->ns, run->pod, waits);
        run_note(run, line);
    }
    loop_after(run->controller->loop, &run->wait_timer, RUN_WAIT_LINE_AFTER_MS, run_wait_due, run);
}

void run_await_start(struct run *run)
{
    struct loop *loop = run->controller->loop;

    loop_after(loop, &run->start_timer, (uint64_t)run->intake->runner->kubernetes.poll_timeout_s * 1000, run_start_due,
               run);
    loop_after(loop, &run->wait_timer, RUN_WAIT_LINE_AFTER_MS, run_wait_due, run);
}

void run_stop_notes(struct run *run)
{
    timer_stop(&run->wait_timer);
}

void run_stop_waiting(struct run *run)
{
    timer_stop(&run->start_timer);
    timer_stop(&run->wait_timer);
    timer_stop(&run->pull_timer);
}

static void run_pull_due(void *owner)
{
    struct run *run = owner;
    char waits[512];

    pod_waits_for(&run->status, waits);
    OWNED_TEXT char *text = mem_format("image %s: %s", run->image != NULL ? run->image : "of the job", waits);
    run_fail(run, JOB_CANNOT_START, REASON_IMAGE_PULL, text);
}

void run_watch_build(struct run *run)
{
    const struct container_status *build = &run->status.build;

    if (build->state == CONTAINER_RUNNING || build->state == CONTAINER_TERMINATED)
        run_stop_waiting(run);
    else if (!pod_image_fails(build))
        timer_stop(&run->pull_timer);
    else if (run->pull_timer == NULL)
        loop_after(run->controller->loop, &run->pull_timer, RUN_PULL_PATIENCE_MS, run_pull_due, run);
}

static void run_retry_due(void *owner)
{
    run_handle(owner, JOB_TRY_AGAIN);
}

void run_retry(struct run *run, bool same_attempt)
{
    struct controller *controller = run->controller;
    uint64_t delay_ms = QUOTA_WAIT_MS;

    if (!same_attempt) {
        /* An adopted run has no payload left to make another pod from. */
        if (backoff_is_over(&run->attempts) || run->adopted) {
            OWNED_TEXT char *text = mem_format("the pod never began (attempt %u): %s", run->attempt, run->cause_text);
            run_fail(run, JOB_CANNOT_START, REASON_SYSTEM, text);
            return;
        }
        delay_ms = backoff_next_ms(&run->attempts, loop_random(controller->loop));
        if (run->cause_text[0] != '\0') {
            OWNED_TEXT char *line = mem_format("Attempt %u of %u never began: %s; trying again", run->attempt,
                                               RUN_ATTEMPTS_MOST, run->cause_text);
            log_event(LOG_WARN, "job_attempt_failed", "job=%" PRIu64 " attempt=%u why=\"%s\"", run->job_id,
                      run->attempt, run->cause_text);
            run_note(run, line);
        }
        run->attempt++;
    }
    loop_after(controller->loop, &run->retry_timer, delay_ms, run_retry_due, run);
}

static void run_gone_due(void *owner)
{
    struct run *run = owner;

    log_event(LOG_WARN, "pod_will_not_go", "job=%" PRIu64 " pod=%s", run->job_id, run->pod);
    run_handle(run, JOB_POD_DELETED);
}

static void run_deleted(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->delete_call = NULL;
    if (answer->kind != KUBE_OK)
        log_event(LOG_WARN, "pod_delete_failed", "job=%" PRIu64 " error=\"%s\"", run->job_id, answer->error.text);
    if (run->state != JOB_CLEANING)
        return;
    /* A pod whose containers are still there counts against the limit until the watch says that it is gone. */
    if (run->pod_deleted || run->has_result || answer->kind != KUBE_OK || run->status.uid[0] == '\0' ||
        pod_is_over(&run->status))
        run_handle(run, JOB_POD_DELETED);
    else
        loop_after(run->controller->loop, &run->gone_timer, GONE_WAIT_MOST_MS, run_gone_due, run);
}

static void run_nothing_to_delete(void *owner)
{
    struct run *run = owner;

    if (run->state == JOB_CLEANING)
        run_handle(run, JOB_POD_DELETED);
}

void run_delete_pod(struct run *run)
{
    if (run->uid == NULL || run->pod_deleted) {
        /* The answer to a create that is still under way brings the pod to delete. */
        if (run->state == JOB_CLEANING && run->create_call == NULL)
            loop_after(run->controller->loop, &run->gone_timer, 0, run_nothing_to_delete, run);
        return;
    }
    kube_cancel(run->delete_call);
    run->delete_call = kube_delete(run->cluster->kube, run->cluster->ns, "pods", run->pod, run->uid, RUN_DELETE_GRACE_S,
                                   run_deleted, run);
}

static void run_ordered(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->order_call = NULL;
    if (answer->kind == KUBE_OK)
        return;
    log_event(LOG_WARN, "order_failed", "job=%" PRIu64 " error=\"%s\"", run->job_id, answer->error.text);
    if (run->state == JOB_RUNNING)
        run_delete_pod(run); /* courier takes the TERM of the deletion as the end of the script */
}

void run_order_cancel(struct run *run)
{
    OWNED_JSON struct cJSON *patch = json_object();

    json_set_text(json_set_object(json_set_object(patch, "metadata"), "annotations"), POD_ANNOTATION_ORDER, "cancel");
    kube_cancel(run->order_call);
    run->order_call = kube_patch(run->cluster->kube, run->cluster->ns, "pods", run->pod, patch, run_ordered, run);
}
