/* One pod's log, followed to its end record: reconnects, repairs, proves; read by time where it cannot be followed.
 * Bytes come out once and in order (docs/design.md section 2).
 *
 * Courier's log is a row of records, and a mark every now and then says how many bytes there were so far and what
 * their CRC is (text/record.h). What was read is held until a mark agrees with it; then it is proven, and the owner
 * may take it. The owner never sees how often the log was opened for that. An example, ESC and the frame of the marks
 * left out:
 *
 *     open the stream     "hello\n" mark(6, crc)     proven: 6 bytes; bytes()
 *                         "wor"                      held: no mark yet
 *     the stream ends                                nothing is wrong: a proxy closed it, or the apiserver stops
 *     open it again       "hello\n" mark(6, crc)     known already: compared, and not given again
 *                         "world\n" mark(12, crc)    proven: 6 bytes more
 *                         end record                 bytes and CRC in it agree with what came: over()
 *
 * How a read ends says what comes next:
 *
 *     a mark disagrees          what is held is dropped and read again: after two such reads, or where a read brought
 *                               nothing new, from byte 0; after five, what cannot be had is passed over, and the
 *                               owner sees a gap in the offsets
 *     courier runs on           the stream is opened again, with an overlap of 10 s; after some early ends in a row, or
 *                               when the kubelet cannot follow, the log is read by time instead: plain reads, seconds
 *                               apart, and now and then a try to follow
 *     silence for 75 s          as if the stream had ended: courier's heartbeat comes every 30 s
 *     courier has ended         at most three plain reads, the later ones from byte 0; then over() without a record
 *     ... and no kubelet        it is asked for a minute; then over() without a record
 *     1 MiB is held             reading stops until the owner has taken most of it
 *
 * Every one of these goes through one function with a pace of its own, so none of them becomes a storm. */
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
