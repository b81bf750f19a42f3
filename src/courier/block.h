/* The order block: what step runs, in a sealed memfd (step/protocol.h, docs/formats.md section 7). */
#ifndef COURIER_BLOCK_H
#define COURIER_BLOCK_H

#include "base/error.h"
#include "job/plan.h"

struct block_input {
    const char *folder;                  /* working folder, absolute */
    const struct plan_pair *environment; /* of the plan */
    size_t environment_count;
    const struct plan_pair *changed; /* replace or add to it: CI_JOB_STATUS, GITLAB_ENV */
    size_t changed_count;
    const char *script;
    size_t script_length;
};

/* Appends the block to out; BLAME_INPUT when it is over STEP_ORDER_MAX_BYTES or an entry cannot be one. */
int block_render(const struct block_input *input, struct strbuf *out, struct error *error) MUST_CHECK;
/* Gives a sealed memfd that holds the bytes, or -1. */
int block_seal(const void *bytes, size_t length, struct error *error) MUST_CHECK;

#endif
