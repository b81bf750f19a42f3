/* The job log as records that prove their own completeness: docs/formats.md section 3, docs/design.md section 2.
 * Pure: the clock and the write() are the caller's. */
#ifndef TEXT_RECORD_H
#define TEXT_RECORD_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_MOST       4095          /* bytes of one record with its LF: below every runtime's split and PIPE_BUF */
#define RECORD_BATCH_MOST (16u * KIB)   /* bytes of output between two marks */
#define RECORD_PREFIX     48            /* bytes a runtime puts in front of each line in the node's file */

/* --- writing (courier) --- */
struct record_writer {
    struct strbuf pending;   /* output not yet in a record */
    uint64_t offset;         /* bytes of output handed to records so far */
    uint32_t crc;
    uint64_t file_bytes;     /* what the node's file holds: records plus RECORD_PREFIX each */
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
/* The end record: JSON without LF or ESC. Flush first. */
void record_end(struct record_writer *writer, const char *json, struct strbuf *out);
void record_writer_clear(struct record_writer *writer);

/* --- reading (controller) --- */
enum record_news {
    RECORD_NOTHING,   /* more bytes are needed */
    RECORD_COMMITTED, /* reader->committed holds newly proven output that starts at record_committed_at() */
    RECORD_ENDED,     /* reader->end holds the end record's JSON */
    RECORD_BROKEN,    /* grammar, offset or CRC disagree: drop the connection, call record_reader_restart, read again */
};
struct record_reader {
    struct strbuf line;        /* unfinished line; ceiling RECORD_MOST * 2 */
    struct strbuf batch;       /* decoded output since the last good mark; ceiling 1 MiB */
    struct strbuf committed;   /* proven output for the caller, who takes it with strbuf_drop */
    struct strbuf end;         /* JSON of the end record */
    uint64_t batch_at;         /* offset of the batch's first byte = offset of the last good mark */
    uint32_t batch_crc;        /* CRC of everything before batch_at */
    bool synced;               /* batch_at and batch_crc are known (true from byte 0, or after a first mark mid-stream) */
    uint64_t wanted;           /* output below this offset is verified but not committed again (resume) */
    bool ended;
    bool accept_hole;          /* set by record_reader_accept_hole */
    uint64_t hole_bytes;       /* bytes that nobody has any more, skipped so far */
    uint64_t foreign_lines;    /* lines that were no records and were dropped: for diagnosis */
};
/* Starts at byte 0 of the log; wanted: first offset the caller still needs. */
void record_reader_init(struct record_reader *reader, uint64_t wanted);
/* A new read of the same log, from its start (from_start) or from somewhere in the middle (sinceTime): everything uncommitted
 * is dropped; in the middle the reader skips to the first mark at or below what it has (offset and CRC known from before). */
void record_reader_restart(struct record_reader *reader, bool from_start);
/* The repair limit has passed: from now on the first mark seen is where reading goes on, and the bytes between what we had
 * and that mark are added to hole_bytes (committed_at jumps). Without this call such a mark is RECORD_BROKEN. */
void record_reader_accept_hole(struct record_reader *reader);
/* Offset of the first byte in reader->committed. */
uint64_t record_committed_at(const struct record_reader *reader);
/* Feeds raw log bytes, any chunking. Call again with *used advanced until it returns RECORD_NOTHING. */
enum record_news record_feed(struct record_reader *reader, const char *bytes, size_t length, size_t *used);
void record_reader_clear(struct record_reader *reader);

#endif
