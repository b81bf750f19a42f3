/* What an answer of Kubernetes to a create means for the job: wait and ask again, or give up. */
#ifndef CONTROLLER_PATIENCE_H
#define CONTROLLER_PATIENCE_H

#include "job/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct kube_answer;
struct sealed_job;

/* Kept over the requests of one attempt. */
struct patience {
    uint64_t limit_ms;         /* how long Kubernetes may fail to answer */
    uint64_t unanswered_at_ms; /* since when it does; 0: it answers */
};
/* A request was not carried out. */
struct patience_advice {
    uint64_t wait_ms;   /* before the same request is made again; 0: it is refused for good */
    bool is_quota;      /* a quota is full: pods of ours that are not needed make room */
    enum reason reason; /* of a refusal */
    char text[512];     /* for people, masked; of a refusal with the key to change where one helps */
};
void patience_judge(struct patience *patience, const struct sealed_job *job, const struct kube_answer *answer,
                    uint64_t now_ms, struct patience_advice *advice);
/* Kubernetes answered. */
void patience_reset(struct patience *patience);

#endif
