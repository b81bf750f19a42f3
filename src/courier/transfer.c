#include "transfer.h"

#include "base/strbuf.h"
#include "ceilings.h"
#include "io/http.h"
#include "job/plan.h"
#include "reach.h"
#include "text/digest.h"
#include "text/json.h"
#include "text/quote.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* The address sanitizer's shadow memory counts as data, and is terabytes: such a child has the pod's limit only. */
#if defined(__SANITIZE_ADDRESS__)
#define DATA_IS_LIMITED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define DATA_IS_LIMITED false
#endif
#endif
#ifndef DATA_IS_LIMITED
#define DATA_IS_LIMITED true
#endif
#define BUSY_TRIES   6
#define OTHER_TRIES  3
#define MESSAGE_MOST 200

int transfer_file(struct error *error)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = memfd_create("archive", MFD_CLOEXEC);
    return fd < 0 ? error_errno(error, "make a temporary file") : fd;
}

void transfer_tls(const struct context *context, struct http_tls *tls)
{
    const struct plan *plan = context->plan;
    *tls = (struct http_tls){
        .ca_pem = plan->ca_pem, .cert_pem = plan->cert_pem, .key_pem = plan->key_pem, .ca_key = "tls-ca-file"
    };
}

struct child *transfer_child(const struct context *context, const char *mode, struct cJSON *request, int fd,
                             uint64_t file_most, char **input, const struct child_events *events, void *owner,
                             struct error *error)
{
    static const char *const environment[] = { "PATH=" CHILD_PATH, "LANG=C.UTF-8", NULL };
    const char *const words[] = { "dataops-courier", mode, NULL };
    struct confinement reach;
    json_set_text(request, "builds_dir", context->plan->builds_dir);
    json_set_text(request, "folder", context->plan->project_dir);
    ceilings_write(&context->plan->limits, request);
    mem_free(*input);
    *input = json_print(request);
    struct child_start start = { .argv = words,
                                 .program_fd = &context->program_fd,
                                 .env = environment,
                                 .folder = "/",
                                 .input = *input,
                                 .input_length = strlen(*input),
                                 .output_fd = -1,
                                 .pass_fd = fd,
                                 .data_most = DATA_IS_LIMITED ? (uint64_t)context->plan->limits.memory_bytes : 0,
                                 .file_most = file_most };
    reach_set(context, strcmp(mode, "--pack") == 0 ? CHILD_PACK : CHILD_UNPACK, &reach, &start);
    return child_start(context->loop, &start, events, owner, error);
}

const char *transfer_death(int status)
{
    if (!WIFSIGNALED(status))
        return NULL;
    if (WTERMSIG(status) == SIGKILL)
        return "it was killed, most likely for memory: raise helper_memory_limit in [runners.kubernetes]";
    return WTERMSIG(status) == SIGABRT ? "it ran out of memory: raise artifact_memory_limit in [runners.kubernetes]"
                                       : "it crashed";
}

void transfer_id_line(char line[TRANSFER_ID_LINE])
{
    uint8_t id[16];
    int used = snprintf(line, TRANSFER_ID_LINE, "X-Request-Id: ");

    digest_random(id, sizeof(id));
    for (size_t i = 0; i < sizeof(id); i++)
        used += snprintf(line + used, TRANSFER_ID_LINE - (size_t)used, "%02x", id[i]);
}

static bool is_final(int status)
{
    return status == 401 || status == 403 || status == 404 || status == 405 || status == 413;
}

enum again transfer_again(int status, unsigned *tries, uint32_t random, uint64_t *wait_ms)
{
    const unsigned most = status == 503 ? BUSY_TRIES : OTHER_TRIES;
    ++*tries;
    if (is_final(status) || *tries >= most)
        return AGAIN_NO;
    *wait_ms = status == 503 ? 1000 + random % 4001 : 1000;
    return AGAIN_YES;
}

void transfer_status_words(int status, struct strbuf *out)
{
    static const struct {
        int status;
        const char *words;
    } known[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 413, "Request Entity Too Large" },
        { 422, "Unprocessable Entity" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    if (status == 0) {
        strbuf_add_text(out, "no answer");
        return;
    }
    strbuf_format(out, "%d", status);
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i].status == status)
            strbuf_format(out, " %s", known[i].words);
}

void transfer_message(const struct http_reply *reply, struct strbuf *out)
{
    struct error ignored = ERROR_NONE;
    OWNED_JSON struct cJSON *body = json_parse(strbuf_text(&reply->body), reply->body.length, &ignored);
    const char *message = json_text(body, "message", json_text(body, "error", NULL));
    if (message)
        quote_for_people(message, MESSAGE_MOST, out);
}
