/* Which pods of an earlier controller are jobs to go on with. */
#ifndef CONTROLLER_ADOPT_H
#define CONTROLLER_ADOPT_H

#include "sealed.h"

struct cluster;
struct entry;
struct strmap;

struct adopt_events {
    /* The pod of a job's last attempt; sealed may be emptied. */
    void (*job)(void *owner, struct entry *entry, struct sealed_text *sealed, const struct cJSON *pod);
    /* The pod of an earlier attempt, whose deletion was on its way: it has to go. */
    void (*leftover)(void *owner, struct entry *entry, const struct sealed_text *sealed, const struct cJSON *pod);
};
/* Looks at all pods (uid -> Pod object) that the first list of a namespace showed. What does not open, names another
 * pod or belongs to no entry is left alone, said once in the log, and counts for nothing. */
void adopt_found(const struct state *state, struct entry *entries, size_t entry_count, const struct cluster *cluster,
                 const struct strmap *pods, const struct adopt_events *events, void *owner);

#endif
