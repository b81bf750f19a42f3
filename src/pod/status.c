#include "pod/status.h"

#include "pod/name.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

#define COPY(field, text) snprintf(field, sizeof(field), "%s", text)

static void read_container(const struct cJSON *statuses, const char *name, struct container_status *status)
{
    const struct cJSON *state, *detail;

    for (const struct cJSON *item = json_first(statuses); item != NULL; item = json_next(item)) {
        if (strcmp(json_text(item, "name", ""), name) != 0)
            continue;
        COPY(status->id, json_text(item, "containerID", ""));
        state = json_get(item, "state");
        if ((detail = json_get(state, "terminated")) != NULL) {
            status->state = CONTAINER_TERMINATED;
            status->exit_code = (int)json_int(detail, "exitCode", 0);
        } else if ((detail = json_get(state, "running")) != NULL) {
            status->state = CONTAINER_RUNNING;
        } else if ((detail = json_get(state, "waiting")) != NULL) {
            status->state = CONTAINER_WAITING;
        }
        COPY(status->reason, json_text(detail, "reason", ""));
        if (status->state == CONTAINER_TERMINATED)
            COPY(status->termination, json_text(detail, "message", ""));
        COPY(status->message, json_text(detail, "message", ""));
    }
}

static void read_conditions(const struct cJSON *conditions, struct pod_status *status)
{
    for (const struct cJSON *item = json_first(conditions); item != NULL; item = json_next(item)) {
        const char *type = json_text(item, "type", "");
        bool is_true = strcmp(json_text(item, "status", ""), "True") == 0;

        if (strcmp(type, "PodScheduled") == 0) {
            status->scheduled = is_true;
            if (!is_true)
                COPY(status->unschedulable, json_text(item, "message", ""));
        } else if (strcmp(type, "PodReadyToStartContainers") == 0) {
            status->ready_to_start = is_true;
        } else if (strcmp(type, "DisruptionTarget") == 0 && is_true) {
            COPY(status->disruption, json_text(item, "reason", "unknown"));
        }
    }
}

void pod_status_read(const struct cJSON *pod, struct pod_status *status)
{
    const struct cJSON *meta = json_get(pod, "metadata"), *in = json_get(pod, "status");

    memset(status, 0, sizeof(*status));
    COPY(status->name, json_text(meta, "name", ""));
    COPY(status->uid, json_text(meta, "uid", ""));
    COPY(status->resource_version, json_text(meta, "resourceVersion", ""));
    COPY(status->node, json_text_at(pod, "spec.nodeName", ""));
    COPY(status->phase, json_text(in, "phase", ""));
    COPY(status->reason, json_text(in, "reason", ""));
    COPY(status->message, json_text(in, "message", ""));
    status->deleting = json_text(meta, "deletionTimestamp", NULL) != NULL;
    read_conditions(json_get(in, "conditions"), status);
    /* Sorted by name, and webhooks may add containers: always by name. */
    read_container(json_get(in, "containerStatuses"), POD_COURIER, &status->courier);
    read_container(json_get(in, "containerStatuses"), POD_BUILD, &status->build);
}

bool pod_is_over(const struct pod_status *status)
{
    return strcmp(status->phase, "Succeeded") == 0 || strcmp(status->phase, "Failed") == 0;
}
