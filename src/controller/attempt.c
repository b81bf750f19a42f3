#include "attempt.h"

#include "cluster.h"
#include "io/loop.h"
#include "kube/client.h"
#include "order.h"
#include "patience.h"
#include "plan_secret.h"
#include "pod/name.h"
#include "removal.h"
#include "say.h"
#include "start_watch.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_MS           5000 /* a question that Kubernetes did not answer */
#define FINDS_MOST         60 /* some seven minutes: after that the pod, if there is one, is named in the log and stays */
#define OUTSIDE_PATIENCE_S 60 /* beyond its grace, for a pod that somebody deleted and that does not end */

enum phase { PHASE_CREATING, PHASE_STORING, PHASE_WATCHING, PHASE_SETTLED, PHASE_LEFT, PHASE_ENDING };

struct attempt {
    struct attempt_input input;
    struct loop *loop;
    struct kube *kube;
    const char *ns; /* borrowed from the cluster */
    enum phase phase;
    char *pod, *uid;
    bool may_exist, might_have_existed; /* a create went out unanswered; so did the one before it */
    bool has_run;                       /* courier's container was seen to run, and said to */
    bool has_spoken, is_gone;
    bool until_gone;          /* of attempt_end */
    unsigned finds;           /* unanswered questions whether there is a pod */
    char early_gone[64];      /* uid of a pod of this name that went before the create was answered */
    struct pod_status status; /* while uid is NULL: of whatever pod has the name */
    struct patience patience;
    struct kube_call *create_call;
    struct plan_secret *secret;
    struct order *order;
    struct start_watch *start;
    struct removal *removal;
    struct timer *outside_timer, *end_timer;
};

static const struct attempt_events *events(const struct attempt *attempt)
{
    return attempt->input.events;
}

static void tell(const struct attempt *attempt, enum job_event event, enum reason reason, const char *text)
{
    attempt->input.events->happened(attempt->input.owner, event, reason, text);
}

/* Whether the pod was made cannot be told from this answer. */
static bool may_have_happened(const struct kube_answer *answer)
{
    return answer->kind == KUBE_FAILED || (answer->kind == KUBE_REFUSED && answer->status >= 500);
}

/* A request was not carried out. Gives how long to wait before it is made again; 0: it was refused for good. */
static uint64_t attempt_not_done(struct attempt *attempt, const struct kube_answer *answer)
{
    struct patience_advice advice;

    patience_judge(&attempt->patience, attempt->input.job, answer, loop_now_ms(attempt->loop), &advice);
    if (advice.wait_ms == 0)
        tell(attempt, JOB_POD_REFUSED, advice.reason, advice.text);
    else
        events(attempt)->delayed(attempt->input.owner, JOB_POD_DELAYED, &advice);
    return advice.wait_ms;
}

/* --- creating --- */

static void attempt_removal_done(void *owner);
static void attempt_find(void *owner);
static void attempt_pod_gone(void *owner, const char *uid);

static void attempt_remove(struct attempt *attempt, bool until_gone)
{
    const struct removal_input input = {
        .loop = attempt->loop,
        .kube = attempt->kube,
        .ns = attempt->ns,
        .pod = attempt->pod,
        .uid = attempt->uid,
        .job = attempt->input.job,
        .until_gone = until_gone && !pod_is_over(&attempt->status),
    };

    removal_free(attempt->removal);
    attempt->removal = removal_new(&input, attempt_removal_done, attempt);
}

static void attempt_tell_gone(void *owner)
{
    struct attempt *attempt = owner;

    tell(attempt, JOB_POD_DELETED, REASON_NONE, NULL);
}

/* The watch may have been faster than the answer. */
static void attempt_exists(struct attempt *attempt, const char *uid, const char *found_notes)
{
    bool is_gone = strcmp(attempt->early_gone, uid) == 0;

    mem_free(attempt->uid);
    attempt->uid = mem_text(uid);
    attempt->may_exist = false;
    patience_reset(&attempt->patience);
    if (strcmp(attempt->status.uid, uid) != 0)
        memset(&attempt->status, 0, sizeof(attempt->status));
    say_event(attempt->input.job, LOG_INFO, "pod_created", LOG_TEXT("pod", attempt->pod),
              LOG_NUMBER("attempt", attempt->input.number));
    if (attempt->phase == PHASE_ENDING) {
        attempt_remove(attempt, attempt->until_gone);
    } else {
        if (attempt->phase == PHASE_CREATING)
            attempt->phase = PHASE_STORING;
        events(attempt)->created(attempt->input.owner, found_notes);
    }
    if (is_gone)
        attempt_pod_gone(attempt, uid);
}

/* The create was overtaken by the job's end: all that counts is whether a pod stays behind. */
static void attempt_has_none(struct attempt *attempt, bool is_sure)
{
    attempt->may_exist = !is_sure && attempt->finds++ < FINDS_MOST;
    if (!is_sure && !attempt->may_exist)
        say_event(attempt->input.job, LOG_ERROR, "pod_unknown", LOG_TEXT("pod", attempt->pod));
    if (attempt->phase == PHASE_ENDING)
        loop_after(attempt->loop, &attempt->end_timer,
                   attempt->may_exist ? AGAIN_MS + loop_random(attempt->loop) % AGAIN_MS : 0,
                   attempt->may_exist ? attempt_find : attempt_tell_gone, attempt);
}

/* AlreadyExists, or a create without an answer: there is our own pod, an older one of ours that is going, or somebody
 * else's. */
static void attempt_found(void *owner, const struct kube_answer *answer)
{
    struct attempt *attempt = owner;
    const struct sealed_job *job = attempt->input.job;
    struct cJSON *meta = answer->kind == KUBE_OK ? json_get(answer->object, "metadata") : NULL;
    bool is_going = json_text(meta, "deletionTimestamp", NULL) != NULL;

    attempt->create_call = NULL;
    if (meta != NULL && !is_going &&
        sealed_is_of(attempt->input.entry->frame->state, attempt->ns, answer->object, job, attempt->input.number)) {
        attempt_exists(attempt, json_text(meta, "uid", ""),
                       json_text(json_get(meta, "annotations"), POD_ANNOTATION_NOTES, ""));
    } else if (attempt->phase != PHASE_CREATING) {
        attempt_has_none(attempt, meta != NULL || answer->kind == KUBE_MISSING);
    } else if (meta == NULL && answer->kind != KUBE_MISSING) {
        attempt_not_done(attempt, answer);
    } else if (meta == NULL || is_going) {
        OWNED_TEXT char *text = mem_format("pod %s of an earlier attempt is still being deleted", attempt->pod);
        tell(attempt, JOB_NEVER_BEGAN, REASON_SYSTEM, text);
    } else {
        OWNED_TEXT char *text =
            mem_format("a pod named %s that is not of this job exists in namespace %s: two runners share the "
                       "namespace and a name; give this release a namespace of its own",
                       attempt->pod, attempt->ns);
        attempt->may_exist = false;
        tell(attempt, JOB_POD_REFUSED, REASON_SYSTEM, text);
    }
}

static void attempt_find(void *owner)
{
    struct attempt *attempt = owner;

    attempt->create_call = kube_get(attempt->kube, attempt->ns, "pods", attempt->pod, attempt_found, attempt);
}

static void attempt_created(void *owner, const struct kube_answer *answer)
{
    struct attempt *attempt = owner;

    attempt->create_call = NULL;
    if (answer->kind == KUBE_OK) {
        attempt_exists(attempt, json_text_at(answer->object, "metadata.uid", ""), NULL);
        return;
    }
    if (answer->kind == KUBE_EXISTS) {
        attempt_find(attempt);
        return;
    }
    attempt->may_exist = may_have_happened(answer) || attempt->might_have_existed;
    if (attempt->phase == PHASE_CREATING)
        attempt_not_done(attempt, answer);
    else
        attempt_has_none(attempt, !attempt->may_exist);
}

void attempt_create(struct attempt *attempt, const char *notes)
{
    struct error error = ERROR_NONE;
    const struct sealed_pod place = { .ns = attempt->ns, .name = attempt->pod, .attempt = attempt->input.number };
    OWNED_TEXT char *sealed = sealed_write(attempt->input.entry->frame->state, attempt->input.job, &place,
                                           loop_wall_us(attempt->loop) / 1000000);
    const struct workload_pod wanted = {
        .name = attempt->pod, .sealed = sealed, .notes = notes, .attempt = attempt->input.number
    };
    OWNED_JSON struct cJSON *pod = workload_render_pod(attempt->input.workload, &wanted, &error);

    if (pod == NULL) {
        tell(attempt, JOB_POD_REFUSED, REASON_CONFIGURATION, error.text);
        return;
    }
    attempt->might_have_existed = attempt->may_exist;
    attempt->may_exist = true;
    attempt->create_call = kube_create(attempt->kube, attempt->ns, "pods", pod, attempt_created, attempt);
}

/* --- storing --- */

static void attempt_is_safe(void *owner)
{
    struct attempt *attempt = owner;

    plan_secret_free(attempt->secret);
    attempt->secret = NULL;
    patience_reset(&attempt->patience);
    attempt->phase = PHASE_WATCHING;
    events(attempt)->safe(attempt->input.owner);
    if (attempt->phase == PHASE_WATCHING && attempt->status.uid[0] != '\0')
        attempt_look(attempt);
}

static void attempt_plan_missing(void *owner)
{
    const struct attempt *attempt = owner;

    tell(attempt, JOB_CANNOT_START, REASON_SYSTEM,
         "the controller was restarted before the job's plan was stored; nothing of the job ran");
}

static void attempt_plan_delayed(void *owner, const struct patience_advice *advice)
{
    const struct attempt *attempt = owner;

    events(attempt)->delayed(attempt->input.owner, JOB_PLAN_DELAYED, advice);
}

static void attempt_plan_refused(void *owner, enum reason reason, const char *text)
{
    const struct attempt *attempt = owner;

    tell(attempt, JOB_PLAN_REFUSED, reason, text);
}

static const struct plan_secret_events secret_events = { .stored = attempt_is_safe,
                                                         .missing = attempt_plan_missing,
                                                         .delayed = attempt_plan_delayed,
                                                         .refused = attempt_plan_refused };

static void attempt_new_secret(struct attempt *attempt)
{
    const struct plan_secret_input input = {
        .loop = attempt->loop,
        .kube = attempt->kube,
        .job = attempt->input.job,
        .patience = &attempt->patience,
        .ns = attempt->ns,
        .pod = attempt->pod,
        .uid = attempt->uid,
    };

    attempt->secret = plan_secret_new(&input, &secret_events, attempt);
}

void attempt_store_plan(struct attempt *attempt)
{
    const struct workload_pod pod = { .name = attempt->pod, .attempt = attempt->input.number };

    attempt_new_secret(attempt);
    plan_secret_store(attempt->secret, attempt->input.workload, &pod);
}

/* --- watching --- */

static void attempt_start_line(void *owner, const char *text)
{
    const struct attempt *attempt = owner;

    events(attempt)->line(attempt->input.owner, text);
}

static void attempt_start_failed(void *owner, enum reason reason, const char *text)
{
    const struct attempt *attempt = owner;

    tell(attempt, JOB_CANNOT_START, reason, text);
}

static const struct start_watch_events start_events = { .line = attempt_start_line, .failed = attempt_start_failed };

void attempt_await_start(struct attempt *attempt)
{
    const struct workload *workload = attempt->input.workload;
    const struct start_watch_input input = {
        .loop = attempt->loop,
        .ns = attempt->ns,
        .pod = attempt->pod,
        .image = workload != NULL ? workload->image : NULL,
        .said = attempt->input.said,
        .status = &attempt->status,
        .limit_s = attempt->input.entry->runner->kubernetes.poll_timeout_s,
        .job = attempt->input.job,
    };

    start_watch_free(attempt->start);
    attempt->start = start_watch_new(&input, &start_events, attempt);
}

void attempt_courier_spoke(struct attempt *attempt)
{
    attempt->has_spoken = true;
    if (attempt->start != NULL)
        start_watch_be_quiet(attempt->start);
}

static void attempt_check_start(struct attempt *attempt)
{
    enum reason reason = REASON_SYSTEM;
    char why[512];

    if (pod_never_began(&attempt->status, attempt->has_spoken, why)) {
        if (!pod_only_log_knows(&attempt->status, attempt->has_run)) {
            tell(attempt, JOB_NEVER_BEGAN, REASON_SYSTEM, why);
        } else if (attempt->phase == PHASE_WATCHING) {
            attempt->has_run = true;
            tell(attempt, JOB_POD_RUNS, REASON_NONE, NULL);
            events(attempt)->only_log_knows(attempt->input.owner);
        }
    } else if (!attempt->has_spoken && pod_cannot_start(&attempt->status, &reason, why)) {
        tell(attempt, JOB_CANNOT_START, reason, why);
    }
}

static void attempt_outside_due(void *owner)
{
    struct attempt *attempt = owner;

    say_event(attempt->input.job, LOG_WARN, "pod_does_not_end", LOG_TEXT("pod", attempt->pod));
    if (attempt->phase == PHASE_WATCHING)
        events(attempt)->over(attempt->input.owner);
}

/* Somebody else deleted the pod: courier gets its grace, but a node that is gone never says more. */
static void attempt_watch_deletion(struct attempt *attempt)
{
    int64_t grace_s = attempt->input.entry->runner->kubernetes.grace_s + OUTSIDE_PATIENCE_S;

    if (attempt->status.deleting && attempt->outside_timer == NULL)
        loop_after(attempt->loop, &attempt->outside_timer, (uint64_t)grace_s * 1000, attempt_outside_due, attempt);
}

/* The pod has its plan and courier may be at work. */
static void attempt_watch(struct attempt *attempt)
{
    const struct pod_status *status = &attempt->status;

    if (attempt->start != NULL)
        start_watch_look(attempt->start);
    attempt_watch_deletion(attempt);
    if (pod_courier_began(status)) {
        attempt->has_run = true;
        tell(attempt, JOB_POD_RUNS, REASON_NONE, NULL);
    }
    if (attempt->phase == PHASE_WATCHING && (status->courier.state == CONTAINER_TERMINATED || pod_is_over(status)))
        events(attempt)->ended(attempt->input.owner, status->courier.termination);
}

void attempt_look(struct attempt *attempt)
{
    /* courier's container needs the Secret to be created at all */
    if (attempt->phase == PHASE_STORING && pod_courier_began(&attempt->status)) {
        attempt_is_safe(attempt);
        return;
    }
    if (attempt->phase == PHASE_STORING || attempt->phase == PHASE_WATCHING)
        attempt_check_start(attempt);
    if (attempt->phase == PHASE_WATCHING)
        attempt_watch(attempt);
}

static void attempt_pod_changed(void *owner, const struct pod_status *status)
{
    struct attempt *attempt = owner;

    if (attempt->uid != NULL && strcmp(attempt->uid, status->uid) != 0)
        return;
    attempt->status = *status;
    if (attempt->uid == NULL)
        return; /* looked at once the create was answered */
    if (attempt->removal != NULL && pod_is_over(status))
        removal_pod_over(attempt->removal);
    attempt_look(attempt);
}

static void attempt_pod_gone(void *owner, const char *uid)
{
    struct attempt *attempt = owner;

    if (attempt->uid == NULL) {
        snprintf(attempt->early_gone, sizeof(attempt->early_gone), "%s", uid);
        return;
    }
    if (attempt->is_gone || strcmp(attempt->uid, uid) != 0)
        return;
    say_event(attempt->input.job, LOG_DEBUG, "pod_gone", LOG_TEXT("pod", attempt->pod));
    attempt->is_gone = true;
    if (attempt->phase == PHASE_ENDING) {
        if (attempt->removal != NULL)
            removal_gone(attempt->removal);
        else
            loop_after(attempt->loop, &attempt->end_timer, 0, attempt_tell_gone, attempt);
        return;
    }
    if (attempt->phase == PHASE_LEFT)
        return;
    events(attempt)->vanished(attempt->input.owner);
    if (attempt->phase == PHASE_STORING || attempt->phase == PHASE_WATCHING)
        events(attempt)->over(attempt->input.owner);
}

/* A pod that no list ever showed to us, and whose deletion was asked for, is gone for sure. */
static void attempt_listed(void *owner)
{
    struct attempt *attempt = owner;

    if (attempt->phase == PHASE_ENDING && attempt->removal != NULL && !removal_is_asking(attempt->removal) &&
        attempt->status.uid[0] == '\0')
        attempt_pod_gone(attempt, attempt->uid);
}

static const struct pod_events pod_events = { .changed = attempt_pod_changed,
                                              .gone = attempt_pod_gone,
                                              .listed = attempt_listed };

/* --- the order to cancel --- */

/* We may delete pods but not change them: courier takes the TERM of the deletion as the end of the script. */
static void attempt_order_refused(void *owner)
{
    attempt_delete(owner);
}

void attempt_order_cancel(struct attempt *attempt)
{
    const struct order_input input = {
        .loop = attempt->loop, .kube = attempt->kube, .job = attempt->input.job, .ns = attempt->ns, .pod = attempt->pod
    };

    order_free(attempt->order);
    attempt->order = order_new_cancel(&input, attempt_order_refused, attempt);
    if (attempt->phase != PHASE_WATCHING)
        order_settle(attempt->order);
}

/* --- the end --- */

/* A plan that reached a pod after the next one was begun could run the script twice: it is not stored any more. */
void attempt_settle(struct attempt *attempt)
{
    if (attempt->phase < PHASE_SETTLED)
        attempt->phase = PHASE_SETTLED;
    start_watch_free(attempt->start);
    attempt->start = NULL;
    plan_secret_free(attempt->secret);
    attempt->secret = NULL;
    order_settle(attempt->order);
    timer_stop(&attempt->outside_timer);
}

void attempt_leave(struct attempt *attempt)
{
    attempt_settle(attempt);
    attempt->phase = PHASE_LEFT;
    order_free(attempt->order);
    attempt->order = NULL;
}

void attempt_abandon(struct attempt *attempt)
{
    if (attempt != NULL && attempt->uid != NULL && !attempt->is_gone)
        cluster_delete_pod(attempt->input.entry->cluster, attempt->input.job, attempt->pod, attempt->uid);
    attempt_free(attempt);
}

static void attempt_removal_done(void *owner)
{
    struct attempt *attempt = owner;

    removal_free(attempt->removal);
    attempt->removal = NULL;
    if (attempt->phase == PHASE_ENDING)
        attempt_tell_gone(attempt);
}

void attempt_delete(struct attempt *attempt)
{
    if (attempt->uid != NULL && !attempt->is_gone)
        attempt_remove(attempt, false);
}

void attempt_end(struct attempt *attempt, bool until_gone)
{
    attempt_settle(attempt);
    attempt->phase = PHASE_ENDING;
    attempt->until_gone = until_gone;
    if (attempt->uid != NULL && !attempt->is_gone)
        attempt_remove(attempt, until_gone);
    else if (attempt->uid == NULL && attempt->create_call != NULL)
        return; /* its answer brings the pod to delete */
    else if (attempt->uid == NULL && attempt->may_exist)
        attempt_find(attempt);
    else
        loop_after(attempt->loop, &attempt->end_timer, 0, attempt_tell_gone, attempt);
}

/* --- life --- */

struct attempt *attempt_new(const struct attempt_input *input)
{
    struct attempt *attempt = mem_new(sizeof(*attempt));
    const struct entry *entry = input->entry;

    attempt->input = *input;
    attempt->loop = entry->frame->loop;
    attempt->kube = cluster_kube(entry->cluster);
    attempt->ns = cluster_namespace(entry->cluster);
    attempt->patience.limit_ms = (uint64_t)entry->runner->kubernetes.poll_timeout_s * 1000;
    attempt->pod = pod_name(input->job->url, input->job->short_token, input->job->id, input->number);
    cluster_claim(entry->cluster, attempt->pod, &pod_events, attempt);
    return attempt;
}

struct attempt *attempt_resume(const struct attempt_input *input, const struct cJSON *pod)
{
    struct attempt *attempt = attempt_new(input);

    attempt->uid = mem_text(json_text_at(pod, "metadata.uid", ""));
    attempt->phase = PHASE_STORING;
    pod_status_read(pod, &attempt->status);
    attempt_new_secret(attempt);
    plan_secret_ask(attempt->secret);
    return attempt;
}

void attempt_free(struct attempt *attempt)
{
    if (attempt == NULL)
        return;
    attempt_settle(attempt);
    kube_cancel(attempt->create_call);
    order_free(attempt->order);
    timer_stop(&attempt->end_timer);
    removal_free(attempt->removal);
    cluster_release(attempt->input.entry->cluster, attempt->pod, attempt);
    mem_free(attempt->pod);
    mem_free(attempt->uid);
    mem_free(attempt);
}

unsigned attempt_number(const struct attempt *attempt)
{
    return attempt->input.number;
}

const char *attempt_pod(const struct attempt *attempt)
{
    return attempt->pod;
}

const struct pod_status *attempt_status(const struct attempt *attempt)
{
    return &attempt->status;
}

bool attempt_has_pod(const struct attempt *attempt)
{
    return attempt->uid != NULL;
}

bool attempt_may_have_pod(const struct attempt *attempt)
{
    return attempt->may_exist;
}

bool attempt_is_asking(const struct attempt *attempt)
{
    return (attempt->phase == PHASE_ENDING && attempt->may_exist) || /* it will be asked whether there is a pod */
           attempt->create_call != NULL || (attempt->removal != NULL && removal_is_asking(attempt->removal));
}
