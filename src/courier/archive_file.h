/* libarchive, wrapped once: writing and reading archives through descriptors. Knows formats, no policy: which files,
 * which paths and what may be overwritten is the caller's. */
#ifndef COURIER_ARCHIVE_FILE_H
#define COURIER_ARCHIVE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum archive_format { ARCHIVE_ZIP, ARCHIVE_TAR_ZSTD, ARCHIVE_GZIP, ARCHIVE_RAW };
enum archive_level { LEVEL_FASTEST, LEVEL_FAST, LEVEL_DEFAULT, LEVEL_SLOW, LEVEL_SLOWEST };

/* "zip tarzstd gzip raw" and "fastest fast default slow slowest" (NULL and "" are zip, default); -1 when not known. */
int archive_format_parse(const char *name, enum archive_format *format);
int archive_level_parse(const char *name, enum archive_level *level);

struct archive_writer;
/* Begins a zip or tar on fd, which stays the caller's; nothing is ever looked up in it again, so it may be a pipe. A
 * sparse file is compressed also where the level says to store. */
struct archive_writer *archive_writer_new(int fd, enum archive_format format, enum archive_level level,
                                          struct error *error);
/* Adds one entry: a regular file (read from fd: exactly status->st_size bytes, zeros where it became shorter, then
 * *changed is set), a folder, or a symlink to link. BLAME_SYSTEM when the archive cannot be written. */
int archive_writer_add(struct archive_writer *writer, const char *name, const struct stat *status, int fd,
                       const char *link, bool *changed, struct error *error) MUST_CHECK;
/* Writes what is left and frees; -1 when that failed. */
int archive_writer_end(struct archive_writer *writer, struct error *error);

/* Appends one gzip member that holds what fd has, with the base name and mtime in its header
 * (docs/reference/dataops.md, "Which files an artifact holds").
 */
int archive_gzip_member(int out_fd, int fd, const char *name, int64_t mtime_s, enum archive_level level,
                        struct error *error) MUST_CHECK;
/* The first 10 bytes of a gzip member as one with a name and a time; gives how many bytes were appended. Pure. */
struct strbuf;
int gzip_header_named(const unsigned char plain[10], const char *name, int64_t mtime_s, struct strbuf *out) MUST_CHECK;

enum archive_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_SYMLINK, ENTRY_HARDLINK, ENTRY_OTHER };
struct archive_entry_seen {
    const char *path; /* as it stands in the archive; borrowed until the next one */
    const char *link; /* target of a link */
    enum archive_kind kind;
    mode_t mode; /* permission bits */
    int64_t mtime_s;
    bool has_mtime;
};
struct archive_reader;
/* Reads a zip, tar, tar.gz or tar.zst from fd (seekable, stays the caller's). */
struct archive_reader *archive_reader_new(int fd, struct error *error);
/* 1: entry holds the next one; 0: the end; -1: damaged. */
int archive_reader_next(struct archive_reader *reader, struct archive_entry_seen *entry,
                        struct error *error) MUST_CHECK;
/* Writes the current entry's content to fd, holes included, and takes its length from *left. -1 with *left negative: it
 * is longer than what was left, and the rest was not written. */
int archive_reader_extract(struct archive_reader *reader, int fd, int64_t *left, struct error *error) MUST_CHECK;
void archive_reader_free(struct archive_reader *reader);

#endif
