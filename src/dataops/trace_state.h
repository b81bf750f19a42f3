/* What trace.c (bytes, pacing, touches) and report.c (the final state) share.
 *
 * DataOps' copy of a job's log is append-only and has a length. A PATCH says where its bytes begin; DataOps takes them
 * when that is its own length, and answers 416 with its length otherwise. So a trace needs no memory of its own about
 * what was sent before it was made. One request at a time goes out for a job. An example, a job that a restarted
 * controller goes on with; its log has 500 bytes, and DataOps has 300 of them:
 *
 *     trace_put(bytes 0..499)               they wait: where DataOps is is not known
 *     PATCH Content-Range: 0-499            -> 416, Range: 0-300
 *     position 300                          the first 300 bytes are dropped; they are in the CRC already
 *     PATCH Content-Range: 300-499          -> 202; X-GitLab-Trace-Update-Interval: 3
 *     trace_put(bytes 500..519)             they wait for the interval of 3 s
 *     PATCH Content-Range: 500-519          -> 202
 *     nothing for 30 s: PUT running         -> 200; "the job is alive"
 *     trace_finish(success)
 *     PUT success, 520 bytes, CRC           -> 200: reported()
 *
 * When DataOps' length is smaller than ours, bytes are wanted again: wants() tells the owner, who goes on at
 * trace_wanted(). Where such answers keep coming, each one is followed by a longer pause, and in the final phase the
 * bytes are given up after some of them, because the result counts for more. An answer 403, or a Job-Status `canceled`
 * or `failed`, means that DataOps wants to hear nothing more: cancel(at once). */
#ifndef SRC_DATAOPS_TRACE_STATE_H
#define SRC_DATAOPS_TRACE_STATE_H

#include "base/pace.h"
#include "dataops/trace.h"

struct timer;

enum trace_phase { TRACE_LIVE, TRACE_FINAL, TRACE_OVER };

struct trace {
    struct dataops *dataops;
    struct loop *loop;
    uint64_t job_id;
    char *job_token;
    char **reasons;
    size_t reason_count;
    bool debug_trace;
    bool position_known; /* false after an adoption until the first answer to a PATCH */
    struct trace_events events;
    void *owner;
    enum trace_phase phase;
    struct dataops_call *call; /* the one that is open, or NULL */
    struct timer *timer;
    uint64_t timer_due_ms;

    /* bytes: [position, position + flight) and behind it buffer; the reader goes on at wanted. When wanted is below
     * position DataOps has bytes that the reader has not shown yet; both buffers are empty then. */
    uint64_t position, wanted;
    struct strbuf flight; /* what the open or next PATCH carries: it must not move while it is sent */
    struct strbuf buffer;
    uint64_t crc_at; /* crc covers [0, crc_at); it never goes back, so no byte counts twice */
    uint32_t crc;
    bool crc_lost; /* trace_skip passed over bytes that nobody showed */
    bool locating; /* the owner waits for position_known */
    bool refused;  /* trace_put took less than it was given */

    /* pacing */
    uint64_t interval_ms, patched_ms, told_ms, pending_since_ms;
    uint64_t retry_ms;        /* nothing is sent before, but the first and the last word */
    struct pace fails, moves; /* sends that failed; answers that say DataOps is elsewhere, or wants all again */
    bool has_patched;

    bool told_cancel, aborted;
    void (*accepted)(void *owner, bool go, bool canceling);

    /* the final state */
    bool success, gave_up_bytes;
    enum reason reason;
    int exit_code;
    unsigned rounds, rounds_most;
    unsigned moved; /* how often DataOps was elsewhere, or wanted all again, since trace_finish */
    uint64_t end_at, final_since_ms;
    struct error final_error;
};

size_t trace_pending(const struct trace *trace);
/* The CRC covers what DataOps has: not when the reader never showed all of it. */
bool trace_crc_is_whole(const struct trace *trace);
/* Arms the timer for whatever is due next. */
void trace_schedule(struct trace *trace);
/* Sends the next PATCH; something is pending and no call is open. */
void trace_send(struct trace *trace);
/* DataOps is elsewhere, or wants all again: the next send waits longer each time that this comes soon after the last.
 */
void trace_move_slowly(struct trace *trace);
/* DataOps' position is another one than we thought; true when the reader has to read again. */
bool trace_reposition(struct trace *trace, uint64_t position);
void trace_drop_bytes(struct trace *trace);
/* Takes interval and Job-Status from an answer; tells the owner about a cancel. True when the job is over at DataOps.
 */
bool trace_note(struct trace *trace, const struct dataops_answer *answer);
void trace_timer(struct trace *trace, uint64_t delay_ms, void (*due)(void *owner));

/* report.c: next step to the final state; a PATCH in that phase ended (accepted, or failed with error). */
void report_step(struct trace *trace);
void report_failed(struct trace *trace, const struct error *error);
/* Ends everything; reported is called in a later turn, with what was noted in final_error. */
void report_over(struct trace *trace);

#endif
