#include "unprivileged.h"

#include "archive_file.h"
#include "ceilings.h"
#include "courier/entry_path.h"
#include "folders.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RATIO_FROM    (1024 * (int64_t)MIB) /* below so many bytes no ratio is looked at */
#define WARNINGS_MOST 20
#define LATER_SPARE   32 /* what malloc adds to two texts */

/* What is set when everything is there: a link may be where a later entry wants a folder, a folder read-only. */
struct later {
    char *path, *link;
    mode_t mode;
    int64_t mtime_s;
    bool has_mtime, is_hardlink;
};

struct unpack {
    int folder;
    struct plan_limits limits;
    int64_t packed; /* length of the archive */
    int64_t most;   /* bytes that all files together may have, by the lower of the two ceilings */
    int64_t left;   /* of them; negative: too many */
    struct later *laters;
    size_t later_count, later_capacity, later_bytes;
    int64_t entries;
    unsigned warnings;
};

static void warn(struct unpack *unpack, const char *name, const char *why)
{
    OWNED_TEXT char *shown = name_for_people(name);
    if (unpack->warnings++ < WARNINGS_MOST)
        tell_warning("%s: %s", shown, why);
}

/* -1: what is kept until the end takes more memory than it may. */
static int later_add(struct unpack *unpack, const char *path, const struct archive_entry_seen *entry,
                     struct error *error)
{
    const size_t most = ceilings_name_bytes(&unpack->limits);
    unpack->later_bytes +=
        sizeof *unpack->laters + strlen(path) + (entry->link ? strlen(entry->link) : 0) + LATER_SPARE;
    if (unpack->later_bytes > most)
        return ceilings_exceeded(error, "the names of its folders and links take", (int64_t)most,
                                 "artifact_memory_limit");
    if (unpack->later_count == unpack->later_capacity) {
        unpack->later_capacity = unpack->later_capacity ? 2 * unpack->later_capacity : 64;
        unpack->laters = mem_grow(unpack->laters, unpack->later_capacity * sizeof *unpack->laters);
    }
    unpack->laters[unpack->later_count++] = (struct later){ .path = mem_text(path),
                                                            .link = mem_text(entry->link),
                                                            .mode = entry->mode & 0777,
                                                            .mtime_s = entry->mtime_s,
                                                            .has_mtime = entry->has_mtime,
                                                            .is_hardlink = entry->kind == ENTRY_HARDLINK };
    return 0;
}

/* Makes the folder that the first length bytes of path name, in a folder that is there. */
static int step_make(const struct unpack *unpack, const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);
    OWNED_TEXT char *above = mem_copy(path, slash ? (size_t)(slash - path) : 0);
    OWNED_TEXT char *name = mem_copy(slash ? slash + 1 : path, length - (size_t)(slash ? slash + 1 - path : 0));
    const int upper = open_beneath(unpack->folder, above, O_PATH | O_DIRECTORY, 0, 0);
    if (upper < 0)
        return -1;
    const int made = mkdirat(upper, name, 0777);
    const int cause = errno;
    close(upper);
    errno = cause;
    return made < 0 && errno != EEXIST ? -1 : 0;
}

/* Opens the folder that path lies in, making what is missing; *name is the last step. */
static int parent_open(struct unpack *unpack, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    OWNED_TEXT char *parent = mem_copy(path, slash ? (size_t)(slash - path) : 0);
    const int fd = open_beneath(unpack->folder, parent, O_PATH | O_DIRECTORY, 0, 0);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    for (size_t length = 0; parent[length]; length += parent[length] == '/') {
        length += strcspn(parent + length, "/");
        if (step_make(unpack, parent, length) < 0)
            return -1;
    }
    return open_beneath(unpack->folder, parent, O_PATH | O_DIRECTORY, 0, 0);
}

static void times_set(int fd, const char *name, int64_t mtime_s)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime_s } };
    if (name)
        utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW);
    else
        futimens(fd, times);
}

/* Which of the two ceilings it was. */
static void too_large(const struct unpack *unpack, struct error *error)
{
    if (unpack->most == unpack->limits.unpacked_bytes) {
        ceilings_exceeded(error, "its files have", unpack->most, "artifact_unpacked_limit");
        return;
    }
    OWNED_TEXT char *packed = ceilings_size_text(unpack->packed);
    error_set(error, BLAME_INPUT, 0,
              "its files have more than %lld times the size of the archive (%s): raise artifact_ratio_limit in "
              "[runners.kubernetes] if that is right",
              (long long)unpack->limits.ratio, packed);
}

/* The length of the archive decides how much may come out of it. */
static void ceilings_apply(struct unpack *unpack)
{
    struct stat status = { 0 };
    const struct plan_limits *limits = &unpack->limits;
    fstat(UNPRIVILEGED_ARCHIVE_FD, &status);
    unpack->packed = status.st_size;
    unpack->most = unpack->packed > INT64_MAX / limits->ratio ? INT64_MAX : unpack->packed * limits->ratio;
    if (unpack->most < RATIO_FROM)
        unpack->most = RATIO_FROM;
    if (unpack->most > limits->unpacked_bytes)
        unpack->most = limits->unpacked_bytes;
    unpack->left = unpack->most;
}

/* 0: written, or left out with a warning; -1: the archive is damaged or the volume full. */
static int file_unpack(struct unpack *unpack, struct archive_reader *reader, const char *path,
                       const struct archive_entry_seen *entry, struct error *error)
{
    const char *name;
    const int parent = parent_open(unpack, path, &name);
    if (parent < 0) {
        warn(unpack, path, errno == EXDEV ? "a symlink leads out of the project folder, left out" : strerror(errno));
        return 0;
    }
    unlinkat(parent, name, 0);
    const int fd = open_beneath(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, 0);
    const int cause = errno;
    if (fd < 0) {
        close(parent);
        warn(unpack, path, strerror(cause));
        return cause == ENOSPC ? error_set(error, BLAME_SYSTEM, cause, "%s", strerror(cause)) : 0;
    }
    const int done = archive_reader_extract(reader, fd, &unpack->left, error);
    if (done < 0)
        unlinkat(parent, name, 0); /* half a file is nobody's, and takes place */
    if (done < 0 && unpack->left < 0)
        too_large(unpack, error);
    close(parent);
    fchmod(fd, entry->mode & 0777);
    if (entry->has_mtime)
        times_set(fd, NULL, entry->mtime_s);
    close(fd);
    return done;
}

static int folder_unpack(struct unpack *unpack, const char *path, const struct archive_entry_seen *entry,
                         struct error *error)
{
    const char *name;
    int done = 0;
    const int parent = parent_open(unpack, path, &name);
    if (parent < 0 || (mkdirat(parent, name, 0700) < 0 && errno != EEXIST))
        warn(unpack, path, strerror(errno));
    else
        done = later_add(unpack, path, entry, error);
    if (parent >= 0)
        close(parent);
    return done;
}

/* A target or a name that no path can have is not even kept. */
static int link_unpack(struct unpack *unpack, const char *path, const struct archive_entry_seen *entry,
                       struct error *error)
{
    if (entry->link && strlen(entry->link) < PATH_MAX)
        return later_add(unpack, path, entry, error);
    warn(unpack, path, "the link's target is longer than a path can be, left out");
    return 0;
}

static int entry_unpack(struct unpack *unpack, struct archive_reader *reader, const struct archive_entry_seen *entry,
                        struct error *error)
{
    OWNED_STRBUF struct strbuf path = STRBUF_EMPTY;
    if (!entry->path || entry_path_clean(entry->path, &path) < 0) {
        warn(unpack, entry->path ? entry->path : "(no name)", "leads out of the project folder, left out");
        return 0;
    }
    if (path.length == 0)
        return 0;
    if (path.length >= PATH_MAX) {
        warn(unpack, strbuf_text(&path), "is longer than a path can be, left out");
        return 0;
    }
    switch (entry->kind) {
    case ENTRY_FILE:
        return file_unpack(unpack, reader, strbuf_text(&path), entry, error);
    case ENTRY_FOLDER:
        return folder_unpack(unpack, strbuf_text(&path), entry, error);
    case ENTRY_SYMLINK:
    case ENTRY_HARDLINK:
        return link_unpack(unpack, strbuf_text(&path), entry, error);
    case ENTRY_OTHER:
        warn(unpack, strbuf_text(&path), "is neither file, folder nor symlink, left out");
        return 0;
    }
    return 0;
}

/* --- what comes last --- */

static int hardlink_make(struct unpack *unpack, const char *target, int parent, const char *name)
{
    OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY;
    const char *last;
    if (entry_path_clean(target, &clean) < 0)
        return -1;
    const int from = parent_open(unpack, strbuf_text(&clean), &last);
    if (from < 0)
        return -1;
    const int made = linkat(from, last, parent, name, 0);
    close(from);
    return made;
}

/* A symlink's target is kept as it is, absolute ones too: nothing of courier follows it, and in the job it means the
 * same. */
static void link_make(struct unpack *unpack, const struct later *later)
{
    const char *name;
    const int parent = parent_open(unpack, later->path, &name);
    if (parent < 0) {
        warn(unpack, later->path, strerror(errno));
        return;
    }
    unlinkat(parent, name, 0);
    if ((later->is_hardlink ? hardlink_make(unpack, later->link, parent, name) : symlinkat(later->link, parent, name)) <
        0)
        warn(unpack, later->path, "the link cannot be made, left out");
    else if (!later->is_hardlink && later->has_mtime)
        times_set(parent, name, later->mtime_s);
    close(parent);
}

static void folder_finish(struct unpack *unpack, const struct later *later)
{
    const int fd = open_beneath(unpack->folder, later->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    if (fd < 0)
        return;
    fchmod(fd, later->mode);
    if (later->has_mtime)
        times_set(fd, NULL, later->mtime_s);
    close(fd);
}

static void unpack_finish(struct unpack *unpack)
{
    for (size_t i = 0; i < unpack->later_count; i++)
        if (unpack->laters[i].link)
            link_make(unpack, &unpack->laters[i]);
    for (size_t i = unpack->later_count; i > 0; i--)
        if (!unpack->laters[i - 1].link)
            folder_finish(unpack, &unpack->laters[i - 1]);
    for (size_t i = 0; i < unpack->later_count; i++) {
        mem_free(unpack->laters[i].path);
        mem_free(unpack->laters[i].link);
    }
    mem_free(unpack->laters);
    if (unpack->warnings > WARNINGS_MOST)
        tell_warning("%u more entries had the like", unpack->warnings - WARNINGS_MOST);
}

static int unpack_all(struct unpack *unpack, struct error *error)
{
    struct archive_entry_seen entry;
    struct archive_reader *reader = archive_reader_new(UNPRIVILEGED_ARCHIVE_FD, error);
    int got = reader ? 1 : -1;
    while (got == 1) {
        got = archive_reader_next(reader, &entry, error);
        if (got == 1 && ++unpack->entries > unpack->limits.entries)
            got = error_set(error, BLAME_INPUT, 0,
                            "it has more than %lld entries: raise artifact_entries_limit in [runners.kubernetes] if "
                            "that is right",
                            (long long)unpack->limits.entries);
        if (got == 1 && entry_unpack(unpack, reader, &entry, error) < 0)
            got = -1;
    }
    unpack_finish(unpack);
    archive_reader_free(reader);
    return got;
}

int unpack_main(void)
{
    struct error error = ERROR_NONE;
    struct unpack unpack = { 0 };
    OWNED_JSON struct cJSON *request = request_read();
    if (!request)
        return 1;
    ceilings_read(request, &unpack.limits);
    ceilings_apply(&unpack);
    unpack.folder = folder_open(json_text(request, "builds_dir", "/"), json_text(request, "folder", ""), &error);
    if (unpack.folder < 0 || unpack_all(&unpack, &error) < 0) {
        OWNED_TEXT char *shown = name_for_people(error.text);
        tell_error("%s", shown);
        return 1;
    }
    close(unpack.folder);
    return 0;
}
