/* The job log as records that prove their own completeness: docs/formats.md section 3, docs/design.md section 2.
 * Pure: the clock and the write() are the caller's. */
#ifndef TEXT_RECORD_H
#define TEXT_RECORD_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_MOST       4095        /* bytes of one record with its LF: below every runtime's split and PIPE_BUF */
#define RECORD_BATCH_MOST (16u * KIB) /* bytes of output between two marks */
#define RECORD_END_MOST   4000        /* bytes of the end record's JSON */
#define RECORD_PREFIX     48          /* bytes a runtime puts in front of each line in the node's file */

/* --- writing (courier) --- */
struct record_writer {
    struct strbuf pending; /* output not yet in a record */
    uint64_t offset;       /* bytes of output handed to records so far */
    uint32_t crc;
    uint64_t file_bytes; /* what the node's file holds: records plus RECORD_PREFIX each */
};
void record_writer_init(struct record_writer *writer);
/* Takes output in; nothing is written yet. */
void record_put(struct record_writer *writer, const char *bytes, size_t length);
/* Bytes taken in and not yet in a record. */
size_t record_pending(const struct record_writer *writer);
/* Turns everything pending into records (appended to out, each ended by LF, each to be written by one write()),
 * marks at least every RECORD_BATCH_MOST bytes and at the end. Nothing pending: nothing. */
void record_flush(struct record_writer *writer, struct strbuf *out);
/* A record of nothing but a mark: the heartbeat. */
void record_heartbeat(struct record_writer *writer, struct strbuf *out);
/* The end record: a JSON object without LF or ESC, at most RECORD_END_MOST bytes; -1 when it is not (a bug). Flushes
 * what is pending first. */
int record_end(struct record_writer *writer, const char *json, struct strbuf *out);
void record_writer_clear(struct record_writer *writer);

/* --- reading (controller) --- */
enum record_news {
    RECORD_NOTHING,   /* more bytes are needed */
    RECORD_COMMITTED, /* reader->committed holds newly proven output; it starts at record_committed_at(), which has
                       * jumped after a hole (then there may be no bytes yet) */
    RECORD_ENDED,  /* reader->end holds the end record's JSON. The log is whole when its bytes and crc are known_at and
                    * known_crc; else read again, and after the repair limit say what is missing */
    RECORD_BROKEN, /* grammar, offset or CRC disagree: drop the connection, call record_reader_restart, read again */
};
struct record_reader {
    struct strbuf line;      /* unfinished line; ceiling RECORD_MOST * 2 */
    struct strbuf batch;     /* decoded output since the last good mark; ceiling 1 MiB */
    struct strbuf committed; /* proven output for the caller, who takes it with strbuf_drop */
    struct strbuf end;       /* JSON of the end record */
    uint64_t batch_at;       /* offset of the batch's first byte = offset of the last good mark */
    uint32_t batch_crc;      /* CRC of everything before batch_at */
    bool synced;             /* batch_at and batch_crc are known (true from byte 0, or after a first mark mid-stream) */
    uint64_t wanted;         /* end of what was committed: output below is verified but not committed again (resume) */
    uint64_t known_at;       /* the newest mark that was proven: its offset, */
    uint32_t known_crc;      /* and the CRC of everything before it */
    bool ended;
    bool broken;            /* RECORD_BROKEN was said; nothing is read before a restart */
    bool skipping;          /* the rest of an over-long line is dropped */
    bool accept_hole;       /* set by record_reader_accept_hole */
    uint64_t hole_bytes;    /* bytes that nobody has any more, skipped so far */
    uint64_t marks;         /* good marks so far, heartbeats included: a reader is alive as long as they come */
    uint64_t foreign_lines; /* lines that were no records and were dropped: for diagnosis */
};
/* Starts at byte 0 of the log; wanted: first offset the caller still needs. */
void record_reader_init(struct record_reader *reader, uint64_t wanted);
/* A new read of the same log, from its start (from_start) or from somewhere in the middle (sinceTime): everything
 * uncommitted is dropped; in the middle the reader skips to the first mark at or below what it has (offset and CRC
 * known from before). A mark on which reading goes on is believed only once the next one agrees with it: two marks
 * commit, never one. */
void record_reader_restart(struct record_reader *reader, bool from_start);
/* The repair limit has passed: from now on the first mark seen is where reading goes on, and the bytes between what we
 * had and that mark are added to hole_bytes (committed_at jumps). Without this call such a mark is RECORD_BROKEN. Holds
 * until the next commit. Take reader->committed first. */
void record_reader_accept_hole(struct record_reader *reader);
/* Offset of the first byte in reader->committed. */
uint64_t record_committed_at(const struct record_reader *reader);
/* Feeds raw log bytes, any chunking, from bytes[*used] on, and advances *used. Call until it says RECORD_NOTHING:
 *     for (size_t used = 0; (news = record_feed(reader, bytes, length, &used)) != RECORD_NOTHING;) ...
 * After RECORD_BROKEN and RECORD_ENDED the rest is swallowed. */
enum record_news record_feed(struct record_reader *reader, const char *bytes, size_t length, size_t *used);
void record_reader_clear(struct record_reader *reader);

#endif
