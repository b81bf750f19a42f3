/* What a pod's state means for the job. Tables, so that a new kubelet word is one line. */
#include "pod/status.h"

#include "base/mem.h"
#include "text/quote.h"

#include <stdio.h>
#include <string.h>

#define STEP_LOST_COURIER 98 /* dataops-step ends so when no courier is there (docs/formats.md section 7) */

enum where { IN_POD, IN_WAITING, IN_TERMINATED };
struct ruling {
    enum where where;
    const char *word;
    enum reason reason;
    const char *text; /* for people */
};
/* What docs/reference/kubernetes.md, "How a pod comes to its end" says, without what an end record settles. First match
 * wins; the pod's own words come before containers'. */
static const struct ruling rulings[] = {
    { IN_POD, "DeadlineExceeded", REASON_TIMEOUT, "the pod passed its activeDeadlineSeconds" },
    { IN_POD, "Evicted", REASON_SYSTEM, "the node evicted the pod" },
    { IN_POD, "Preempting", REASON_SYSTEM, "the pod was preempted" },
    { IN_POD, "Terminated", REASON_SYSTEM, "the node is shutting down" },
    { IN_POD, "NodeShutdown", REASON_SYSTEM, "the node is shutting down" },
    { IN_POD, "NodeLost", REASON_SYSTEM, "the node is lost" },
    { IN_POD, "NodeAffinity", REASON_SYSTEM, "the node refused the pod" },
    { IN_POD, "UnexpectedAdmissionError", REASON_SYSTEM, "the node refused the pod" },
    { IN_POD, "OutOfcpu", REASON_SYSTEM, "the node has no CPU left for the pod" },
    { IN_POD, "OutOfmemory", REASON_SYSTEM, "the node has no memory left for the pod" },
    { IN_POD, "OutOfpods", REASON_SYSTEM, "the node takes no more pods" },
    { IN_POD, "OutOfephemeral-storage", REASON_SYSTEM, "the node has no storage left for the pod" },
    { IN_TERMINATED, "OOMKilled", REASON_SYSTEM,
      "out of memory: raise helper_memory_limit (courier) or memory_limit (build)" },
    { IN_TERMINATED, "ContainerStatusUnknown", REASON_SYSTEM, "the node lost the container" },
    { IN_TERMINATED, "Unknown", REASON_SYSTEM, "the node lost the container" },
    { IN_TERMINATED, "StartError", REASON_CONFIGURATION, "the container could not be started" },
    { IN_TERMINATED, "ContainerCannotRun", REASON_CONFIGURATION, "the container could not be started" },
};
/* Waiting words that end a start at once: they cannot get better by themselves. */
static const struct ruling hopeless[] = {
    { IN_WAITING, "InvalidImageName", REASON_CONFIGURATION, "the image name is not valid" },
    { IN_WAITING, "ErrImageNeverPull", REASON_CONFIGURATION, "the image is not on the node and pull_policy is never" },
};

static const struct ruling *find(const struct ruling *table, size_t count, enum where where, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].where == where && strcmp(table[i].word, word) == 0)
            return &table[i];
    return NULL;
}

static void say(char *out, size_t size, const char *what, const char *foreign)
{
    struct strbuf words = STRBUF_EMPTY;

    quote_for_people(foreign, 300, &words);
    snprintf(out, size, "%s%s%s", what, words.length > 0 ? ": " : "", strbuf_text(&words));
    strbuf_clear(&words);
}

bool pod_image_fails(const struct container_status *container)
{
    return container->state == CONTAINER_WAITING &&
           (strcmp(container->reason, "ErrImagePull") == 0 || strcmp(container->reason, "ImagePullBackOff") == 0);
}

static bool start_error(const struct container_status *container)
{
    return container->state == CONTAINER_TERMINATED &&
           (container->exit_code == POD_START_ERROR || strcmp(container->reason, "StartError") == 0 ||
            strcmp(container->reason, "ContainerCannotRun") == 0);
}

/* The kubelet did not admit the pod that was bound to its node (docs/reference/kubernetes.md, "How a pod comes to its
 * end"): another attempt may find another node. */
static const struct ruling *node_refusal(const struct pod_status *status)
{
    static const char *const words[] = { "NodeAffinity", "UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory",
                                         "OutOfpods",    "OutOfephemeral-storage" };

    if (strcmp(status->phase, "Failed") != 0 || status->courier.state != CONTAINER_UNKNOWN ||
        status->build.state != CONTAINER_UNKNOWN)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], status->reason) == 0)
            return find(rulings, COUNT_OF(rulings), IN_POD, words[i]);
    return NULL;
}

/* build was started although courier was not there: nothing of the job ran. */
static bool build_found_nobody(const struct pod_status *status, char why[256])
{
    const struct container_status *courier = &status->courier, *build = &status->build;

    if (build->state != CONTAINER_TERMINATED || (!start_error(build) && build->exit_code != STEP_LOST_COURIER))
        return false;
    if (courier->state == CONTAINER_TERMINATED)
        snprintf(why, 256, "courier ended with %d (%s) before it began", courier->exit_code, courier->reason);
    else if (courier->state != CONTAINER_RUNNING)
        say(why, 256, "courier did not start", courier->message[0] ? courier->message : courier->reason);
    else
        snprintf(why, 256, "the build container found no courier (exit %d, %s)", build->exit_code, build->reason);
    return true;
}

bool pod_never_began(const struct pod_status *status, bool courier_spoke, char why[256])
{
    const struct container_status *courier = &status->courier, *build = &status->build;
    const struct ruling *refusal = node_refusal(status);

    if (courier_spoke || status->deleting)
        return false;
    if (refusal != NULL) {
        say(why, 256, refusal->text, status->message);
        return true;
    }
    if (pod_image_fails(courier) && (start_error(build) || build->state == CONTAINER_TERMINATED)) {
        say(why, 256, "the helper image cannot be pulled", courier->message);
        return true;
    }
    if (build_found_nobody(status, why))
        return true;
    if (courier->state == CONTAINER_TERMINATED && courier->termination[0] == '\0' &&
        build->state != CONTAINER_RUNNING) {
        snprintf(why, 256, "courier ended with %d (%s) before it began", courier->exit_code, courier->reason);
        return true;
    }
    return false;
}

bool pod_courier_began(const struct pod_status *status)
{
    return status->courier.state == CONTAINER_RUNNING || status->courier.state == CONTAINER_TERMINATED;
}

bool pod_only_log_knows(const struct pod_status *status, bool has_run)
{
    if (status->courier.state == CONTAINER_UNKNOWN && status->build.state == CONTAINER_UNKNOWN)
        return has_run;
    return status->build.state == CONTAINER_TERMINATED && status->build.exit_code != POD_START_ERROR &&
           pod_courier_began(status);
}

bool pod_cannot_start(const struct pod_status *status, enum reason *reason, char why[512])
{
    const struct container_status *both[] = { &status->courier, &status->build };

    for (size_t i = 0; i < COUNT_OF(both); i++) {
        const struct ruling *ruling = both[i]->state == CONTAINER_WAITING
                                          ? find(hopeless, COUNT_OF(hopeless), IN_WAITING, both[i]->reason)
                                          : NULL;

        if (ruling != NULL) {
            *reason = ruling->reason;
            say(why, 512, ruling->text, both[i]->message);
            return true;
        }
        /* The image insists on root, or a Secret key is missing; a missing Secret may still arrive, so only the first
         * is final. */
        if (both[i]->state == CONTAINER_WAITING && strcmp(both[i]->reason, "CreateContainerConfigError") == 0 &&
            strstr(both[i]->message, "runAsNonRoot") != NULL) {
            *reason = REASON_CONFIGURATION;
            say(why, 512,
                "the image runs as root, which pod_security = \"restricted\" forbids (set pod_security = \"baseline\", "
                "or run_as_user)",
                both[i]->message);
            return true;
        }
    }
    return false;
}

void pod_waits_for(const struct pod_status *status, char out[512])
{
    const struct container_status *both[] = { &status->courier, &status->build };

    out[0] = '\0';
    if (!status->scheduled && status->unschedulable[0] != '\0') {
        say(out, 512, "no node takes it", status->unschedulable);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        if (pod_image_fails(both[i])) {
            say(out, 512, i == 0 ? "the helper image cannot be pulled yet" : "the image cannot be pulled yet",
                both[i]->message);
            return;
        }
        if (both[i]->state == CONTAINER_WAITING && strcmp(both[i]->reason, "ContainerCreating") != 0 &&
            strcmp(both[i]->reason, "PodInitializing") != 0) {
            say(out, 512, both[i]->reason, both[i]->message);
            return;
        }
    }
    snprintf(out, 512, "%s", !status->scheduled ? "a node" : "its containers are being created (images, volumes)");
}

void pod_ruling(const struct pod_status *status, enum reason *reason, int *exit_code, char why[512])
{
    const struct container_status *both[] = { &status->courier, &status->build };
    const struct ruling *ruling;

    *reason = REASON_SYSTEM;
    *exit_code = 0;
    if (status->disruption[0] != '\0') {
        say(why, 512, "the cluster took the pod away", status->disruption);
        return;
    }
    ruling = find(rulings, COUNT_OF(rulings), IN_POD, status->reason);
    if (ruling != NULL) {
        *reason = ruling->reason;
        say(why, 512, ruling->text, status->message);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        if (both[i]->state != CONTAINER_TERMINATED)
            continue;
        ruling = find(rulings, COUNT_OF(rulings), IN_TERMINATED, both[i]->reason);
        if (ruling != NULL) {
            *reason = ruling->reason;
            snprintf(why, 512, "%s (container %s, exit code %d)", ruling->text, i == 0 ? "courier" : "build",
                     both[i]->exit_code);
            return;
        }
    }
    if (status->courier.state == CONTAINER_TERMINATED)
        snprintf(why, 512, "courier ended with %d (%s) without an end record", status->courier.exit_code,
                 status->courier.reason);
    else if (status->deleting || status->uid[0] == '\0')
        snprintf(why, 512, "the pod was deleted from outside");
    else
        snprintf(why, 512, "the pod vanished without an end record");
}
