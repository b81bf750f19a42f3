#include "text/section.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PARTIAL_MOST 8192u

void section_start(struct strbuf *out, const char *name, int64_t unix_seconds, const char *title)
{
    strbuf_format(out, "section_start:%" PRId64 ":%s\r" SECTION_CLEAR, unix_seconds, name);
    if (title)
        strbuf_format(out, SECTION_CLEAR SECTION_CYAN "%s" SECTION_RESET SECTION_RESET "\n", title);
}

void section_end(struct strbuf *out, const char *name, int64_t unix_seconds)
{
    strbuf_format(out, "section_end:%" PRId64 ":%s\r" SECTION_CLEAR, unix_seconds, name);
}

void stamper_init(struct stamper *stamper, unsigned stream)
{
    *stamper = (struct stamper){ .partial = STRBUF_UP_TO(PARTIAL_MOST) };
    snprintf(stamper->stream, sizeof(stamper->stream), "%02x", stream & 0xFF);
}

/* Writes one entry: what was held back and then bytes, ended by LF. append_next: the line goes on in the next entry. */
static void write_entry(struct stamper *stamper, const char *bytes, size_t length, int64_t now_us, bool append_next,
                        struct strbuf *out)
{
    int64_t at_us = stamper->partial.length > 0 ? stamper->partial_since_us : now_us;
    time_t seconds = (time_t)(at_us / 1000000);
    struct tm utc;
    char text[24];

    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    strbuf_format(out, "%s.%06dZ %sO%c", text, (int)(at_us % 1000000), stamper->stream, stamper->append ? '+' : ' ');
    strbuf_add(out, strbuf_text(&stamper->partial), stamper->partial.length);
    strbuf_add(out, bytes, length);
    strbuf_add_char(out, '\n');
    strbuf_cut(&stamper->partial, 0);
    stamper->append = append_next;
}

static void hold_back(struct stamper *stamper, const char *bytes, size_t length, int64_t now_us, struct strbuf *out)
{
    while (length > 0) {
        if (stamper->partial.length > 0 && stamper->partial.length + length > PARTIAL_MOST)
            write_entry(stamper, "", 0, now_us, true, out);
        size_t piece = length < PARTIAL_MOST ? length : PARTIAL_MOST;
        if (stamper->partial.length == 0)
            stamper->partial_since_us = now_us;
        strbuf_add(&stamper->partial, bytes, piece);
        bytes += piece;
        length -= piece;
    }
}

void stamper_write(struct stamper *stamper, const char *bytes, size_t length, int64_t now_us, struct strbuf *out)
{
    while (length > 0) {
        const char *lf = memchr(bytes, '\n', length);
        if (!lf)
            break;
        size_t line = (size_t)(lf - bytes);
        write_entry(stamper, bytes, line, now_us, false, out);
        bytes += line + 1;
        length -= line + 1;
    }
    if (length > 0 && memchr(bytes, '\r', length))
        write_entry(stamper, bytes, length, now_us, true, out);
    else
        hold_back(stamper, bytes, length, now_us, out);
}

void stamper_finish(struct stamper *stamper, int64_t now_us, struct strbuf *out)
{
    if (stamper->partial.length > 0)
        write_entry(stamper, "", 0, now_us, false, out);
}

void stamper_clear(struct stamper *stamper)
{
    strbuf_wipe(&stamper->partial);
}
