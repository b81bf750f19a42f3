#include "artifacts.h"

#include "artifact_names.h"
#include "ceilings.h"
#include "io/child.h"
#include "io/http.h"
#include "io/loop.h"
#include "job/plan.h"
#include "output.h"
#include "text/json.h"
#include "text/url.h"
#include "transfer.h"
#include "unprivileged.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PACK_FILE_MOST 1 /* bytes: a child that packs writes to pipes only */

/* An archive is packed while it is sent, through a pipe: nothing of it lies on a disk. Whatever makes it start again (a
 * redirect, another try) packs it again. */
struct artifacts {
    struct context *context;
    bool success;
    size_t index; /* of the artifact in work */
    bool failed;
    struct child *child; /* packs; NULL once it ended */
    char *input;         /* request of the child */
    int fd;              /* the read end of its pipe, or -1 */
    struct watch *watch; /* until there is something in it */
    bool packed;         /* the child ended well: the pipe's end is the archive's */
    bool too_long;
    int64_t sent;
    char *url, *file_name, *token;
    unsigned tries;
    struct http_call *call;
    struct timer *next;
    stage_done *done;
    void *owner;
};

static void artifacts_next(void *owner);
static void upload_begin(struct artifacts *artifacts);
static int pack_start(struct artifacts *artifacts, bool again, struct error *error);

static const struct plan_artifact *artifact_now(const struct artifacts *artifacts)
{
    return &artifacts->context->plan->artifacts[artifacts->index];
}

static const char *type_of(const struct plan_artifact *artifact)
{
    return artifact->type && *artifact->type ? artifact->type : "archive";
}

static bool is_wanted(const struct plan_artifact *artifact, bool success)
{
    const char *when = artifact->when && *artifact->when ? artifact->when : "on_success";
    if (artifact->path_count == 0 && artifact->exclude_count == 0 && !artifact->untracked)
        return false;
    return strcmp(when, "always") == 0 || strcmp(when, success ? "on_success" : "on_failure") == 0;
}

bool artifacts_are_wanted(const struct plan *plan, bool success)
{
    for (size_t i = 0; i < plan->artifact_count; i++)
        if (is_wanted(&plan->artifacts[i], success))
            return true;
    return false;
}

/* --- one after the other --- */

static void pack_stop(struct artifacts *artifacts)
{
    child_cancel(artifacts->child);
    artifacts->child = NULL;
    watch_stop(artifacts->watch);
    artifacts->watch = NULL;
    if (artifacts->fd >= 0)
        close(artifacts->fd);
    artifacts->fd = -1;
}

static void artifact_over(struct artifacts *artifacts, bool ok)
{
    artifacts->failed = artifacts->failed || !ok;
    pack_stop(artifacts);
    http_cancel(artifacts->call);
    artifacts->call = NULL;
    artifacts->index++;
    loop_after(artifacts->context->loop, &artifacts->next, 0, artifacts_next, artifacts);
}

static void artifact_fail(struct artifacts *artifacts, const char *why)
{
    output_say(artifacts->context->output, TONE_ERROR, "Uploading artifacts as \"%s\" failed: %s",
               type_of(artifact_now(artifacts)), why);
    artifact_over(artifacts, false);
}

/* --- upload --- */

/* Something stands in the pipe, or nobody will write to it any more. */
static void archive_ready(void *owner, unsigned ready UNUSED)
{
    struct artifacts *artifacts = owner;
    int waiting = 0;
    watch_stop(artifacts->watch);
    artifacts->watch = NULL;
    if (artifacts->call)
        http_source_ready(artifacts->call);
    else if (ioctl(artifacts->fd, FIONREAD, &waiting) == 0 && waiting > 0)
        upload_begin(artifacts);
}

static void archive_watch(struct artifacts *artifacts)
{
    if (!artifacts->watch)
        artifacts->watch = loop_watch(artifacts->context->loop, artifacts->fd, LOOP_READ, archive_ready, artifacts);
}

/* The end of the pipe is the archive's end only when the child says so with its exit. */
static long archive_source(void *owner, char *bytes, size_t size)
{
    struct artifacts *artifacts = owner;
    ssize_t got;
    do
        got = read(artifacts->fd, bytes, size);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        archive_watch(artifacts);
    else if (got < 0)
        return -1;
    if (got <= 0)
        return got == 0 && artifacts->packed ? 0 : HTTP_SOURCE_WAITS;
    artifacts->sent += got;
    artifacts->too_long = artifacts->sent > artifacts->context->plan->limits.upload_bytes;
    return artifacts->too_long ? -1 : got;
}

/* The upload goes on where a 307 or 308 says. The rule of io/http keeps the job's token and the client certificate here
 * when that is another origin, and the trace names the host. */
static int upload_moved(void *owner, const char *url, bool is_elsewhere)
{
    struct artifacts *artifacts = owner;
    struct url there = URL_EMPTY;
    struct error ignored = ERROR_NONE;
    if (url_parse(url, &there, &ignored) < 0)
        return -1;
    OWNED_TEXT char *origin = url_origin(&there);
    url_clear(&there);
    output_say(artifacts->context->output, TONE_PLAIN, "Uploading artifacts as \"%s\" goes on at %s%s",
               type_of(artifact_now(artifacts)), origin, is_elsewhere ? ", without the job's token" : "");
    return pack_start(artifacts, true, &ignored);
}

static void upload_again(void *owner)
{
    struct artifacts *artifacts = owner;
    struct error error = ERROR_NONE;
    if (pack_start(artifacts, true, &error) < 0)
        artifact_fail(artifacts, error.text);
}

/* What the server said, or that it said nothing; tried again when that can help. */
static void upload_refused(struct artifacts *artifacts, int code, const char *message)
{
    struct context *context = artifacts->context;
    uint64_t wait_ms = 0;
    OWNED_STRBUF struct strbuf status = STRBUF_EMPTY;
    transfer_status_words(code, &status);
    const bool again = transfer_again(code, &artifacts->tries, loop_random(context->loop), &wait_ms) == AGAIN_YES;
    output_say(context->output, again ? TONE_WARNING : TONE_ERROR,
               "Uploading artifacts as \"%s\" to coordinator... %s  id=%llu%s%s%s", type_of(artifact_now(artifacts)),
               strbuf_text(&status), (unsigned long long)context->plan->job_id, *message ? " message=" : "", message,
               again ? " (trying again)" : "");
    if (again)
        loop_after(context->loop, &artifacts->next, wait_ms, upload_again, artifacts);
    else
        artifact_over(artifacts, false);
}

static void upload_done(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct artifacts *artifacts = owner;
    struct context *context = artifacts->context;
    const int code = error->blame == BLAME_NONE ? reply->status : 0;
    const bool whole = artifacts->packed;
    OWNED_STRBUF struct strbuf status = STRBUF_EMPTY, message = STRBUF_EMPTY;
    artifacts->call = NULL;
    pack_stop(artifacts);
    if (artifacts->too_long) {
        struct error too_long = ERROR_NONE;
        ceilings_exceeded(&too_long, "the archive has", context->plan->limits.upload_bytes, "artifact_upload_limit");
        artifact_fail(artifacts, too_long.text);
        return;
    }
    if ((code == 200 || code == 201) && whole) {
        transfer_status_words(code, &status);
        output_say(context->output, TONE_BARE,
                   "Uploading artifacts as \"%s\" to coordinator... %s  id=%llu responseStatus=%s",
                   type_of(artifact_now(artifacts)), strbuf_text(&status), (unsigned long long)context->plan->job_id,
                   strbuf_text(&status));
        artifact_over(artifacts, true);
        return;
    }
    if (code == 200 || code == 201)
        strbuf_add_text(&message, "it came before the archive was sent");
    else if (code)
        transfer_message(reply, &message);
    else
        strbuf_add_text(&message, error->text);
    upload_refused(artifacts, code, strbuf_text(&message));
}

static void upload_begin(struct artifacts *artifacts)
{
    struct context *context = artifacts->context;
    struct http_tls tls;
    char id_line[TRANSFER_ID_LINE];
    const char *const headers[] = { artifacts->token, id_line, NULL };
    transfer_id_line(id_line);
    transfer_tls(context, &tls);
    const struct http_request request = { .method = "POST",
                                          .url = artifacts->url,
                                          .headers = headers,
                                          .timeout_ms = TRANSFER_LIMIT_MS,
                                          .answer_timeout_ms = TRANSFER_LIMIT_MS,
                                          .tls = &tls,
                                          .upload_name = artifacts->file_name,
                                          .source = archive_source,
                                          .source_size = -1,
                                          .follow_redirects = true,
                                          .moved = upload_moved };
    artifacts->call = http_start(context->http, &request, upload_done, artifacts);
}

/* Address and headers of the artifact that comes next. */
static void upload_prepare(struct artifacts *artifacts)
{
    const struct plan *plan = artifacts->context->plan;
    mem_free(artifacts->url);
    mem_free(artifacts->file_name);
    artifacts->url = artifact_url(plan, artifact_now(artifacts));
    artifacts->file_name = artifact_file_name(artifacts->context, artifact_now(artifacts));
    if (!artifacts->token)
        artifacts->token = mem_format("Job-Token: %s", plan->job_token ? plan->job_token : "");
    artifacts->tries = 0;
}

/* --- pack --- */

static void pack_output(void *owner, const char *bytes, size_t length)
{
    struct artifacts *artifacts = owner;
    output_own(artifacts->context->output, bytes, length);
}

static void pack_ended(void *owner, int status, bool timed_out UNUSED)
{
    struct artifacts *artifacts = owner;
    artifacts->child = NULL;
    output_settle(artifacts->context->output);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        artifacts->packed = true;
        if (artifacts->call)
            http_source_ready(artifacts->call);
        else
            upload_begin(artifacts);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == UNPRIVILEGED_NOTHING) {
        output_say(artifacts->context->output, TONE_ERROR, "No files to upload");
        artifact_over(artifacts, true);
    } else {
        const char *why = transfer_death(status);
        OWNED_TEXT char *words = mem_format("packing failed%s%s", why ? ": " : "", why ? why : "");
        artifact_fail(artifacts, words);
    }
}

static const struct child_events pack_events = { pack_output, pack_ended };

static struct cJSON *pack_request(struct artifacts *artifacts, bool again)
{
    const struct plan_artifact *artifact = artifact_now(artifacts);
    struct cJSON *request = json_object();
    artifact_patterns(artifacts->context, artifact->paths, artifact->path_count, json_set_array(request, "paths"));
    artifact_patterns(artifacts->context, artifact->excludes, artifact->exclude_count,
                      json_set_array(request, "exclude"));
    json_set_bool(request, "untracked", artifact->untracked);
    json_set_text(request, "format", artifact->format ? artifact->format : "zip");
    json_set_text(request, "level", artifact->level ? artifact->level : "default");
    json_set_bool(request, "again", again);
    return request;
}

/* Starts the child that packs into a new pipe; the upload begins with the first byte, so that an artifact without files
 * makes no call. */
static int pack_start(struct artifacts *artifacts, bool again, struct error *error)
{
    int ends[2];
    pack_stop(artifacts);
    artifacts->packed = artifacts->too_long = false;
    artifacts->sent = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(error, "make a pipe");
    artifacts->fd = ends[0];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    OWNED_JSON struct cJSON *request = pack_request(artifacts, again);
    artifacts->child = transfer_child(artifacts->context, "--pack", request, ends[1], PACK_FILE_MOST, &artifacts->input,
                                      &pack_events, artifacts, error);
    close(ends[1]);
    if (!artifacts->child)
        return -1;
    archive_watch(artifacts);
    return 0;
}

static void pack_begin(struct artifacts *artifacts)
{
    struct error error = ERROR_NONE;
    output_say(artifacts->context->output, TONE_NOTICE, "Uploading artifacts...");
    upload_prepare(artifacts);
    if (pack_start(artifacts, false, &error) < 0)
        artifact_fail(artifacts, error.text);
}

/* --- life --- */

static void artifacts_next(void *owner)
{
    struct artifacts *artifacts = owner;
    const struct plan *plan = artifacts->context->plan;
    struct error error = ERROR_NONE;
    while (artifacts->index < plan->artifact_count && !is_wanted(artifact_now(artifacts), artifacts->success))
        artifacts->index++;
    if (artifacts->index < plan->artifact_count) {
        pack_begin(artifacts);
        return;
    }
    if (artifacts->failed)
        error_set(&error, BLAME_SCRIPT, 1, "artifacts could not be uploaded");
    artifacts->done(artifacts->owner, &error);
}

struct artifacts *artifacts_start(struct context *context, bool success, stage_done *done, void *owner)
{
    struct artifacts *artifacts = mem_new(sizeof *artifacts);
    *artifacts = (struct artifacts){ .context = context, .success = success, .fd = -1, .done = done, .owner = owner };
    loop_after(context->loop, &artifacts->next, 0, artifacts_next, artifacts);
    return artifacts;
}

void artifacts_free(struct artifacts *artifacts)
{
    if (!artifacts)
        return;
    timer_stop(&artifacts->next);
    http_cancel(artifacts->call);
    pack_stop(artifacts);
    mem_free(artifacts->input);
    mem_free(artifacts->url);
    mem_free(artifacts->file_name);
    mem_wipe_free(artifacts->token, artifacts->token ? strlen(artifacts->token) : 0);
    mem_free(artifacts);
}
