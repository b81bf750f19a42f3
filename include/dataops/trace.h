/* One job's trace and state at DataOps: PATCHes, touches, the final report (docs/reference/dataops.md, "The trace" and
 * "The final state"). Takes bytes, never loses or repeats one. */
#ifndef DATAOPS_TRACE_H
#define DATAOPS_TRACE_H

#include "dataops/api.h"
#include "job/reason.h"

#define TRACE_BUFFER_MOST (2u * MIB) /* unsent bytes held; above it trace_put refuses and the reader has to wait */

struct trace;

struct trace_events {
    /* DataOps wants the job to end: gracefully (canceling, once) or at once (canceled, failed, 403, 404 on PUT). */
    void (*cancel)(void *owner, bool gracefully);
    /* There is room again after trace_put refused, or DataOps' position went back (416, 412) so that bytes are wanted
     * once more: trace_wanted tells. May also come after trace_finish. The trace must not be freed from here. */
    void (*wants)(void *owner);
    /* The final report is delivered, or given up (error), once. The trace may be freed from here. */
    void (*reported)(void *owner, const struct error *error);
};
struct trace_input {
    struct dataops *dataops;
    struct loop *loop;
    uint64_t job_id;
    const char *job_token;
    char *const *failure_reasons; /* copied */
    size_t failure_reason_count;
    bool debug_trace;
    unsigned final_tries; /* job_status_final_update_retry_limit, 0: 10 */
    bool resumed;         /* adopted: position unknown until the first answer */
};
struct trace *trace_new(const struct trace_input *input, const struct trace_events *events, void *owner);
void trace_free(struct trace *trace);
/* PUT state=running, once, before anything runs; then answered(owner, go): go false means an abort reply or canceling:
 * nothing may run. */
void trace_accept(struct trace *trace, void (*answered)(void *owner, bool go, bool canceling));
/* First offset that is still wanted from the reader. */
uint64_t trace_wanted(const struct trace *trace);
/* Of a resumed trace: asks where DataOps is when no answer told yet; wants is called once it is known. */
void trace_locate(struct trace *trace);
bool trace_is_located(const struct trace *trace);
/* What DataOps has from trace_wanted() on cannot be shown to the trace again: it goes on behind that, and the report
 * leaves the checksum out. */
void trace_skip(struct trace *trace);
/* Takes bytes that start at trace_wanted(); returns how many were taken (0 when full). The first after a pause goes out
 * at once, then at DataOps' interval, a full PATCH of 1 MiB at once. What DataOps has already (adoption) is only added
 * to the CRC. After an abort everything is taken and goes nowhere. */
size_t trace_put(struct trace *trace, const char *bytes, size_t length);
/* No more bytes will come. Sends the rest, then the final state until it is accepted (202, 412, retries), then
 * reported. reason is mapped to what DataOps knows. When DataOps wants bytes again (wants), they are awaited for 60 s
 * after the last trace_put; a second trace_finish says that there are none (its other arguments do not count). */
void trace_finish(struct trace *trace, bool success, enum reason reason, int exit_code);
/* Sends nothing any more (abort): reported is called with BLAME_NONE in a later turn. */
void trace_abandon(struct trace *trace);
uint64_t trace_bytes(const struct trace *trace); /* bytes accepted by DataOps */
uint32_t trace_crc(const struct trace *trace);   /* CRC of everything put so far */

#endif
