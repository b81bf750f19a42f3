/* One pod's log, followed to its end record: reconnects, repairs, proves; read by time where it cannot be followed.
 * Bytes come out once and in order (docs/design.md section 2). */
#ifndef CONTROLLER_FOLLOW_H
#define CONTROLLER_FOLLOW_H

#include "base/error.h"
#include "base/log.h"
#include "text/record.h"

#include <stdbool.h>

struct follow;
struct kube;
struct loop;

struct follow_events {
    /* follow_committed holds proven bytes; take some with follow_take. */
    void (*bytes)(void *owner);
    /* No more will come, once until the next follow_rewind: an end record was read (follow_end is its JSON), or the log
     * cannot be read any further (NULL). */
    void (*over)(void *owner);
    /* An event for the log; Kubernetes' words in it are as they came. May be NULL. */
    void (*event)(void *owner, enum log_level level, const char *event, const struct log_field *fields, size_t count);
};

struct follow *follow_new(struct loop *loop, struct kube *kube, const char *ns, const char *pod,
                          const struct follow_events *events, void *owner);
/* Copies the name of the pod's node, which is told when its logs cannot be followed; NULL or "" unknown. */
void follow_set_node(struct follow *follow, const char *node);
/* Opens the log when it is not open. */
void follow_open(struct follow *follow);
/* The container ended: what the log holds now is all there will be. */
void follow_container_over(struct follow *follow);
/* The watch says that the pod is gone: a 404 is final now. */
void follow_pod_gone(struct follow *follow);
/* Starts again so that bytes from offset on come out (once more). */
void follow_rewind(struct follow *follow, uint64_t offset);
/* Borrows the proven bytes and says their offset. */
const struct strbuf *follow_committed(const struct follow *follow, uint64_t *offset);
/* Forgets count proven bytes; goes on reading when it had paused. */
void follow_take(struct follow *follow, size_t count);
/* JSON of the end record, or NULL. */
const char *follow_end(const struct follow *follow, size_t *length);
/* Offset behind the last proven byte. */
uint64_t follow_position(const struct follow *follow);
/* A plain read came to the end of what the log holds: what is not in it never was. */
bool follow_was_read(const struct follow *follow);
unsigned follow_repairs(const struct follow *follow);
void follow_free(struct follow *follow);

#endif
