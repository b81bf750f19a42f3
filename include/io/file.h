/* Files, whole and safe: reading with a ceiling, writing by rename, watching a folder. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <sys/types.h>

struct loop;

/* Reads a whole file into out (up to out's ceiling). */
int file_read(const char *path, struct strbuf *out, struct error *error) MUST_CHECK;
/* Gives the content of the file that a key of the configuration names, at most most bytes; an unset or empty path gives
 * nothing and succeeds. BLAME_CONFIG names the key. */
int file_read_named(const char *path, const char *key, size_t most, char **given, struct error *error) MUST_CHECK;
/* Writes to a temporary name beside it, fsync, rename: the old content or the new, never half. */
int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error) MUST_CHECK;
/* Writes all of it, as often as it takes; -1 with errno. */
int file_write_fd(int fd, const void *bytes, size_t length) MUST_CHECK;
bool file_exists(const char *path);
/* It exists and has a byte at least. */
bool file_is_filled(const char *path);
/* mkdir -p with this mode. */
int file_make_folders(const char *path, mode_t mode, struct error *error) MUST_CHECK;
/* Removes a tree; missing is fine; never follows symlinks, never crosses into a mount. */
int file_remove_tree(const char *path, struct error *error) MUST_CHECK;
/* lchown of a tree, never following symlinks. */
int file_give_tree(const char *path, uid_t uid, gid_t gid, struct error *error) MUST_CHECK;

/* Calls changed when something in folder was created, moved or written (inotify; kubelet swaps a symlink in it). */
struct folder_watch;
struct folder_watch *folder_watch_start(struct loop *loop, const char *folder, void (*changed)(void *owner),
                                        void *owner, struct error *error);
void folder_watch_stop(struct folder_watch *watch);

#endif
