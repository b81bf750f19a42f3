#include "unprivileged.h"

#include "archive_file.h"
#include "ceilings.h"
#include "folders.h"
#include "git.h"
#include "select.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARNINGS_MOST 20 /* of one kind, then only counted */

struct pack {
    const char *folder; /* the project folder's path */
    struct selection selection;
    struct plan_limits limits;
    enum archive_format format;
    enum archive_level level;
    unsigned warnings;
};

static void warn(struct pack *pack, const char *name, const char *why)
{
    OWNED_TEXT char *shown = name_for_people(name);
    if (pack->warnings++ < WARNINGS_MOST)
        tell_warning("%s: %s", shown, why);
}

/* --- untracked files --- */

static void git_become(const char *folder, int output)
{
    static const char *const words[] = { "git", "ls-files", "-o", "-z", NULL };
    struct words environment = { 0 };
    git_environment_hostile(folder, &environment);
    dup2(output, STDOUT_FILENO);
    union {
        const char *const *kept;
        char *const *given; /* execvpe takes what it does not change as char * */
    } arguments = { .kept = words };
    execvpe("git", arguments.given, environment.items);
    _exit(127);
}

static int git_list(const char *folder, struct strbuf *list)
{
    int ends[2], status = -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    const pid_t pid = fork();
    if (pid == 0)
        git_become(folder, ends[1]);
    close(ends[1]);
    for (;;) {
        char *room = pid > 0 ? strbuf_room(list, 65536) : NULL;
        const ssize_t got = room ? read(ends[0], room, 65536) : 0;
        if (got > 0)
            strbuf_wrote(list, (size_t)got);
        else if (got == 0 || errno != EINTR)
            break;
    }
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void untracked_add(struct pack *pack)
{
    OWNED_STRBUF struct strbuf list = STRBUF_UP_TO(ceilings_name_bytes(&pack->limits));
    size_t found = 0;
    const int listed = git_list(pack->folder, &list);
    if (list.overflowed) {
        pack->selection.too_long = true;
        return;
    }
    if (listed < 0) {
        tell_warning("untracked files cannot be listed: git failed in %s", pack->folder);
        return;
    }
    const char *text = strbuf_text(&list);
    for (size_t at = 0; at < list.length; at += strlen(text + at) + 1) {
        OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY;
        if (select_clean(pack->folder, text + at, &clean) == 0)
            found += selection_add_path(&pack->selection, strbuf_text(&clean));
    }
    tell("untracked: found %zu files", found);
}

/* --- choosing --- */

static void pattern_add(struct pack *pack, const char *pattern)
{
    OWNED_STRBUF struct strbuf clean = STRBUF_EMPTY;
    OWNED_TEXT char *shown = name_for_people(pattern);
    if (select_clean(pack->folder, pattern, &clean) < 0) {
        tell_warning("%s: lies outside of the project folder (%s), ignored", shown, pack->folder);
        return;
    }
    pack->selection.escaped = false;
    const size_t found = selection_add(&pack->selection, strbuf_text(&clean));
    if (pack->selection.escaped)
        tell_warning("%s: a symlink leads out of the project folder, not followed", shown);
    if (found > 0)
        tell("%s: found %zu matching artifact files and directories", shown, found);
    else
        tell_warning("%s: no matching files. Ensure that the artifact path is relative to the working directory (%s)",
                     shown, pack->folder);
}

static const char **texts_of(const struct cJSON *request, const char *name, size_t *count)
{
    const struct cJSON *list = json_get(request, name);
    const char **texts = mem_new_array(json_count(list) + 1, sizeof *texts);
    *count = 0;
    for (const struct cJSON *item = json_first(list); item; item = json_next(item))
        if (json_item_text(item))
            texts[(*count)++] = json_item_text(item);
    return texts;
}

static void choose(struct pack *pack, const struct cJSON *request)
{
    size_t count;
    const char **paths = texts_of(request, "paths", &count);
    for (size_t i = 0; i < count; i++)
        pattern_add(pack, paths[i]);
    mem_free(paths);
    if (json_bool(request, "untracked", false))
        untracked_add(pack);
}

/* --- packing --- */

/* Opens an entry for reading. Folders and symlinks are opened as places only. */
static int entry_open(struct pack *pack, const char *name, struct stat *status)
{
    int fd = open_beneath(pack->selection.folder, name, O_PATH | O_NOFOLLOW, 0, 0);
    if (fd < 0 || fstat(fd, status) < 0 || !S_ISREG(status->st_mode))
        return fd;
    close(fd);
    fd = open_beneath(pack->selection.folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, 0);
    /* between the two calls it may have become something else */
    if (fd >= 0 && (fstat(fd, status) < 0 || !S_ISREG(status->st_mode))) {
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

/* 1: added, 0: left out with a warning, -1: the archive cannot be written. */
static int entry_add(struct pack *pack, struct archive_writer *writer, const char *name, struct error *error)
{
    struct stat status = { 0 };
    char link[4096] = "";
    bool changed = false;
    const int fd = entry_open(pack, name, &status);
    if (fd < 0) {
        warn(pack, name, errno == ENOENT ? "vanished while packing" : strerror(errno));
        return 0;
    }
    const bool is_link = S_ISLNK(status.st_mode);
    const ssize_t length = is_link ? readlinkat(fd, "", link, sizeof link - 1) : 0;
    int added = 0;
    if (is_link && length <= 0)
        warn(pack, name, "vanished while packing");
    else if (!is_link && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        warn(pack, name, "is neither file, folder nor symlink, left out");
    else
        added = archive_writer_add(writer, name, &status, fd, is_link ? link : NULL, &changed, error) < 0 ? -1 : 1;
    if (changed)
        warn(pack, name, "became shorter while it was packed");
    close(fd);
    return added;
}

static int tree_write(struct pack *pack, const char *const *names, size_t count, struct error *error)
{
    struct archive_writer *writer = archive_writer_new(UNPRIVILEGED_ARCHIVE_FD, pack->format, pack->level, error);
    int added = 0;
    if (!writer)
        return -1;
    for (size_t i = 0; i < count && added >= 0; i++)
        added = entry_add(pack, writer, names[i], error);
    struct error closing = ERROR_NONE;
    const int ended = archive_writer_end(writer, added < 0 ? &closing : error);
    return added < 0 || ended < 0 ? -1 : 0;
}

static int copy(int from, const char *name, struct error *error)
{
    static char piece[65536];
    ssize_t got;
    while ((got = read(from, piece, sizeof piece)) > 0)
        for (ssize_t at = 0, wrote; at < got; at += wrote) {
            wrote = write(UNPRIVILEGED_ARCHIVE_FD, piece + at, (size_t)(got - at));
            if (wrote <= 0)
                return error_errno(error, "write %s", name);
        }
    return got < 0 ? error_errno(error, "read %s", name) : 0;
}

static int file_write_out(struct pack *pack, const char *name, bool *written, struct error *error)
{
    struct stat status = { 0 };
    const int fd = entry_open(pack, name, &status);
    if (fd < 0)
        warn(pack, name, errno == ENOENT ? "vanished while packing" : strerror(errno));
    if (fd < 0 || !S_ISREG(status.st_mode)) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    const char *base = strrchr(name, '/');
    const int done = pack->format == ARCHIVE_RAW
                         ? copy(fd, name, error)
                         : archive_gzip_member(UNPRIVILEGED_ARCHIVE_FD, fd, base ? base + 1 : name, status.st_mtime,
                                               pack->level, error);
    close(fd);
    *written = true;
    return done;
}

/* gzip: a member for each regular file; raw: the one file. */
static int files_write(struct pack *pack, const char *const *names, size_t count, bool *written, struct error *error)
{
    size_t files = 0;
    int done = 0;
    for (size_t i = 0; i < count && done == 0; i++) {
        bool one = false;
        done = pack->format == ARCHIVE_RAW && files > 0 ? 0 : file_write_out(pack, names[i], &one, error);
        files += one || (pack->format == ARCHIVE_RAW && files > 0);
    }
    *written = files > 0;
    if (done == 0 && pack->format == ARCHIVE_RAW && files > 1)
        return error_set(error, BLAME_INPUT, 0, "only one file can be sent as raw, %zu match", files);
    return done;
}

static int pack_write(struct pack *pack, bool *written, struct error *error)
{
    size_t count;
    const char **names = selection_sorted(&pack->selection, &count);
    int done = 0;
    *written = count > 0;
    if (pack->selection.too_many)
        done = error_set(error, BLAME_INPUT, 0,
                         "more than %zu files match: raise artifact_entries_limit in [runners.kubernetes] if that is "
                         "right",
                         pack->selection.entries_most);
    else if (pack->selection.too_long)
        done = ceilings_exceeded(error, "the names of the files that match take", (int64_t)pack->selection.bytes_most,
                                 "artifact_memory_limit");
    else if (count > 0 && (pack->format == ARCHIVE_ZIP || pack->format == ARCHIVE_TAR_ZSTD))
        done = tree_write(pack, names, count, error);
    else if (count > 0)
        done = files_write(pack, names, count, written, error);
    mem_free(names);
    if (pack->warnings > WARNINGS_MOST)
        tell_warning("%u more files had the like", pack->warnings - WARNINGS_MOST);
    return done;
}

static int pack_request(const struct cJSON *request, bool *written, struct error *error)
{
    struct pack pack = { .folder = json_text(request, "folder", "") };
    const char *format = json_text(request, "format", NULL), *level = json_text(request, "level", NULL);
    if (archive_format_parse(format, &pack.format) < 0)
        return error_set(error, BLAME_INPUT, 0, "artifact format %s is not supported", format);
    if (archive_level_parse(level, &pack.level) < 0)
        tell_warning("compression level %s is not known, default is used", level);
    ceilings_read(request, &pack.limits);
    pack.selection.entries_most = (size_t)pack.limits.entries;
    pack.selection.bytes_most = ceilings_name_bytes(&pack.limits);
    if (json_bool(request, "again", false))
        tell_errors_only();
    pack.selection.folder = folder_open(json_text(request, "builds_dir", "/"), pack.folder, error);
    if (pack.selection.folder < 0)
        return -1;
    const char **excludes = texts_of(request, "exclude", &pack.selection.exclude_count);
    pack.selection.excludes = excludes;
    choose(&pack, request);
    const int done = pack_write(&pack, written, error);
    selection_clear(&pack.selection);
    mem_free(excludes);
    close(pack.selection.folder);
    return done;
}

int pack_main(void)
{
    struct error error = ERROR_NONE;
    bool written = false;
    OWNED_JSON struct cJSON *request = request_read();
    if (!request)
        return 1;
    if (pack_request(request, &written, &error) < 0) {
        OWNED_TEXT char *shown = name_for_people(error.text);
        tell_error("%s", shown);
        return 1;
    }
    return written ? 0 : UNPRIVILEGED_NOTHING;
}
