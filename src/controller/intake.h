/* Asks DataOps for jobs, for all [[runners]] entries in turn: pace, limits, and what to do when a token is refused
 * (docs/reference/dataops.md, "Asking for jobs"). */
#ifndef CONTROLLER_INTAKE_H
#define CONTROLLER_INTAKE_H

#include "entry.h"

struct dataops_answer;
struct intake;

struct intake_events {
    /* Whether one more job of this entry may be taken; requests that are open count as jobs already. */
    bool (*has_room)(void *owner, const struct entry *entry, unsigned open_for_all, unsigned open_for_entry);
    /* DataOps handed over a job: the payload, which may be broken (answer->error). False: it could not be read, so the
     * next request keeps its pace; a DataOps that always answers so would otherwise be asked without a pause. */
    bool (*job)(void *owner, struct entry *entry, const struct dataops_answer *answer);
};
/* Borrows the entries. */
struct intake *intake_new(const struct frame *frame, struct entry *entries, size_t count,
                          const struct intake_events *events, void *owner);
/* Begins to ask, at the pace of check_interval. */
void intake_start(struct intake *intake);
/* Asks no more; requests that are open may still bring jobs. */
void intake_stop(struct intake *intake);
/* There may be room again: entries whose last request brought a job ask at once. */
void intake_ask_again(struct intake *intake);
unsigned intake_open_requests(const struct intake *intake);
/* DataOps has answered every entry, and none waits for an answer for two minutes. An entry that never asked counts as
 * answered when is_busy: a controller that took over jobs may be full from the start. */
bool intake_is_well(const struct intake *intake, bool is_busy);
/* Cancels what is open. NULL is fine. */
void intake_free(struct intake *intake);

#endif
