/* Cuts a byte stream into lines, whatever the chunking; used for container logs and child output. */
#ifndef TEXT_LINES_H
#define TEXT_LINES_H

#include "base/strbuf.h"

#include <stdbool.h>

struct lines {
    struct strbuf partial;
    size_t most_bytes; /* a longer line is handed over in pieces of this size, the last one shorter, all with whole =
                          false */
    bool is_split;     /* pieces of the current line were handed over */
};

/* One line without its LF; whole is false for every piece of an over-long line. Borrows bytes until return.
 * Non-zero stops: the rest of what was fed is dropped. */
typedef int lines_line(void *owner, const char *bytes, size_t length, bool whole);

void lines_init(struct lines *lines, size_t most_bytes);
/* Feeds bytes; calls line for each finished one. Returns what line returned when it was non-zero, else 0. */
int lines_feed(struct lines *lines, const char *bytes, size_t length, lines_line *line, void *owner);
/* Forgets an unfinished line. */
void lines_reset(struct lines *lines);
void lines_clear(struct lines *lines);

#endif
