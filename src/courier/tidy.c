#include "sources.h"

#include "folders.h"
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MOST 32

/* What steers git or blocks it; everything else of a repository is data that git checks itself. */
static const char *const steering[] = {
    "config",
    "config.worktree",
    "config.lock",
    "hooks",
    "commondir",
    "index.lock",
    "shallow.lock",
    "HEAD.lock",
    "packed-refs.lock",
    "info/attributes",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/alternates",
    "objects/info/http-alternates",
};

static int locks_remove(int folder, unsigned depth)
{
    DIR *stream = fdopendir(folder);
    const struct dirent *entry;
    if (!stream) {
        close(folder);
        return -1;
    }
    while ((entry = readdir(stream))) {
        const char *name = entry->d_name;
        const size_t length = strlen(name);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (length > 5 && strcmp(name + length - 5, ".lock") == 0)
            unlinkat(dirfd(stream), name, 0);
        const int next =
            depth < DEPTH_MOST ? openat(dirfd(stream), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (next >= 0)
            locks_remove(next, depth + 1);
    }
    closedir(stream);
    return 0;
}

static void steering_remove(int git, const char *path)
{
    const char *name = strrchr(path, '/');
    OWNED_TEXT char *parent = mem_copy(path, name ? (size_t)(name - path) : 0);
    const int folder = open_beneath(git, parent, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    struct error why = ERROR_NONE;
    if (folder < 0)
        return;
    OWNED_TEXT char *entry = folder_entry(folder, name ? name + 1 : path);
    if (file_remove_tree(entry, &why) < 0)
        fprintf(stderr, "%s\n", why.text);
    close(folder);
}

static int repository_tidy(int project, struct error *error)
{
    struct stat status;
    if (fstatat(project, ".git", &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode) &&
        unlinkat(project, ".git", 0) < 0)
        return error_errno(error, "remove .git, which is no folder");
    const int git = open_beneath(project, ".git", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    if (git < 0)
        return errno == ENOENT ? 0 : error_errno(error, "open .git");
    for (size_t i = 0; i < COUNT_OF(steering); i++)
        steering_remove(git, steering[i]);
    const int refs = openat(git, "refs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (refs >= 0)
        locks_remove(refs, 0);
    close(git);
    return 0;
}

int sources_clear(const char *builds_dir, const char *folder)
{
    struct error error = ERROR_NONE;
    if (folder_remove(builds_dir, folder, &error) == 0)
        return 0;
    fprintf(stderr, "%s\n", error.text);
    return 1;
}

int sources_tidy(const char *builds_dir, const char *folder)
{
    struct error error = ERROR_NONE;
    const int project = folder_open(builds_dir, folder, &error);
    if (project < 0 || repository_tidy(project, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    close(project);
    return 0;
}
