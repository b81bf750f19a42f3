/* What GitLab's log viewer understands: section markers, colours, line times (docs/reference/dataops.md, "Sections and
 * line times"). */
#ifndef TEXT_SECTION_H
#define TEXT_SECTION_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define SECTION_GREEN  "\033[32;1m"
#define SECTION_RED    "\033[31;1m"
#define SECTION_CYAN   "\033[36;1m"
#define SECTION_YELLOW "\033[0;33m"
#define SECTION_RESET  "\033[0;m"
#define SECTION_CLEAR  "\033[0K"

/* section_start:<seconds>:<name> CR ESC[0K, no newline; then the title in bold cyan with LF, as the stock runner prints
 * it. */
void section_start(struct strbuf *out, const char *name, int64_t unix_seconds, const char *title);
void section_end(struct strbuf *out, const char *name, int64_t unix_seconds);

/* Line times of FF_TIMESTAMPS: turns a stream of writes into entries with 32-byte headers (docs/reference/dataops.md,
 * "Sections and line times").
 */
struct stamper {
    struct strbuf partial; /* at most 8192 bytes */
    int64_t partial_since_us;
    bool append;    /* next header has + */
    char stream[3]; /* "00", "01" */
};
void stamper_init(struct stamper *stamper, unsigned stream);
/* One write, with the time it was made (microseconds since 1970, UTC). */
void stamper_write(struct stamper *stamper, const char *bytes, size_t length, int64_t now_us, struct strbuf *out);
/* Flushes an unfinished line with a final LF. */
void stamper_finish(struct stamper *stamper, int64_t now_us, struct strbuf *out);
void stamper_clear(struct stamper *stamper);

#endif
