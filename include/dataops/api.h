/* The DataOps side: the GitLab Runner job API, v4 (docs/reference/dataops.md, "Calls in general" and the headings
 * behind it). Knows no pods. One struct dataops per [[runners]] entry. */
#ifndef DATAOPS_API_H
#define DATAOPS_API_H

#include "base/error.h"
#include "base/strbuf.h"
#include "io/http.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct http;
struct dataops;
struct dataops_call;

struct dataops_place {
    const char *url;   /* as configured */
    const char *token; /* runner token (or registration token for register); copied */
    const char *system_id, *executor, *shell, *version, *revision;
    struct http_tls tls; /* texts are copied */
};
struct dataops *dataops_new(struct loop *loop, struct http *http, const struct dataops_place *place,
                            struct error *error);
void dataops_free(struct dataops *dataops);
const char *dataops_api_root(const struct dataops *dataops);
void dataops_set_token(struct dataops *dataops, const char *token);

/* An answer after the layer below every call (docs/reference/dataops.md, "Repeated requests"): at most 5 tries on 408
 * 429 500 502 503 504 512+ with RateLimit-ResetTime, Retry-After, or exponential waits; a transport error is not
 * retried here. */
struct dataops_answer {
    int status;                     /* 0: no answer */
    const struct http_reply *reply; /* borrowed until return; NULL when no answer */
    struct error error;             /* ready for people, for every status that is no success */
};
typedef void dataops_done(void *owner, const struct dataops_answer *answer);

struct dataops_register {
    const char *description, *tag_list, *access_level, *maintenance_note;
    bool run_untagged, locked, paused;
    int64_t maximum_timeout_s; /* 0 unset */
};
struct dataops_call *dataops_register(struct dataops *dataops, const struct dataops_register *wish, dataops_done *done,
                                      void *owner);
struct dataops_call *dataops_verify(struct dataops *dataops, dataops_done *done, void *owner);
/* glrt- tokens: DELETE /runners/managers with the system id; all others DELETE /runners. */
struct dataops_call *dataops_unregister(struct dataops *dataops, dataops_done *done, void *owner);
/* POST /jobs/request with last_update; the answer's body is the payload on 201. Held-open polls are not cut (70 s).
 * Keeps X-GitLab-Last-Update. Body ceiling 16 MiB: over it status is 201 with error set and reply->body holding what
 * had arrived. */
struct dataops_call *dataops_request_job(struct dataops *dataops, dataops_done *done, void *owner);
void dataops_cancel(struct dataops_call *call);

/* "canceled", "failed", "canceling", "running"... of the Job-Status header; JOB_REMOTE_NONE when absent. */
enum job_remote {
    JOB_REMOTE_NONE,
    JOB_REMOTE_RUNNING,
    JOB_REMOTE_CANCELING,
    JOB_REMOTE_CANCELED,
    JOB_REMOTE_FAILED,
    JOB_REMOTE_OTHER
};

struct dataops_update {
    uint64_t job_id;
    const char *job_token, *state; /* "running" "success" "failed" */
    const char *failure_reason;    /* "" none */
    int exit_code;                 /* 0 left out */
    bool with_output;              /* checksum and bytesize are known */
    uint32_t crc;
    uint64_t bytes;
};
struct dataops_call *dataops_update_job(struct dataops *dataops, const struct dataops_update *update,
                                        dataops_done *done, void *owner);
/* PATCH of the trace; bytes are borrowed until done. */
struct dataops_call *dataops_patch_trace(struct dataops *dataops, uint64_t job_id, const char *job_token,
                                         uint64_t offset, const char *bytes, size_t length, bool debug_trace,
                                         dataops_done *done, void *owner);
enum job_remote dataops_job_status(const struct http_reply *reply);
/* X-GitLab-Trace-Update-Interval in ms (1 s to 15 min), 0 when absent. */
uint64_t dataops_update_interval_ms(const struct http_reply *reply);

#endif
