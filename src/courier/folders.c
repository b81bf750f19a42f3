#include "folders.h"

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER_MODE 0777 /* less the umask */

/* Opens the folder that the next step of a path names. Closes folder. A symlink counts as one that leads out. */
static int step_beneath(int folder, const char *name)
{
    struct stat status;
    int next = -1;
    errno = EXDEV;
    if (strcmp(name, "..") != 0)
        next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int cause = errno;
    if (next < 0 && fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
        cause = EXDEV;
    close(folder);
    errno = cause;
    return next;
}

/* Kernels before 5.6 have no openat2: step by step, and no symlink is followed at all. */
static int open_stepwise(int folder, const char *path, int flags, mode_t mode)
{
    int at = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    if (*path == '/') {
        close(at);
        errno = EXDEV;
        return -1;
    }
    for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        OWNED_TEXT char *name = mem_copy(path, (size_t)(slash - path));
        if (*name)
            at = step_beneath(at, name);
    }
    if (at < 0)
        return -1;
    const bool leads_out = strcmp(path, "..") == 0;
    const int fd = leads_out ? -1 : openat(at, *path ? path : ".", flags | O_NOFOLLOW | O_CLOEXEC, mode);
    const int cause = leads_out ? EXDEV : errno;
    close(at);
    errno = cause;
    return fd;
}

int open_beneath(int folder, const char *path, int flags, mode_t mode, unsigned long long resolve)
{
    const struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
                                  .mode = flags & O_CREAT ? mode : 0,
                                  .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve };
    const int fd = (int)syscall(SYS_openat2, folder, *path ? path : ".", &how, sizeof how);
    return fd < 0 && errno == ENOSYS ? open_stepwise(folder, path, flags, mode) : fd;
}

static bool has_parent_step(const char *path)
{
    for (const char *step = path; step; step = strchr(step, '/')) {
        step += strspn(step, "/");
        if (strncmp(step, "..", 2) == 0 && (step[2] == '/' || step[2] == 0))
            return true;
    }
    return false;
}

const char *folder_below(const char *base, const char *path)
{
    size_t length = strlen(base);
    while (length > 1 && base[length - 1] == '/')
        length--;
    if (strncmp(base, path, length) != 0 || (path[length] && path[length] != '/' && base[length - 1] != '/'))
        return NULL;
    path += length;
    path += strspn(path, "/");
    return has_parent_step(path) ? NULL : path;
}

static int base_open(const char *base, const char *path, const char **below, struct error *error)
{
    *below = folder_below(base, path);
    if (!*below) {
        error_set(error, BLAME_CONFIG, 0, "%s does not lie in the builds folder %s", path, base);
        return -1;
    }
    const int fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        error_errno(error, "open %s", base);
    return fd;
}

int folder_open(const char *base, const char *path, struct error *error)
{
    const char *below;
    const int root = base_open(base, path, &below, error);
    if (root < 0)
        return -1;
    const int fd = open_beneath(root, below, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    const int cause = errno;
    close(root);
    errno = cause;
    return fd < 0 ? error_errno(error, "open %s", path) : fd;
}

/* Enters the next step of a path, making it when it is missing. Closes folder. */
static int step_into(int folder, const char *name, const struct folder_owner *owner, struct error *error)
{
    const bool made = mkdirat(folder, name, FOLDER_MODE) == 0;
    if (!made && errno != EEXIST) {
        error_errno(error, "make folder %s", name);
        close(folder);
        return -1;
    }
    const int next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        error_errno(error, "enter folder %s", name);
    else if (made && owner->give && fchownat(next, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0)
        error_errno(error, "give folder %s to the job's user", name);
    close(folder);
    return next;
}

int folder_make(const char *base, const char *path, const struct folder_owner *owner, struct error *error)
{
    const char *below;
    if (file_make_folders(base, 0755, error) < 0)
        return -1;
    int folder = base_open(base, path, &below, error);
    for (size_t length; folder >= 0 && *below; below += length) {
        below += strspn(below, "/");
        length = strcspn(below, "/");
        OWNED_TEXT char *name = mem_copy(below, length);
        if (length > 0)
            folder = step_into(folder, name, owner, error);
    }
    if (folder < 0)
        return error_within(error, "%s", path);
    close(folder);
    return 0;
}

int folder_give(const char *base, const char *path, const struct folder_owner *owner, struct error *error)
{
    if (!owner->give)
        return 0;
    const int fd = folder_open(base, path, error);
    if (fd < 0)
        return -1;
    const int given = fchown(fd, owner->uid, owner->gid);
    const int cause = errno;
    close(fd);
    errno = cause;
    return given < 0 ? error_errno(error, "give %s to the job's user", path) : 0;
}

char *folder_entry(int folder, const char *name)
{
    return mem_format("/proc/self/fd/%d/%s", folder, name);
}

int folder_remove(const char *base, const char *path, struct error *error)
{
    const char *name = strrchr(path, '/');
    if (!name || !name[1])
        return error_set(error, BLAME_INPUT, 0, "%s is no folder to remove", path);
    OWNED_TEXT char *parent = mem_copy(path, (size_t)(name - path));
    struct error missing = ERROR_NONE;
    const int fd = folder_open(base, parent, &missing);
    if (fd < 0 && missing.code == ENOENT)
        return 0;
    if (fd < 0) {
        *error = missing;
        return -1;
    }
    OWNED_TEXT char *entry = folder_entry(fd, name + 1);
    const int removed = file_remove_tree(entry, error);
    close(fd);
    return removed;
}
