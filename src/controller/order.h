/* An order to courier, given by an annotation of its pod: repeated until the pod carries it. */
#ifndef CONTROLLER_ORDER_H
#define CONTROLLER_ORDER_H

struct kube;
struct loop;
struct order;
struct sealed_job;

struct order_input {
    struct loop *loop;
    struct kube *kube;
    const struct sealed_job *job; /* borrowed for the order's life, as ns and pod */
    const char *ns, *pod;
};
/* We may not change the pod: the order does not reach courier in this way. Never before order_new returned; the order
 * may be freed from here. */
typedef void order_refused(void *owner);

/* Orders courier to cancel the job: it ends the script, runs after_script and uploads. */
struct order *order_new_cancel(const struct order_input *input, order_refused *refused, void *owner);
/* The order does not matter any more: what is under way goes on, nothing is repeated. NULL is fine. */
void order_settle(struct order *order);
/* NULL is fine. */
void order_free(struct order *order);

#endif
