#include "artifacts.h"

#include "artifact_names.h"
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
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct artifacts {
    struct context *context;
    bool success;
    size_t index; /* of the artifact in work */
    bool failed;
    struct child *child;
    char *input; /* request of the child */
    int fd;      /* the archive, or -1 */
    int64_t size, sent;
    char *url, *file_name, *token;
    unsigned tries;
    struct http_call *call;
    struct timer *next;
    stage_done *done;
    void *owner;
};

static void artifacts_next(void *owner);
static void upload_begin(void *owner);

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

static void artifact_over(struct artifacts *artifacts, bool ok)
{
    artifacts->failed = artifacts->failed || !ok;
    if (artifacts->fd >= 0)
        close(artifacts->fd);
    artifacts->fd = -1;
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

static long archive_source(void *owner, char *bytes, size_t size)
{
    struct artifacts *artifacts = owner;
    ssize_t got;
    do
        got = pread(artifacts->fd, bytes, size, artifacts->sent);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        artifacts->sent += got;
    return got;
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
    artifacts->sent = 0;
    return 0;
}

static void upload_done(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct artifacts *artifacts = owner;
    struct context *context = artifacts->context;
    const char *type = type_of(artifact_now(artifacts));
    uint64_t wait_ms = 0;
    OWNED_STRBUF struct strbuf status = STRBUF_EMPTY, message = STRBUF_EMPTY;
    artifacts->call = NULL;
    const int code = error->blame == BLAME_NONE ? reply->status : 0;
    transfer_status_words(code, &status);
    if (code == 200 || code == 201) {
        output_say(context->output, TONE_BARE,
                   "Uploading artifacts as \"%s\" to coordinator... %s  id=%llu responseStatus=%s", type,
                   strbuf_text(&status), (unsigned long long)context->plan->job_id, strbuf_text(&status));
        artifact_over(artifacts, true);
        return;
    }
    if (code)
        transfer_message(reply, &message);
    else
        strbuf_add_text(&message, error->text);
    const bool again = transfer_again(code, &artifacts->tries, loop_random(context->loop), &wait_ms) == AGAIN_YES;
    output_say(context->output, again ? TONE_WARNING : TONE_ERROR,
               "Uploading artifacts as \"%s\" to coordinator... %s  id=%llu%s%s%s", type, strbuf_text(&status),
               (unsigned long long)context->plan->job_id, message.length ? " message=" : "", strbuf_text(&message),
               again ? " (trying again)" : "");
    if (again)
        loop_after(context->loop, &artifacts->next, wait_ms, upload_begin, artifacts);
    else
        artifact_over(artifacts, false);
}

static void upload_begin(void *owner)
{
    struct artifacts *artifacts = owner;
    struct context *context = artifacts->context;
    struct http_tls tls;
    char id_line[TRANSFER_ID_LINE];
    const char *const headers[] = { artifacts->token, id_line, NULL };
    transfer_id_line(id_line);
    transfer_tls(context, &tls);
    artifacts->sent = 0;
    const struct http_request request = { .method = "POST",
                                          .url = artifacts->url,
                                          .headers = headers,
                                          .timeout_ms = TRANSFER_LIMIT_MS,
                                          .answer_timeout_ms = TRANSFER_LIMIT_MS,
                                          .tls = &tls,
                                          .upload_name = artifacts->file_name,
                                          .source = archive_source,
                                          .source_size = artifacts->size,
                                          .follow_redirects = true,
                                          .moved = upload_moved };
    artifacts->call = http_start(context->http, &request, upload_done, artifacts);
}

static void upload_prepare(struct artifacts *artifacts)
{
    const struct plan *plan = artifacts->context->plan;
    struct stat status;
    if (fstat(artifacts->fd, &status) < 0) {
        artifact_fail(artifacts, strerror(errno));
        return;
    }
    mem_free(artifacts->url);
    mem_free(artifacts->file_name);
    artifacts->size = status.st_size;
    artifacts->url = artifact_url(plan, artifact_now(artifacts));
    artifacts->file_name = artifact_file_name(artifacts->context, artifact_now(artifacts));
    if (!artifacts->token)
        artifacts->token = mem_format("Job-Token: %s", plan->job_token ? plan->job_token : "");
    artifacts->tries = 0;
    upload_begin(artifacts);
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
        upload_prepare(artifacts);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == UNPRIVILEGED_NOTHING) {
        output_say(artifacts->context->output, TONE_ERROR, "No files to upload");
        artifact_over(artifacts, true);
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        artifact_fail(artifacts,
                      "packing was killed, most likely for memory: raise helper_memory_limit in [runners.kubernetes]");
    } else {
        artifact_fail(artifacts, "packing failed");
    }
}

static const struct child_events pack_events = { pack_output, pack_ended };

static struct cJSON *pack_request(struct artifacts *artifacts)
{
    const struct plan_artifact *artifact = artifact_now(artifacts);
    struct cJSON *request = json_object();
    artifact_patterns(artifacts->context, artifact->paths, artifact->path_count, json_set_array(request, "paths"));
    artifact_patterns(artifacts->context, artifact->excludes, artifact->exclude_count,
                      json_set_array(request, "exclude"));
    json_set_bool(request, "untracked", artifact->untracked);
    json_set_text(request, "format", artifact->format ? artifact->format : "zip");
    json_set_text(request, "level", artifact->level ? artifact->level : "default");
    return request;
}

static void pack_begin(struct artifacts *artifacts)
{
    struct error error = ERROR_NONE;
    output_say(artifacts->context->output, TONE_NOTICE, "Uploading artifacts...");
    artifacts->fd = transfer_file(&error);
    if (artifacts->fd >= 0) {
        OWNED_JSON struct cJSON *request = pack_request(artifacts);
        artifacts->child = transfer_child(artifacts->context, "--pack", request, artifacts->fd, &artifacts->input,
                                          &pack_events, artifacts, &error);
    }
    if (!artifacts->child)
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
    child_cancel(artifacts->child);
    http_cancel(artifacts->call);
    if (artifacts->fd >= 0)
        close(artifacts->fd);
    mem_free(artifacts->input);
    mem_free(artifacts->url);
    mem_free(artifacts->file_name);
    mem_wipe_free(artifacts->token, artifacts->token ? strlen(artifacts->token) : 0);
    mem_free(artifacts);
}
