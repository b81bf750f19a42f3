#include "enroll.h"

#include "base/log.h"
#include "cluster.h"
#include "dataops/api.h"
#include "io/loop.h"
#include "state.h"
#include "text/json.h"

#include <string.h>

#define AGAIN_MS          5000
#define STATE_TRIES_LEAST 3 /* answers that refuse the Secret, before jobs run without it */

struct enroll {
    struct frame *frame;
    struct entry *entries;
    size_t count;
    enroll_done *done;
    void *owner;
    struct entry *current; /* being registered */
    struct dataops_call *call;
    struct timer *timer;
    unsigned state_tries;
};

static void enroll_next(void *owner);

static void enroll_later(struct enroll *enroll)
{
    loop_after(enroll->frame->loop, &enroll->timer, AGAIN_MS, enroll_next, enroll);
}

static struct entry *entry_without_token(const struct enroll *enroll)
{
    for (size_t i = 0; i < enroll->count; i++)
        if (enroll->entries[i].token == NULL)
            return &enroll->entries[i];
    return NULL;
}

/* --- registering --- */

static void enroll_unregistered(void *owner, const struct dataops_answer *answer)
{
    const struct entry *entry = owner;

    if (answer->error.blame != BLAME_NONE)
        log_event(LOG_WARN, "not_unregistered", LOG_TEXT("url", entry->runner->url),
                  LOG_TEXT("error", answer->error.text));
}

static void enroll_store_again(void *owner)
{
    const struct enroll *enroll = owner;

    state_store_again(enroll->frame->state);
}

/* The state Secret decides which registration holds; when another controller was first, ours is taken back. */
static void enroll_stored(void *owner, const char *token, bool is_ours, const struct error *error)
{
    struct enroll *enroll = owner;
    struct entry *entry = enroll->current;

    if (token == NULL) {
        /* The runner exists at DataOps: only the store is tried again, or every try would make another one. */
        log_event(LOG_ERROR, "registration_not_stored", LOG_TEXT("error", error->text));
        loop_after(enroll->frame->loop, &enroll->timer, AGAIN_MS, enroll_store_again, enroll);
        return;
    }
    if (!is_ours)
        dataops_unregister(entry->dataops, enroll_unregistered, entry);
    entry_set_token(entry, token);
    log_event(LOG_INFO, "registered", LOG_TEXT("runner", entry->short_token), LOG_TRUTH("ours", is_ours));
    enroll_next(enroll);
}

static void enroll_registered(void *owner, const struct dataops_answer *answer)
{
    struct enroll *enroll = owner;
    struct entry *entry = enroll->current;
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *reply = NULL;
    const char *token;

    enroll->call = NULL;
    if (answer->status == 201)
        reply = json_parse(answer->reply->body.bytes, answer->reply->body.length, &error);
    token = json_text(reply, "token", NULL);
    if (token == NULL) {
        log_event(LOG_ERROR, "registration_failed", LOG_NUMBER("status", answer->status),
                  LOG_TEXT("error", answer->status == 201 ? error.text : answer->error.text));
        enroll_later(enroll);
        return;
    }
    dataops_set_token(entry->dataops, token);
    state_store_registration(enroll->frame->state, entry->runner->url, token, json_int(reply, "id", 0),
                             json_text(reply, "token_expires_at", NULL), enroll_stored, enroll);
}

static void enroll_register(struct enroll *enroll, struct entry *entry)
{
    const struct controller_registration *wish = enroll->frame->options.registration;
    struct dataops_register request = {
        .description = wish->description,
        .tag_list = wish->tag_list,
        .access_level = wish->access_level,
        .run_untagged = wish->run_untagged,
        .locked = wish->locked,
        .maximum_timeout_s = wish->maximum_timeout_s,
    };

    enroll->current = entry;
    dataops_set_token(entry->dataops, wish->token);
    enroll->call = dataops_register(entry->dataops, &request, enroll_registered, enroll);
}

/* A glrt- token in a registration field is an authentication token (docs/reference/dataops.md, "Registering and
 * verifying"). */
static bool is_runner_token(const char *token)
{
    return strncmp(token, "glrt-", 5) == 0 || strstr(token, "-glrt-") != NULL;
}

static void enroll_next(void *owner)
{
    struct enroll *enroll = owner;
    const struct controller_registration *wish = enroll->frame->options.registration;

    for (struct entry *entry = entry_without_token(enroll); entry != NULL; entry = entry_without_token(enroll)) {
        const char *known = state_token(enroll->frame->state, entry->runner->url);
        if (known == NULL && is_runner_token(wish->token))
            known = wish->token;
        if (known == NULL) {
            enroll_register(enroll, entry);
            return;
        }
        entry_set_token(entry, known);
    }
    enroll->done(enroll->owner);
}

/* --- the state Secret --- */

static void enroll_open_state(void *owner);

static void enroll_state_ready(void *owner, const struct error *error)
{
    struct enroll *enroll = owner;

    if (error->blame == BLAME_NONE) {
        enroll_next(enroll);
        return;
    }
    log_event(LOG_WARN, "state_unreadable", LOG_TEXT("why", error->text),
              LOG_TEXT("effect", "a restart of the controller cannot go on with running jobs"));
    /* Without a token nothing can begin; with one, jobs can run, only a restart will not find them again. An API server
     * that does not answer at all runs no jobs either: it is waited for. */
    enroll->state_tries += error->code != 0;
    if (entry_without_token(enroll) == NULL &&
        (error->blame == BLAME_DENIED || enroll->state_tries >= STATE_TRIES_LEAST))
        enroll->done(enroll->owner);
    else
        loop_after(enroll->frame->loop, &enroll->timer, AGAIN_MS, enroll_open_state, enroll);
}

static void enroll_open_state(void *owner)
{
    struct enroll *enroll = owner;
    struct frame *frame = enroll->frame;
    const struct cluster *cluster = enroll->entries[0].cluster;
    const char *ns = frame->options.ns != NULL ? frame->options.ns : cluster_namespace(cluster);

    state_free(frame->state);
    frame->state =
        state_open(frame->loop, cluster_kube(cluster), ns, frame->options.release, enroll_state_ready, enroll);
}

/* --- life --- */

struct enroll *enroll_start(struct frame *frame, struct entry *entries, size_t count, enroll_done *done, void *owner)
{
    struct enroll *enroll = mem_new(sizeof(*enroll));

    enroll->frame = frame;
    enroll->entries = entries;
    enroll->count = count;
    enroll->done = done;
    enroll->owner = owner;
    enroll_open_state(enroll);
    return enroll;
}

void enroll_free(struct enroll *enroll)
{
    if (enroll == NULL)
        return;
    timer_stop(&enroll->timer);
    dataops_cancel(enroll->call);
    state_free(enroll->frame->state);
    enroll->frame->state = NULL;
    mem_free(enroll);
}
