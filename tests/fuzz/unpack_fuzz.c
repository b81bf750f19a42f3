/* Any bytes as an archive that is unpacked into a project folder of a hostile builds volume (it holds symlinks that
 * lead out): what was outside is as it was and nothing came to it, nothing is a device or has more rights than an
 * archive may give, no descriptor is left open, and what lies there afterwards takes a bounded room on the disk. */
#include "fuzz.h"

#include "courier/entry_path.h"

#include "unprivileged.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST (16u * 1024 * 1024)
#define GUARD     "stays as it is\n"

static char scratch[64], request[256];
static int null_fd;

static void file_put(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    EXPECT(fd >= 0 && write(fd, GUARD, sizeof GUARD - 1) == (ssize_t)sizeof GUARD - 1);
    close(fd);
}

static void folder_put(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    EXPECT(mkdir(path, 0755) == 0);
}

static void link_put(const char *target, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    EXPECT(symlink(target, path) == 0);
}

/* A project folder in which an earlier script left what it liked. */
static void world_make(void)
{
    char absolute[128];
    snprintf(absolute, sizeof absolute, "%s/outside", scratch);
    EXPECT(mkdir(scratch, 0755) == 0);
    folder_put("outside");
    folder_put("outside/sub");
    file_put("outside/guard");
    folder_put("builds");
    file_put("builds/guard");
    folder_put("builds/project");
    folder_put("builds/project/src");
    file_put("builds/project/src/file");
    link_put("../../outside", "builds/project/out");
    link_put(absolute, "builds/project/absolute");
    link_put("/", "builds/project/root");
    link_put("../../outside/guard", "builds/project/guard");
    link_put("src", "builds/project/inside");
    link_put("self", "builds/project/self");
}

static unsigned entries_below(int folder, bool is_project, uint64_t *bytes)
{
    unsigned count = 0;
    DIR *stream = fdopendir(folder);
    EXPECT(stream != NULL);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        EXPECT(fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0);
        EXPECT(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISLNK(status.st_mode));
        EXPECT((status.st_mode & 07000) == 0);
        *bytes += (uint64_t)status.st_blocks * 512;
        count++;
        if (!S_ISDIR(status.st_mode))
            continue;
        if (is_project) /* an archive may say that nobody enters */
            fchmodat(dirfd(stream), entry->d_name, 0700, 0);
        const int below = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        EXPECT(below >= 0);
        count += entries_below(below, is_project, bytes);
    }
    closedir(stream);
    return count;
}

static void guard_expect(const char *name)
{
    char path[128], text[64];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    EXPECT(fd >= 0 && fstat(fd, &status) == 0);
    EXPECT((status.st_mode & 07777) == 0640);
    EXPECT(read(fd, text, sizeof text) == (ssize_t)sizeof GUARD - 1 && memcmp(text, GUARD, sizeof GUARD - 1) == 0);
    close(fd);
}

static unsigned count_of(const char *name, bool is_project, uint64_t *bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    EXPECT(fd >= 0);
    return entries_below(fd, is_project, bytes);
}

static void world_expect(void)
{
    uint64_t bytes = 0;
    EXPECT(count_of("outside", false, &bytes) == 2);
    guard_expect("outside/guard");
    guard_expect("builds/guard");
    bytes = 0;
    count_of("builds/project", true, &bytes);
    EXPECT(bytes <= 8u * FILE_MOST);
    bytes = 0;
    const int folder = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fdopendir(folder);
    unsigned count = 0;
    while (readdir(stream))
        count++;
    closedir(stream);
    EXPECT(count == 4); /* ".", "..", outside, builds */
}

static void tree_remove(int folder)
{
    DIR *stream = fdopendir(folder);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        const int below = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0)
            tree_remove(below);
        EXPECT(unlinkat(dirfd(stream), entry->d_name, below >= 0 ? AT_REMOVEDIR : 0) == 0);
    }
    closedir(stream);
}

static int memory_file(const void *bytes, size_t size)
{
    const int fd = memfd_create("input", 0);
    EXPECT(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* Descriptors as the child of courier has them: the request, nowhere to tell, the archive. */
static void prepare(void)
{
    const struct rlimit limit = { FILE_MOST, FILE_MOST };
    if (scratch[0])
        return;
    snprintf(scratch, sizeof scratch, "%s/unpack-fuzz-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (int)getpid());
    snprintf(request, sizeof request, "{\"builds_dir\":\"%s/builds\",\"folder\":\"%s/builds/project\"}", scratch,
             scratch);
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    EXPECT(null_fd >= 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    umask(022);
}

static int descriptor_next(void)
{
    const int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    close(next);
    return next;
}

static void unpack(const uint8_t *data, size_t size)
{
    fflush(stdout);
    const int before[2] = { fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10) };
    const int old = fcntl(UNPRIVILEGED_ARCHIVE_FD, F_DUPFD_CLOEXEC, 10);
    const int ask = memory_file(request, strlen(request)), archive = memory_file(data, size);
    dup2(ask, STDIN_FILENO);
    dup2(null_fd, STDOUT_FILENO);
    dup2(archive, UNPRIVILEGED_ARCHIVE_FD);
    const int first = descriptor_next();
    const int code = unpack_main();
    EXPECT(code == 0 || code == 1);
    if (code == 1 && descriptor_next() == first + 1)
        close(first); /* the project folder: the child ends now */
    EXPECT(descriptor_next() == first);
    fflush(stdout);
    dup2(before[0], STDIN_FILENO);
    dup2(before[1], STDOUT_FILENO);
    if (old >= 0)
        dup2(old, UNPRIVILEGED_ARCHIVE_FD);
    else
        close(UNPRIVILEGED_ARCHIVE_FD);
    close(before[0]);
    close(before[1]);
    if (old >= 0)
        close(old);
    close(ask);
    close(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    world_make();
    unpack(data, size);
    world_expect();
    tree_remove(open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    rmdir(scratch);
    return 0;
}
