#include "order.h"

#include "io/loop.h"
#include "kube/client.h"
#include "pod/name.h"
#include "say.h"
#include "text/json.h"

#define AGAIN_MS 2000

struct order {
    struct order_input input;
    order_refused *refused;
    void *owner;
    bool is_settled;
    struct kube_call *call;
    struct timer *timer;
};

static void order_give(void *owner);

static void order_answered(void *owner, const struct kube_answer *answer)
{
    struct order *order = owner;

    order->call = NULL;
    if (answer->kind == KUBE_OK || answer->kind == KUBE_MISSING || order->is_settled)
        return;
    say_event(order->input.job, LOG_WARN, "order_failed", LOG_TEXT("error", answer->error.text));
    if (answer->kind == KUBE_FORBIDDEN || answer->kind == KUBE_REFUSED)
        order->refused(order->owner);
    else
        loop_after(order->input.loop, &order->timer, AGAIN_MS, order_give, order);
}

static void order_give(void *owner)
{
    struct order *order = owner;
    OWNED_JSON struct cJSON *patch = json_object();

    json_set_text(json_set_object(json_set_object(patch, "metadata"), "annotations"), POD_ANNOTATION_ORDER, "cancel");
    order->call =
        kube_patch(order->input.kube, order->input.ns, "pods", order->input.pod, patch, order_answered, order);
}

struct order *order_new_cancel(const struct order_input *input, order_refused *refused, void *owner)
{
    struct order *order = mem_new(sizeof(*order));

    order->input = *input;
    order->refused = refused;
    order->owner = owner;
    order_give(order);
    return order;
}

void order_settle(struct order *order)
{
    if (order == NULL)
        return;
    order->is_settled = true;
    timer_stop(&order->timer);
}

void order_free(struct order *order)
{
    if (order == NULL)
        return;
    kube_cancel(order->call);
    timer_stop(&order->timer);
    mem_free(order);
}
