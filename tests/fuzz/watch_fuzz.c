/* A watch and whatever an API server may say to it: lists, pages, events in pieces, refused handshakes, ends. Each step
 * leaves exactly one thing under way (a call, a stream or a wait), nothing is asked again without a pause for ever, and
 * the owner hears of objects with a UID only.
 *
 * Input: lines. "A STATUS JSON" answers the call; "O" opens the stream; "P TEXT" is a piece of an event, "E TEXT" its
 * end; "C STATUS" closes the stream; "T MS" lets time pass; an object named "stop" makes
 * the owner stop the watch. What does not fit is passed over.
 *
 * The loop and the client are fakes of this file, so no time passes and nothing is sent. */
#include "fuzz.h"

#include "io/loop.h"
#include "io/ws.h"
#include "kube/client.h"
#include "kube/watch.h"
#include "text/json.h"

#include "answer.h"
#include "connection.h"

#include <string.h>

enum { LATER_MOST = 8, ASKED_MOST = 12 };

struct timer {
    struct timer **slot;
    uint64_t due_ms;
    loop_due *then;
    void *owner;
};
struct kube_call {
    kube_done *done;
    void *owner;
    bool raw;
};
struct ws_stream {
    const struct ws_events *events;
    void *owner;
    bool open;
};

static struct fake {
    uint64_t now_ms;
    struct timer timers[2]; /* the wait and the relist */
    struct kube_call call;
    struct ws_stream stream;
    struct kube_watch *watch;
    struct timer **wait_slot; /* of the watch: the other one is the relist's */
    unsigned later_count, asked;
    uint64_t asked_since_ms;
    struct {
        loop_due *then;
        void *owner;
    } later[LATER_MOST];
} fake;

/* --- io/loop.h, kube/client.h, io/ws.h as far as a watch needs them --- */

uint64_t loop_now_ms(const struct loop *loop UNUSED)
{
    return fake.now_ms;
}

uint32_t loop_random(struct loop *loop UNUSED)
{
    return 4711;
}

void timer_stop(struct timer **slot)
{
    if (*slot)
        (*slot)->slot = NULL;
    *slot = NULL;
}

void loop_after(struct loop *loop UNUSED, struct timer **slot, uint64_t delay_ms, loop_due *then, void *owner)
{
    timer_stop(slot);
    if (!fake.wait_slot)
        fake.wait_slot = slot;
    struct timer *timer = fake.timers[0].slot ? &fake.timers[1] : &fake.timers[0];
    EXPECT(timer->slot == NULL);
    *timer = (struct timer){ slot, fake.now_ms + delay_ms, then, owner };
    *slot = timer;
}

void loop_later(struct loop *loop UNUSED, loop_due *then, void *owner)
{
    EXPECT(fake.later_count < LATER_MOST);
    fake.later[fake.later_count].then = then;
    fake.later[fake.later_count++].owner = owner;
}

struct loop *kube_loop(const struct kube *kube UNUSED)
{
    return NULL;
}

char *kube_path(const char *ns, const char *resource, const char *name UNUSED)
{
    return mem_format("/api/v1/namespaces/%s/%s", ns, resource);
}

void kube_note_failure(struct kube *kube UNUSED)
{
}

/* Pages of a list follow each other; everything else is asked for a few times in a second, whatever comes back. */
static void note_asked(const char *path)
{
    EXPECT(strpbrk(path, " \r\n\"#") == NULL);
    if (fake.now_ms - fake.asked_since_ms >= 1000) {
        fake.asked_since_ms = fake.now_ms;
        fake.asked = 0;
    }
    if (!strstr(path, "&continue="))
        EXPECT(++fake.asked <= ASKED_MOST);
}

struct kube_call *kube_start(struct kube *kube UNUSED, const struct kube_request *request, kube_done *done, void *owner)
{
    EXPECT(!fake.call.done);
    note_asked(request->path);
    fake.call = (struct kube_call){ done, owner, request->raw };
    return &fake.call;
}

void kube_cancel(struct kube_call *call)
{
    if (call)
        call->done = NULL;
}

struct ws_stream *kube_ws_open(struct kube *kube UNUSED, const char *path, const char *protocol UNUSED,
                               const struct ws_events *events, void *owner)
{
    EXPECT(!fake.stream.events);
    note_asked(path);
    fake.stream = (struct ws_stream){ events, owner, false };
    return &fake.stream;
}

void ws_cancel(struct ws_stream *stream)
{
    if (stream)
        stream->events = NULL;
}

/* --- the owner --- */

static void changed(void *owner UNUSED, const struct cJSON *object)
{
    EXPECT(json_text_at(object, "metadata.uid", NULL) != NULL);
    if (strcmp(json_text_at(object, "metadata.name", ""), "stop") == 0) {
        kube_watch_stop(fake.watch);
        fake.watch = NULL;
    }
}

static void gone(void *owner UNUSED, const struct cJSON *last)
{
    json_text_at(last, "metadata.uid", "");
}

static void listed(void *owner UNUSED)
{
}

static void trouble(void *owner UNUSED, const struct error *error)
{
    EXPECT(memchr(error->text, '\0', sizeof error->text) != NULL);
    EXPECT(error->blame == BLAME_NONE || error->text[0] != '\0');
}

static const struct kube_watch_events events = { changed, gone, listed, trouble };

/* --- the server --- */

static void answer(const char *text, size_t length)
{
    OWNED_TEXT char *line = mem_copy(text, length);
    const char *space = strchr(line, ' ');
    OWNED_STRBUF struct strbuf body = STRBUF_EMPTY;
    struct kube_call call = fake.call;
    struct kube_answer read;

    if (!call.done)
        return;
    if (space)
        strbuf_add_text(&body, space + 1);
    fake.call.done = NULL;
    answer_read(&read, (int)(strtol(line, NULL, 10) % 1000), &body, 0, call.raw);
    answer_tell(&read, "list pods", strbuf_text(&body));
    struct cJSON *object = read.object;
    call.done(call.owner, &read);
    json_free(object);
}

static void stream_event(char kind, const char *text, size_t length)
{
    struct ws_stream stream = fake.stream;
    struct error error = ERROR_NONE;

    if (!stream.events)
        return;
    if (kind == 'O' && !stream.open) {
        fake.stream.open = true;
        stream.events->opened(stream.owner);
    } else if (kind == 'C') {
        OWNED_TEXT char *line = mem_copy(text, length);
        const int status = stream.open ? 0 : (int)(strtol(line, NULL, 10) % 1000);
        fake.stream.events = NULL;
        if (!stream.open && status == 0)
            error_set(&error, BLAME_REMOTE, 0, "connection refused");
        stream.events->closed(stream.owner, status, stream.open, &error);
    } else if ((kind == 'P' || kind == 'E') && stream.open) {
        stream.events->data(stream.owner, text, length, kind == 'E');
    }
}

static void time_pass(const char *text, size_t length)
{
    OWNED_TEXT char *line = mem_copy(text, length);
    const unsigned long ms = strtoul(line, NULL, 10) % 1000000;
    fake.now_ms += ms;
    for (size_t i = 0; i < 2; i++) {
        struct timer timer = fake.timers[i];
        if (!timer.slot || timer.due_ms > fake.now_ms)
            continue;
        *timer.slot = NULL;
        fake.timers[i].slot = NULL;
        timer.then(timer.owner);
    }
}

static void turn_end(void)
{
    for (unsigned i = 0; i < fake.later_count; i++)
        fake.later[i].then(fake.later[i].owner);
    fake.later_count = 0;
}

/* Exactly one thing is under way while the watch lives, nothing afterwards. */
static void expect_one_under_way(void)
{
    unsigned under_way = fake.call.done != NULL;
    under_way += fake.stream.events != NULL;
    for (size_t i = 0; i < 2; i++)
        under_way += fake.timers[i].slot && (!fake.watch || fake.timers[i].slot == fake.wait_slot);
    EXPECT(under_way == (fake.watch ? 1 : 0));
}

static void play_line(const char *line, size_t length)
{
    if (length == 0)
        return;
    const size_t skip = length > 1 && line[1] == ' ' ? 2 : 1;
    if (line[0] == 'A')
        answer(line + skip, length - skip);
    else if (line[0] == 'T')
        time_pass(line + skip, length - skip);
    else
        stream_event(line[0], line + skip, length - skip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;

    fake = (struct fake){ .now_ms = 1000 };
    fake.watch = kube_watch_start(NULL, "jobs", "pods", "labelSelector=a%3Db", NULL, &events, NULL);
    while (at < end && fake.watch) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        play_line(at, (size_t)((lf ? lf : end) - at));
        expect_one_under_way();
        turn_end();
        at = (lf ? lf : end) + 1;
    }
    kube_watch_stop(fake.watch);
    fake.watch = NULL;
    expect_one_under_way();
    turn_end();
    return 0;
}
