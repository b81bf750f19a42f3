/* A run's pod: create it, store the plan. */
#include "parts.h"

#include "base/log.h"
#include "follow.h"
#include "job/plan.h"
#include "pod/name.h"
#include "pod/refusal.h"
#include "pod/render.h"
#include "text/gzip.h"
#include "text/json.h"
#include "text/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUOTA_WAIT_MS 30000

static struct pod_input run_pod_input(struct run *run)
{
    struct controller *controller = run->controller;

    return (struct pod_input){
        .job = run->job,
        .facts = &run->facts,
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

/* Whether it happened cannot be told from this answer. */
static bool run_may_have_happened(const struct kube_answer *answer)
{
    return answer->kind == KUBE_FAILED || (answer->kind == KUBE_REFUSED && answer->status >= 500);
}

/* Kubernetes does not answer, or not now: it may later. A 500 without a reason is not of that kind: etcd refuses an
 * object that is too large so. */
static bool run_may_pass(struct run *run, const struct kube_answer *answer)
{
    uint64_t now_ms = loop_now_ms(run->controller->loop);

    if (answer->kind != KUBE_BUSY && answer->kind != KUBE_UNAUTHORIZED && answer->kind != KUBE_FAILED)
        return false;
    if (run->unanswered_at_ms == 0)
        run->unanswered_at_ms = now_ms;
    return now_ms - run->unanswered_at_ms < (uint64_t)run->intake->runner->kubernetes.poll_timeout_s * 1000;
}

/* What a refusal of the pod or its Secret means for the job. */
static void run_refused(struct run *run, const struct kube_answer *answer, enum job_event delayed,
                        enum job_event refused)
{
    bool quota = answer->kind == KUBE_QUOTA;
    bool ours = answer->kind == KUBE_REFUSED && answer->status < 500;
    char text[480];
    struct strbuf words = STRBUF_EMPTY;

    OWNED_TEXT char *masked = masking_masked(run->masking, answer->error.text);
    quote_for_people(masked, 400, &words);
    snprintf(text, sizeof(text), "%s", strbuf_text(&words));
    strbuf_clear(&words);
    if (!quota && !run_may_pass(run, answer)) {
        const char *advice = pod_refusal_advice(answer->error.text);
        OWNED_TEXT char *whole = mem_format("%s%s%s", text, advice ? "; " : "", advice ? advice : "");
        run_fail(run, refused, ours ? REASON_CONFIGURATION : REASON_SYSTEM, whole);
        return;
    }
    run_set_cause(run, text);
    if (strcmp(text, run->waited_for) != 0) {
        snprintf(run->waited_for, sizeof(run->waited_for), "%s", text);
        OWNED_TEXT char *line = mem_format("Waiting for %s: %s", quota ? "quota" : "Kubernetes", text);
        run_note(run, line);
    }
    if (quota) {
        run_bury_old(run); /* it counts, too */
        run->unanswered_at_ms = 0;
    }
    run->retry_wait_ms = quota ? QUOTA_WAIT_MS : RUN_ASK_AGAIN_MS;
    run_handle(run, delayed);
}

/* The watch may have been faster than the answer. */
static void run_pod_exists(struct run *run, const char *uid)
{
    bool gone = strcmp(run->early_gone, uid) == 0;

    mem_free(run->uid);
    run->uid = mem_text(uid);
    run->pod_maybe = false;
    run->unanswered_at_ms = 0;
    if (strcmp(run->status.uid, uid) != 0)
        memset(&run->status, 0, sizeof(run->status));
    run_event(run, LOG_INFO, "pod_created", LOG_TEXT("pod", run->pod), LOG_NUMBER("attempt", run->attempt));
    run_handle(run, JOB_POD_CREATED);
    run_notes_in_pod(run);
    if (gone)
        run_pod_gone(run);
}

/* The create was overtaken by a cancel: all that counts is whether a pod stays behind. */
static void run_no_pod(struct run *run, bool sure)
{
    run->pod_maybe = !sure;
    if (sure)
        run_handle(run, JOB_POD_REFUSED);
    else if (run->state == JOB_CLEANING)
        run_delete_pod(run);
}

/* How much of the notes the pod carries: an earlier create may have made it. */
static size_t run_notes_of(const struct run *run, const struct cJSON *meta)
{
    struct strbuf notes = STRBUF_EMPTY;
    size_t length;

    adopt_read_notes(meta, &notes);
    length = notes.length;
    if (length > run->notes.length || (length > 0 && memcmp(notes.bytes, run->notes.bytes, length) != 0))
        length = 0;
    strbuf_clear(&notes);
    return length;
}

/* AlreadyExists: our own lost answer, an older pod of ours that is dying, or somebody else's. */
static void run_found_pod(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;
    struct cJSON *meta = answer->kind == KUBE_OK ? json_get(answer->object, "metadata") : NULL;
    bool dying = json_text(meta, "deletionTimestamp", NULL) != NULL;

    run->create_call = NULL;
    if (meta != NULL && !dying && adopt_names_run(run, meta)) {
        run->notes_sent = run_notes_of(run, meta);
        run_pod_exists(run, json_text(meta, "uid", ""));
    } else if (run->state != JOB_CREATING) {
        run_no_pod(run, meta != NULL || answer->kind == KUBE_MISSING);
    } else if (meta == NULL && answer->kind != KUBE_MISSING) {
        run_refused(run, answer, JOB_POD_DELAYED, JOB_POD_REFUSED);
    } else if (meta == NULL || dying) {
        OWNED_TEXT char *text = mem_format("pod %s of an earlier attempt is still being deleted", run->pod);
        run_set_cause(run, text);
        run_handle(run, JOB_NEVER_BEGAN);
    } else {
        OWNED_TEXT char *text =
            mem_format("a pod named %s that is not of this job exists in namespace %s: two runners share the "
                       "namespace and a name; give this release a namespace of its own",
                       run->pod, run->cluster->ns);
        run->pod_maybe = false;
        run_fail(run, JOB_POD_REFUSED, REASON_SYSTEM, text);
    }
}

void run_look_for_pod(struct run *run)
{
    run->create_call = kube_get(run->cluster->kube, run->cluster->ns, "pods", run->pod, run_found_pod, run);
}

static void run_created(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->create_call = NULL;
    if (answer->kind == KUBE_OK) {
        run_pod_exists(run, json_text_at(answer->object, "metadata.uid", ""));
        return;
    }
    if (answer->kind == KUBE_EXISTS) {
        run_look_for_pod(run);
        return;
    }
    run->pod_maybe = run_may_have_happened(answer) || run->pod_was_maybe;
    if (run->state == JOB_CREATING)
        run_refused(run, answer, JOB_POD_DELAYED, JOB_POD_REFUSED);
    else
        run_no_pod(run, !run->pod_maybe);
}

/* A new attempt has a pod, a log and a status of its own. */
static void run_new_attempt(struct run *run)
{
    const char *url = run->intake->runner->url;

    run_keep_old(run);
    if (run->pod != NULL)
        strmap_remove(&run->cluster->runs, run->pod);
    follow_free(run->follow);
    run->follow = NULL;
    mem_free(run->pod);
    mem_free(run->uid);
    mem_free(run->plan_key);
    run->uid = NULL;
    run->early_gone[0] = '\0';
    memset(&run->status, 0, sizeof(run->status));
    run->pod_deleted = run->log_over = run->has_result = run->delete_asked = false;
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

    run->pod_was_maybe = run->pod_maybe;
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
    run->notes_sent = run->notes.length;
    run->pod_maybe = true;
    run->create_call = kube_create(run->cluster->kube, run->cluster->ns, "pods", pod, run_created, run);
    json_free(pod);
}

void run_plan_is_stored(struct run *run)
{
    kube_cancel(run->store_call);
    run->store_call = NULL;
    timer_stop(&run->store_timer);
    run->unanswered_at_ms = 0;
    run_bury_old(run);
    run->stored_ms = loop_now_ms(run->controller->loop);
    run_event(run, LOG_DEBUG, "job_safe", LOG_NUMBER("after_ms", run->stored_ms - run->received_ms));
    run_handle(run, JOB_PLAN_STORED);
    if (run->state == JOB_STARTING && run->status.uid[0] != '\0')
        run_pod_changed(run, &run->status);
}

static void run_store_due(void *owner)
{
    run_store_plan(owner);
}

static void run_stored(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->store_call = NULL;
    if (run->state != JOB_STORING)
        return;
    if (answer->kind == KUBE_OK || answer->kind == KUBE_EXISTS) {
        run_plan_is_stored(run);
        return;
    }
    run_refused(run, answer, JOB_PLAN_DELAYED, JOB_PLAN_REFUSED);
    if (run->state == JOB_STORING) {
        loop_after(run->controller->loop, &run->store_timer, run->retry_wait_ms, run_store_due, run);
        run->retry_wait_ms = 0;
    }
}

static int run_render_plan(struct run *run, struct strbuf *packed, struct error *error)
{
    const struct config_runner *runner = run->intake->runner;
    struct strbuf plan = STRBUF_UP_TO(PLAN_MOST);
    char **folders = pod_mask_folders(runner);
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
        .facts = &run->facts,
        .output_limit_bytes = (uint64_t)runner->output_limit_kib * KIB,
        .limits = { .upload_bytes = runner->kubernetes.artifact_upload_limit,
                    .download_bytes = runner->kubernetes.artifact_download_limit,
                    .unpacked_bytes = runner->kubernetes.artifact_unpacked_limit,
                    .memory_bytes = runner->kubernetes.artifact_memory_limit,
                    .entries = runner->kubernetes.artifact_entries_limit,
                    .ratio = runner->kubernetes.artifact_ratio_limit },
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
        run_fail(run, JOB_PLAN_REFUSED, REASON_CONFIGURATION, error.text);
    } else {
        run->store_call = kube_create(run->cluster->kube, run->cluster->ns, "secrets", secret, run_stored, run);
    }
    json_free(secret);
    strbuf_wipe(&packed);
}
