#include "follow.h"

#include "base/log.h"
#include "base/pace.h"
#include "io/loop.h"
#include "job/result.h"
#include "kube/client.h"
#include "kube/log.h"
#include "pod/name.h"

#include <string.h>

#define FOLLOW_HELD_MOST     (1u * MIB) /* proven bytes kept while DataOps does not take them; above: stop reading */
#define FOLLOW_RESUME_AT     (256u * KIB)
#define FOLLOW_SILENCE_MS    75000 /* courier's heartbeat is 30 s: two missed and a half */
#define FOLLOW_LAST_BYTES_MS 3000  /* how long a stream may go on after its container ended */
#define FOLLOW_OVERLAP_S     10
#define FOLLOW_LIVE_MS       5000  /* a stream that has given for so long gives what is written now */
#define FOLLOW_EARLY_MS      10000 /* a stream that lived shorter ended early */
#define FOLLOW_EARLY_MOST    3     /* so many early ends in a row, */
#define FOLLOW_EARLY_FOR_MS  5000  /* over so long (a watch tells sooner that the container ended): read by time */
#define REPAIRS_BEFORE_START 2     /* after this many broken reads in a row, read from byte 0 */
#define REPAIRS_BEFORE_HOLE  5     /* after this many, what is missing is missing */
#define LAST_READS_MOST      3     /* plain reads after the container ended */
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
    /* Every way in which the log is asked for again has its pace (follow_again). */
    struct pace ends, repairs_pace, resumes, rewinds, last_pace, by_time_pace, probes;
    char *node;             /* for people; NULL unknown */
    int64_t since_s;        /* wall time at which a mark that is known was there already; 0 none */
    uint64_t began_ms;      /* this read */
    uint64_t first_data_ms; /* of this read; 0 none yet */
    uint64_t early_ms;      /* when the first of these early ends came */
    uint64_t probe_ms;      /* reading by time: when following is tried again */
    bool by_time;           /* following is not to be had: plain reads, one after the other */
    bool from_start;        /* the next read starts at byte 0, until one from there brings something */
    bool container_over, pod_gone, paused, over, read_any;
    bool was_read, streaming, told_refused;
    bool is_last;           /* this read began after the container had ended */
    bool again;             /* a second reading: what waits for it does not wait long */
    uint64_t read_from;     /* follow_position when this read began: behind it is progress */
    uint64_t deaf_since_ms; /* since when reads fail after the container ended; 0 they do not */
    unsigned broken, last_reads, repairs, early;
};

/* About this pod: whoever follows it masks the words of Kubernetes and writes the event. */
#define follow_event(follow, level, event, ...)                                                                        \
    follow_say((follow), (level), (event),                                                                             \
               (const struct log_field[]){ LOG_TEXT("pod", (follow)->pod), ##__VA_ARGS__ },                            \
               sizeof((const struct log_field[]){ LOG_TEXT("pod", (follow)->pod), ##__VA_ARGS__ }) /                   \
                   sizeof(struct log_field))

static void follow_say(const struct follow *follow, enum log_level level, const char *event,
                       const struct log_field *fields, size_t count)
{
    if (follow->events->event != NULL)
        follow->events->event(follow->owner, level, event, fields, count);
}

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

static void follow_drop_read(struct follow *follow)
{
    kube_log_cancel(follow->log);
    follow->log = NULL;
    timer_stop(&follow->silence_timer);
}

/* The only way to read again: each reason has a pace that slows it down when it comes too often. */
static void follow_again(struct follow *follow, struct pace *pace)
{
    follow_drop_read(follow);
    if (!follow->paused && !follow->over)
        loop_after(follow->loop, &follow->open_timer,
                   pace_next_ms(pace, loop_now_ms(follow->loop), loop_random(follow->loop)), follow_open_due, follow);
}

/* --- following, or reading by time --- */

/* Said once for a node: all of its jobs suffer alike. */
static void follow_tell_by_time(const struct follow *follow, enum kube_log_end end, const struct error *error)
{
    const char *node = follow->node != NULL && follow->node[0] != '\0' ? follow->node : "unknown";
    OWNED_TEXT char *what = mem_format("log_read_by_time %d %s", (int)end, node);

    /* a refusal was told already: log_refused */
    if (end == LOG_REFUSED || !kube_is_first(follow->kube, what))
        return;
    if (end == LOG_NOT_FOLLOWED)
        follow_event(follow, LOG_WARN, "log_read_by_time", LOG_TEXT("node", node), LOG_TEXT("error", error->text),
                     LOG_TEXT("effect", "logs of this node are read every few seconds, which costs more"),
                     LOG_TEXT("todo", "raise fs.inotify.max_user_instances on the node, for example to 8192"));
    else
        follow_event(follow, LOG_WARN, "log_read_by_time", LOG_TEXT("node", node),
                     LOG_NUMBER("streams_ended_early", follow->early),
                     LOG_TEXT("why", "streams end early in a row: does a proxy on the way close them?"),
                     LOG_TEXT("effect", "logs of this node are read every few seconds, which costs more"));
}

static void follow_probe_later(struct follow *follow)
{
    uint64_t now_ms = loop_now_ms(follow->loop);

    follow->probe_ms = now_ms + pace_next_ms(&follow->probes, now_ms, loop_random(follow->loop));
}

static bool follow_ends_early(const struct follow *follow)
{
    return follow->early >= FOLLOW_EARLY_MOST && loop_now_ms(follow->loop) - follow->early_ms >= FOLLOW_EARLY_FOR_MS;
}

/* A stream of a container that still runs ended: is following worth while? */
static void follow_judge_stream(struct follow *follow, enum kube_log_end end, const struct error *error)
{
    uint64_t now_ms = loop_now_ms(follow->loop);
    bool lived = now_ms - follow->began_ms >= FOLLOW_EARLY_MS;

    if (end != LOG_CLOSED && end != LOG_NOT_FOLLOWED && end != LOG_REFUSED)
        return;
    if (lived || follow->early == 0)
        follow->early_ms = now_ms;
    follow->early = lived ? 0 : follow->early + 1;
    if (lived && end == LOG_CLOSED) {
        follow->by_time = false;
        pace_reset(&follow->probes);
    } else if (follow->by_time) {
        follow_probe_later(follow);
    } else if (end == LOG_NOT_FOLLOWED || follow_ends_early(follow)) {
        follow->by_time = true;
        follow_tell_by_time(follow, end, error);
        follow_probe_later(follow);
    }
}

static void follow_silence_due(void *owner)
{
    struct follow *follow = owner;

    follow_event(follow, LOG_DEBUG, "log_silent");
    follow_again(follow, &follow->ends);
}

/* A valid mark arrived. Any of them proves that the stream is alive. Only one beyond the position at which this read
 * began is progress, and sets the count of repairs back. */
static void follow_heard(struct follow *follow)
{
    /* What comes soon after a stream began may have been written long ago; in a plain read each line has its time. */
    if (!follow->streaming && kube_log_line_s(follow->log) > 0)
        follow->since_s = kube_log_line_s(follow->log);
    else if (follow->streaming && loop_now_ms(follow->loop) - follow->first_data_ms >= FOLLOW_LIVE_MS)
        follow->since_s = loop_wall_us(follow->loop) / 1000000 - FOLLOW_OVERLAP_S;
    if (follow_position(follow) > follow->read_from) {
        follow->broken = 0;
        pace_reset(&follow->by_time_pace);
    }
    if (!follow->container_over)
        loop_after(follow->loop, &follow->silence_timer, FOLLOW_SILENCE_MS, follow_silence_due, follow);
}

/* What arrived disagrees with its mark. Nothing of it went upstream, so the log is read again: the first times from
 * shortly before the last mark, then from byte 0. */
static void follow_broken(struct follow *follow)
{
    follow->broken++;
    follow->repairs++;
    follow_event(follow, LOG_DEBUG, "log_repair", LOG_NUMBER("try", follow->broken));
    /* without any progress the read began behind what is missing */
    if (follow->broken > REPAIRS_BEFORE_START || follow_position(follow) == follow->read_from)
        follow->from_start = true;
    if (follow->broken > REPAIRS_BEFORE_HOLE)
        record_reader_accept_hole(&follow->reader);
    follow_again(follow, &follow->repairs_pace);
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

/* The owner gets what is proven before it hears of an end; and a gap can only be passed over once nothing is held. */
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
    follow->from_start = false; /* a read that brought nothing does not count as one from there */
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
        follow_drop_read(follow);
        timer_stop(&follow->open_timer);
    }
}

/* Once the container has ended, a plain read returns all that there will ever be. It is tried a few times, because the
 * path may drop lines: from byte 0 after the first time, and the last one accepts that something is missing. */
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
    follow_again(follow, &follow->last_pace);
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
        follow_again(follow, &follow->ends);
}

static void follow_tell(struct follow *follow, enum kube_log_end end, const struct error *error)
{
    if (end == LOG_REFUSED && !follow->told_refused)
        follow_event(follow, LOG_WARN, "log_refused", LOG_TEXT("error", error->text));
    else if (end != LOG_CLOSED && end != LOG_NOT_FOLLOWED && error->blame != BLAME_NONE)
        follow_event(follow, LOG_DEBUG, "log_closed", LOG_TEXT("error", error->text));
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
        follow->was_read = follow->was_read || end == LOG_NOT_YET || (end == LOG_CLOSED && follow->is_last);
        follow->deaf_since_ms = 0;
        follow_read_last(follow);
    } else {
        if (follow->streaming)
            follow_judge_stream(follow, end, error);
        follow_again(follow, follow->by_time ? &follow->by_time_pace : &follow->ends);
    }
}

static const struct kube_log_events log_events = { .data = follow_data, .ended = follow_ended };

static void follow_start_read(struct follow *follow)
{
    bool streaming = !follow->container_over && (!follow->by_time || loop_now_ms(follow->loop) >= follow->probe_ms);
    struct kube_log_request request = {
        .ns = follow->ns,
        .pod = follow->pod,
        .container = POD_COURIER,
        .follow = streaming,
        .timed = !streaming,
    };

    if (follow->over || follow->paused || follow->log != NULL)
        return;
    if (!follow->from_start && follow->since_s > 0)
        request.since_unix_s = follow->since_s;
    if (follow->read_any)
        record_reader_restart(&follow->reader, request.since_unix_s == 0);
    follow->read_any = true;
    follow->streaming = streaming;
    follow->is_last = follow->container_over;
    follow->began_ms = loop_now_ms(follow->loop);
    follow->first_data_ms = 0;
    follow->read_from = follow_position(follow);
    follow->log = kube_log_start(follow->kube, &request, &log_events, follow);
    if (!follow->container_over)
        loop_after(follow->loop, &follow->silence_timer, FOLLOW_SILENCE_MS, follow_silence_due, follow);
}

static void follow_last_due(void *owner)
{
    struct follow *follow = owner;

    follow_drop_read(follow);
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
    follow->ends = (struct pace){ .first_ms = 100, .most_ms = 5000, .calm_ms = FOLLOW_EARLY_MS };
    follow->repairs_pace = (struct pace){ .first_ms = 100, .most_ms = 5000, .calm_ms = FOLLOW_EARLY_MS, .at_once = 1 };
    follow->resumes = (struct pace){ .first_ms = 100, .most_ms = 2000, .calm_ms = FOLLOW_EARLY_MS, .at_once = 1 };
    follow->rewinds = (struct pace){ .first_ms = 1000, .most_ms = 10000, .calm_ms = 60000, .at_once = 1 };
    follow->last_pace = (struct pace){ .first_ms = 300, .most_ms = 5000, .calm_ms = FOLLOW_EARLY_MS, .at_once = 1 };
    /* Of a log that is written all the time: every 1.5 to 3 s; of a silent one: every 5 to 10 s. */
    follow->by_time_pace = (struct pace){ .first_ms = 3000, .most_ms = 10000, .calm_ms = PACE_NEVER_CALM };
    follow->probes = (struct pace){ .first_ms = 60000, .most_ms = 300000, .calm_ms = PACE_NEVER_CALM };
    record_reader_init(&follow->reader, 0);
    return follow;
}

void follow_set_node(struct follow *follow, const char *node)
{
    mem_free(follow->node);
    follow->node = mem_text(node);
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
    follow->since_s = 0; /* the mark of that time is forgotten */
    follow->again = follow->over;
    follow->over = follow->paused = false;
    follow->last_reads = follow->broken = 0;
    follow->deaf_since_ms = 0;
    follow_again(follow, &follow->rewinds);
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
        follow_again(follow, &follow->resumes);
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
    mem_free(follow->node);
    mem_free(follow);
}
