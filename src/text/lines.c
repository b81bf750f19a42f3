#include "text/lines.h"

#include <string.h>

void lines_init(struct lines *lines, size_t most_bytes)
{
    *lines = (struct lines){ .most_bytes = most_bytes };
}

/* One stretch without LF, behind what is held; hands over full pieces as soon as there is more than one. */
static int add_stretch(struct lines *lines, const char *bytes, size_t length, lines_line *line, void *owner)
{
    while (length > 0) {
        if (lines->partial.length == lines->most_bytes) {
            lines->is_split = true;
            int stop = line(owner, lines->partial.bytes, lines->partial.length, false);
            strbuf_cut(&lines->partial, 0);
            if (stop != 0)
                return stop;
        }
        size_t room = lines->most_bytes - lines->partial.length;
        size_t piece = length < room ? length : room;
        strbuf_add(&lines->partial, bytes, piece);
        bytes += piece;
        length -= piece;
    }
    return 0;
}

/* A whole line, or the end of one. Most lines come whole and short, and are handed over where they stand. */
static int end_line(struct lines *lines, const char *bytes, size_t length, lines_line *line, void *owner)
{
    if (lines->partial.length == 0 && !lines->is_split && length <= lines->most_bytes)
        return line(owner, bytes, length, true);
    int stop = add_stretch(lines, bytes, length, line, owner);
    if (stop == 0)
        stop = line(owner, strbuf_text(&lines->partial), lines->partial.length, !lines->is_split);
    lines_reset(lines);
    return stop;
}

int lines_feed(struct lines *lines, const char *bytes, size_t length, lines_line *line, void *owner)
{
    while (length > 0) {
        const char *lf = memchr(bytes, '\n', length);
        if (!lf)
            return add_stretch(lines, bytes, length, line, owner);
        size_t count = (size_t)(lf - bytes);
        int stop = end_line(lines, bytes, count, line, owner);
        if (stop != 0)
            return stop;
        bytes += count + 1;
        length -= count + 1;
    }
    return 0;
}

void lines_reset(struct lines *lines)
{
    strbuf_cut(&lines->partial, 0);
    lines->is_split = false;
}

void lines_clear(struct lines *lines)
{
    strbuf_clear(&lines->partial);
    lines->is_split = false;
}
