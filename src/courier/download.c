#include "download.h"

#include "base/backoff.h"
#include "ceilings.h"
#include "io/child.h"
#include "io/file.h"
#include "io/http.h"
#include "io/loop.h"
#include "job/plan.h"
#include "output.h"
#include "text/json.h"
#include "text/quote.h"
#include "transfer.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN_FIRST_MS 5000
#define AGAIN_MOST_MS  300000

struct download {
    struct context *context;
    size_t index; /* of the dependency in work */
    struct child *child;
    char *input;
    int fd;
    uint64_t received;
    bool too_long;
    unsigned tries, attempts_left;
    bool indirect; /* the first, direct try is over */
    struct backoff backoff;
    struct http_call *call;
    struct timer *next;
    stage_done *done;
    void *owner;
};

static void download_next(void *owner);
static void call_begin(void *owner);

static const struct job_dependency *dependency_now(const struct download *download)
{
    return &download->context->plan->dependencies[download->index];
}

static bool is_wanted(const struct job_dependency *dependency)
{
    return dependency->filename && *dependency->filename;
}

bool download_is_wanted(const struct plan *plan)
{
    for (size_t i = 0; i < plan->dependency_count; i++)
        if (is_wanted(&plan->dependencies[i]))
            return true;
    return false;
}

static void archive_close(struct download *download)
{
    if (download->fd >= 0)
        close(download->fd);
    download->fd = -1;
}

/* The stage is tried again as a whole, as often as ARTIFACT_DOWNLOAD_ATTEMPTS says. */
static void download_fail(struct download *download)
{
    struct error error = ERROR_NONE;
    archive_close(download);
    if (download->attempts_left > 0) {
        download->attempts_left--;
        output_say(download->context->output, TONE_WARNING, "Retrying...");
        download->index = 0;
        loop_after(download->context->loop, &download->next,
                   backoff_next_ms(&download->backoff, loop_random(download->context->loop)), download_next, download);
        return;
    }
    error_set(&error, BLAME_SCRIPT, 1, "artifacts of an earlier job could not be downloaded");
    download->done(download->owner, &error);
}

/* --- unpack --- */

static void unpack_output(void *owner, const char *bytes, size_t length)
{
    struct download *download = owner;
    output_own(download->context->output, bytes, length);
}

static void unpack_ended(void *owner, int status, bool timed_out UNUSED)
{
    struct download *download = owner;
    download->child = NULL;
    output_settle(download->context->output);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const char *why = transfer_death(status);
        output_say(download->context->output, TONE_ERROR, "Unpacking the artifacts of %s failed%s%s",
                   dependency_now(download)->name, why ? ": " : "", why ? why : "");
        download_fail(download);
        return;
    }
    archive_close(download);
    download->index++;
    loop_after(download->context->loop, &download->next, 0, download_next, download);
}

static const struct child_events unpack_events = { unpack_output, unpack_ended };

static void unpack_begin(struct download *download)
{
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *request = json_object();
    lseek(download->fd, 0, SEEK_SET);
    download->child = transfer_child(download->context, "--unpack", request, download->fd,
                                     (uint64_t)download->context->plan->limits.unpacked_bytes, &download->input,
                                     &unpack_events, download, &error);
    if (download->child)
        return;
    output_say(download->context->output, TONE_ERROR, "Unpacking cannot be started: %s", error.text);
    download_fail(download);
}

/* --- the call --- */

static int archive_sink(void *owner, const char *bytes, size_t length)
{
    struct download *download = owner;
    download->received += length;
    download->too_long = download->received > (uint64_t)download->context->plan->limits.download_bytes;
    if (download->too_long)
        return -1;
    return file_write_fd(download->fd, bytes, length);
}

static const char *status_meaning(int status)
{
    switch (status) {
    case 401:
    case 403:
        return "forbidden";
    case 404:
        return "not found";
    default:
        return "failed";
    }
}

static void call_done(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct download *download = owner;
    struct context *context = download->context;
    const struct job_dependency *dependency = dependency_now(download);
    uint64_t wait_ms = 0;
    OWNED_STRBUF struct strbuf status = STRBUF_EMPTY, message = STRBUF_EMPTY;
    download->call = NULL;
    download->indirect = true;
    const int code = error->blame == BLAME_NONE ? reply->status : 0;
    transfer_status_words(code, &status);
    if (code == 200) {
        output_say(context->output, TONE_BARE,
                   "Downloading artifacts from coordinator... ok  id=%llu responseStatus=%s",
                   (unsigned long long)dependency->id, strbuf_text(&status));
        unpack_begin(download);
        return;
    }
    if (download->too_long) {
        struct error too_long = ERROR_NONE;
        ceilings_exceeded(&too_long, "it has", context->plan->limits.download_bytes, "artifact_download_limit");
        output_say(context->output, TONE_ERROR, "Downloading artifacts from coordinator... failed  id=%llu: %s",
                   (unsigned long long)dependency->id, too_long.text);
        download->attempts_left = 0;
        download_fail(download);
        return;
    }
    if (code)
        transfer_message(reply, &message);
    else
        strbuf_add_text(&message, error->text);
    const bool again = transfer_again(code == 503 ? 500 : code, &download->tries, 0, &wait_ms) == AGAIN_YES;
    output_say(context->output, again ? TONE_WARNING : TONE_ERROR,
               "Downloading artifacts from coordinator... %s  id=%llu status=%s%s%s%s", status_meaning(code),
               (unsigned long long)dependency->id, strbuf_text(&status), message.length ? " message=" : "",
               strbuf_text(&message), again ? " (trying again)" : "");
    if (again)
        loop_after(context->loop, &download->next, wait_ms, call_begin, download);
    else
        download_fail(download);
}

/* The first try may be answered by a redirect to object storage; later ones go through DataOps itself. */
static void call_begin(void *owner)
{
    struct download *download = owner;
    struct context *context = download->context;
    const struct job_dependency *dependency = dependency_now(download);
    const bool direct = context->plan->direct_download && !download->indirect;
    struct http_tls tls;
    struct error error = ERROR_NONE;
    OWNED_TEXT char *url = mem_format("%s/jobs/%llu/artifacts%s", context->plan->api_root,
                                      (unsigned long long)dependency->id, direct ? "?direct_download=true" : "");
    char *token = mem_format("Job-Token: %s", dependency->token ? dependency->token : "");
    char id_line[TRANSFER_ID_LINE];
    const char *const headers[] = { token, id_line, NULL };
    archive_close(download);
    download->received = 0;
    download->too_long = false;
    download->fd = transfer_file(&error);
    if (download->fd < 0) {
        output_say(context->output, TONE_ERROR, "Downloading artifacts: %s", error.text);
        mem_wipe_free(token, strlen(token));
        download_fail(download);
        return;
    }
    transfer_id_line(id_line);
    transfer_tls(context, &tls);
    const struct http_request request = { .method = "GET",
                                          .url = url,
                                          .headers = headers,
                                          .timeout_ms = TRANSFER_LIMIT_MS,
                                          .answer_timeout_ms = TRANSFER_ANSWER_LIMIT_MS,
                                          .tls = &tls,
                                          .sink = archive_sink,
                                          .follow_redirects = true };
    download->call = http_start(context->http, &request, call_done, download);
    mem_wipe_free(token, strlen(token));
}

/* --- life --- */

static void download_next(void *owner)
{
    struct download *download = owner;
    const struct plan *plan = download->context->plan;
    while (download->index < plan->dependency_count && !is_wanted(dependency_now(download)))
        download->index++;
    if (download->index == plan->dependency_count) {
        download->done(download->owner, &(struct error){ .blame = BLAME_NONE });
        return;
    }
    OWNED_STRBUF struct strbuf name = STRBUF_EMPTY;
    quote_for_people(dependency_now(download)->name ? dependency_now(download)->name : "", 200, &name);
    output_say(download->context->output, TONE_NOTICE, "Downloading artifacts for %s (%llu)...", strbuf_text(&name),
               (unsigned long long)dependency_now(download)->id);
    download->tries = 0;
    download->indirect = false;
    call_begin(download);
}

struct download *download_start(struct context *context, stage_done *done, void *owner)
{
    struct download *download = mem_new(sizeof *download);
    *download = (struct download){ .context = context, .fd = -1, .done = done, .owner = owner };
    download->backoff = (struct backoff){ .first_ms = AGAIN_FIRST_MS, .most_ms = AGAIN_MOST_MS };
    if (context->plan->download_attempts > 1)
        download->attempts_left = context->plan->download_attempts - 1;
    loop_after(context->loop, &download->next, 0, download_next, download);
    return download;
}

void download_free(struct download *download)
{
    if (!download)
        return;
    timer_stop(&download->next);
    child_cancel(download->child);
    http_cancel(download->call);
    archive_close(download);
    mem_free(download->input);
    mem_free(download);
}
