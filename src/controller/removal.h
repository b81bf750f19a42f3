/* The end of one pod: it is asked to be deleted until Kubernetes has taken the request, and, when somebody counts on
 * it, waited for until it is gone. A removal owns its call and its timers. */
#ifndef CONTROLLER_REMOVAL_H
#define CONTROLLER_REMOVAL_H

#include <stdbool.h>

struct kube;
struct loop;
struct removal;
struct sealed_job;

struct removal_input {
    struct loop *loop;
    struct kube *kube;
    const char *ns, *pod, *uid;   /* copied; the uid guards against a newer pod of the name */
    const struct sealed_job *job; /* whose pod it is, for the controller's log; copied as far as that needs it */
    /* The pod's containers count until they are gone: done waits for removal_gone(), ten minutes at most. False: done
     * comes when Kubernetes took the request. */
    bool until_gone;
};
/* The pod is gone, will go, or cannot be deleted by us (said in the log). Called once, never before removal_new
 * returned; the removal may be freed from here. */
typedef void removal_done(void *owner);

struct removal *removal_new(const struct removal_input *input, removal_done *done, void *owner);
/* The watch says that the pod is gone. */
void removal_gone(struct removal *removal);
/* Nothing runs in the pod any more: its end is not waited for. */
void removal_pod_over(struct removal *removal);
/* False: the request was taken, only the pod's end is waited for; nothing is lost when this process ends now. */
bool removal_is_asking(const struct removal *removal);
/* Stops everything; done is not called. NULL is fine. */
void removal_free(struct removal *removal);

#endif
