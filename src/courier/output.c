#include "output.h"

#include "io/loop.h"
#include "text/mask.h"
#include "text/record.h"
#include "text/section.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_DEFAULT   (4u * MIB)
#define BATCH_WAIT_MS   20u        /* a lone line goes out after this */
#define THRIFTY_WAIT_MS 1000u      /* the same once the node's file has grown */
#define THRIFTY_FROM    (2u * MIB) /* bytes of the node's file from which on records wait to be full */
#define HEARTBEAT_MS    30000u
#define QUEUE_FULL      (1024u * KIB) /* records that wait for stdout */
#define QUEUE_ROOM      (256u * KIB)
#define HELD_MOST       (256u * KIB) /* more than this is not held back */
#define BOLD_YELLOW     "\033[33;1m"

enum stream { STREAM_OWN, STREAM_SCRIPT, STREAMS };

struct output {
    struct loop *loop;
    int fd, fd_flags;
    struct mask *mask;
    struct stamper stampers[STREAMS];
    enum stream current;
    bool line_times, sections;
    uint64_t limit_bytes, stored_bytes;
    bool over_limit;
    struct record_writer writer;
    struct strbuf queue; /* records that stdout did not take yet */
    bool held;           /* stdout gets nothing yet */
    bool broken;         /* stdout is gone: records are thrown away */
    bool was_full;       /* somebody waits for room() */
    struct watch *writable;
    struct timer *batch, *heartbeat, *ending;
    void (*room)(void *owner);
    void *room_owner;
    void (*ended)(void *owner);
    void *ended_owner;
};

static void output_write(struct output *output);

/* --- stdout --- */

static void output_finished(void *owner)
{
    struct output *output = owner;
    void (*ended)(void *) = output->ended;
    timer_stop(&output->ending);
    output->ended = NULL;
    if (ended)
        ended(output->ended_owner);
}

static void output_writable(void *owner, unsigned ready UNUSED)
{
    output_write(owner);
}

static void output_watch(struct output *output, bool on)
{
    if (on && !output->writable)
        output->writable = loop_watch(output->loop, output->fd, LOOP_WRITE, output_writable, output);
    if (!on && output->writable) {
        watch_stop(output->writable);
        output->writable = NULL;
    }
}

/* Each record goes out by a write of its own: below PIPE_BUF it is taken whole or not at all. */
static void output_write(struct output *output)
{
    if (output->held && output->queue.length <= HELD_MOST)
        return;
    output->held = false;
    while (output->queue.length > 0) {
        const char *line = strbuf_text(&output->queue);
        const char *end = memchr(line, '\n', output->queue.length);
        const size_t length = end ? (size_t)(end - line) + 1 : output->queue.length;
        const ssize_t wrote = output->broken ? (ssize_t)length : write(output->fd, line, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && errno == EAGAIN) {
            output_watch(output, true);
            return;
        }
        if (wrote < 0)
            output->broken = true;
        else
            strbuf_drop(&output->queue, (size_t)wrote);
        if (output->was_full && output->room && output->queue.length < QUEUE_ROOM) {
            output->was_full = false;
            output->room(output->room_owner);
        }
    }
    output_watch(output, false);
    if (output->ended)
        output_finished(output);
}

/* --- batches --- */

static void output_beat(void *owner)
{
    struct output *output = owner;
    if (!output->held)
        record_heartbeat(&output->writer, &output->queue);
    loop_after(output->loop, &output->heartbeat, HEARTBEAT_MS, output_beat, output);
    output_write(output);
}

void output_flush(struct output *output)
{
    timer_stop(&output->batch);
    if (record_pending(&output->writer) == 0)
        return;
    record_flush(&output->writer, &output->queue);
    timer_stop(&output->heartbeat);
    loop_after(output->loop, &output->heartbeat, HEARTBEAT_MS, output_beat, output);
    output_write(output);
}

static void output_batch_due(void *owner)
{
    output_flush(owner);
}

static void output_record(struct output *output, const char *bytes, size_t length)
{
    while (length > 0) {
        const size_t room = RECORD_BATCH_MOST - record_pending(&output->writer);
        const size_t piece = length < room ? length : room;
        record_put(&output->writer, bytes, piece);
        bytes += piece;
        length -= piece;
        if (record_pending(&output->writer) >= RECORD_BATCH_MOST)
            output_flush(output);
    }
    if (record_pending(&output->writer) > 0 && !output->batch)
        loop_after(output->loop, &output->batch,
                   output->writer.file_bytes > THRIFTY_FROM ? THRIFTY_WAIT_MS : BATCH_WAIT_MS, output_batch_due,
                   output);
}

/* --- the output limit --- */

/* Most bytes, at most room, that do not end inside a UTF-8 sequence. Bytes that are no UTF-8 are cut anywhere. */
static size_t whole_characters(const char *bytes, size_t room)
{
    size_t start = room;
    while (start > 0 && room - start < 3 && ((unsigned char)bytes[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return room;
    const unsigned char lead = (unsigned char)bytes[start - 1];
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return lead >= 0xC0 && room - (start - 1) < length ? start - 1 : room;
}

/* The notice goes beyond the limit, as the stock runner's does (docs/reference/dataops.md, "The limit of the trace").
 */
static void output_store(struct output *output, const char *bytes, size_t length)
{
    if (output->over_limit || length == 0)
        return;
    const uint64_t room = output->limit_bytes - output->stored_bytes;
    if (length <= room) {
        output->stored_bytes += length;
        output_record(output, bytes, length);
        return;
    }
    output->over_limit = true;
    output_record(output, bytes, whole_characters(bytes, (size_t)room));
    char *notice = mem_format("\n" BOLD_YELLOW "Job's log exceeded limit of %llu bytes.\n"
                              "Job execution will continue but no more output will be collected." SECTION_RESET "\n",
                              (unsigned long long)output->limit_bytes);
    output_record(output, notice, strlen(notice));
    mem_free(notice);
}

/* --- mask and line times --- */

static void output_stamp(struct output *output, const struct strbuf *bytes)
{
    if (bytes->length == 0)
        return;
    if (!output->line_times) {
        output_store(output, strbuf_text(bytes), bytes->length);
        return;
    }
    OWNED_STRBUF struct strbuf stamped = STRBUF_EMPTY;
    stamper_write(&output->stampers[output->current], strbuf_text(bytes), bytes->length, loop_wall_us(output->loop),
                  &stamped);
    output_store(output, strbuf_text(&stamped), stamped.length);
}

static void output_unmask(struct output *output)
{
    if (!output->mask)
        return;
    OWNED_STRBUF struct strbuf rest = STRBUF_EMPTY;
    mask_flush(output->mask, &rest);
    output_stamp(output, &rest);
}

static void output_put(struct output *output, enum stream stream, const char *bytes, size_t length)
{
    OWNED_STRBUF struct strbuf masked = STRBUF_EMPTY;
    if (stream != output->current) {
        output_unmask(output);
        output->current = stream;
    }
    if (output->over_limit)
        return;
    if (output->mask)
        mask_feed(output->mask, bytes, length, &masked);
    else
        strbuf_add(&masked, bytes, length);
    output_stamp(output, &masked);
}

void output_script(struct output *output, const char *bytes, size_t length)
{
    output_put(output, STREAM_SCRIPT, bytes, length);
}

void output_own(struct output *output, const char *bytes, size_t length)
{
    output_put(output, STREAM_OWN, bytes, length);
}

void output_settle(struct output *output)
{
    output_unmask(output);
    if (!output->line_times || output->current == STREAM_OWN)
        return;
    OWNED_STRBUF struct strbuf rest = STRBUF_EMPTY;
    stamper_finish(&output->stampers[STREAM_SCRIPT], loop_wall_us(output->loop), &rest);
    output_store(output, strbuf_text(&rest), rest.length);
}

/* --- courier's own lines --- */

void output_say(struct output *output, enum tone tone, const char *format, ...)
{
    static const struct {
        const char *before, *after;
    } looks[] = {
        [TONE_BARE] = { "", "\n" },
        [TONE_PLAIN] = { SECTION_CLEAR, SECTION_RESET "\n" },
        [TONE_NOTICE] = { SECTION_GREEN, SECTION_RESET "\n" },
        [TONE_WARNING] = { SECTION_YELLOW "WARNING: ", SECTION_RESET "\n" },
        [TONE_ERROR] = { SECTION_RED "ERROR: ", SECTION_RESET "\n" },
    };
    OWNED_STRBUF struct strbuf line = STRBUF_EMPTY;
    va_list arguments;
    va_start(arguments, format);
    strbuf_add_text(&line, looks[tone].before);
    strbuf_vformat(&line, format, arguments);
    strbuf_add_text(&line, looks[tone].after);
    va_end(arguments);
    output_own(output, strbuf_text(&line), line.length);
    output_settle(output);
}

/* A marker is a write of its own, so that line times put the title behind it (docs/reference/dataops.md, "Sections and
 * line times"). */
static void output_marker(struct output *output, const struct strbuf *marker)
{
    static const char end[] = "\r" SECTION_CLEAR;
    const char *found = strstr(strbuf_text(marker), end);
    const size_t length = found ? (size_t)(found - strbuf_text(marker)) + sizeof end - 1 : 0;
    output_own(output, strbuf_text(marker), length);
    output_settle(output);
    if (marker->length > length)
        output_own(output, strbuf_text(marker) + length, marker->length - length);
    output_settle(output);
}

void output_section_start(struct output *output, const char *name, const char *title)
{
    if (!output->sections) {
        output_say(output, TONE_PLAIN, SECTION_CYAN "%s" SECTION_RESET, title);
        return;
    }
    OWNED_STRBUF struct strbuf marker = STRBUF_EMPTY;
    section_start(&marker, name, loop_wall_us(output->loop) / 1000000, title);
    output_marker(output, &marker);
}

void output_section_end(struct output *output, const char *name)
{
    if (!output->sections)
        return;
    OWNED_STRBUF struct strbuf marker = STRBUF_EMPTY;
    section_end(&marker, name, loop_wall_us(output->loop) / 1000000);
    output_marker(output, &marker);
}

/* --- before build is there --- */

void output_hold(struct output *output)
{
    output->held = true;
}

void output_release(struct output *output)
{
    if (!output->held)
        return;
    output->held = false;
    output_write(output);
}

bool output_discard(struct output *output)
{
    if (!output->held)
        return false;
    timer_stop(&output->batch);
    record_writer_clear(&output->writer);
    record_writer_init(&output->writer);
    strbuf_clear(&output->queue);
    return true;
}

/* --- life --- */

bool output_is_full(struct output *output)
{
    output->was_full = output->was_full || output->queue.length > QUEUE_FULL;
    return output->was_full;
}

void output_on_room(struct output *output, void (*room)(void *owner), void *owner)
{
    output->room = room;
    output->room_owner = owner;
}

uint64_t output_bytes(const struct output *output)
{
    return output->writer.offset;
}

uint32_t output_crc(const struct output *output)
{
    return output->writer.crc;
}

void output_mask_text(struct output *output, char *text, size_t size)
{
    OWNED_STRBUF struct strbuf masked = STRBUF_EMPTY;

    if (output->mask == NULL)
        return;
    mask_whole(output->mask, text, &masked);
    snprintf(text, size, "%s", strbuf_text(&masked));
}

int output_end(struct output *output, const char *json, uint64_t most_ms, void (*done)(void *owner), void *owner)
{
    timer_stop(&output->heartbeat);
    if (record_end(&output->writer, json, &output->queue) < 0)
        return -1;
    output->held = false;
    output->room = NULL;
    output->ended = done;
    output->ended_owner = owner;
    loop_after(output->loop, &output->ending, most_ms, output_finished, output);
    output_write(output);
    return 0;
}

struct output *output_new(struct loop *loop, int fd)
{
    struct output *output = mem_new(sizeof *output);
    output->loop = loop;
    output->fd = fd;
    output->limit_bytes = LIMIT_DEFAULT;
    output->fd_flags = fcntl(fd, F_GETFL);
    if (output->fd_flags >= 0)
        fcntl(fd, F_SETFL, output->fd_flags | O_NONBLOCK);
    for (unsigned i = 0; i < STREAMS; i++)
        stamper_init(&output->stampers[i], i);
    record_writer_init(&output->writer);
    return output;
}

void output_configure(struct output *output, const struct output_settings *settings)
{
    mask_free(output->mask);
    output->mask = settings->mask;
    output->line_times = settings->line_times;
    output->sections = settings->sections;
    if (settings->limit_bytes)
        output->limit_bytes = settings->limit_bytes;
    if (!output->heartbeat)
        loop_after(output->loop, &output->heartbeat, HEARTBEAT_MS, output_beat, output);
}

void output_free(struct output *output)
{
    if (!output)
        return;
    output_watch(output, false);
    timer_stop(&output->batch);
    timer_stop(&output->heartbeat);
    timer_stop(&output->ending);
    if (output->fd_flags >= 0)
        fcntl(output->fd, F_SETFL, output->fd_flags);
    for (unsigned i = 0; i < STREAMS; i++)
        stamper_clear(&output->stampers[i]);
    record_writer_clear(&output->writer);
    strbuf_clear(&output->queue);
    mask_free(output->mask);
    mem_free(output);
}
