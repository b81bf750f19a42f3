#include "io/file.h"

#include "io/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE = 16 * 1024,
    DEPTH_MOST = 128, /* folders held open at once while a tree is walked */
};

int file_read(const char *path, struct strbuf *out, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(error, "read %s", path);
    ssize_t length;
    do {
        char *room = strbuf_room(out, PIECE);
        char piece[PIECE];
        /* near the ceiling there is no room for a whole piece, but maybe for what is left of the file */
        length = read(fd, room ? room : piece, PIECE);
        if (length > 0 && room) {
            strbuf_wrote(out, (size_t)length);
        } else if (length > 0 && strbuf_add(out, piece, (size_t)length) < 0) {
            close(fd);
            return error_set(error, BLAME_INPUT, EFBIG, "read %s: longer than %zu bytes", path, out->ceiling);
        }
    } while (length > 0 || (length < 0 && errno == EINTR));
    if (length < 0)
        error_errno(error, "read %s", path);
    close(fd);
    return length < 0 ? -1 : 0;
}

int file_read_named(const char *path, const char *key, size_t most, char **given, struct error *error)
{
    struct strbuf text = STRBUF_UP_TO(most);

    if (path == NULL || path[0] == '\0')
        return 0;
    if (file_read(path, &text, error) < 0) {
        strbuf_wipe(&text);
        error->blame = BLAME_CONFIG;
        return error_within(error, "%s", key);
    }
    *given = strbuf_take(&text, NULL);
    return 0;
}

int file_write_fd(int fd, const void *from, size_t length)
{
    const char *bytes = from;
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error)
{
    OWNED_TEXT char *beside = mem_format("%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return error_errno(error, "write %s", path);
    if (file_write_fd(fd, bytes, length) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0) {
        error_errno(error, "write %s", path);
        close(fd);
        unlink(beside);
        return -1;
    }
    if (close(fd) < 0 || rename(beside, path) < 0) {
        error_errno(error, "write %s", path);
        unlink(beside);
        return -1;
    }
    return 0;
}

bool file_exists(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0;
}

bool file_is_filled(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && found.st_size > 0;
}

int file_make_folders(const char *path, mode_t mode, struct error *error)
{
    if (path[0] == '\0')
        return error_set(error, BLAME_INPUT, EINVAL, "make folder: no name");
    OWNED_TEXT char *part = mem_text(path);
    for (char *slash = part; slash; slash = strchr(slash + 1, '/')) {
        char *next = strchr(slash + 1, '/');
        if (next)
            *next = '\0';
        if (part[0] && mkdir(part, mode) < 0 && errno != EEXIST)
            return error_errno(error, "make folder %s", part);
        if (next)
            *next = '/';
    }
    struct stat found;
    if (stat(path, &found) < 0)
        return error_errno(error, "make folder %s", path);
    if (!S_ISDIR(found.st_mode))
        return error_set(error, BLAME_INPUT, ENOTDIR, "make folder %s: something else has that name", path);
    return 0;
}

/* --- whole trees --- */

struct tree_walk {
    int (*entry)(struct tree_walk *walk, int parent, const char *name, unsigned depth); /* what is done to each */
    int top; /* folder that too deep ones are moved to while removing */
    dev_t device;
    unsigned moved; /* names given there */
    uid_t uid;
    gid_t gid;
    char where[256]; /* name of what could not be done */
};

static int walk_failed(struct tree_walk *walk, const char *name)
{
    int number = errno;
    snprintf(walk->where, sizeof walk->where, "%s", name);
    errno = number;
    return -1;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Closes folder. */
static int walk_inside(struct tree_walk *walk, int folder, unsigned depth)
{
    DIR *entries = fdopendir(folder);
    if (!entries) {
        close(folder);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry = readdir(entries); entry && result == 0; entry = readdir(entries))
        if (!is_dots(entry->d_name))
            result = walk->entry(walk, dirfd(entries), entry->d_name, depth);
    int number = errno;
    closedir(entries);
    errno = number;
    return result;
}

static int remove_folder(struct tree_walk *walk, int parent, const char *name, unsigned depth)
{
    /* a hostile tree may be deeper than descriptors or stack last: such a part goes on at the top */
    if (depth > DEPTH_MOST) {
        char at_top[32];
        snprintf(at_top, sizeof at_top, ".deep-%u", walk->moved++);
        return renameat(parent, name, walk->top, at_top) < 0 ? walk_failed(walk, name) : 0;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat found;
    if (fd < 0 || fstat(fd, &found) < 0) {
        if (fd >= 0)
            close(fd);
        return walk_failed(walk, name);
    }
    if (found.st_dev != walk->device) {
        close(fd);
        errno = EXDEV;
        return walk_failed(walk, name);
    }
    /* a folder without the write bit can still be emptied by its owner */
    if ((found.st_mode & 0700) != 0700)
        (void)!fchmod(fd, found.st_mode | 0700);
    if (walk_inside(walk, fd, depth + 1) < 0)
        return -1;
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? walk_failed(walk, name) : 0;
}

static int remove_entry(struct tree_walk *walk, int parent, const char *name, unsigned depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return walk_failed(walk, name);
    return remove_folder(walk, parent, name, depth);
}

int file_remove_tree(const char *path, struct error *error)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_errno(error, "remove %s", path);
    struct tree_walk walk = { .entry = remove_entry,
                              .top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) };
    struct stat found;
    if (walk.top < 0 || fstat(walk.top, &found) < 0) {
        error_errno(error, "remove %s", path);
        if (walk.top >= 0)
            close(walk.top);
        return -1;
    }
    walk.device = found.st_dev;
    int result;
    unsigned moved;
    do {
        moved = walk.moved;
        int again = openat(walk.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result = again < 0 ? -1 : walk_inside(&walk, again, 1);
    } while (result == 0 && moved != walk.moved);
    if (result == 0)
        result = rmdir(path);
    if (result < 0)
        error_errno(error, "remove %s: %s", path, walk.where);
    close(walk.top);
    return result;
}

static int give_entry(struct tree_walk *walk, int parent, const char *name, unsigned depth)
{
    if (fchownat(parent, name, walk->uid, walk->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : walk_failed(walk, name);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : walk_failed(walk, name);
    if (depth > DEPTH_MOST * 4u) {
        close(fd);
        errno = ENAMETOOLONG;
        return walk_failed(walk, name);
    }
    return walk_inside(walk, fd, depth + 1);
}

int file_give_tree(const char *path, uid_t uid, gid_t gid, struct error *error)
{
    struct tree_walk walk = { .entry = give_entry, .top = -1, .uid = uid, .gid = gid };
    if (give_entry(&walk, AT_FDCWD, path, 0) < 0)
        return error_errno(error, "give %s to user %u: %s", path, (unsigned)uid, walk.where);
    return 0;
}

/* --- watching a folder --- */

struct folder_watch {
    struct loop *loop;
    int fd;
    struct watch *watch;
    void (*changed)(void *owner);
    void *owner;
};

static void folder_ready(void *owner, unsigned ready)
{
    (void)ready;
    struct folder_watch *watch = owner;
    char events[4096];
    bool any = false;
    while (read(watch->fd, events, sizeof events) > 0)
        any = true;
    if (any)
        watch->changed(watch->owner);
}

struct folder_watch *folder_watch_start(struct loop *loop, const char *folder, void (*changed)(void *owner),
                                        void *owner, struct error *error)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        error_errno(error, "watch %s", folder);
        return NULL;
    }
    if (inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE) < 0) {
        error_errno(error, "watch %s", folder);
        close(fd);
        return NULL;
    }
    struct folder_watch *watch = mem_new(sizeof *watch);
    *watch = (struct folder_watch){ .loop = loop, .fd = fd, .changed = changed, .owner = owner };
    watch->watch = loop_watch(loop, fd, LOOP_READ, folder_ready, watch);
    return watch;
}

void folder_watch_stop(struct folder_watch *watch)
{
    if (watch == NULL)
        return;
    watch_stop(watch->watch);
    close(watch->fd);
    mem_free(watch);
}
