/* One container's log (docs/reference/kubernetes.md, "Reading a log"). Three ways lead to the end: the stream closed;
 * the handshake was refused, which one plain request explains; the plain request was all that was asked for. */
#include "kube/log.h"

#include "connection.h"
#include "log_lines.h"
#include "text/json.h"
#include "text/url.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
    GET_MOST = 16 * 1024 * 1024,
    GET_TIMEOUT_MS = 120 * 1000,
    REASON_TIMEOUT_MS = 45 * 1000, /* the API server itself waits 30 s for a kubelet */
};

struct kube_log {
    struct kube *kube;
    const struct kube_log_events *events;
    void *owner;
    char *path; /* without follow */
    char *what;
    uint64_t most_bytes, bytes;
    struct ws_stream *stream;
    struct kube_call *call;
    struct timer *wait;
    int refused_status;
    bool ended, tried_new_token, too_long, is_timed;
    struct log_lines lines;
    struct log_tail tail;
};

/* --- the end --- */

static void log_free(void *owner)
{
    struct kube_log *log = owner;
    mem_free(log->path);
    mem_free(log->what);
    mem_free(log);
}

static void log_close(struct kube_log *log)
{
    log->ended = true;
    kube_cancel(log->call);
    ws_cancel(log->stream);
    timer_stop(&log->wait);
    loop_later(kube_loop(log->kube), log_free, log);
}

static void log_end(struct kube_log *log, enum kube_log_end end, const struct error *error)
{
    const struct kube_log_events *events = log->events;
    void *owner = log->owner;
    struct error words = *error;
    log_close(log);
    events->ended(owner, end, &words);
}

void kube_log_cancel(struct kube_log *log)
{
    if (log && !log->ended)
        log_close(log);
}

/* --- answers to a plain request --- */

/* The two texts of a container that did not start yet; the reference found no reason or code that tells. */
static bool is_not_yet(const struct kube_answer *answer)
{
    const char *message = json_text(answer->object, "message", "");
    return answer->status == 204 ||
           (answer->status == 400 && (strstr(message, "is waiting to start") || strstr(message, "is not available")));
}

static enum kube_log_end end_of(const struct kube_answer *answer)
{
    if (is_not_yet(answer))
        return LOG_NOT_YET;
    /* the API server tells of a kubelet that it cannot reach by a 500 without a reason (docs/reference/kubernetes.md,
     * "Reading a log") */
    if (answer->status >= 500)
        return LOG_UNREACHABLE;
    switch (answer->kind) {
    case KUBE_OK:
        return LOG_CLOSED;
    case KUBE_MISSING:
        return LOG_GONE;
    case KUBE_UNAUTHORIZED:
    case KUBE_FORBIDDEN:
    case KUBE_REFUSED:
    case KUBE_QUOTA:
    case KUBE_EXISTS:
    case KUBE_CONFLICT:
    case KUBE_EXPIRED:
        return LOG_REFUSED;
    case KUBE_BUSY:
    case KUBE_FAILED:
        break;
    }
    return LOG_UNREACHABLE;
}

static void got(void *owner, const struct kube_answer *answer)
{
    struct kube_log *log = owner;
    struct error error = answer->error;
    enum kube_log_end end = end_of(answer);
    log->call = NULL;
    if (log->too_long) {
        end = LOG_REFUSED;
        error_set(&error, BLAME_REMOTE, 0, "%s: longer than %" PRIu64 " bytes", log->what, log->most_bytes);
    }
    log_end(log, end, &error);
}

/* Passes bytes on; the owner may cancel in between. */
static void give(struct kube_log *log, const char *bytes, size_t length)
{
    size_t used = 0;
    struct log_piece piece;

    if (!log->is_timed) {
        log->events->data(log->owner, bytes, length);
        return;
    }
    while (!log->ended && log_lines_next(&log->lines, bytes, length, &used, &piece))
        log->events->data(log->owner, piece.bytes, piece.length);
}

int64_t kube_log_line_s(const struct kube_log *log)
{
    return log->lines.written_s;
}

static int get_bytes(void *owner, const char *bytes, size_t length)
{
    struct kube_log *log = owner;
    log->bytes += length;
    if (log->bytes > log->most_bytes) {
        log->too_long = true;
        return -1;
    }
    give(log, bytes, length);
    return 0;
}

static void get_log(void *owner)
{
    struct kube_log *log = owner;
    struct kube_request request = { .method = "GET",
                                    .path = log->path,
                                    .raw = true,
                                    .sink = get_bytes,
                                    .timeout_ms = GET_TIMEOUT_MS,
                                    .what = log->what };
    log->call = kube_start(log->kube, &request, got, log);
}

/* --- following --- */

static int discard(void *owner, const char *bytes, size_t length)
{
    (void)owner;
    (void)bytes;
    (void)length;
    return 0;
}

static void reason_known(void *owner, const struct kube_answer *answer)
{
    struct kube_log *log = owner;
    struct error error = answer->error;
    enum kube_log_end end = end_of(answer);
    log->call = NULL;
    if (end == LOG_CLOSED) {
        /* It can be read now. After "not yet" that is good news, else the handshake itself is the problem. */
        bool started_meanwhile = log->refused_status == 400 || log->refused_status >= 500;
        end = started_meanwhile ? LOG_NOT_YET : LOG_REFUSED;
        error_set(&error, BLAME_REMOTE, log->refused_status,
                  "%s: the websocket handshake was refused with status %d, though a plain request works: "
                  "does a proxy on the way change Upgrade?",
                  log->what, log->refused_status);
    }
    log_end(log, end, &error);
}

static void ask_for_reason(struct kube_log *log)
{
    OWNED_TEXT char *path = mem_format("%s&limitBytes=1", log->path);
    struct kube_request request = {
        .method = "GET", .path = path, .raw = true, .sink = discard, .timeout_ms = REASON_TIMEOUT_MS, .what = log->what
    };
    log->call = kube_start(log->kube, &request, reason_known, log);
}

static void follow_log(void *owner);

static void stream_data(void *owner, const char *bytes, size_t length, bool last)
{
    (void)last; /* frames are cut anywhere */
    struct kube_log *log = owner;
    log_tail_keep(&log->tail, bytes, length);
    if (length > 0)
        give(log, bytes, length);
}

static void stream_closed(void *owner, int status, bool had_opened, const struct error *error)
{
    struct kube_log *log = owner;
    struct error words = *error;
    log->stream = NULL;
    if (had_opened) {
        /* how it closed means nothing, but for what the kubelet wrote last (docs/reference/kubernetes.md, "How a log
         * ends" and "Text in a log that the container did not write") */
        const char *reason = log_tail_no_follow(&log->tail);
        if (reason)
            error_set(&words, BLAME_REMOTE, 0, "%s: the kubelet says \"%s\"", log->what, reason);
        log_end(log, reason ? LOG_NOT_FOLLOWED : LOG_CLOSED, &words);
        return;
    }
    log->refused_status = status;
    if (status == 401 && !log->tried_new_token) {
        log->tried_new_token = true;                                      /* every connect reads the token anew */
        loop_after(kube_loop(log->kube), &log->wait, 0, follow_log, log); /* once: tried_new_token */
    } else if (status == 204 || status == 404) {
        error_set(&words, BLAME_REMOTE, status, "%s: %s", log->what,
                  status == 204 ? "the pod has no node yet" : "there is no such pod");
        log_end(log, status == 204 ? LOG_NOT_YET : LOG_GONE, &words);
    } else if (status) {
        ask_for_reason(log);
    } else {
        error_within(&words, "%s", log->what);
        log_end(log, LOG_UNREACHABLE, &words);
    }
}

static const struct ws_events follow_events = { NULL, stream_data, stream_closed };

static void follow_log(void *owner)
{
    struct kube_log *log = owner;
    OWNED_TEXT char *path = mem_format("%s&follow=true", log->path);
    log->stream = kube_ws_open(log->kube, path, "binary.k8s.io", &follow_events, log);
}

/* --- the start --- */

static char *log_path(const struct kube_log_request *request)
{
    struct strbuf path = STRBUF_EMPTY;
    OWNED_TEXT char *pod = kube_path(request->ns, "pods", request->pod);
    strbuf_format(&path, "%s/log?container=", pod);
    url_escape(request->container, &path);
    if (request->since_unix_s > 0) {
        char text[32];
        time_t seconds = (time_t)request->since_unix_s;
        struct tm parts = { 0 };
        gmtime_r(&seconds, &parts);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
        strbuf_add_text(&path, "&sinceTime=");
        url_escape(text, &path);
    }
    if (request->timed)
        strbuf_add_text(&path, "&timestamps=true");
    return strbuf_take(&path, NULL);
}

struct kube_log *kube_log_start(struct kube *kube, const struct kube_log_request *request,
                                const struct kube_log_events *events, void *owner)
{
    struct kube_log *log = mem_new(sizeof *log);
    log->kube = kube;
    log->events = events;
    log->owner = owner;
    log->path = log_path(request);
    log->what = mem_format("log of %s/%s", request->pod, request->container);
    log->is_timed = request->timed;
    log->most_bytes = request->most_bytes ? request->most_bytes : GET_MOST;
    if (request->follow)
        follow_log(log);
    else
        get_log(log);
    return log;
}
