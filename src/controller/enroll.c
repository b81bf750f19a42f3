/* Start-up that needs answers: the state Secret, then a token for each runner entry, then work. */
#include "parts.h"

#include "base/log.h"
#include "pod/name.h"
#include "state.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

#define ENROLL_AGAIN_MS 5000

static void enroll_next(void *owner);

static void enroll_later(struct controller *controller)
{
    loop_after(controller->loop, &controller->enroll_timer, ENROLL_AGAIN_MS, enroll_next, controller);
}

static struct intake *enroll_without_token(struct controller *controller)
{
    for (size_t i = 0; i < controller->intake_count; i++)
        if (controller->intakes[i].token == NULL)
            return &controller->intakes[i];
    return NULL;
}

static void enroll_unregistered(void *owner, const struct dataops_answer *answer)
{
    const struct intake *intake = owner;

    if (answer->error.blame != BLAME_NONE)
        log_event(LOG_WARN, "not_unregistered", LOG_TEXT("url", intake->runner->url),
                  LOG_TEXT("error", answer->error.text));
}

static void enroll_store_again(void *owner)
{
    const struct intake *intake = owner;

    state_store_again(intake->controller->state);
}

/* The state Secret decides which registration holds; when another controller was first, ours is taken back. */
static void enroll_stored(void *owner, const char *token, bool ours, const struct error *error)
{
    struct intake *intake = owner;
    struct controller *controller = intake->controller;

    if (token == NULL) {
        /* The runner exists at DataOps: only the store is tried again, or every try would make another one. */
        log_event(LOG_ERROR, "registration_not_stored", LOG_TEXT("error", error->text));
        loop_after(controller->loop, &controller->enroll_timer, ENROLL_AGAIN_MS, enroll_store_again, intake);
        return;
    }
    if (!ours)
        dataops_unregister(intake->dataops, enroll_unregistered, intake);
    intake_set_token(intake, token);
    log_event(LOG_INFO, "registered", LOG_TEXT("runner", intake->short_token), LOG_TRUTH("ours", ours));
    enroll_next(controller);
}

static void enroll_registered(void *owner, const struct dataops_answer *answer)
{
    struct intake *intake = owner;
    struct controller *controller = intake->controller;
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *reply = NULL;
    const char *token;

    controller->enroll_call = NULL;
    if (answer->status == 201)
        reply = json_parse(answer->reply->body.bytes, answer->reply->body.length, &error);
    token = json_text(reply, "token", NULL);
    if (token == NULL) {
        log_event(LOG_ERROR, "registration_failed", LOG_NUMBER("status", answer->status),
                  LOG_TEXT("error", answer->status == 201 ? error.text : answer->error.text));
        enroll_later(controller);
        return;
    }
    dataops_set_token(intake->dataops, token);
    state_store_registration(controller->state, intake->runner->url, token, json_int(reply, "id", 0),
                             json_text(reply, "token_expires_at", NULL), enroll_stored, intake);
}

static void enroll_register(struct intake *intake)
{
    struct controller *controller = intake->controller;
    const struct controller_registration *wish = controller->options.registration;
    struct dataops_register request = {
        .description = wish->description,
        .tag_list = wish->tag_list,
        .access_level = wish->access_level,
        .run_untagged = wish->run_untagged,
        .locked = wish->locked,
        .maximum_timeout_s = wish->maximum_timeout_s,
    };

    dataops_set_token(intake->dataops, wish->token);
    controller->enroll_call = dataops_register(intake->dataops, &request, enroll_registered, intake);
}

/* A glrt- token in a registration field is an authentication token (install.md section 2). */
static bool is_runner_token(const char *token)
{
    return strncmp(token, "glrt-", 5) == 0 || strstr(token, "-glrt-") != NULL;
}

static void enroll_next(void *owner)
{
    struct controller *controller = owner;
    struct intake *intake = enroll_without_token(controller);
    const char *known;

    if (intake == NULL) {
        controller_begin(controller);
        return;
    }
    known = state_token(controller->state, intake->runner->url);
    if (known == NULL && is_runner_token(controller->options.registration->token))
        known = controller->options.registration->token;
    if (known != NULL) {
        intake_set_token(intake, known);
        enroll_next(controller);
    } else {
        enroll_register(intake);
    }
}

static void enroll_state_due(void *owner)
{
    struct controller *controller = owner;

    state_free(controller->state);
    controller->state = NULL;
    enroll_start(controller);
}

static void enroll_state_ready(void *owner, const struct error *error)
{
    struct controller *controller = owner;

    if (error->blame == BLAME_NONE) {
        enroll_next(controller);
        return;
    }
    log_event(LOG_WARN, "state_unreadable", LOG_TEXT("why", error->text),
              LOG_TEXT("effect", "a restart of the controller cannot go on with running jobs"));
    /* Without a token nothing can begin; with one, jobs can run, only a restart will not find them again. */
    /* An API server that does not answer at all runs no jobs either: it is waited for. */
    controller->enroll_tries += error->code != 0;
    if (enroll_without_token(controller) == NULL && (error->blame == BLAME_DENIED || controller->enroll_tries > 2))
        controller_begin(controller);
    else
        loop_after(controller->loop, &controller->enroll_timer, ENROLL_AGAIN_MS, enroll_state_due, controller);
}

void enroll_start(struct controller *controller)
{
    const struct cluster *cluster = controller->intakes[0].cluster;
    const char *ns = controller->options.ns != NULL ? controller->options.ns : cluster->ns;

    controller->state =
        state_open(controller->loop, cluster->kube, ns, controller->options.release, enroll_state_ready, controller);
}
