#include "plan_secret.h"

#include "io/loop.h"
#include "kube/client.h"
#include "patience.h"
#include "say.h"
#include "text/json.h"
#include "workload.h"

struct plan_secret {
    struct plan_secret_input input;
    const struct plan_secret_events *events;
    void *owner;
    const struct workload *workload;
    struct workload_pod pod;
    struct kube_call *call;
    struct timer *timer;
};

static void plan_secret_create(void *owner);

static void plan_secret_answered(void *owner, const struct kube_answer *answer)
{
    struct plan_secret *secret = owner;
    struct patience_advice advice;

    secret->call = NULL;
    if (answer->kind == KUBE_OK || answer->kind == KUBE_EXISTS) {
        secret->events->stored(secret->owner);
        return;
    }
    patience_judge(secret->input.patience, secret->input.job, answer, loop_now_ms(secret->input.loop), &advice);
    if (advice.wait_ms == 0) {
        secret->events->refused(secret->owner, advice.reason, advice.text);
        return;
    }
    loop_after(secret->input.loop, &secret->timer, advice.wait_ms, plan_secret_create, secret);
    secret->events->delayed(secret->owner, &advice);
}

static void plan_secret_create(void *owner)
{
    struct plan_secret *secret = owner;
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *object = workload_render_secret(secret->workload, &secret->pod, secret->input.uid, &error);

    if (object == NULL)
        secret->events->refused(secret->owner, REASON_CONFIGURATION, error.text);
    else
        secret->call =
            kube_create(secret->input.kube, secret->input.ns, "secrets", object, plan_secret_answered, secret);
}

void plan_secret_store(struct plan_secret *secret, const struct workload *workload, const struct workload_pod *pod)
{
    secret->workload = workload;
    secret->pod = *pod;
    plan_secret_create(secret);
}

static void plan_secret_told(void *owner, const struct kube_answer *answer)
{
    struct plan_secret *secret = owner;

    secret->call = NULL;
    if (answer->kind == KUBE_OK) {
        secret->events->missing(secret->owner);
        return;
    }
    if (answer->kind != KUBE_EXISTS)
        say_event(secret->input.job, LOG_WARN, "plan_unknown", LOG_TEXT("error", answer->error.text));
    secret->events->stored(secret->owner);
}

void plan_secret_ask(struct plan_secret *secret)
{
    OWNED_JSON struct cJSON *object = json_object();
    struct cJSON *meta = json_set_object(object, "metadata");

    json_set_text(object, "apiVersion", "v1");
    json_set_text(object, "kind", "Secret");
    json_set_text(meta, "name", secret->input.pod);
    json_set_text(meta, "namespace", secret->input.ns);
    secret->call = kube_create_dry(secret->input.kube, secret->input.ns, "secrets", object, plan_secret_told, secret);
}

struct plan_secret *plan_secret_new(const struct plan_secret_input *input, const struct plan_secret_events *events,
                                    void *owner)
{
    struct plan_secret *secret = mem_new(sizeof(*secret));

    secret->input = *input;
    secret->events = events;
    secret->owner = owner;
    return secret;
}

void plan_secret_free(struct plan_secret *secret)
{
    if (secret == NULL)
        return;
    kube_cancel(secret->call);
    timer_stop(&secret->timer);
    mem_free(secret);
}
