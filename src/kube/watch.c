/* List, then watch over a websocket, for ever (docs/reference/kubernetes.md, "List and watch").
 *
 * One of four things is under way at any time: a list call, a stream, a question why a handshake was refused, or a
 * wait. Whatever ends decides what comes next by one call of again(), which has a pace for it, so no end leads to a
 * list or a stream without a pause more than a few times in a row. An example:
 *
 *     GET pods?limit=100                      a page, with `continue`: changed() for each pod that is new to the store
 *     GET pods?limit=100&continue=...         the last page, resourceVersion 70: what the store has and no page showed
 *                                             is gone(); then listed()
 *     websocket pods?watch=1&resourceVersion=70&allowWatchBookmarks=true&timeoutSeconds=...
 *       {"type":"MODIFIED","object":{...}}    version 75: changed()
 *       {"type":"BOOKMARK","object":{...}}    version 90: nothing to tell, but the place to go on from
 *       close                                 an ordinary end: a new stream from version 90
 *       {"type":"ERROR","object":{"code":410}}   version 90 is too old by now: list anew
 *
 * After a failure the wait grows; a version that leads nowhere for a minute is given up, because it may be of a cluster
 * that was restored; and every few minutes a list is made in any case, as a safety net.
 *
 * Callbacks of the owner may stop the watch, so what calls them looks at watch->stopped afterwards. */
#include "kube/watch.h"

#include "answer.h"
#include "base/pace.h"
#include "connection.h"
#include "text/json.h"
#include "text/url.h"
#include "watch_store.h"

#include <string.h>

enum {
    EVENT_MOST = 4 * 1024 * 1024,
    EVENT_KEEP = 64 * 1024, /* a buffer that grew larger is given back */
    PAGE = 100,             /* keeps the peak of a big list small */
    PAGE_MOST = 32 * 1024 * 1024,
    OBJECTS_MOST = 50000,
    PAGES_MOST = 2 * OBJECTS_MOST / PAGE,
    RELIST_MS = 450 * 1000,
    FIRST_BACKOFF_MS = 800,
    MOST_BACKOFF_MS = 30 * 1000,
    SERVER_TIMEOUT_S = 240, /* to 600 */
    HEALTHY_MS = 120 * 1000,
    BRIEF_MS = 1000,
    ENDS_CALM_MS = 10 * 1000, /* an end after so long is ordinary: proxies close what is idle */
    NEWS_CALM_MS = 60 * 1000, /* a version that expires, a token that was renewed */
    NEWS_AT_ONCE = 3,
    GIVE_UP_VERSION_MS = 60 * 1000,
    TOO_LARGE_VERSION_MS = 1000,
    REASON_TIMEOUT_MS = 10 * 1000,
    ORDINARY_END_JITTER_MS = 50,
};

enum next_step { STEP_LIST, STEP_CONNECT };

struct kube_watch {
    struct kube *kube;
    struct loop *loop;
    char *path, *selector, *resource;
    const struct kube_watch_events *events;
    void *owner;
    struct kube_watch_tuning tuning;
    struct kube_watch_counts counts;
    struct watch_store store;
    char *version; /* resourceVersion to go on from; NULL: a list is needed */

    struct kube_call *call; /* list, or the question after a refused handshake */
    struct ws_stream *stream;
    struct timer *wait, *relist;
    enum next_step next;

    struct strbuf message; /* the event that is arriving */
    uint64_t opened_ms, failing_since_ms;
    unsigned stream_events, server_timeout_s;
    int refused_status;
    /* failures; ends of streams that had worked; what is answered at once when it does not come often */
    struct pace failures, ends, news;
    char *page; /* continue token */
    unsigned pages;
    bool whole; /* list without pages: a page had expired */
    bool stopped;
    bool tried_new_token; /* after a 401 */
    bool expired;         /* 410 came, and no event since */
    struct error trouble; /* as last reported */
};

/* Not before least_ms. */
static void again(struct kube_watch *watch, enum next_step next, struct pace *pace, uint64_t least_ms);

/* --- telling the owner --- */

static void tell_trouble(struct kube_watch *watch, const struct error *error)
{
    struct error *last = &watch->trouble;
    if (last->blame == error->blame && last->code == error->code && strcmp(last->text, error->text) == 0)
        return;
    *last = *error;
    if (watch->events->trouble)
        watch->events->trouble(watch->owner, error);
}

static void tell_gone(struct kube_watch *watch, const struct cJSON *last)
{
    if (watch->events->gone)
        watch->events->gone(watch->owner, last);
}

/* --- what comes next --- */

static void set_version(struct kube_watch *watch, const char *version)
{
    if (!version || !*version)
        return;
    mem_free(watch->version);
    watch->version = mem_text(version);
}

/* A stream that lived long makes earlier failures forgotten. */
static void note_health(struct kube_watch *watch)
{
    if (watch->opened_ms && loop_now_ms(watch->loop) - watch->opened_ms >= HEALTHY_MS) {
        pace_reset(&watch->failures);
        watch->failing_since_ms = 0;
    }
}

static void failed(struct kube_watch *watch, enum next_step next)
{
    uint64_t now = loop_now_ms(watch->loop);
    kube_note_failure(watch->kube);
    if (watch->failing_since_ms == 0)
        watch->failing_since_ms = now;
    /* a version that leads nowhere for a minute may be from another cluster or a restored one */
    if (now - watch->failing_since_ms >= GIVE_UP_VERSION_MS) {
        watch->failing_since_ms = now;
        next = STEP_LIST;
    }
    again(watch, next, &watch->failures, 0);
}

/* The version is too old: list anew, at once for the first time. */
static void expired(struct kube_watch *watch)
{
    bool first = !watch->expired;
    watch->expired = true;
    if (first)
        again(watch, STEP_LIST, &watch->news, 0);
    else
        failed(watch, STEP_LIST);
}

/* By class of an answer or of an ERROR event that is not about listing. */
static void react(struct kube_watch *watch, const struct kube_answer *answer)
{
    const char *reason = answer->reason;
    if (answer->kind == KUBE_EXPIRED || strcmp(reason, "Expired") == 0 || strcmp(reason, "Gone") == 0) {
        expired(watch);
    } else if (answer->kind == KUBE_BUSY) {
        again(watch, STEP_CONNECT, &watch->failures, answer->retry_after_ms);
    } else if (answer_has_cause(answer->object, "ResourceVersionTooLarge")) {
        again(watch, STEP_LIST, &watch->news, TOO_LARGE_VERSION_MS);
    } else if (answer->kind == KUBE_FORBIDDEN) {
        again(watch, STEP_CONNECT, &watch->failures, watch->failures.most_ms);
    } else {
        failed(watch, STEP_CONNECT);
    }
}

/* --- events --- */

static void version_of(struct kube_watch *watch, const struct cJSON *object)
{
    set_version(watch, json_text(json_get(object, "metadata"), "resourceVersion", NULL));
}

static void error_event(struct kube_watch *watch, struct cJSON *status)
{
    int code = (int)json_int(status, "code", 0);
    struct kube_answer answer = { .status = code, .object = status, .reason = json_text(status, "reason", "") };
    answer.kind = code >= 300 ? answer_class(code, status) : KUBE_FAILED;
    answer.retry_after_ms = answer_retry_after_ms(status);
    react(watch, &answer);
}

static void event(struct kube_watch *watch, const char *type, struct cJSON *object)
{
    if (strcmp(type, "ERROR") == 0) {
        error_event(watch, object);
        return;
    }
    watch->stream_events++;
    watch->expired = false;
    watch->failing_since_ms = 0;
    version_of(watch, object);
    if (strcmp(type, "BOOKMARK") == 0) {
        watch->counts.bookmarks++;
    } else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
        watch->counts.events++;
        if (watch_store_put(&watch->store, object) && watch->events->changed)
            watch->events->changed(watch->owner, object);
    } else if (strcmp(type, "DELETED") == 0) {
        watch->counts.events++;
        watch_store_remove(&watch->store, json_text(json_get(object, "metadata"), "uid", ""));
        tell_gone(watch, object);
    }
}

/* Two thirds of a pod, in each of its ten events: who set which field, and what we wrote into its spec ourselves. */
static const char *const unread[] = { "managedFields", "containers", "volumes", "volumeMounts", "tolerations", NULL };

static void message_whole(struct kube_watch *watch)
{
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *tree =
        json_parse_without(strbuf_text(&watch->message), watch->message.length, unread, &error);
    if (watch->message.capacity > EVENT_KEEP)
        strbuf_clear(&watch->message);
    else
        strbuf_cut(&watch->message, 0);
    watch->message.ceiling = EVENT_MOST;
    if (tree) {
        event(watch, json_text(tree, "type", ""), json_get(tree, "object"));
        return;
    }
    error_within(&error, "watch %s: an event that is no JSON", watch->resource);
    error.blame = BLAME_REMOTE;
    tell_trouble(watch, &error);
    if (!watch->stopped)
        failed(watch, STEP_LIST);
}

static void stream_data(void *owner, const char *bytes, size_t length, bool last)
{
    struct kube_watch *watch = owner;
    if (strbuf_add(&watch->message, bytes, length) < 0) {
        struct error error = ERROR_NONE;
        error_set(&error, BLAME_REMOTE, 0, "watch %s: an event of more than %d MiB", watch->resource,
                  EVENT_MOST / (1024 * 1024));
        tell_trouble(watch, &error);
        if (!watch->stopped)
            failed(watch, STEP_LIST);
        return;
    }
    if (last && watch->message.length > 0)
        message_whole(watch);
}

/* --- the stream --- */

static void stream_opened(void *owner)
{
    struct kube_watch *watch = owner;
    watch->opened_ms = loop_now_ms(watch->loop);
    watch->tried_new_token = false;
    tell_trouble(watch, &ERROR_NONE);
}

static int discard(void *owner, const char *bytes, size_t length)
{
    (void)owner;
    (void)bytes;
    (void)length;
    return 0;
}

static char *watch_path(const struct kube_watch *watch, unsigned timeout_s)
{
    struct strbuf path = STRBUF_EMPTY;
    strbuf_format(&path, "%s?%s%swatch=1&resourceVersion=", watch->path, watch->selector ? watch->selector : "",
                  watch->selector ? "&" : "");
    url_escape(watch->version, &path);
    strbuf_format(&path, "&allowWatchBookmarks=true&timeoutSeconds=%u", timeout_s);
    return strbuf_take(&path, NULL);
}

static void reason_known(void *owner, const struct kube_answer *answer)
{
    struct kube_watch *watch = owner;
    watch->call = NULL;
    if (answer->kind == KUBE_OK && watch->refused_status == 429) {
        again(watch, STEP_CONNECT, &watch->news, 0);
        return;
    }
    struct error error = answer->error;
    if (answer->kind == KUBE_OK)
        error_set(&error, BLAME_REMOTE, watch->refused_status,
                  "watch %s: the websocket handshake was refused with status %d, though a plain watch works: "
                  "does a proxy on the way change Origin or Upgrade?",
                  watch->resource, watch->refused_status);
    if (answer->kind != KUBE_BUSY && answer->kind != KUBE_EXPIRED)
        tell_trouble(watch, &error);
    if (!watch->stopped)
        react(watch, answer);
}

/* A refused handshake shows its number only; the same request without the upgrade tells why. */
static void ask_for_reason(struct kube_watch *watch)
{
    OWNED_TEXT char *path = watch_path(watch, 1);
    OWNED_TEXT char *what = mem_format("watch %s", watch->resource);
    struct kube_request request = {
        .method = "GET", .path = path, .raw = true, .sink = discard, .timeout_ms = REASON_TIMEOUT_MS, .what = what
    };
    watch->call = kube_start(watch->kube, &request, reason_known, watch);
}

static void handshake_refused(struct kube_watch *watch, int status, const struct error *error)
{
    watch->refused_status = status;
    if (status == 410) {
        expired(watch);
    } else if (status == 401 && !watch->tried_new_token) {
        watch->tried_new_token = true; /* every connect reads the token anew */
        again(watch, STEP_CONNECT, &watch->news, 0);
    } else if (status) {
        ask_for_reason(watch);
    } else {
        struct error words = *error;
        error_within(&words, "watch %s", watch->resource);
        tell_trouble(watch, &words);
        if (!watch->stopped)
            failed(watch, STEP_CONNECT);
    }
}

static void stream_closed(void *owner, int status, bool had_opened, const struct error *error)
{
    struct kube_watch *watch = owner;
    uint64_t lived_ms = loop_now_ms(watch->loop) - watch->opened_ms;
    watch->stream = NULL;
    if (had_opened)
        /* A closed watch is often the first sign that the API server restarts: noted, so that a 403 soon afterwards is
         * asked again. */
        kube_note_failure(watch->kube);
    note_health(watch);
    strbuf_cut(&watch->message, 0);
    if (!had_opened) {
        handshake_refused(watch, status, error);
        return;
    }
    if (lived_ms < BRIEF_MS && watch->stream_events == 0) {
        failed(watch, STEP_CONNECT);
        return;
    }
    /* Only the end that was asked for comes at a time of our own; any other may hit all clients at once. */
    bool asked_for = lived_ms + 2000 >= watch->server_timeout_s * 1000ull;
    again(watch, STEP_CONNECT, asked_for ? &watch->news : &watch->ends,
          loop_random(watch->loop) % (ORDINARY_END_JITTER_MS + 1));
}

static const struct ws_events stream_events = { stream_opened, stream_data, stream_closed };

static void connect_stream(struct kube_watch *watch)
{
    unsigned least = watch->tuning.server_timeout_s;
    watch->server_timeout_s = least + loop_random(watch->loop) % (least * 3 / 2 + 1);
    OWNED_TEXT char *path = watch_path(watch, watch->server_timeout_s);
    watch->stream_events = 0;
    watch->opened_ms = 0;
    watch->counts.connections++;
    watch->stream = kube_ws_open(watch->kube, path, NULL, &stream_events, watch);
}

/* --- the list --- */

static void list_page(struct kube_watch *watch);

static void relist_due(void *owner)
{
    struct kube_watch *watch = owner;
    again(watch, STEP_LIST, &watch->news, 0);
}

static void list_complete(struct kube_watch *watch, const char *version)
{
    size_t position = 0;
    set_version(watch, version);
    for (;;) {
        OWNED_JSON struct cJSON *vanished = watch_store_take_vanished(&watch->store, &position);
        if (!vanished)
            break;
        tell_gone(watch, vanished);
        if (watch->stopped)
            return;
    }
    watch->counts.lists++;
    watch->whole = false;
    uint64_t relist_ms = watch->tuning.relist_ms;
    relist_ms = relist_ms * 3 / 4 + loop_random(watch->loop) % (relist_ms / 2 + 1);
    loop_after(watch->loop, &watch->relist, relist_ms, relist_due, watch);
    if (watch->events->listed)
        watch->events->listed(watch->owner);
    if (!watch->stopped)
        connect_stream(watch);
}

static void list_trouble(struct kube_watch *watch, const struct kube_answer *answer)
{
    if (answer->kind == KUBE_EXPIRED && watch->page) {
        watch->whole = true;
        again(watch, STEP_LIST, &watch->news, 0);
        return;
    }
    struct error error = answer->error;
    if (answer->kind == KUBE_OK)
        error_set(&error, BLAME_REMOTE, 0,
                  "list %s: an answer without resourceVersion, or with more than %d objects or %d pages",
                  watch->resource, OBJECTS_MOST, PAGES_MOST);
    tell_trouble(watch, &error);
    if (watch->stopped)
        return;
    if (answer_has_cause(answer->object, "ResourceVersionTooLarge"))
        again(watch, STEP_LIST, &watch->news, TOO_LARGE_VERSION_MS);
    else if (answer->kind == KUBE_FORBIDDEN)
        again(watch, STEP_LIST, &watch->failures, watch->failures.most_ms);
    else
        failed(watch, STEP_LIST);
}

static void page_came(void *owner, const struct kube_answer *answer)
{
    struct kube_watch *watch = owner;
    const struct cJSON *metadata = json_get(answer->object, "metadata");
    const char *version = json_text(metadata, "resourceVersion", "");
    const char *more = json_text(metadata, "continue", "");
    watch->call = NULL;
    if (answer->kind != KUBE_OK || !*version || watch_store_count(&watch->store) > OBJECTS_MOST ||
        ++watch->pages > PAGES_MOST) {
        list_trouble(watch, answer);
        return;
    }
    for (const struct cJSON *item = json_first(json_get(answer->object, "items")); item; item = json_next(item)) {
        if (watch_store_put(&watch->store, item) && watch->events->changed)
            watch->events->changed(watch->owner, item);
        if (watch->stopped)
            return;
    }
    mem_free(watch->page);
    watch->page = *more ? mem_text(more) : NULL;
    if (watch->page)
        list_page(watch);
    else
        list_complete(watch, version);
}

static void list_page(struct kube_watch *watch)
{
    struct strbuf path = STRBUF_EMPTY;
    strbuf_format(&path, "%s?", watch->path);
    if (watch->selector)
        strbuf_format(&path, "%s&", watch->selector);
    if (!watch->whole)
        strbuf_format(&path, "limit=%d", PAGE);
    if (watch->page) {
        strbuf_add_text(&path, "&continue=");
        url_escape(watch->page, &path);
    }
    OWNED_TEXT char *what = mem_format("list %s", watch->resource);
    struct kube_request request = {
        .method = "GET", .path = strbuf_text(&path), .answer_most = PAGE_MOST, .what = what
    };
    watch->call = kube_start(watch->kube, &request, page_came, watch);
    strbuf_clear(&path);
}

static void list_begin(struct kube_watch *watch)
{
    mem_free(watch->page);
    watch->page = NULL;
    watch->pages = 0;
    watch_store_begin(&watch->store);
    list_page(watch);
}

/* --- the whole --- */

static void wait_over(void *owner)
{
    struct kube_watch *watch = owner;
    if (watch->next == STEP_LIST || !watch->version)
        list_begin(watch);
    else
        connect_stream(watch);
}

static void let_go(struct kube_watch *watch)
{
    note_health(watch);
    kube_cancel(watch->call);
    watch->call = NULL;
    ws_cancel(watch->stream);
    watch->stream = NULL;
    timer_stop(&watch->wait);
    strbuf_cut(&watch->message, 0);
}

static void again(struct kube_watch *watch, enum next_step next, struct pace *pace, uint64_t least_ms)
{
    uint64_t wait_ms = pace_next_ms(pace, loop_now_ms(watch->loop), loop_random(watch->loop));
    let_go(watch);
    watch->next = next;
    loop_after(watch->loop, &watch->wait, wait_ms > least_ms ? wait_ms : least_ms, wait_over, watch);
}

struct kube_watch *kube_watch_start(struct kube *kube, const char *ns, const char *resource, const char *selector,
                                    const struct kube_watch_tuning *tuning, const struct kube_watch_events *events,
                                    void *owner)
{
    struct kube_watch *watch = mem_new(sizeof *watch);
    watch->kube = kube;
    watch->loop = kube_loop(kube);
    watch->path = kube_path(ns, resource, NULL);
    watch->selector = mem_text(selector);
    watch->resource = mem_text(resource);
    watch->events = events;
    watch->owner = owner;
    if (tuning)
        watch->tuning = *tuning;
    if (!watch->tuning.relist_ms)
        watch->tuning.relist_ms = RELIST_MS;
    if (!watch->tuning.server_timeout_s)
        watch->tuning.server_timeout_s = SERVER_TIMEOUT_S;
    watch->failures.first_ms = watch->tuning.first_backoff_ms ? watch->tuning.first_backoff_ms : FIRST_BACKOFF_MS;
    watch->failures.most_ms = watch->tuning.most_backoff_ms ? watch->tuning.most_backoff_ms : MOST_BACKOFF_MS;
    watch->ends = watch->news = watch->failures;
    watch->failures.calm_ms = PACE_NEVER_CALM; /* note_health knows better */
    watch->ends.calm_ms = ENDS_CALM_MS;
    watch->news.calm_ms = NEWS_CALM_MS;
    watch->news.at_once = NEWS_AT_ONCE;
    watch->message = STRBUF_UP_TO(EVENT_MOST);
    watch_store_init(&watch->store);
    again(watch, STEP_LIST, &watch->news, 0);
    return watch;
}

static void watch_free(void *owner)
{
    struct kube_watch *watch = owner;
    watch_store_clear(&watch->store);
    strbuf_clear(&watch->message);
    mem_free(watch->path);
    mem_free(watch->selector);
    mem_free(watch->resource);
    mem_free(watch->version);
    mem_free(watch->page);
    mem_free(watch);
}

void kube_watch_stop(struct kube_watch *watch)
{
    if (watch == NULL || watch->stopped)
        return;
    watch->stopped = true;
    let_go(watch);
    timer_stop(&watch->relist);
    loop_later(watch->loop, watch_free, watch);
}

struct kube_watch_counts kube_watch_counts(const struct kube_watch *watch)
{
    return watch->counts;
}
