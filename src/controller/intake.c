/* Asking DataOps for jobs: pace, limits, health (runner-api.md section 2.3). */
#include "parts.h"

#include "base/log.h"
#include "io/file.h"
#include "pod/name.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

struct poll {
    struct list node;
    struct intake *intake;
    struct dataops_call *call;
};

static bool intake_may_poll(const struct intake *intake)
{
    const struct controller *controller = intake->controller;
    const struct config_runner *runner = intake->runner;
    unsigned open = intake->open_requests;

    if (controller->draining || controller->stopping || !intake->cluster->listed)
        return false;
    if (loop_now_ms(controller->loop) < intake->asleep_until_ms)
        return false;
    /* An open request may bring a job: it holds a place already; so does a pod that is still to be deleted. */
    unsigned taken = controller->run_count + controller->grave_count + controller->open_requests;
    if (taken >= (unsigned)controller->options.config->concurrent)
        return false;
    if (runner->limit > 0 && intake->jobs + open >= (unsigned)runner->limit)
        return false;
    return open < (unsigned)(runner->request_concurrency > 0 ? runner->request_concurrency : 1);
}

static void intake_refused(struct intake *intake, const struct error *error)
{
    const struct config_runner *runner = intake->runner;

    intake->failures++;
    log_event(LOG_WARN, "poll_refused", LOG_TEXT("runner", intake->short_token),
              LOG_NUMBER("failures", intake->failures), LOG_TEXT("error", error->text));
    if (intake->failures < (unsigned)runner->unhealthy_requests_limit)
        return;
    intake->failures = 0;
    intake->asleep_until_ms = loop_now_ms(intake->controller->loop) + runner->unhealthy_interval_ms;
    log_event(
        LOG_ERROR, "runner_unhealthy", LOG_TEXT("runner", intake->short_token),
        LOG_NUMBER("for_s", runner->unhealthy_interval_ms / 1000),
        LOG_NUMBER("refusals", runner->unhealthy_requests_limit),
        LOG_TEXT("why", "DataOps refuses the token: it was removed or has expired; run verify, or register again"));
}

static void intake_poll(struct intake *intake);

/* A body over the ceiling or cut off: the job is failed when its id and token were seen. The next poll keeps its pace:
 * a DataOps that always answers so would otherwise be asked without a pause. */
static void intake_broken_payload(struct intake *intake, const struct dataops_answer *answer)
{
    uint64_t id = 0;
    char *token = NULL;

    if (answer->reply != NULL && job_peek(answer->reply->body.bytes, answer->reply->body.length, &id, &token))
        run_new_failed(intake, id, token, &answer->error);
    else
        log_event(LOG_ERROR, "payload_unreadable", LOG_TEXT("runner", intake->short_token),
                  LOG_TEXT("error", answer->error.text));
    mem_free(token);
}

static void intake_got_job(struct intake *intake, const struct dataops_answer *answer)
{
    const struct run *run = NULL;

    if (answer->error.blame != BLAME_NONE)
        intake_broken_payload(intake, answer);
    else
        run = run_new(intake, answer->reply->body.bytes, answer->reply->body.length);
    intake->wants_poll = run != NULL && run->job != NULL && !intake->runner->strict_check_interval;
}

static void intake_answered(void *owner, const struct dataops_answer *answer)
{
    struct poll *poll = owner;
    struct intake *intake = poll->intake;
    struct controller *controller = intake->controller;

    list_remove(&poll->node);
    mem_free(poll);
    intake->open_requests--;
    controller->open_requests--;
    if (answer->status == 403) {
        intake_refused(intake, &answer->error);
    } else {
        intake->failures = 0;
        if (answer->status == 201 || answer->status == 204) {
            intake->was_answered = true;
            intake->asked_since_ms = 0;
        }
        if (answer->status == 201)
            intake_got_job(intake, answer);
        else if (answer->status != 204)
            log_event(LOG_WARN, "poll_failed", LOG_TEXT("runner", intake->short_token),
                      LOG_NUMBER("status", answer->status), LOG_TEXT("error", answer->error.text));
    }
    intake_has_room(controller);
}

static void intake_poll(struct intake *intake)
{
    struct poll *poll = mem_new(sizeof(*poll));

    poll->intake = intake;
    list_append(&intake->requests, &poll->node);
    intake->open_requests++;
    intake->controller->open_requests++;
    intake->wants_poll = false;
    if (intake->asked_since_ms == 0)
        intake->asked_since_ms = loop_now_ms(intake->controller->loop);
    poll->call = dataops_request_job(intake->dataops, intake_answered, poll);
}

static void intake_due(void *owner)
{
    struct controller *controller = owner;
    uint64_t interval_ms = (uint64_t)controller->options.config->check_interval_s * 1000 / controller->intake_count;

    for (size_t i = 0; i < controller->intake_count; i++) {
        struct intake *intake = &controller->intakes[controller->next_intake];

        controller->next_intake = (controller->next_intake + 1) % controller->intake_count;
        if (intake_may_poll(intake)) {
            intake_poll(intake);
            break;
        }
    }
    if (!controller->draining && !controller->stopping)
        loop_after(controller->loop, &controller->poll_timer, interval_ms > 0 ? interval_ms : 1, intake_due,
                   controller);
}

void intake_start(struct controller *controller)
{
    loop_after(controller->loop, &controller->poll_timer, 0, intake_due, controller);
}

void intake_has_room(struct controller *controller)
{
    for (size_t i = 0; i < controller->intake_count; i++)
        if (controller->intakes[i].wants_poll && intake_may_poll(&controller->intakes[i]))
            intake_poll(&controller->intakes[i]);
}

/* Reads a PEM file named by a key of the configuration; an unset key gives NULL. */
static int intake_read_pem(const char *path, const char *key, char **given, struct error *error)
{
    struct strbuf text = STRBUF_UP_TO(1 * MIB);

    if (path == NULL || path[0] == '\0')
        return 0;
    if (file_read(path, &text, error) < 0) {
        strbuf_clear(&text);
        error->blame = BLAME_CONFIG;
        return error_within(error, "%s", key);
    }
    *given = strbuf_take(&text, NULL);
    return 0;
}

static int intake_read_token(struct intake *intake, struct error *error)
{
    const struct config_runner *runner = intake->runner;
    struct strbuf text = STRBUF_UP_TO(64 * KIB);

    if (runner->token_file != NULL && runner->token_file[0] != '\0' && !file_is_filled(runner->token_file) &&
        intake->controller->options.registration != NULL)
        return 0; /* the state Secret holds a token, or registration brings one: enroll.c */
    if (runner->token_file == NULL || runner->token_file[0] == '\0') {
        if (runner->token == NULL || runner->token[0] == '\0')
            return error_set(error, BLAME_CONFIG, 0,
                             "[[runners]] %s: no token: set token or token_file, or run register",
                             runner->name != NULL ? runner->name : runner->url);
        intake->token = mem_text(runner->token);
        return 0;
    }
    if (file_read(runner->token_file, &text, error) < 0) {
        strbuf_wipe(&text);
        error->blame = BLAME_CONFIG;
        return error_within(error, "token_file");
    }
    while (text.length > 0 && strchr(" \t\r\n", text.bytes[text.length - 1]) != NULL)
        strbuf_cut(&text, text.length - 1);
    intake->token = strbuf_take(&text, NULL);
    return intake->token == NULL || intake->token[0] == '\0'
               ? error_set(error, BLAME_CONFIG, 0, "token_file %s is empty", runner->token_file)
               : 0;
}

int intake_init(struct intake *intake, struct controller *controller, const struct config_runner *runner,
                struct error *error)
{
    struct dataops_place place = {
        .url = runner->url,
        .system_id = controller->options.system_id,
        .executor = "kubernetes",
        .shell = runner->shell,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
    };

    intake->controller = controller;
    intake->runner = runner;
    list_init(&intake->requests);
    if (intake_read_token(intake, error) < 0 ||
        intake_read_pem(runner->tls_ca_file, "tls-ca-file", &intake->ca_pem, error) < 0 ||
        intake_read_pem(runner->tls_cert_file, "tls-cert-file", &intake->cert_pem, error) < 0 ||
        intake_read_pem(runner->tls_key_file, "tls-key-file", &intake->key_pem, error) < 0)
        return -1;
    intake->short_token = intake->token != NULL ? pod_short_token(intake->token) : NULL;
    place.token = intake->token;
    place.tls = (struct http_tls){
        .ca_pem = intake->ca_pem, .cert_pem = intake->cert_pem, .key_pem = intake->key_pem, .ca_key = "tls-ca-file"
    };
    intake->dataops = dataops_new(controller->loop, controller->http, &place, error);
    if (intake->dataops == NULL)
        return -1;
    intake->cluster = cluster_for(controller, runner, error);
    return intake->cluster == NULL ? -1 : 0;
}

void intake_set_token(struct intake *intake, const char *token)
{
    if (intake->token != NULL)
        mem_wipe_free(intake->token, strlen(intake->token));
    mem_free(intake->short_token);
    intake->token = mem_text(token);
    intake->short_token = pod_short_token(token);
    dataops_set_token(intake->dataops, token);
}

void intake_clear(struct intake *intake)
{
    LIST_EACH_SAFE(node, &intake->requests)
    {
        struct poll *poll = list_of(node, struct poll, node);
        dataops_cancel(poll->call);
        mem_free(poll);
    }
    dataops_free(intake->dataops);
    if (intake->token != NULL)
        mem_wipe_free(intake->token, strlen(intake->token));
    mem_free(intake->short_token);
    mem_free(intake->ca_pem);
    mem_free(intake->cert_pem);
    if (intake->key_pem != NULL)
        mem_wipe_free(intake->key_pem, strlen(intake->key_pem));
}
