#include "removal.h"

#include "io/loop.h"
#include "kube/client.h"
#include "say.h"
#include "text/json.h"

#include <string.h>

#define GRACE_S           2
#define AGAIN_MS          5000   /* between two requests that Kubernetes did not take */
#define GONE_WAIT_MOST_MS 600000 /* a deleted pod that does not go away stops counting after this */

struct removal {
    struct loop *loop;
    struct kube *kube;
    char *ns, *pod, *uid;
    struct sealed_job job; /* its id and masking only */
    bool until_gone;
    removal_done *done;
    void *owner;
    struct kube_call *call;
    struct timer *again_timer, *end_timer;
};

static void removal_tell(void *owner)
{
    struct removal *removal = owner;

    removal->done(removal->owner);
}

static void removal_overdue(void *owner)
{
    struct removal *removal = owner;

    say_event(&removal->job, LOG_WARN, "pod_will_not_go", LOG_TEXT("pod", removal->pod));
    removal_tell(removal);
}

/* Only errors that can go away are worth another request. Without the right to delete pods the pod stays, and the log
 * says so once. */
static bool may_pass(const struct kube_answer *answer)
{
    return answer->kind == KUBE_FAILED || answer->kind == KUBE_BUSY || answer->kind == KUBE_UNAUTHORIZED ||
           answer->status >= 500;
}

/* A pod that answers with a grace still has containers; one that is gone already answers without an object. */
static bool has_containers(const struct kube_answer *answer)
{
    return answer->object != NULL &&
           json_int(json_get(answer->object, "metadata"), "deletionGracePeriodSeconds", 1) > 0;
}

static void removal_ask(void *owner);

static void removal_answered(void *owner, const struct kube_answer *answer)
{
    struct removal *removal = owner;

    removal->call = NULL;
    if (answer->kind != KUBE_OK)
        say_event(&removal->job, LOG_WARN, "pod_delete_failed", LOG_TEXT("pod", removal->pod),
                  LOG_TEXT("error", answer->error.text));
    if (answer->kind != KUBE_OK && may_pass(answer))
        loop_after(removal->loop, &removal->again_timer, AGAIN_MS, removal_ask, removal);
    else if (answer->kind == KUBE_OK && removal->until_gone && has_containers(answer))
        loop_after(removal->loop, &removal->end_timer, GONE_WAIT_MOST_MS, removal_overdue, removal);
    else
        removal_tell(removal);
}

static void removal_ask(void *owner)
{
    struct removal *removal = owner;

    removal->call =
        kube_delete(removal->kube, removal->ns, "pods", removal->pod, removal->uid, GRACE_S, removal_answered, removal);
}

struct removal *removal_new(const struct removal_input *input, removal_done *done, void *owner)
{
    struct removal *removal = mem_new(sizeof(*removal));

    removal->loop = input->loop;
    removal->kube = input->kube;
    removal->ns = mem_text(input->ns);
    removal->pod = mem_text(input->pod);
    removal->uid = mem_text(input->uid);
    removal->job = (struct sealed_job){ .id = input->job->id, .masking = masking_copy(input->job->masking) };
    removal->until_gone = input->until_gone;
    removal->done = done;
    removal->owner = owner;
    removal_ask(removal);
    return removal;
}

void removal_gone(struct removal *removal)
{
    kube_cancel(removal->call);
    removal->call = NULL;
    timer_stop(&removal->again_timer);
    loop_after(removal->loop, &removal->end_timer, 0, removal_tell, removal);
}

void removal_pod_over(struct removal *removal)
{
    removal->until_gone = false;
    if (!removal_is_asking(removal))
        loop_after(removal->loop, &removal->end_timer, 0, removal_tell, removal);
}

bool removal_is_asking(const struct removal *removal)
{
    return removal->call != NULL || removal->again_timer != NULL;
}

void removal_free(struct removal *removal)
{
    if (removal == NULL)
        return;
    kube_cancel(removal->call);
    timer_stop(&removal->again_timer);
    timer_stop(&removal->end_timer);
    mem_free(removal->ns);
    mem_free(removal->pod);
    mem_free(removal->uid);
    sealed_job_clear(&removal->job);
    mem_free(removal);
}
