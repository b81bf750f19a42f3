#include "dataops/api.h"

#include "call.h"
#include "io/loop.h"
#include "job/payload.h"
#include "text/json.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS     60000u
#define POLL_ANSWER_MS 70000u  /* a held-open poll answers after a minute at most */
#define POLL_MS        130000u /* and its payload may have 16 MiB */

/* --- the place --- */

struct dataops *dataops_new(struct loop *loop, struct http *http, const struct dataops_place *place,
                            struct error *error)
{
    char *api_root = url_api_root(place->url, error);

    if (!api_root) {
        error_within(error, "url");
        return NULL;
    }
    struct dataops *dataops = mem_new(sizeof(*dataops));
    dataops->loop = loop;
    dataops->http = http;
    dataops->api_root = api_root;
    dataops->token = mem_text(place->token ? place->token : "");
    dataops->system_id = mem_text(place->system_id ? place->system_id : "");
    dataops->executor = mem_text(place->executor);
    dataops->shell = mem_text(place->shell);
    dataops->version = mem_text(place->version ? place->version : DATAOPS_VERSION);
    dataops->revision = mem_text(place->revision ? place->revision : "unknown");
    dataops->user_agent = mem_format("dataops-runner %s (%s; linux/amd64)", dataops->version, dataops->revision);
    struct http_tls tls = place->tls;
    if (!tls.ca_key)
        tls.ca_key = "tls-ca-file";
    http_tls_copy(&dataops->tls, &tls);
    list_init(&dataops->calls);
    return dataops;
}

void dataops_free(struct dataops *dataops)
{
    if (!dataops)
        return;
    call_cancel_all(dataops);
    mem_free(dataops->api_root);
    mem_wipe_free(dataops->token, strlen(dataops->token));
    mem_free(dataops->system_id);
    mem_free(dataops->executor);
    mem_free(dataops->shell);
    mem_free(dataops->version);
    mem_free(dataops->revision);
    mem_free(dataops->user_agent);
    mem_free(dataops->last_update);
    http_tls_clear(&dataops->tls);
    mem_free(dataops);
}

const char *dataops_api_root(const struct dataops *dataops)
{
    return dataops->api_root;
}

void dataops_set_token(struct dataops *dataops, const char *token)
{
    mem_wipe_free(dataops->token, strlen(dataops->token));
    dataops->token = mem_text(token ? token : "");
    mem_free(dataops->last_update); /* it belongs to the queue of the old token */
    dataops->last_update = NULL;
}

/* --- runners --- */

static struct cJSON *body_with_info(const struct dataops *dataops)
{
    struct cJSON *body = json_object();

    json_set(body, "info", info_object(dataops));
    json_set_text(body, "token", dataops->token);
    return body;
}

static void set_filled(struct cJSON *body, const char *name, const char *text)
{
    if (text && *text)
        json_set_text(body, name, text);
}

struct dataops_call *dataops_register(struct dataops *dataops, const struct dataops_register *wish, dataops_done *done,
                                      void *owner)
{
    /* such a token is a runner already: there is nothing to make */
    if (token_is_runner(dataops->token))
        return dataops_verify(dataops, done, owner);
    struct cJSON *body = body_with_info(dataops);
    bool has_tags = wish->tag_list && wish->tag_list[strspn(wish->tag_list, ", ")] != '\0';
    set_filled(body, "description", wish->description);
    set_filled(body, "maintenance_note", wish->maintenance_note);
    set_filled(body, "tag_list", has_tags ? wish->tag_list : NULL);
    json_set_bool(body, "run_untagged", wish->run_untagged || !has_tags);
    json_set_bool(body, "locked", wish->locked);
    set_filled(body, "access_level", wish->access_level);
    if (wish->maximum_timeout_s > 0)
        json_set_int(body, "maximum_timeout", wish->maximum_timeout_s);
    json_set_bool(body, "paused", wish->paused);
    const struct call_wish call = {
        .method = "POST",
        .path = "/runners",
        .body = body,
        .kind = CALL_JSON,
        .what = "register",
        .accepted = "201",
        .timeout_ms = TIMEOUT_MS,
    };
    return call_start(dataops, &call, done, owner);
}

struct dataops_call *dataops_verify(struct dataops *dataops, dataops_done *done, void *owner)
{
    struct cJSON *body = body_with_info(dataops);

    set_filled(body, "system_id", dataops->system_id);
    const struct call_wish call = {
        .method = "POST",
        .path = "/runners/verify",
        .body = body,
        .kind = CALL_JSON,
        .what = "verify",
        .accepted = "200",
        .timeout_ms = TIMEOUT_MS,
    };
    return call_start(dataops, &call, done, owner);
}

struct dataops_call *dataops_unregister(struct dataops *dataops, dataops_done *done, void *owner)
{
    struct cJSON *body = json_object();
    bool manager_only = token_is_runner(dataops->token);

    json_set_text(body, "token", dataops->token);
    if (manager_only)
        json_set_text(body, "system_id", dataops->system_id);
    const struct call_wish call = {
        .method = "DELETE",
        .path = manager_only ? "/runners/managers" : "/runners",
        .body = body,
        .kind = CALL_PLAIN,
        .what = "unregister",
        .accepted = "204",
        .timeout_ms = TIMEOUT_MS,
    };
    return call_start(dataops, &call, done, owner);
}

/* --- jobs --- */

struct dataops_call *dataops_request_job(struct dataops *dataops, dataops_done *done, void *owner)
{
    struct cJSON *body = body_with_info(dataops);

    set_filled(body, "system_id", dataops->system_id);
    set_filled(body, "last_update", dataops->last_update);
    const struct call_wish call = {
        .method = "POST",
        .path = "/jobs/request",
        .body = body,
        .kind = CALL_REQUEST_JOB,
        .what = "job request",
        .accepted = "201 204",
        .timeout_ms = POLL_MS,
        .answer_timeout_ms = POLL_ANSWER_MS,
        .body_most = JOB_PAYLOAD_MOST,
    };
    return call_start(dataops, &call, done, owner);
}

struct dataops_call *dataops_update_job(struct dataops *dataops, const struct dataops_update *update,
                                        dataops_done *done, void *owner)
{
    struct cJSON *body = json_object();
    char path[64], checksum[32];

    json_set(body, "info", info_object(dataops));
    json_set_text(body, "token", update->job_token);
    json_set_text(body, "state", update->state);
    set_filled(body, "failure_reason", update->failure_reason);
    if (update->exit_code != 0)
        json_set_int(body, "exit_code", update->exit_code);
    snprintf(checksum, sizeof(checksum), "crc32:%08" PRIx32, update->crc);
    if (update->with_output)
        json_set_text(body, "checksum", checksum);
    struct cJSON *output = json_set_object(body, "output");
    if (update->with_output) {
        json_set_text(output, "checksum", checksum);
        json_set_int(output, "bytesize", (int64_t)update->bytes);
    }
    snprintf(path, sizeof(path), "/jobs/%" PRIu64, update->job_id);
    const struct call_wish call = {
        .method = "PUT",
        .path = path,
        .body = body,
        .kind = CALL_PLAIN,
        .what = "job update",
        .accepted = "200 202",
        .timeout_ms = TIMEOUT_MS,
    };
    return call_start(dataops, &call, done, owner);
}

struct dataops_call *dataops_patch_trace(struct dataops *dataops, uint64_t job_id, const char *job_token,
                                         uint64_t offset, const char *bytes, size_t length, bool debug_trace,
                                         dataops_done *done, void *owner)
{
    char path[96], range[64];
    OWNED_TEXT char *token = mem_format("Job-Token: %s", job_token);

    snprintf(path, sizeof(path), "/jobs/%" PRIu64 "/trace?debug_trace=%s", job_id, debug_trace ? "true" : "false");
    snprintf(range, sizeof(range), "Content-Range: %" PRIu64 "-%" PRIu64, offset, offset + length - 1);
    const char *const headers[] = { token, "Content-Type: text/plain", range, NULL };
    const struct call_wish call = {
        .method = "PATCH",
        .path = path,
        .raw = bytes,
        .raw_length = length,
        .raw_headers = headers,
        .kind = CALL_PLAIN,
        .what = "trace update",
        .accepted = "202",
        .timeout_ms = TIMEOUT_MS,
    };
    return call_start(dataops, &call, done, owner);
}
