/* The reading side of the job log (text/record.h). The path may drop, double, tear, glue and replace; so nothing is
 * believed before two marks agree about the bytes between them:
 *  - synced: batch_at and batch_crc come from a mark (or from byte 0), batch holds the output since;
 *  - a mark that agrees with them commits the batch;
 *  - a mark that does not is a place to go on from, if that loses nothing the caller wants (it lies at or below wanted,
 * or a hole was accepted); it commits nothing by itself. Otherwise the read is broken. */
#include "text/record.h"

#include "text/digest.h"
#include "text/gzip.h"

#include <string.h>

#define OFFSET_MOST (UINT64_C(1) << 53)
#define ESC         '\033'
#define BATCH_MOST  (1u * MIB)
#define END_HEAD    13u /* ESC _De, 8 digits, a comma */

/* What one record held besides its output. */
struct record {
    bool has_text; /* output bytes, though perhaps none came of them */
    bool no_lf;    /* its LF is not output */
    bool has_mark;
    uint64_t at;
    uint32_t crc;
};

void record_reader_init(struct record_reader *reader, uint64_t wanted)
{
    *reader = (struct record_reader){ .wanted = wanted, .synced = true };
    reader->line = STRBUF_UP_TO(2 * RECORD_MOST);
    reader->batch = STRBUF_UP_TO(BATCH_MOST);
}

void record_reader_restart(struct record_reader *reader, bool from_start)
{
    strbuf_cut(&reader->line, 0);
    strbuf_cut(&reader->batch, 0);
    strbuf_cut(&reader->end, 0);
    reader->batch_at = 0;
    reader->batch_crc = 0;
    reader->synced = from_start;
    reader->ended = reader->broken = reader->skipping = false;
}

void record_reader_accept_hole(struct record_reader *reader)
{
    reader->accept_hole = true;
}

uint64_t record_committed_at(const struct record_reader *reader)
{
    return reader->wanted - reader->committed.length;
}

static enum record_news say_broken(struct record_reader *reader)
{
    reader->broken = true;
    return RECORD_BROKEN;
}

/* A line that is no record. Harmless where nobody waits for what it stood for. */
static enum record_news take_foreign(struct record_reader *reader)
{
    if (reader->synced && !reader->accept_hole && reader->batch_at >= reader->wanted)
        return say_broken(reader);
    reader->foreign_lines++;
    reader->synced = false;
    strbuf_cut(&reader->batch, 0);
    return RECORD_NOTHING;
}

/* The mark agrees: what lies before it is proven. */
static enum record_news commit(struct record_reader *reader, const struct record *record)
{
    enum record_news news = RECORD_NOTHING;

    if (record->at > reader->wanted) {
        if (reader->batch_at > reader->wanted) {
            if (reader->committed.length > 0)
                return say_broken(reader); /* the caller did not take it: two stretches cannot share one buffer */
            reader->hole_bytes += reader->batch_at - reader->wanted;
            reader->wanted = reader->batch_at;
        }
        size_t old = (size_t)(reader->wanted - reader->batch_at);
        if (strbuf_add(&reader->committed, strbuf_text(&reader->batch) + old, reader->batch.length - old) < 0)
            return say_broken(reader);
        reader->wanted = record->at;
        reader->accept_hole = false;
        news = RECORD_COMMITTED;
    }
    reader->marks++;
    reader->known_at = record->at;
    reader->known_crc = record->crc;
    reader->batch_at = record->at;
    reader->batch_crc = record->crc;
    strbuf_cut(&reader->batch, 0);
    return news;
}

static enum record_news take_mark(struct record_reader *reader, const struct record *record)
{
    bool contradicts = record->at == reader->known_at && record->crc != reader->known_crc;

    if (contradicts && !reader->accept_hole)
        return say_broken(reader);
    if (reader->synced && record->at == reader->batch_at + reader->batch.length &&
        record->crc == crc32_of(reader->batch_crc, strbuf_text(&reader->batch), reader->batch.length))
        return commit(reader, record);
    if (record->at > reader->wanted && !reader->accept_hole)
        return say_broken(reader);
    reader->synced = true;
    reader->batch_at = record->at;
    reader->batch_crc = record->crc;
    strbuf_cut(&reader->batch, 0);
    return RECORD_NOTHING;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower-case hex digits, all of them. */
static int parse_hex(const char *digits, size_t count, uint64_t *value)
{
    if (count == 0 || count > 16)
        return -1;
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = hex_value(digits[i]);
        if (digit < 0)
            return -1;
        *value = *value << 4 | (uint64_t)digit;
    }
    return 0;
}

/* <offset>,<crc>: one spelling for each number, so a damaged one is not read as another. Offsets are added and
 * subtracted: no log is longer than the JSON of the end record can say. */
static int parse_mark(const char *body, size_t length, struct record *record)
{
    uint64_t crc;

    if (length < 10 || body[length - 9] != ',' || (body[0] == '0' && length > 10))
        return -1;
    if (parse_hex(body, length - 9, &record->at) < 0 || parse_hex(body + length - 8, 8, &crc) < 0)
        return -1;
    if (record->at > OFFSET_MOST)
        return -1;
    record->crc = (uint32_t)crc;
    record->has_mark = true;
    return 0;
}

static int add_hex_bytes(const char *body, size_t length, struct strbuf *out)
{
    if (length == 0 || length % 2 != 0)
        return -1;
    for (size_t i = 0; i < length; i += 2) {
        uint64_t byte;
        if (parse_hex(body + i, 2, &byte) < 0 || strbuf_add_char(out, (char)byte) < 0)
            return -1;
    }
    return 0;
}

/* One ESC _D...ESC \ of a record; body begins behind the D. */
static int take_string(const char *body, size_t length, struct record *record, struct strbuf *out)
{
    bool closed = record->no_lf;

    switch (length > 0 ? body[0] : '\0') {
    case 'm':
        return parse_mark(body + 1, length - 1, record);
    case 'n':
        record->no_lf = true;
        return closed || length != 1 ? -1 : 0;
    case 'x':
        record->has_text = true;
        return closed ? -1 : add_hex_bytes(body + 1, length - 1, out);
    case 'b':
        record->no_lf = true;
        return closed || record->has_text ? -1 : base64_decode(body + 1, length - 1, out);
    default:
        return -1;
    }
}

/* Reads one ESC and what belongs to it; gives how many bytes that were, 0 when it breaks the grammar. */
static size_t take_escape(const char *at, size_t left, struct record *record, struct strbuf *out)
{
    if (left < 2 || at[1] == '\\')
        return 0;
    if (at[1] == '_') {
        const char *end = memchr(at + 2, ESC, left - 2);
        bool whole = end && (size_t)(end - at) + 1 < left && end[1] == '\\' && at[2] == 'D';
        if (!whole || take_string(at + 3, (size_t)(end - at) - 3, record, out) < 0)
            return 0;
        return (size_t)(end - at) + 2;
    }
    record->has_text = true;
    if (record->no_lf || strbuf_add_char(out, at[1] == 'E' ? '\n' : ESC) < 0)
        return 0;
    return at[1] == 'E' ? 2 : 1;
}

/* Decodes a record (without its LF) behind what is in out. */
static int decode(const char *line, size_t length, struct record *record, struct strbuf *out)
{
    size_t at = 0;

    while (at < length) {
        const char *escape = memchr(line + at, ESC, length - at);
        size_t plain = (escape ? (size_t)(escape - line) : length) - at;
        if (record->has_mark || (plain > 0 && record->no_lf))
            return -1; /* a mark is last; text never follows what takes its LF away */
        if (plain > 0) {
            record->has_text = true;
            if (strbuf_add(out, line + at, plain) < 0)
                return -1;
        }
        at += plain;
        if (at == length)
            break;
        size_t taken = take_escape(line + at, length - at, record, out);
        if (taken == 0)
            return -1;
        at += taken;
    }
    if (record->no_lf || (record->has_mark && !record->has_text))
        return 0;
    return strbuf_add_char(out, '\n');
}

/* <crc of the JSON>,<JSON>: no mark follows it, so it proves itself. */
static enum record_news take_end(struct record_reader *reader, const char *line, size_t length)
{
    uint64_t crc;
    const char *json = line + END_HEAD;

    if (length < END_HEAD + 2 || line[END_HEAD - 1] != ',' || memcmp(line + length - 2, "\033\\", 2) != 0)
        return take_foreign(reader);
    length -= END_HEAD + 2;
    if (parse_hex(json - 9, 8, &crc) < 0 || crc != crc32_of(0, json, length))
        return take_foreign(reader);
    strbuf_cut(&reader->end, 0);
    strbuf_add(&reader->end, json, length);
    reader->ended = true;
    return RECORD_ENDED;
}

/* The mark that ends a line, whatever stands before it: all that counts while reading is not synced (the line may be
 * torn). */
static bool find_mark(const char *line, size_t length, struct record *record)
{
    if (length < 4 || memcmp(line + length - 2, "\033\\", 2) != 0)
        return false;
    const char *at = memrchr(line, ESC, length - 2);
    size_t left = at ? (size_t)(line + length - at) : 0;
    return left > 6 && memcmp(at, "\033_Dm", 4) == 0 && parse_mark(at + 4, left - 6, record) == 0;
}

static enum record_news take_line(struct record_reader *reader, const char *line, size_t length)
{
    struct record record = { 0 };
    enum record_news news = RECORD_NOTHING;

    if (length >= RECORD_MOST)
        return take_foreign(reader);
    if (length > 4 && memcmp(line, "\033_De", 4) == 0)
        return take_end(reader, line, length);
    if (reader->synced && decode(line, length, &record, &reader->batch) < 0) {
        record = (struct record){ 0 };
        news = take_foreign(reader);
    }
    if (news == RECORD_NOTHING && !reader->synced)
        find_mark(line, length, &record);
    return news == RECORD_NOTHING && record.has_mark ? take_mark(reader, &record) : news;
}

/* The rest of the fed bytes holds no LF. */
static enum record_news take_rest(struct record_reader *reader, const char *bytes, size_t length)
{
    if (reader->skipping)
        return RECORD_NOTHING;
    if (reader->line.length + length < RECORD_MOST) {
        strbuf_add(&reader->line, bytes, length);
        return RECORD_NOTHING;
    }
    reader->skipping = true;
    strbuf_cut(&reader->line, 0);
    return take_foreign(reader);
}

enum record_news record_feed(struct record_reader *reader, const char *bytes, size_t length, size_t *used)
{
    while (*used < length) {
        const char *line = bytes + *used;
        const char *lf = memchr(line, '\n', length - *used);
        size_t count = lf ? (size_t)(lf - line) : length - *used;
        enum record_news news = RECORD_NOTHING;
        if (reader->broken || reader->ended) {
            *used = length;
            break;
        }
        *used += count + (lf ? 1 : 0);
        if (!lf) {
            news = take_rest(reader, line, count);
        } else if (reader->skipping) {
            reader->skipping = false;
        } else if (reader->line.length == 0) {
            news = take_line(reader, line, count);
        } else if (strbuf_add(&reader->line, line, count < RECORD_MOST ? count : RECORD_MOST) == 0) {
            news = take_line(reader, reader->line.bytes, reader->line.length);
        }
        if (lf)
            strbuf_cut(&reader->line, 0);
        if (news != RECORD_NOTHING)
            return news;
    }
    return RECORD_NOTHING;
}

void record_reader_clear(struct record_reader *reader)
{
    strbuf_wipe(&reader->line);
    strbuf_wipe(&reader->batch);
    strbuf_wipe(&reader->committed);
    strbuf_clear(&reader->end);
}
