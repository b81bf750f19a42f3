/* The writing side of the job log (text/record.h): what the log path would change is escaped, what would grow too much
 * is base64, and every batch ends with a mark. */
#include "text/record.h"

#include "text/digest.h"
#include "text/gzip.h"

#include <inttypes.h>
#include <string.h>

#define ESC         '\033'
#define NO_LF       "\033_Dn\033\\"
#define STRING_END  "\033\\"
#define NO_LF_BYTES 6u
#define MARK_MOST   31u /* ESC _Dm, 16 digits, a comma, 8 digits, ESC \ */
#define ESCAPED     8u  /* ESC _Dx, 2 digits, ESC \ */
/* What is left for text: a CR or ESC that turns out to be the last byte grows from 1 to ESCAPED. */
#define TEXT_MOST   (RECORD_MOST - 1 - MARK_MOST - NO_LF_BYTES - (ESCAPED - 1))
#define BASE64_MOST ((RECORD_MOST - 1 - MARK_MOST - NO_LF_BYTES) / 4 * 3) /* bytes before encoding */

void record_writer_init(struct record_writer *writer)
{
    *writer = (struct record_writer){ 0 };
}

void record_put(struct record_writer *writer, const char *bytes, size_t length)
{
    strbuf_add(&writer->pending, bytes, length);
}

size_t record_pending(const struct record_writer *writer)
{
    return writer->pending.length;
}

/* An ESC before these would be read as one of ours. */
static bool reads_as_ours(char next)
{
    return next == 'E' || next == '_' || next == '\\';
}

/* How many of the bytes go into one text record: all of them, or up to a line end past the middle, or what fits.
 * *escaped is the size of their escaped form (before it was cut at a line end). */
static size_t measure(const char *bytes, size_t length, size_t *escaped, size_t *measured)
{
    size_t size = 0, after_lf = 0, i = 0;

    for (; i < length; i++) {
        size_t cost = 1;
        if (bytes[i] == '\n')
            cost = 2;
        else if (bytes[i] == ESC && (i + 1 == length || reads_as_ours(bytes[i + 1])))
            cost = ESCAPED;
        if (size + cost > TEXT_MOST)
            break;
        size += cost;
        if (bytes[i] == '\n')
            after_lf = i + 1;
    }
    *escaped = size;
    *measured = i;
    return i < length && after_lf > i / 2 ? after_lf : i;
}

static void add_text(const char *bytes, size_t length, struct strbuf *out)
{
    bool ends_line = length > 1 && bytes[length - 1] == '\n'; /* alone it would look like a heartbeat */
    size_t end = ends_line ? length - 1 : length;
    size_t plain = 0;

    for (size_t i = 0; i < end; i++) {
        bool is_last = i + 1 == end;
        bool is_hidden =
            bytes[i] == ESC ? is_last || reads_as_ours(bytes[i + 1]) : bytes[i] == '\r' && is_last && ends_line;
        if (!is_hidden && bytes[i] != '\n')
            continue;
        strbuf_add(out, bytes + plain, i - plain);
        plain = i + 1;
        if (is_hidden)
            strbuf_format(out, "\033_Dx%02x" STRING_END, (unsigned)bytes[i]);
        else
            strbuf_add(out, "\033E", 2);
    }
    strbuf_add(out, bytes + plain, end - plain);
    if (!ends_line)
        strbuf_add(out, NO_LF, NO_LF_BYTES);
}

static void add_base64(const char *bytes, size_t length, struct strbuf *out)
{
    strbuf_add_text(out, "\033_Db");
    base64_encode(bytes, length, out);
    strbuf_add_text(out, STRING_END);
}

static void add_mark(const struct record_writer *writer, struct strbuf *out)
{
    strbuf_format(out, "\033_Dm%" PRIx64 ",%08" PRIx32 STRING_END, writer->offset, writer->crc);
}

static void end_record(struct record_writer *writer, size_t began, struct strbuf *out)
{
    strbuf_add_char(out, '\n');
    writer->file_bytes += out->length - began + RECORD_PREFIX;
}

void record_flush(struct record_writer *writer, struct strbuf *out)
{
    size_t unmarked = 0;

    while (writer->pending.length > 0) {
        const char *bytes = writer->pending.bytes;
        size_t began = out->length, escaped, measured;
        size_t count = measure(bytes, writer->pending.length, &escaped, &measured);
        if (escaped > NO_LF_BYTES + (measured + 2) / 3 * 4) {
            count = writer->pending.length < BASE64_MOST ? writer->pending.length : BASE64_MOST;
            add_base64(bytes, count, out);
        } else {
            add_text(bytes, count, out);
        }
        writer->offset += count;
        writer->crc = crc32_of(writer->crc, bytes, count);
        strbuf_drop(&writer->pending, count);
        unmarked += count;
        if (writer->pending.length == 0 || unmarked > RECORD_BATCH_MOST - RECORD_MOST) {
            add_mark(writer, out);
            unmarked = 0;
        }
        end_record(writer, began, out);
    }
}

void record_heartbeat(struct record_writer *writer, struct strbuf *out)
{
    size_t began = out->length;
    add_mark(writer, out);
    end_record(writer, began, out);
}

int record_end(struct record_writer *writer, const char *json, struct strbuf *out)
{
    if (json[0] != '{' || strlen(json) > RECORD_END_MOST || strpbrk(json, "\n\033"))
        return -1;
    record_flush(writer, out);
    size_t began = out->length;
    strbuf_format(out, "\033_De%08" PRIx32 ",%s" STRING_END, crc32_of(0, json, strlen(json)), json);
    end_record(writer, began, out);
    return 0;
}

void record_writer_clear(struct record_writer *writer)
{
    strbuf_wipe(&writer->pending);
}
