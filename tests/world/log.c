/* kube/log.h over the pods' files, on a path that may drop, double and replace. */
#include "kube/log.h"

#include "clock.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

struct kube_log {
    const struct kube_log_events *events;
    void *owner;
    char *pod;
    struct wpod *found;
    size_t line; /* the next one to give */
    bool follow, timed, cancelled, silent, opened;
    int64_t since_s, line_s;
};

static void log_free(struct kube_log *log)
{
    mem_free(log->pod);
    mem_free(log);
}

static void log_end(struct kube_log *log, enum kube_log_end end)
{
    struct error error = ERROR_NONE;

    if (end != LOG_CLOSED)
        error_set(&error, BLAME_REMOTE, 0, "log: end %d", (int)end);
    log->cancelled = true; /* it is gone after ended() */
    log->events->ended(log->owner, end, &error);
    log_free(log);
}

static void give(struct kube_log *log, const char *bytes, size_t length)
{
    while (length > 0 && !log->cancelled) {
        size_t piece = chance_percent(70) ? length : (size_t)chance_of(1, length);
        log->events->data(log->owner, bytes, piece);
        bytes += piece;
        length -= piece;
    }
}

/* Some lines as the path leaves them. */
static void add_damaged(struct strbuf *out, const char *line, size_t length)
{
    unsigned kind = chance_any() % 5;

    if (kind == 0)
        return;
    strbuf_add(out, line, length);
    if (kind == 1) {
        strbuf_add(out, line, length);
    } else if (kind == 2) {
        out->bytes[out->length - length + chance_any() % length] ^= 0x04;
    } else if (kind == 3) {
        strbuf_add_text(out, "failed to try resolving symlinks in path \"/var/log/pods\"\n");
    } else {
        strbuf_cut(out, out->length - (size_t)chance_of(1, length));
    }
}

static void give_lines(struct kube_log *log, const struct wpod *pod)
{
    struct strbuf bytes = STRBUF_EMPTY;
    size_t most = (size_t)chance_of(1, 60);

    for (; most > 0 && !log->cancelled && log->line < pod->line_count; most--) {
        log->line_s = pod->lines[log->line].wall_s;
        size_t at = pod->lines[log->line].at;
        size_t end = log->line + 1 < pod->line_count ? pod->lines[log->line + 1].at : pod->file.length;

        log->line++;
        if (happens(LOG_DAMAGE, life_has(BIG_LOG) ? 1 : 2))
            add_damaged(&bytes, pod->file.bytes + at, end - at);
        else
            strbuf_add(&bytes, pod->file.bytes + at, end - at);
        if (log->timed) { /* each line by itself */
            give(log, strbuf_text(&bytes), bytes.length);
            strbuf_cut(&bytes, 0);
        }
    }
    give(log, strbuf_text(&bytes), bytes.length);
    strbuf_clear(&bytes);
}

static enum kube_log_end cannot_open(const struct kube_log *log)
{
    const struct wpod *pod = log->found;

    if (pod == NULL)
        return LOG_GONE;
    if (pod->lost)
        return LOG_UNREACHABLE;
    /* A kubelet that was just started says 404 of every pod until it has heard of them. */
    if (clock_now_ms() < world.kubelet_deaf_until_ms)
        return happens(LOG_DEAF, 50) ? LOG_GONE : LOG_UNREACHABLE;
    if (pod->courier.state != C_RUNNING && pod->courier.state != C_ENDED)
        return LOG_NOT_YET;
    return LOG_CLOSED;
}

static void tick(void *owner)
{
    struct kube_log *log = owner;
    struct wpod *pod = log->found;
    bool all_there;

    if (log->cancelled) {
        log_free(log);
        return;
    }
    all_there = !log->follow || pod->gone || pod->courier.state == C_ENDED;
    if (pod->lost && log->follow)
        log->silent = true;
    if (!log->silent && (pod->lost || (log->follow && happens(LOG_CLOSES, 8)))) {
        log_end(log, LOG_CLOSED);
        return;
    }
    if (!log->silent && log->follow && happens(LOG_CLOSES, 1))
        log->silent = true;
    if (!log->silent && log->line < pod->line_count) {
        if (all_there && pod->line_count - log->line < 3 && happens(LOG_DAMAGE, 20))
            log->line = pod->line_count; /* the last chunk is lost */
        give_lines(log, pod);
    } else if (!log->silent && all_there) {
        log_end(log, LOG_CLOSED);
        return;
    }
    clock_after(chance_of(1, 60), tick, log);
}

static void open_due(void *owner)
{
    struct kube_log *log = owner;
    enum kube_log_end trouble;

    if (log->cancelled) {
        log_free(log);
        return;
    }
    log->found = pod_named(log->pod);
    if (log->found != NULL && happens(LOG_DEAF, 15))
        world.kubelet_deaf_until_ms = clock_now_ms() + chance_of(100, 15000);
    trouble = cannot_open(log);
    life_note("log of %s: follow %d since %d trouble %d", log->pod, log->follow, (int)log->since_s, (int)trouble);
    if (trouble != LOG_CLOSED) {
        log_end(log, trouble);
        return;
    }
    while (log->line < log->found->line_count && log->found->lines[log->line].wall_s < log->since_s)
        log->line++;
    tick(log);
}

struct kube_log *kube_log_start(struct kube *kube UNUSED, const struct kube_log_request *request,
                                const struct kube_log_events *events, void *owner)
{
    struct kube_log *log = mem_new(sizeof(*log));

    log->events = events;
    log->owner = owner;
    log->pod = mem_text(request->pod);
    log->follow = request->follow;
    log->timed = request->timed;
    log->since_s = request->since_unix_s;
    clock_after(chance_of(1, 40), open_due, log);
    return log;
}

int64_t kube_log_line_s(const struct kube_log *log)
{
    return log->timed ? log->line_s : 0;
}

void kube_log_cancel(struct kube_log *log)
{
    if (log != NULL)
        log->cancelled = true;
}
