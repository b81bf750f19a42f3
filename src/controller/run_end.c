/* Orders for a run's pod, and its end. */
#include "parts.h"

#include "base/log.h"
#include "pod/name.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GONE_WAIT_MOST_MS 600000 /* a deleted pod that does not go away stops counting after this */
#define ORDER_AGAIN_MS    2000

static void run_gone_due(void *owner)
{
    struct run *run = owner;

    run_event(run, LOG_WARN, "pod_will_not_go", LOG_TEXT("pod", run->pod));
    run_handle(run, JOB_POD_DELETED);
}

static void run_delete_again(void *owner)
{
    run_delete_pod(owner);
}

/* A pod whose containers are still there counts against the limit until the watch says that it is gone. */
static bool run_counts_on(const struct run *run, const struct kube_answer *answer)
{
    int64_t grace_s = json_int(json_get(answer->object, "metadata"), "deletionGracePeriodSeconds", 1);

    return !run->pod_deleted && !run->has_result && answer->object != NULL && grace_s > 0 && !pod_is_over(&run->status);
}

/* Nobody may delete it for us: without the right the pod stays, and so does a line about it. */
static bool run_may_delete_later(const struct kube_answer *answer)
{
    return answer->kind == KUBE_FAILED || answer->kind == KUBE_BUSY || answer->kind == KUBE_UNAUTHORIZED ||
           answer->status >= 500;
}

static void run_deleted(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->delete_call = NULL;
    if (answer->kind != KUBE_OK)
        run_event(run, LOG_WARN, "pod_delete_failed", LOG_TEXT("pod", run->pod), LOG_TEXT("error", answer->error.text));
    if (answer->kind != KUBE_OK && run_may_delete_later(answer)) {
        loop_after(run->controller->loop, &run->delete_timer, RUN_ASK_AGAIN_MS, run_delete_again, run);
        return;
    }
    if (run->state != JOB_CLEANING)
        return;
    if (answer->kind == KUBE_OK && run_counts_on(run, answer))
        loop_after(run->controller->loop, &run->gone_timer, GONE_WAIT_MOST_MS, run_gone_due, run);
    else
        run_handle(run, JOB_POD_DELETED);
}

static void run_nothing_to_delete(void *owner)
{
    struct run *run = owner;

    if (run->state == JOB_CLEANING)
        run_handle(run, JOB_POD_DELETED);
}

void run_delete_pod(struct run *run)
{
    timer_stop(&run->delete_timer);
    run_bury_old(run);
    if (run->uid != NULL && !run->pod_deleted) {
        run->delete_asked = true;
        kube_cancel(run->delete_call);
        run->delete_call = kube_delete(run->cluster->kube, run->cluster->ns, "pods", run->pod, run->uid,
                                       RUN_DELETE_GRACE_S, run_deleted, run);
        return;
    }
    /* The answer to a create that is still under way brings the pod to delete. */
    if (run->state != JOB_CLEANING || run->create_call != NULL)
        return;
    if (run->uid == NULL && run->pod_maybe)
        run_look_for_pod(run);
    else
        loop_after(run->controller->loop, &run->gone_timer, 0, run_nothing_to_delete, run);
}

void run_bury_old(struct run *run)
{
    if (run->old_uid == NULL)
        return;
    cluster_bury(run->cluster, run->old_pod, run->old_uid, run->masking);
    mem_free(run->old_pod);
    mem_free(run->old_uid);
    run->old_pod = run->old_uid = NULL;
}

void run_keep_old(struct run *run)
{
    if (run->uid == NULL)
        return;
    run_bury_old(run);
    if (!run->pod_deleted) {
        run->old_pod = mem_text(run->pod);
        run->old_uid = mem_text(run->uid);
    }
}

static void run_order_due(void *owner)
{
    struct run *run = owner;

    if (run->state == JOB_RUNNING && !run->pod_deleted)
        run_order_cancel(run);
}

static void run_ordered(void *owner, const struct kube_answer *answer)
{
    struct run *run = owner;

    run->order_call = NULL;
    if (answer->kind == KUBE_OK || answer->kind == KUBE_MISSING || run->state != JOB_RUNNING)
        return;
    run_event(run, LOG_WARN, "order_failed", LOG_TEXT("error", answer->error.text));
    if (answer->kind == KUBE_FORBIDDEN || answer->kind == KUBE_REFUSED)
        run_delete_pod(run); /* courier takes the TERM of the deletion as the end of the script */
    else
        loop_after(run->controller->loop, &run->order_timer, ORDER_AGAIN_MS, run_order_due, run);
}

void run_order_cancel(struct run *run)
{
    OWNED_JSON struct cJSON *patch = json_object();

    json_set_text(json_set_object(json_set_object(patch, "metadata"), "annotations"), POD_ANNOTATION_ORDER, "cancel");
    kube_cancel(run->order_call);
    run->order_call = kube_patch(run->cluster->kube, run->cluster->ns, "pods", run->pod, patch, run_ordered, run);
}
