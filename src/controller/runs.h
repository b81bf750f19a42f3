/* All jobs of a controller, and what became of former ones. */
#ifndef CONTROLLER_RUNS_H
#define CONTROLLER_RUNS_H

#include "run.h"

struct runs;

/* A job is over: there may be room for another one. */
typedef void runs_room(void *owner);
struct runs *runs_new(runs_room *room, void *owner);
/* Frees all runs; their pods go on, and room is not called. NULL is fine. */
void runs_free(struct runs *runs);

/* As in run.h. */
void runs_add(struct runs *runs, struct entry *entry, struct job *job);
void runs_add_failed(struct runs *runs, struct entry *entry, uint64_t job_id, const char *job_token,
                     const struct error *error);
void runs_resume(struct runs *runs, struct entry *entry, struct sealed_text *sealed, const struct cJSON *pod);
/* The process is being stopped. */
void runs_stop(struct runs *runs);

unsigned runs_count(const struct runs *runs);
/* Those of one [[runners]] entry. */
unsigned runs_count_of(const struct runs *runs, const struct entry *entry);
/* Those of which something exists only in this process. */
unsigned runs_count_unsafe(const struct runs *runs);
struct runs_totals {
    uint64_t received, succeeded, failed;
};
struct runs_totals runs_totals(const struct runs *runs);
/* For tests: the oldest, or NULL. */
const struct run *runs_first(const struct runs *runs);

#endif
