/* One job's log on its way to DataOps: the controller's own lines, courier's proven bytes and the lines for what was
 * lost become one trace (job/splice.h says which byte belongs where).
 *
 * The trace is append-only: DataOps takes nothing back. And a restarted controller stores no offset; it rebuilds the
 * same trace from the pod and goes on where DataOps is. From these two facts follow the three rules of this file:
 *
 * 1. The controller's own lines come before courier's first byte, or behind its last one, never between.
 *
 * 2. Notes (the lines before) are sent only once the pod's annotation holds them. A controller that takes over could
 * not rebuild others, and every later byte would stand at a wrong offset. So courier's first byte waits for a save that
 * is under way, and notes that were not saved by then are dropped.
 *
 * 3. Where the tail (the lines behind) begins is fixed once. Bytes of courier that come later have no place any more.
 *
 * An example, a job whose image is pulled for a while:
 *
 *     joblog_note("Waiting for pod ...")      notes = 40 bytes, patched into the annotation
 *     patch answered                          trace <- notes [0, 40)
 *     the log's first mark proves 100 bytes   spoke; trace <- log [0, 100) at 40
 *     the log ends with an end record         over(record); the owner decides
 *     joblog_close("")                        trace finishes at 140; reported
 *
 * Everything goes through joblog_pump(), which puts into the trace what it wants next, in the order notes, log, holes,
 * tail, and stops when the trace is full. It is called whenever something arrived or room was made. */
#ifndef CONTROLLER_JOBLOG_H
#define CONTROLLER_JOBLOG_H

#include "base/error.h"
#include "job/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct dataops;
struct joblog;
struct kube;
struct loop;
struct sealed_job;

struct joblog_events {
    /* The answer to joblog_accept: go false means that nothing may run (canceling: because the job is being canceled).
     */
    void (*accepted)(void *owner, bool go, bool canceling);
    /* Courier's first proven byte came. */
    void (*spoke)(void *owner);
    /* The log was read to its end: the end record's JSON, or NULL when there is none. Once. */
    void (*over)(void *owner, const char *end, size_t length);
    /* DataOps wants the job to end: gracefully, or at once. */
    void (*cancel)(void *owner, bool gracefully);
    /* DataOps has log and result, or they were given up (error). Once. The log must not be freed from here. */
    void (*reported)(void *owner, const struct error *error);
};
struct joblog_input {
    struct loop *loop;
    struct dataops *dataops;
    const struct sealed_job *job; /* borrowed for the log's life */
    bool debug_trace;             /* DataOps restricts who sees the log */
    /* An earlier controller's job: what DataOps has is not known, and found_notes is the pod's annotation or NULL. */
    bool resumed;
    const char *found_notes;
};
struct joblog *joblog_new(const struct joblog_input *input, const struct joblog_events *events, void *owner);
/* NULL is fine. */
void joblog_free(struct joblog *log);

/* Tells DataOps that the job runs, before anything does; accepted comes. Once. */
void joblog_accept(struct joblog *log);

/* --- the controller's lines before courier's --- */

/* Adds a line. It is dropped when courier spoke already, when the log is a resumed one (a line more in front of what
 * DataOps has would move it), or when 16 KiB are full. */
void joblog_note(struct joblog *log, const char *line);
/* The notes as a pod's annotation carries them (a JSON array of texts), or NULL when there are none. Gives a text. A
 * pod is being created with them: they count as saved once joblog_has_pod() says so. */
char *joblog_notes_for_pod(struct joblog *log);
/* No pod was made of that, for sure: as before. */
void joblog_has_no_pod(struct joblog *log);
/* The pod exists: with the notes that it was to be created with, or with found_notes (its annotation). From now on
 * notes are patched into it. ns and pod are borrowed until joblog_leave_pod(). */
void joblog_has_pod(struct joblog *log, struct kube *kube, const char *ns, const char *pod, const char *found_notes);

/* --- courier's log --- */

/* Courier's container runs or has run: opens its log unless it is open, or over. node is the pod's, for people, or "".
 */
void joblog_read(struct joblog *log, const char *node);
/* The log was opened once: what it says counts. */
bool joblog_is_read(const struct joblog *log);
/* Courier's first proven byte came. */
bool joblog_has_spoken(const struct joblog *log);
/* Courier's container ended: what its log holds now is all there will be. */
void joblog_container_over(struct joblog *log);
/* The pod is gone, and with it what was not read. */
void joblog_pod_gone(struct joblog *log);
/* A plain read came to the end of the log: what is not in it was never written. */
bool joblog_was_read_whole(const struct joblog *log);
/* This attempt came to nothing; the next pod has a log of its own. */
void joblog_leave_pod(struct joblog *log);

/* --- the end --- */

/* No more of courier's log is waited for. */
void joblog_stop_reading(struct joblog *log);
/* Fixes the end: the rest of courier's log (unless joblog_stop_reading was called), then a line about lost bytes when
 * an end record says that there were more, then line with lead in front of it (NULL: none); then the verdict is
 * reported. Once. The verdict is borrowed for the log's life. */
void joblog_close(struct joblog *log, const char *lead, const char *line, const struct verdict *verdict);
/* Sends nothing any more; reported comes. */
void joblog_abandon(struct joblog *log);

uint64_t joblog_bytes(const struct joblog *log);   /* taken by DataOps */
unsigned joblog_repairs(const struct joblog *log); /* how often a damaged log was read again */
/* First offset of the trace that was not put yet (tests). */
uint64_t joblog_wanted(const struct joblog *log);

#endif
