/* What the kubelet puts into a log's body beside the container's bytes: a time before each line when asked for, and its
 * own words at the end (docs/reference/kubernetes.md, "Lines of a log and their times" and "Text in a log that the
 * container did not write"). */
#ifndef KUBE_LOG_LINES_H
#define KUBE_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_TIME_MOST 40 /* "2026-11-27T09:00:00.123456789+05:45 " and some room */
#define LOG_TAIL_MOST 240

/* Takes the times away. All zeros to begin with. */
struct log_lines {
    char head[LOG_TIME_MOST]; /* of a line whose time is not whole yet */
    size_t head_length, given;
    bool inside;       /* the line's time is behind us */
    int64_t written_s; /* of the line that is given; 0 unknown */
};
struct log_piece {
    const char *bytes; /* borrowed until the next call */
    size_t length;
};
/* The next piece of a line, from bytes[*used] on, and advances *used; false: more bytes are needed. No piece crosses
 * the end of a line. A line without a time is passed on as it is. */
bool log_lines_next(struct log_lines *lines, const char *bytes, size_t length, size_t *used, struct log_piece *piece);

/* The last bytes of a stream. All zeros to begin with. */
struct log_tail {
    char bytes[LOG_TAIL_MOST + 1];
    size_t length;
};
void log_tail_keep(struct log_tail *tail, const char *bytes, size_t length);
/* The kubelet's words, when a stream that ended with these bytes could not be followed; else NULL. Borrowed. */
const char *log_tail_no_follow(struct log_tail *tail);

#endif
