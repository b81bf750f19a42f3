/* One logical call to DataOps: what holds for all calls (docs/reference/dataops.md, "Calls in general" and "Repeated
 * requests"), over io/http. */
#ifndef SRC_DATAOPS_CALL_H
#define SRC_DATAOPS_CALL_H

#include "base/list.h"
#include "dataops/api.h"

struct cJSON;
struct timer;

struct dataops {
    struct loop *loop;
    struct http *http;
    char *api_root, *token, *system_id, *executor, *shell, *version, *revision, *user_agent;
    char *last_update; /* newest non-empty X-GitLab-Last-Update, or NULL */
    struct http_tls_owned tls;
    struct list calls;
};

enum call_kind { CALL_PLAIN, CALL_JSON, CALL_REQUEST_JOB };

/* What to call. Texts are copied, raw is borrowed until done. */
struct call_wish {
    const char *method, *path; /* path behind the API root, with the leading slash */
    struct cJSON *body;        /* kept: freed by call_start; NULL none */
    const char *raw;           /* a body that is no JSON, with raw_headers; NULL none */
    size_t raw_length;
    const char *const *raw_headers;
    enum call_kind kind;  /* CALL_JSON: a 2xx answer must be JSON */
    const char *what;     /* for people: "job request"; static */
    const char *accepted; /* statuses that are no error: "201 204"; static */
    uint64_t timeout_ms, answer_timeout_ms;
    size_t body_most;
};
struct dataops_call *call_start(struct dataops *dataops, const struct call_wish *wish, dataops_done *done, void *owner);
/* Ends all calls without calling done. */
void call_cancel_all(struct dataops *dataops);

/* Sets error for an answer that is no success; words from the body when it is the JSON that DataOps sends. */
void answer_explain(const struct http_reply *reply, const char *what, struct error *error);
/* The media type is application/json. */
bool answer_is_json(const struct http_reply *reply);
/* Wait that the answer asks for, in ms; 0 when it asks for none. wall_us: now. */
uint64_t answer_wait_ms(const struct http_reply *reply, int64_t wall_us);

/* Gives the info object: who we are and what we can do. */
struct cJSON *info_object(const struct dataops *dataops);
/* A runner authentication token, as opposed to a registration token. */
bool token_is_runner(const char *token);

#endif
