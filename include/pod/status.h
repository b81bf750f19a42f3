/* What a pod object says, taken apart once (docs/reference/kubernetes.md, "A pod's status"). Pure. */
#ifndef POD_STATUS_H
#define POD_STATUS_H

#include "base/error.h"
#include "job/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

#define POD_START_ERROR 128 /* exit code of a container that was never started */

enum container_state { CONTAINER_UNKNOWN, CONTAINER_WAITING, CONTAINER_RUNNING, CONTAINER_TERMINATED };
struct container_status {
    enum container_state state;
    char reason[64], message[512], id[96];
    int exit_code;
    char termination[1200]; /* termination message */
};
struct pod_status {
    char name[254], uid[64], node[254], resource_version[32];
    char phase[16], reason[64], message[512];
    bool deleting;
    bool scheduled;
    char unschedulable[512]; /* message of PodScheduled=False */
    bool ready_to_start;     /* PodReadyToStartContainers */
    char disruption[64];     /* reason of DisruptionTarget=True, or "" */
    struct container_status courier, build;
};
/* Fills status from a Pod object; long texts are cut. */
void pod_status_read(const struct cJSON *pod, struct pod_status *status);

/* The pod never got to run the job: another attempt may help (docs/design.md section 1, "never began"). why is for
 * people. */
bool pod_never_began(const struct pod_status *status, bool courier_spoke, char why[256]);
/* Courier's container runs or has run. */
bool pod_courier_began(const struct pod_status *status);
/* Of a pod that seems never to have begun: build ended, and it may have run the script before, so only courier's log
 * tells. has_run: courier's container was seen to run; a kubelet that was started again may refuse a pod that ran, and
 * shows no containers of it. */
bool pod_only_log_knows(const struct pod_status *status, bool has_run);
/* Cannot start at all, now or ever: a verdict at once (InvalidImageName, CreateContainerConfigError ...), or waiting
 * (false). */
bool pod_cannot_start(const struct pod_status *status, enum reason *reason, char why[512]);
/* Its image could not be pulled so far; the kubelet goes on trying and never gives up by itself. */
bool pod_image_fails(const struct container_status *container);
/* What it waits for, for the trace, in one line: "waiting for the image registry/x (ErrImagePull: ...)". "" when
 * nothing to say. */
void pod_waits_for(const struct pod_status *status, char out[512]);
/* Ruling without an end record (docs/design.md section 2, docs/reference/kubernetes.md, "How a pod comes to its end"):
 * DisruptionTarget and pod reason before exit codes; never success. */
void pod_ruling(const struct pod_status *status, enum reason *reason, int *exit_code, char why[512]);
/* Nothing runs any more in it. */
bool pod_is_over(const struct pod_status *status);

#endif
