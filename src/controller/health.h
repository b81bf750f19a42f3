/* What other programs may ask the controller over HTTP: /healthz (the loop turns), /readyz, /metrics. */
#ifndef CONTROLLER_HEALTH_H
#define CONTROLLER_HEALTH_H

#include "base/error.h"
#include "frame.h"

struct health;

struct health_numbers {
    unsigned jobs;
    int64_t jobs_limit;
    uint64_t received, succeeded, failed;
};
struct health_events {
    /* NULL when jobs can be taken and run; else why not, a static text. */
    const char *(*why_unready)(void *owner);
    void (*count)(void *owner, struct health_numbers *numbers);
};
/* Listens where options or configuration say, which may be nowhere (then *given is NULL). -1 names the key. */
int health_start(const struct frame *frame, const struct health_events *events, void *owner, struct health **given,
                 struct error *error) MUST_CHECK;
/* NULL is fine. */
void health_stop(struct health *health);

#endif
