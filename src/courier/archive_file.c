#include "archive_file.h"

#include "base/strbuf.h"
#include "io/file.h"

#include <archive.h>
#include <archive_entry.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PIECE (64u * KIB)

int archive_format_parse(const char *name, enum archive_format *format)
{
    static const struct {
        const char *name;
        enum archive_format format;
    } formats[] = {
        { "zip", ARCHIVE_ZIP }, { "tarzstd", ARCHIVE_TAR_ZSTD }, { "gzip", ARCHIVE_GZIP }, { "raw", ARCHIVE_RAW }
    };
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (strcmp(name && *name ? name : "zip", formats[i].name) == 0) {
            *format = formats[i].format;
            return 0;
        }
    return -1;
}

int archive_level_parse(const char *name, enum archive_level *level)
{
    static const char *const levels[] = { "fastest", "fast", "default", "slow", "slowest" };
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        if (strcmp(name && *name ? name : "default", levels[i]) == 0) {
            *level = (enum archive_level)i;
            return 0;
        }
    return -1;
}

static const char *deflate_level(enum archive_level level)
{
    static const char *const levels[] = { "0", "1", "5", "7", "9" };
    return levels[level];
}

static const char *zstd_level(enum archive_level level)
{
    static const char *const levels[] = { "1", "2", "3", "9", "19" };
    return levels[level];
}

/* --- writing --- */

struct archive_writer {
    struct archive *archive;
    bool stores; /* a zip whose files are not compressed */
};

static int writer_fail(struct archive *archive, const char *what, struct error *error)
{
    const char *why = archive_error_string(archive);
    return error_set(error, BLAME_SYSTEM, archive_errno(archive), "%s: %s", what, why ? why : "unknown");
}

static int writer_open(struct archive *archive, int fd, enum archive_format format, enum archive_level level)
{
    int done;
    if (format == ARCHIVE_ZIP) {
        done = archive_write_set_format_zip(archive);
        if (done == ARCHIVE_OK && level == LEVEL_FASTEST)
            done = archive_write_set_format_option(archive, "zip", "compression", "store");
        else if (done == ARCHIVE_OK)
            done = archive_write_set_format_option(archive, "zip", "compression-level", deflate_level(level));
    } else {
        done = archive_write_set_format_pax_restricted(archive);
        if (done == ARCHIVE_OK)
            done = archive_write_add_filter_zstd(archive);
        if (done == ARCHIVE_OK)
            done = archive_write_set_filter_option(archive, "zstd", "compression-level", zstd_level(level));
    }
    archive_write_set_bytes_per_block(archive, (int)PIECE);
    archive_write_set_bytes_in_last_block(archive, 1); /* no padding behind the end */
    return done == ARCHIVE_OK ? archive_write_open_fd(archive, fd) : done;
}

struct archive_writer *archive_writer_new(int fd, enum archive_format format, enum archive_level level,
                                          struct error *error)
{
    struct archive_writer *writer = mem_new(sizeof *writer);
    writer->archive = archive_write_new();
    if (writer_open(writer->archive, fd, format, level) != ARCHIVE_OK) {
        writer_fail(writer->archive, "begin the archive", error);
        archive_write_free(writer->archive);
        mem_free(writer);
        return NULL;
    }
    writer->stores = format == ARCHIVE_ZIP && level == LEVEL_FASTEST;
    return writer;
}

static int content_write(struct archive *archive, int fd, int64_t size, bool *changed)
{
    static char piece[PIECE];
    while (size > 0) {
        const size_t wanted = size < (int64_t)sizeof piece ? (size_t)size : sizeof piece;
        ssize_t got = *changed ? 0 : read(fd, piece, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            *changed = true;
            memset(piece, 0, wanted);
            got = (ssize_t)wanted;
        }
        if (archive_write_data(archive, piece, (size_t)got) < 0)
            return -1;
        size -= got;
    }
    return 0;
}

/* Half of it or more takes no place on the disk; stored, its holes would be sent as bytes. */
static bool is_sparse(const struct stat *status)
{
    return S_ISREG(status->st_mode) && status->st_size > (int64_t)MIB && status->st_blocks * 512 < status->st_size / 2;
}

int archive_writer_add(struct archive_writer *writer, const char *name, const struct stat *status, int fd,
                       const char *link, bool *changed, struct error *error)
{
    struct archive_entry *entry = archive_entry_new();
    int done = 0;
    archive_entry_set_pathname(entry, name);
    archive_entry_copy_stat(entry, status);
    archive_entry_unset_atime(entry);
    archive_entry_unset_ctime(entry);
    archive_entry_set_nlink(entry, 1);
    if (!S_ISREG(status->st_mode))
        archive_entry_set_size(entry, 0);
    if (link)
        archive_entry_set_symlink(entry, link);
    if (writer->stores && is_sparse(status))
        archive_write_zip_set_compression_deflate(writer->archive);
    else if (writer->stores)
        archive_write_zip_set_compression_store(writer->archive);
    if (archive_write_header(writer->archive, entry) < ARCHIVE_WARN)
        done = writer_fail(writer->archive, name, error);
    else if (S_ISREG(status->st_mode) && content_write(writer->archive, fd, status->st_size, changed) < 0)
        done = writer_fail(writer->archive, name, error);
    archive_entry_free(entry);
    return done;
}

int archive_writer_end(struct archive_writer *writer, struct error *error)
{
    int done = 0;
    if (archive_write_close(writer->archive) != ARCHIVE_OK)
        done = writer_fail(writer->archive, "end the archive", error);
    archive_write_free(writer->archive);
    mem_free(writer);
    return done;
}

/* --- gzip members --- */

enum { GZIP_HEADER = 10, FLAG_NAME = 8 };

int gzip_header_named(const unsigned char plain[10], const char *name, int64_t mtime_s, struct strbuf *out)
{
    unsigned char head[GZIP_HEADER];
    const uint32_t time = mtime_s > 0 && mtime_s <= UINT32_MAX ? (uint32_t)mtime_s : 0;
    memcpy(head, plain, sizeof head);
    if (head[0] != 0x1f || head[1] != 0x8b || head[3] != 0)
        return -1;
    head[3] = FLAG_NAME;
    for (unsigned i = 0; i < 4; i++)
        head[4 + i] = (unsigned char)(time >> (8 * i));
    strbuf_add(out, head, sizeof head);
    return strbuf_add(out, name, strlen(name) + 1);
}

/* libarchive's gzip filter writes no name, so its first bytes are held back and given one. */
struct member {
    int fd;
    const char *name;
    int64_t mtime_s;
    struct strbuf head;
    bool named;
};

static la_ssize_t member_write(struct archive *archive UNUSED, void *owner, const void *bytes, size_t length)
{
    struct member *member = owner;
    if (member->named)
        return file_write_fd(member->fd, bytes, length) < 0 ? -1 : (la_ssize_t)length;
    strbuf_add(&member->head, bytes, length);
    if (member->head.length < GZIP_HEADER)
        return (la_ssize_t)length;
    OWNED_STRBUF struct strbuf named = STRBUF_EMPTY;
    if (gzip_header_named((const unsigned char *)strbuf_text(&member->head), member->name, member->mtime_s, &named) < 0)
        return -1;
    member->named = true;
    strbuf_add(&named, strbuf_text(&member->head) + GZIP_HEADER, member->head.length - GZIP_HEADER);
    return file_write_fd(member->fd, strbuf_text(&named), named.length) < 0 ? -1 : (la_ssize_t)length;
}

static int member_open(struct archive *archive, struct member *member, enum archive_level level)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "data");
    int done = archive_write_set_format_raw(archive);
    if (done == ARCHIVE_OK)
        done = archive_write_add_filter_gzip(archive);
    if (done == ARCHIVE_OK)
        done = archive_write_set_filter_option(archive, "gzip", "timestamp", NULL);
    if (done == ARCHIVE_OK)
        done = archive_write_set_filter_option(archive, "gzip", "compression-level", deflate_level(level));
    archive_write_set_bytes_per_block(archive, (int)PIECE);
    archive_write_set_bytes_in_last_block(archive, 1);
    if (done == ARCHIVE_OK)
        done = archive_write_open(archive, member, NULL, member_write, NULL);
    if (done == ARCHIVE_OK)
        done = archive_write_header(archive, entry);
    archive_entry_free(entry);
    return done == ARCHIVE_OK ? 0 : -1;
}

int archive_gzip_member(int out_fd, int fd, const char *name, int64_t mtime_s, enum archive_level level,
                        struct error *error)
{
    static char piece[PIECE];
    struct archive *archive = archive_write_new();
    struct member member = { .fd = out_fd, .name = name, .mtime_s = mtime_s };
    ssize_t got = 0;
    int done = member_open(archive, &member, level);
    while (done == 0 && (got = read(fd, piece, sizeof piece)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || archive_write_data(archive, piece, (size_t)got) < 0)
            done = -1;
    }
    if (done < 0 || archive_write_close(archive) != ARCHIVE_OK)
        done = got < 0 ? error_errno(error, "read %s", name) : writer_fail(archive, name, error);
    archive_write_free(archive);
    strbuf_clear(&member.head);
    return done;
}

/* --- reading --- */

struct archive_reader {
    struct archive *archive;
};

static int reader_fail(struct archive_reader *reader, const char *what, struct error *error)
{
    const char *why = archive_error_string(reader->archive);
    return error_set(error, BLAME_INPUT, archive_errno(reader->archive), "%s: %s", what, why ? why : "damaged");
}

struct archive_reader *archive_reader_new(int fd, struct error *error)
{
    struct archive_reader *reader = mem_new(sizeof *reader);
    reader->archive = archive_read_new();
    archive_read_support_format_zip_seekable(reader->archive);
    archive_read_support_format_tar(reader->archive);
    archive_read_support_filter_gzip(reader->archive);
    archive_read_support_filter_zstd(reader->archive);
    if (archive_read_open_fd(reader->archive, fd, PIECE) != ARCHIVE_OK) {
        reader_fail(reader, "open the archive", error);
        archive_reader_free(reader);
        return NULL;
    }
    return reader;
}

static enum archive_kind entry_kind(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry))
        return ENTRY_HARDLINK;
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return ENTRY_FILE;
    case AE_IFDIR:
        return ENTRY_FOLDER;
    case AE_IFLNK:
        return ENTRY_SYMLINK;
    default:
        return ENTRY_OTHER;
    }
}

int archive_reader_next(struct archive_reader *reader, struct archive_entry_seen *seen, struct error *error)
{
    struct archive_entry *entry;
    int got;
    do
        got = archive_read_next_header(reader->archive, &entry);
    while (got == ARCHIVE_RETRY);
    if (got == ARCHIVE_EOF)
        return 0;
    if (got < ARCHIVE_WARN)
        return reader_fail(reader, "read the archive", error);
    *seen = (struct archive_entry_seen){ .path = archive_entry_pathname(entry), .kind = entry_kind(entry) };
    if (!seen->path)
        seen->path = archive_entry_pathname_utf8(entry);
    seen->link = seen->kind == ENTRY_HARDLINK ? archive_entry_hardlink(entry) : archive_entry_symlink(entry);
    seen->mode = archive_entry_perm(entry);
    seen->mtime_s = archive_entry_mtime(entry);
    seen->has_mtime = archive_entry_mtime_is_set(entry) != 0;
    return 1;
}

static int block_write(int fd, const char *bytes, size_t length, int64_t offset)
{
    while (length > 0) {
        const ssize_t wrote = pwrite(fd, bytes, length, offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return -1;
        bytes += wrote;
        length -= (size_t)wrote;
        offset += wrote;
    }
    return 0;
}

int archive_reader_extract(struct archive_reader *reader, int fd, int64_t *left, struct error *error)
{
    const void *block;
    size_t length = 0;
    int64_t offset = 0, end = 0;
    int got;
    while ((got = archive_read_data_block(reader->archive, &block, &length, &offset)) == ARCHIVE_OK ||
           got == ARCHIVE_WARN || got == ARCHIVE_RETRY) {
        const int64_t next = offset + (int64_t)length;
        if (next > end) {
            *left -= next - end;
            end = next;
        }
        if (*left < 0)
            return error_set(error, BLAME_INPUT, EFBIG, "longer than what is allowed");
        if (block_write(fd, block, length, offset) < 0)
            return error_errno(error, "unpack");
    }
    if (got != ARCHIVE_EOF)
        return reader_fail(reader, "unpack", error);
    if (offset > end) { /* a hole at the end */
        *left -= offset - end;
        if (*left < 0)
            return error_set(error, BLAME_INPUT, EFBIG, "longer than what is allowed");
        if (ftruncate(fd, offset) < 0)
            return error_errno(error, "unpack");
    }
    return 0;
}

void archive_reader_free(struct archive_reader *reader)
{
    if (!reader)
        return;
    archive_read_free(reader->archive);
    mem_free(reader);
}
