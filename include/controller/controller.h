/* Where DataOps and Kubernetes meet: polls for jobs, turns each into a pod, follows it, reports (docs/design.md section
 * 3). */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include "base/error.h"
#include "config/config.h"
#include "kube/client.h"

struct controller;

/* How to register when a runner entry has no token yet (its token_file does not exist and the state Secret holds none).
 */
struct controller_registration {
    const char *token; /* registration token; a secret */
    const char *description, *tag_list, *access_level;
    bool run_untagged, locked;
    int64_t maximum_timeout_s; /* 0 unset */
};

/* What the command line and the environment add to the configuration. Texts are borrowed for the controller's life. */
struct controller_options {
    struct config *config;      /* borrowed */
    const char *release;        /* names slots, state Secret, and the pods' label; never NULL */
    const char *ns;             /* namespace for jobs when the configuration names none; NULL: the cluster's own */
    const char *system_id;      /* s_ + 12; NULL: derived from namespace, release and slot */
    const char *listen_address; /* overrides the configuration; NULL */
    struct kube_place place;    /* kubeconfig, in-cluster variables; host etc. come from the configuration */
    const struct controller_registration
        *registration; /* register once and keep the result in the state Secret; NULL: never */
};

/* Exit codes of a run: those of a program that a signal ended are what a shell shows, 128 and the signal. */
enum controller_end {
    CONTROLLER_DONE = 0,
    CONTROLLER_FAILED = 1,
    CONTROLLER_FORCED_INT = 130, /* a second signal */
    CONTROLLER_FORCED_TERM = 143,
};

/* Prepares everything that can fail at once: TLS files, Kubernetes credentials. Gives a controller (controller_free) or
 * NULL. */
struct controller *controller_new(const struct controller_options *options, struct error *error) MUST_CHECK;
/* Runs until a signal ended it: SIGTERM or SIGINT hand running jobs over (pods stay) and wait for open job requests,
 * SIGQUIT drains. A second signal ends at once. */
enum controller_end controller_run(struct controller *controller);
void controller_free(struct controller *controller);

#endif
