/* Where each byte of a job's trace comes from: arithmetic of offsets, without a byte in its hands. Pure.
 *
 * A trace is put together from four kinds of pieces, always in this order:
 *
 *     notes | log bytes, with a line in the place of each hole | tail
 *     ^0    ^notes_length                                      ^where the tail was placed
 *
 * The notes are the controller's lines before courier's first byte, the tail its lines after courier's last one. The
 * log is what courier wrote, counted from 0 by courier's commit marks. A hole is a range of log bytes that nobody has
 * any more; in the trace, one line with the number of lost bytes stands for it. An example, with notes of 10 bytes, a
 * hole of 500 lost bytes at log offset 100 and a line of 84 bytes for it:
 *
 *     trace 0..9      notes
 *     trace 10..109   log 0..99
 *     trace 110..193  the line "WARNING: log incomplete: 500 bytes were lost ..."
 *     trace 194..     log 600..
 *
 * The same notes, log and holes give the same trace, which is why a trace can be sent again from any offset. */
#ifndef JOB_SPLICE_H
#define JOB_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPLICE_LINE_MOST 160
#define SPLICE_NO_END    UINT64_MAX

struct splice_hole {
    uint64_t at;    /* trace offset of the line that stands for the lost bytes */
    uint64_t bytes; /* how many bytes of the log were lost */
};
struct splice {
    uint64_t notes_length;
    uint64_t log_end; /* log offset behind which nothing has a place any more; SPLICE_NO_END while it is not known */
    struct splice_hole *holes; /* in the order of the trace */
    size_t hole_count;
};
#define SPLICE_EMPTY ((struct splice){ .log_end = SPLICE_NO_END })

/* Frees the holes. */
void splice_clear(struct splice *splice);

/* The log offset whose byte belongs at trace offset at; for an offset inside the notes or inside a hole's line, the
 * offset of the first log byte behind it. */
uint64_t splice_log_offset(const struct splice *splice, uint64_t at);

/* Writes the line that stands for so many lost bytes, and gives its length. The same number gives the same line. */
size_t splice_hole_line(uint64_t bytes, char line[SPLICE_LINE_MOST]);

/* Notes that bytes of the log are lost, and that their line begins at trace offset at. Offsets may not go back. */
void splice_add_hole(struct splice *splice, uint64_t at, uint64_t bytes);

/* Forgets the holes whose lines begin at or behind trace offset at: they are found again when the log is read again. */
void splice_rewind(struct splice *splice, uint64_t at);

/* What is to be done with proven log bytes when trace offset at is wanted next. */
enum splice_kind {
    SPLICE_NOTHING, /* there are no bytes */
    SPLICE_HOLE,    /* bytes in front of these are lost: add a hole of that length, then ask again */
    SPLICE_BYTES,   /* drop the first skip of them, then put length of them */
    SPLICE_BEHIND,  /* they lie behind the log's end: drop all of them */
};
struct splice_piece {
    enum splice_kind kind;
    uint64_t lost;       /* SPLICE_HOLE */
    size_t skip, length; /* SPLICE_BYTES; length may be 0 */
};
/* Log bytes [offset, offset + length) are proven. */
struct splice_piece splice_next(const struct splice *splice, uint64_t at, uint64_t offset, size_t length);

#endif
