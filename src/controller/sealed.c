#include "sealed.h"

#include "pod/name.h"
#include "state.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>

#define SEALED_VERSION         2
#define SEALED_WITHOUT_ATTEMPT 1 /* as it was before: the pod's name alone says which attempt it is */

struct sealed_job sealed_job_of(const char *url, const char *short_token, uint64_t id, const char *token)
{
    return (struct sealed_job){
        .url = mem_text(url), .short_token = mem_text(short_token), .id = id, .token = mem_text(token)
    };
}

void sealed_job_take(struct sealed_job *sealed, const struct job *job)
{
    sealed->timeout_s = job->timeout_s;
    sealed->reasons = mem_new_array(job->failure_reason_count + 1, sizeof(*sealed->reasons));
    for (; sealed->reason_count < job->failure_reason_count; sealed->reason_count++)
        sealed->reasons[sealed->reason_count] = mem_text(job->failure_reasons[sealed->reason_count]);
}

void sealed_job_clear(struct sealed_job *job)
{
    mem_free(job->url);
    mem_free(job->short_token);
    if (job->token != NULL)
        mem_wipe_free(job->token, strlen(job->token));
    for (size_t i = 0; i < job->reason_count; i++)
        mem_free(job->reasons[i]);
    mem_free(job->reasons);
    masking_free(job->masking);
    *job = (struct sealed_job){ 0 };
}

char *sealed_write(const struct state *state, const struct sealed_job *job, const struct sealed_pod *pod,
                   int64_t created_unix_s)
{
    OWNED_JSON struct cJSON *json = json_object();
    struct cJSON *reasons;
    char *text, *sealed;

    if (!state_can_seal(state))
        return NULL;
    json_set_int(json, "v", SEALED_VERSION);
    json_set_text(json, "url", job->url);
    json_set_text(json, "runner", job->short_token);
    json_set_int(json, "job_id", (int64_t)job->id);
    json_set_int(json, "attempt", pod->attempt);
    json_set_text(json, "token", job->token);
    json_set_int(json, "timeout_s", job->timeout_s);
    reasons = json_set_array(json, "reasons");
    for (size_t i = 0; i < job->reason_count; i++)
        json_add_text(reasons, job->reasons[i]);
    json_set_int(json, "created", created_unix_s);
    masking_write(job->masking, json); /* too long: who adopts shows no text that could hold a value */
    text = json_print(json);
    sealed = state_seal(state, pod->ns, pod->name, text);
    mem_wipe_free(text, strlen(text));
    return sealed;
}

/* Which attempt a text sealed for the pod of this name speaks of; 0: none. The name that is made of it must be the
 * pod's.
 */
static unsigned attempt_of(const char *name, const struct cJSON *json)
{
    const char *dash = strrchr(name, '-');
    int64_t attempt = json_int(json, "attempt", 0);

    if (json_int(json, "v", 0) == SEALED_WITHOUT_ATTEMPT)
        attempt = dash != NULL ? strtoll(dash + 1, NULL, 10) : 0;
    if (attempt < 1 || attempt > UINT32_MAX)
        return 0;
    OWNED_TEXT char *expected = pod_name(json_text(json, "url", ""), json_text(json, "runner", ""),
                                         (uint64_t)json_int(json, "job_id", 0), (unsigned)attempt);
    return strcmp(expected, name) == 0 ? (unsigned)attempt : 0;
}

static void read_job(const struct cJSON *json, struct sealed_job *job)
{
    const struct cJSON *reasons = json_get(json, "reasons");

    job->url = mem_text(json_text(json, "url", ""));
    job->short_token = mem_text(json_text(json, "runner", ""));
    job->id = (uint64_t)json_int(json, "job_id", 0);
    job->token = mem_text(json_text(json, "token", ""));
    job->timeout_s = json_int(json, "timeout_s", 3600);
    job->masking = masking_read(json);
    job->reasons = mem_new_array(json_count(reasons) + 1, sizeof(*job->reasons));
    for (const struct cJSON *item = json_first(reasons); item != NULL; item = json_next(item))
        if (json_item_text(item) != NULL)
            job->reasons[job->reason_count++] = mem_text(json_item_text(item));
}

const char *sealed_open(const struct state *state, const char *ns, const struct cJSON *pod, struct sealed_text *read)
{
    const char *name = json_text_at(pod, "metadata.name", "");
    const char *sealed = json_text(json_at(pod, "metadata.annotations"), POD_ANNOTATION_SEALED, NULL);
    struct strbuf text = STRBUF_UP_TO(STATE_SEALED_MOST);
    struct error ignored = ERROR_NONE; /* what is no JSON was not written by a controller: it does not open */
    OWNED_JSON struct cJSON *json = NULL;
    int64_t version;

    *read = (struct sealed_text){ 0 };
    if (sealed == NULL)
        return "it carries no sealed annotation";
    if (state_open_sealed(state, ns, name, sealed, &text) == 0)
        json = json_parse(text.bytes, text.length, &ignored);
    strbuf_wipe(&text);
    if (json == NULL)
        return "its sealed annotation cannot be opened: it was made for another pod, or its key is not in the state "
               "Secret any more";
    version = json_int(json, "v", 0);
    if (version < SEALED_WITHOUT_ATTEMPT || version > SEALED_VERSION)
        return "its sealed annotation is of another version of the controller";
    read->attempt = attempt_of(name, json);
    if (read->attempt == 0)
        return "its sealed annotation is not that of a job's pod of this name";
    read->created_unix_s = json_int(json, "created", 0);
    read_job(json, &read->job);
    return NULL;
}

void sealed_text_clear(struct sealed_text *read)
{
    sealed_job_clear(&read->job);
}

bool sealed_is_of(const struct state *state, const char *ns, const struct cJSON *pod, const struct sealed_job *job,
                  unsigned attempt)
{
    OWNED_TEXT char *key = pod_key(job->url, job->short_token, job->id);
    struct sealed_text read;
    bool is_ours;

    if (strcmp(json_text(json_at(pod, "metadata.annotations"), POD_ANNOTATION_KEY, ""), key) != 0)
        return false;
    if (!state_can_seal(state))
        return true;
    is_ours = sealed_open(state, ns, pod, &read) == NULL && read.job.id == job->id && read.attempt == attempt;
    sealed_text_clear(&read);
    return is_ours;
}
