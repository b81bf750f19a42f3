#include "follow.h"

#include "base/backoff.h"
#include "base/log.h"
#include "io/loop.h"
#include "job/result.h"
#include "kube/log.h"
#include "pod/name.h"

#include <string.h>

#define FOLLOW_HELD_MOST     (1u * MIB) /* proven bytes kept while DataOps does not take them; above: stop reading */
#define FOLLOW_RESUME_AT     (256u * KIB)
#define FOLLOW_SILENCE_MS    75000 /* courier's heartbeat is 30 s: two missed and a half */
#define FOLLOW_LAST_BYTES_MS 3000  /* how long a stream may go on after its container ended */
#define FOLLOW_OVERLAP_S     10
#define FOLLOW_LIVE_MS       5000 /* a stream that has given for so long gives what is written now */
#define REPAIRS_BEFORE_START 2    /* after this many broken reads in a row, read from byte 0 */
#define REPAIRS_BEFORE_HOLE  5    /* after this many, what is missing is missing */
#define LAST_READS_MOST      3    /* plain reads after the container ended */
#define LAST_READS_AGAIN_MS  300
#define DEAF_MOST_MS         60000 /* how long a kubelet may not answer after the container ended */
#define DEAF_AGAIN_MS        25000 /* in a second reading: the trace waits a minute for it */

struct follow {
    struct loop *loop;
    struct kube *kube;
    char *ns, *pod;
    const struct follow_events *events;
    void *owner;
    struct record_reader reader;
    struct kube_log *log;
    struct timer *open_timer, *silence_timer;
    struct backoff backoff;
    int64_t live_mark_s;    /* wall time of the last mark that came as it was written; 0 none */
    uint64_t first_data_ms; /* of this read; 0 none yet */
    bool from_start;        /* the next read starts at byte 0 */
    bool container_over, pod_gone, paused, over, read_any;
    bool was_read, streaming, told_refused;
    bool again;             /* a second reading: what waits for it does not wait long */
    uint64_t read_from;     /* follow_position when this read began: behind it is progress */
    uint64_t deaf_since_ms; /* since when reads fail after the container ended; 0 they do not */
    unsigned broken, last_reads, repairs;
};

static void follow_start_read(struct follow *follow);

static void follow_finish(struct follow *follow)
{
    if (follow->over)
        return;
    follow->over = true;
    kube_log_cancel(follow->log);
    follow->log = NULL;
    timer_stop(&follow->open_timer);
    timer_stop(&follow->silence_timer);
    follow->events->over(follow->owner);
}

static void follow_open_due(void *owner)
{
    follow_start_read(owner);
}

static void follow_open_later(struct follow *follow, uint64_t delay_ms)
{
    kube_log_cancel(follow->log);
    follow->log = NULL;
    timer_stop(&follow->silence_timer);
    if (!follow->paused && !follow->over)
        loop_after(follow->loop, &follow->open_timer, delay_ms, follow_open_due, follow);
}

static void follow_silence_due(void *owner)
{
    struct follow *follow = owner;

    log_event(LOG_DEBUG, "log_silent", "pod=%s", follow->pod);
    follow_open_later(follow, 0);
}

/* A mark that proves what was read before shows that the stream lives; only one that proves more ends a row of repairs.
 */
static void follow_heard(struct follow *follow)
{
    /* What comes soon after the stream began may have been written long ago. */
    if (loop_now_ms(follow->loop) - follow->first_data_ms >= FOLLOW_LIVE_MS)
        follow->live_mark_s = loop_wall_us(follow->loop) / 1000000;
    if (follow_position(follow) > follow->read_from)
        follow->broken = 0;
    backoff_reset(&follow->backoff);
    if (!follow->container_over)
        loop_after(follow->loop, &follow->silence_timer, FOLLOW_SILENCE_MS, follow_silence_due, follow);
}

/* Repairs have a pace of their own: the marks before a damaged place must not speed them up. */
static uint64_t follow_repair_ms(struct follow *follow)
{
    struct backoff pace = { .first_ms = 100, .most_ms = 5000, .tries = follow->broken };

    return backoff_next_ms(&pace, loop_random(follow->loop));
}

/* What arrived disagrees with its mark: nothing of it went upstream; read again, closer to the beginning each time. */
static void follow_broken(struct follow *follow)
{
    follow->broken++;
    follow->repairs++;
    log_event(LOG_DEBUG, "log_repair", "pod=%s try=%u", follow->pod, follow->broken);
    /* without any progress the read began behind what is missing */
    if (follow->broken > REPAIRS_BEFORE_START || follow_position(follow) == follow->read_from)
        follow->from_start = true;
    if (follow->broken > REPAIRS_BEFORE_HOLE)
        record_reader_accept_hole(&follow->reader);
    follow_open_later(follow, follow->broken == 1 ? 0 : follow_repair_ms(follow));
}

/* The end record says how much there is: with less, the last lines were lost on the way. */
static bool follow_is_whole(const struct follow *follow)
{
    struct error ignored = ERROR_NONE;
    struct result result;

    if (result_parse(strbuf_text(&follow->reader.end), follow->reader.end.length, &result, &ignored) < 0)
        return true;
    return follow->reader.known_at == result.bytes && (result.bytes == 0 || follow->reader.known_crc == result.crc);
}

/* What is proven goes first: an end is told behind it, and a hole can only be passed when nothing is held. */
static void follow_give(struct follow *follow)
{
    if (follow->reader.committed.length > 0)
        follow->events->bytes(follow->owner);
}

static void follow_data(void *owner, const char *bytes, size_t length)
{
    struct follow *follow = owner;
    uint64_t marks = follow->reader.marks;
    size_t at = 0;

    if (follow->first_data_ms == 0)
        follow->first_data_ms = loop_now_ms(follow->loop);
    for (;;) {
        size_t used = 0;
        enum record_news news = record_feed(&follow->reader, bytes + at, length - at, &used);

        at += used;
        if (news == RECORD_NOTHING)
            break;
        if (news == RECORD_COMMITTED)
            continue;
        follow_give(follow);
        if (news == RECORD_ENDED && (follow->broken > REPAIRS_BEFORE_HOLE || follow_is_whole(follow)))
            follow_finish(follow);
        else
            follow_broken(follow);
        return;
    }
    if (follow->reader.marks != marks)
        follow_heard(follow);
    follow_give(follow);
    if (!follow->over && follow->reader.committed.length > FOLLOW_HELD_MOST) {
        follow->paused = true;
        follow_open_later(follow, 0);
    }
}

/* After the container ended the plain read is the last word; a few tries, the last ones from byte 0. */
static void follow_read_last(struct follow *follow)
{
    if (follow->last_reads >= LAST_READS_MOST) {
        follow_finish(follow);
        return;
    }
    follow->last_reads++;
    if (follow->last_reads > 1)
        follow->from_start = true;
    if (follow->last_reads == LAST_READS_MOST)
        record_reader_accept_hole(&follow->reader);
    follow_open_later(follow, follow->last_reads == 1 ? 0 : LAST_READS_AGAIN_MS);
}

/* The container ended, and its log cannot be had now: the node may be gone, or only busy. */
static void follow_deaf(struct follow *follow)
{
    uint64_t now_ms = loop_now_ms(follow->loop);

    if (follow->deaf_since_ms == 0)
        follow->deaf_since_ms = now_ms;
    if (now_ms - follow->deaf_since_ms > (follow->again ? DEAF_AGAIN_MS : DEAF_MOST_MS))
        follow_finish(follow);
    else
        follow_open_later(follow, backoff_next_ms(&follow->backoff, loop_random(follow->loop)));
}

static void follow_tell(struct follow *follow, enum kube_log_end end, const struct error *error)
{
    if (end == LOG_REFUSED && !follow->told_refused)
        log_event(LOG_WARN, "log_refused", "pod=%s error=\"%s\"", follow->pod, error->text);
    else if (end != LOG_CLOSED && error->blame != BLAME_NONE)
        log_event(LOG_DEBUG, "log_closed", "pod=%s error=\"%s\"", follow->pod, error->text);
    follow->told_refused = follow->told_refused || end == LOG_REFUSED;
}

static void follow_ended(void *owner, enum kube_log_end end, const struct error *error)
{
    struct follow *follow = owner;

    follow->log = NULL;
    timer_stop(&follow->silence_timer);
    if (follow->over)
        return;
    follow_tell(follow, end, error);
    /* A kubelet that was just started knows no pod: only the watch tells that one is gone. */
    if (end == LOG_GONE && follow->pod_gone) {
        follow_finish(follow);
    } else if (follow->container_over && (end == LOG_UNREACHABLE || end == LOG_GONE)) {
        follow_deaf(follow);
    } else if (follow->container_over) {
        /* "waiting to start" is as good an answer: the kubelet knows of no courier that wrote */
        follow->was_read = follow->was_read || end == LOG_NOT_YET || (end == LOG_CLOSED && !follow->streaming);
        follow->deaf_since_ms = 0;
        follow_read_last(follow);
    } else {
        follow_open_later(follow, backoff_next_ms(&follow->backoff, loop_random(follow->loop)));
    }
}

static const struct kube_log_events log_events = { .data = follow_data, .ended = follow_ended };

static void follow_start_read(struct follow *follow)
{
    struct kube_log_request request = {
        .ns = follow->ns,
        .pod = follow->pod,
        .container = POD_COURIER,
        .follow = !follow->container_over,
    };

    if (follow->over || follow->paused || follow->log != NULL)
        return;
    if (!follow->from_start && follow->live_mark_s > FOLLOW_OVERLAP_S)
        request.since_unix_s = follow->live_mark_s - FOLLOW_OVERLAP_S;
    if (follow->read_any)
        record_reader_restart(&follow->reader, request.since_unix_s == 0);
    follow->read_any = true;
    follow->from_start = false;
    follow->streaming = request.follow;
    follow->first_data_ms = 0;
    follow->read_from = follow_position(follow);
    follow->log = kube_log_start(follow->kube, &request, &log_events, follow);
    if (!follow->container_over)
        loop_after(follow->loop, &follow->silence_timer, FOLLOW_SILENCE_MS, follow_silence_due, follow);
}

static void follow_last_due(void *owner)
{
    struct follow *follow = owner;

    kube_log_cancel(follow->log);
    follow->log = NULL;
    follow_read_last(follow);
}

struct follow *follow_new(struct loop *loop, struct kube *kube, const char *ns, const char *pod,
                          const struct follow_events *events, void *owner)
{
    struct follow *follow = mem_new(sizeof(*follow));

    follow->loop = loop;
    follow->kube = kube;
    follow->ns = mem_text(ns);
    follow->pod = mem_text(pod);
    follow->events = events;
    follow->owner = owner;
    follow->from_start = true;
    follow->backoff = (struct backoff){ .first_ms = 100, .most_ms = 5000 };
    record_reader_init(&follow->reader, 0);
    return follow;
}

void follow_open(struct follow *follow)
{
    if (follow->log != NULL || follow->over || follow->paused)
        return;
    timer_stop(&follow->open_timer);
    follow_start_read(follow);
}

void follow_container_over(struct follow *follow)
{
    if (follow->container_over)
        return;
    follow->container_over = true;
    /* An open stream is read to its end first: its last bytes may be on their way; but it may also have fallen silent.
     */
    if (follow->log == NULL && !follow->over)
        follow_read_last(follow);
    else if (!follow->over)
        loop_after(follow->loop, &follow->silence_timer, FOLLOW_LAST_BYTES_MS, follow_last_due, follow);
}

void follow_pod_gone(struct follow *follow)
{
    follow->pod_gone = true;
    follow_container_over(follow);
}

void follow_rewind(struct follow *follow, uint64_t offset)
{
    record_reader_clear(&follow->reader);
    record_reader_init(&follow->reader, offset);
    follow->read_any = false;
    follow->from_start = true;
    follow->again = follow->over;
    follow->over = follow->paused = false;
    follow->last_reads = follow->broken = 0;
    follow->deaf_since_ms = 0;
    follow_open_later(follow, 0);
}

const struct strbuf *follow_committed(const struct follow *follow, uint64_t *offset)
{
    *offset = record_committed_at(&follow->reader);
    return &follow->reader.committed;
}

void follow_take(struct follow *follow, size_t count)
{
    strbuf_drop(&follow->reader.committed, count);
    if (follow->paused && follow->reader.committed.length < FOLLOW_RESUME_AT) {
        follow->paused = false;
        follow_open_later(follow, 0);
    }
}

const char *follow_end(const struct follow *follow, size_t *length)
{
    *length = follow->reader.end.length;
    return follow->reader.ended ? strbuf_text(&follow->reader.end) : NULL;
}

uint64_t follow_position(const struct follow *follow)
{
    return record_committed_at(&follow->reader) + follow->reader.committed.length;
}

bool follow_was_read(const struct follow *follow)
{
    return follow->was_read;
}

unsigned follow_repairs(const struct follow *follow)
{
    return follow->repairs;
}

void follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    kube_log_cancel(follow->log);
    timer_stop(&follow->open_timer);
    timer_stop(&follow->silence_timer);
    record_reader_clear(&follow->reader);
    mem_free(follow->ns);
    mem_free(follow->pod);
    mem_free(follow);
}
