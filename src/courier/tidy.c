#include "sources.h"

#include "folders.h"
#include "git.h"
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEPTH_MOST     200 /* folders in each other; each holds a descriptor */
#define TIPS_MOST      64
#define PACKS_MOST     64         /* each fetch adds one: past these a new fetch is cheaper for everything after it */
#define REFS_FILE_MOST (4u * MIB) /* of packed-refs */
#define SHALLOW_MOST   (1u * MIB)
#define OLD            ".git.dataops-old"
#define HEX            "0123456789abcdef"

/* What a kept repository hands on. Everything else that stood in .git is gone: nothing of it can be proven. */
struct kept {
    int project, old; /* descriptors: the project folder, its former .git */
    struct words tips;
    char *head; /* what was checked out, or NULL */
    size_t packs;
    bool is_sha256;
};

/* --- children --- */

/* Becomes git, without a login and without a way to any server; descriptors below 0 are /dev/null. */
static void git_become(const struct kept *kept, const char *const *words, int input, int output, int errors)
{
    union {
        const char *const *kept;
        char *const *given; /* execvpe takes what it does not change as char * */
    } arguments = { .kept = words };
    struct words environment = { 0 };
    git_environment_hostile(NULL, &environment);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(input < 0 ? nothing : input, STDIN_FILENO);
    dup2(output < 0 ? nothing : output, STDOUT_FILENO);
    dup2(errors < 0 ? nothing : errors, STDERR_FILENO);
    if (fchdir(kept->project) == 0)
        execvpe("git", arguments.given, environment.items);
    _exit(127);
}

static int git_wait(pid_t pid)
{
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Runs git in the project folder, in this program's environment, heard only by way of its exit code. */
static int git_call(const struct kept *kept, const char *const *words)
{
    const pid_t pid = fork();
    if (pid == 0)
        git_become(kept, words, -1, -1, -1);
    return git_wait(pid);
}

/* The same with an input, which must be less than a pipe holds, and an output. */
static int git_ask(const struct kept *kept, const char *const *words, const struct strbuf *input, struct strbuf *output)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return -1;
    }
    ssize_t got = write(in[1], strbuf_text(input), input->length);
    const pid_t pid = fork();
    if (pid == 0)
        git_become(kept, words, in[0], out[1], -1);
    close(in[0]);
    close(in[1]);
    close(out[1]);
    while (got > 0 || (got < 0 && errno == EINTR)) {
        char *room = strbuf_room(output, 4096);
        got = room ? read(out[0], room, 4096) : 0;
        if (got > 0)
            strbuf_wrote(output, (size_t)got);
    }
    close(out[0]);
    return git_wait(pid);
}

/* --- commits that the server may be told of --- */

static void tip_add(struct kept *kept, const char *text, size_t length)
{
    OWNED_TEXT char *name = mem_copy(text, length);
    if (!git_is_object_name(name) || kept->tips.count >= TIPS_MOST)
        return;
    for (size_t i = 0; i < kept->tips.count; i++)
        if (strcmp(kept->tips.items[i], name) == 0)
            return;
    words_add(&kept->tips, name);
}

/* Gives a regular file's content up to a ceiling, or NULL (mem_free). */
static char *small_file(int folder, const char *path, size_t most)
{
    struct strbuf text = STRBUF_UP_TO(most + 8192); /* room is asked for by 4096 */
    struct stat status;
    const int fd = open_beneath(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, RESOLVE_NO_SYMLINKS);
    bool is_whole = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    while (is_whole) {
        char *room = strbuf_room(&text, 4096);
        const ssize_t got = room ? read(fd, room, 4096) : -1;
        if (got > 0)
            strbuf_wrote(&text, (size_t)got);
        is_whole = got >= 0 && text.length <= most;
        if (got == 0)
            break;
    }
    if (fd >= 0)
        close(fd);
    if (!is_whole) {
        strbuf_clear(&text);
        return NULL;
    }
    char *taken = strbuf_take(&text, NULL);
    return taken ? taken : mem_text("");
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Calls work for each entry of a folder, which it closes. -1 when one call said so. */
static int each_entry(int folder, int (*work)(void *owner, int folder, const char *name, unsigned depth), void *owner,
                      unsigned depth)
{
    DIR *stream = folder >= 0 ? fdopendir(folder) : NULL;
    const struct dirent *entry;
    int result = 0;
    if (!stream) {
        if (folder >= 0)
            close(folder);
        return folder >= 0 ? -1 : 0;
    }
    while (result == 0 && (entry = readdir(stream)))
        if (!is_dots(entry->d_name))
            result = work(owner, dirfd(stream), entry->d_name, depth);
    closedir(stream);
    return result;
}

static int folder_within(int folder, const char *name)
{
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int ref_take(void *owner, int folder, const char *name, unsigned depth)
{
    struct kept *kept = owner;
    const int next = folder_within(folder, name);
    if (next >= 0 && depth < DEPTH_MOST)
        return each_entry(next, ref_take, kept, depth + 1);
    if (next >= 0)
        close(next);
    OWNED_TEXT char *text = small_file(folder, name, 4096);
    if (text)
        tip_add(kept, text, strspn(text, HEX));
    return 0;
}

static void tips_read(struct kept *kept)
{
    OWNED_TEXT char *head = small_file(kept->old, "HEAD", 4096);
    OWNED_TEXT char *packed = small_file(kept->old, "packed-refs", REFS_FILE_MOST);
    if (head)
        tip_add(kept, head, strspn(head, HEX));
    if (kept->tips.count > 0)
        kept->head = mem_text(kept->tips.items[0]);
    each_entry(folder_within(kept->old, "refs"), ref_take, kept, 0);
    for (const char *line = packed; line && *line; line += *line == '\n') {
        tip_add(kept, line, strspn(line, HEX));
        line += strcspn(line, "\n");
    }
}

/* --- packs --- */

static bool is_pack(const char *name)
{
    const size_t digits = strncmp(name, "pack-", 5) == 0 ? strspn(name + 5, HEX) : 0;
    return (digits == 40 || digits == 64) && strcmp(name + 5 + digits, ".pack") == 0;
}

/* Moves a pack, and nothing that says what is in it. */
static int pack_take(void *owner, int folder, const char *name, unsigned depth UNUSED)
{
    struct kept *kept = owner;
    struct stat status;
    if (!is_pack(name) || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return 0;
    OWNED_TEXT char *there = mem_format(".git/objects/pack/%s", name);
    if (renameat(folder, name, kept->project, there) < 0)
        return -1;
    OWNED_TEXT char *promisor = mem_format("%.*s.promisor", (int)(strlen(name) - 5), name);
    OWNED_TEXT char *mark = mem_format(".git/objects/pack/%s", promisor);
    const bool is_partial = fstatat(folder, promisor, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    const int fd = is_partial ? openat(kept->project, mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444) : -1;
    if (fd >= 0)
        close(fd);
    kept->is_sha256 = strlen(name) > 64;
    kept->packs++;
    return 0;
}

/* Writes a pack's index anew: every object is unpacked and hashed, so the names are those of the contents. */
static int pack_prove(void *owner, int folder, const char *name, unsigned depth UNUSED)
{
    const struct kept *kept = owner;
    if (!is_pack(name))
        return 0;
    OWNED_TEXT char *path = mem_format(".git/objects/pack/%s", name);
    const char *const words[] = { "git", "index-pack", path, NULL };
    if (git_call(kept, words) == 0)
        return 0;
    printf("A pack of the repository that is there cannot be proven, so it is left out: %s\n", name);
    return unlinkat(folder, name, 0);
}

/* Tips whose commit is there; the fetch tells the server of them. */
static int tips_write(const struct kept *kept)
{
    static const char *const words[] = { "git", "cat-file", "--batch-check", NULL };
    OWNED_STRBUF struct strbuf asked = STRBUF_EMPTY, answer = STRBUF_EMPTY, there = STRBUF_EMPTY;
    for (size_t i = 0; i < kept->tips.count; i++)
        strbuf_format(&asked, "%s\n", kept->tips.items[i]);
    if (kept->tips.count == 0 || git_ask(kept, words, &asked, &answer) < 0)
        return 0;
    for (const char *line = strbuf_text(&answer); *line; line += *line == '\n') {
        const size_t length = strspn(line, HEX);
        if (strncmp(line + length, " commit ", 8) == 0)
            strbuf_format(&there, "%.*s\n", (int)length, line);
        line += strcspn(line, "\n");
    }
    const int fd = openat(kept->project, ".git/" GIT_TIPS, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    const ssize_t wrote = write(fd, strbuf_text(&there), there.length);
    close(fd);
    return wrote == (ssize_t)there.length ? 0 : -1;
}

/* --- the working tree --- */

/* A file that no commit holds would change what the checkout and git-lfs write; those of the commit come with it. */
static int steering_forget(void *owner, int folder, const char *name, unsigned depth)
{
    if (depth == 0 && (strcmp(name, ".git") == 0 || strcmp(name, OLD) == 0))
        return 0;
    const bool is_steering = strcmp(name, ".gitattributes") == 0 || (depth == 0 && strcmp(name, ".lfsconfig") == 0);
    if (is_steering && unlinkat(folder, name, 0) == 0)
        return 0;
    const int next = folder_within(folder, name);
    if (next < 0)
        return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : -1;
    if (depth >= DEPTH_MOST) {
        close(next);
        return -1;
    }
    return each_entry(next, steering_forget, owner, depth + 1);
}

/* --- all of it --- */

static int old_remove(const struct kept *kept, struct error *error)
{
    OWNED_TEXT char *entry = folder_entry(kept->project, OLD);
    return file_remove_tree(entry, error);
}

static int packs_take(struct kept *kept)
{
    const int folder = open_beneath(kept->old, "objects/pack", O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    if (mkdirat(kept->project, ".git", 0777) < 0 || mkdirat(kept->project, ".git/objects", 0777) < 0 ||
        mkdirat(kept->project, ".git/objects/pack", 0777) < 0) {
        if (folder >= 0)
            close(folder);
        return -1;
    }
    return each_entry(folder, pack_take, kept, 0);
}

/* The commits whose parents were not fetched. The next fetch says to the server what it finds there, and is corrected.
 */
static int shallow_take(const struct kept *kept)
{
    OWNED_TEXT char *text = small_file(kept->old, "shallow", SHALLOW_MOST);
    if (!text || !*text || strspn(text, HEX "\n") != strlen(text))
        return 0;
    return renameat(kept->old, "shallow", kept->project, ".git/shallow");
}

static int repository_prove(struct kept *kept)
{
    const char *const init[] = { "git", "init",
                                 "-q",  kept->is_sha256 ? "--object-format=sha256" : "--object-format=sha1",
                                 ".",   NULL };
    const char *const read_tree[] = { "git", "read-tree", kept->head, NULL };
    if (git_call(kept, init) < 0 || shallow_take(kept) < 0)
        return -1;
    if (each_entry(open_beneath(kept->project, ".git/objects/pack", O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS),
                   pack_prove, kept, 0) < 0)
        return -1;
    /* so that the checkout removes files that the new commit has not; no entry counts as looked at */
    if (kept->head)
        (void)!git_call(kept, read_tree);
    return tips_write(kept);
}

static int repository_tidy(struct kept *kept, struct error *error)
{
    struct stat status;
    if (old_remove(kept, error) < 0)
        return -1;
    if (fstatat(kept->project, ".git", &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(error, "look at .git");
    if (!S_ISDIR(status.st_mode))
        return unlinkat(kept->project, ".git", 0) < 0 ? error_errno(error, "remove .git, which is no folder") : 0;
    if (renameat(kept->project, ".git", kept->project, OLD) < 0)
        return error_errno(error, "put the old repository aside");
    kept->old = folder_within(kept->project, OLD);
    if (kept->old < 0)
        return error_errno(error, "open the old repository");
    tips_read(kept);
    if (packs_take(kept) < 0)
        return error_errno(error, "keep the packs of the old repository");
    OWNED_TEXT char *fresh = folder_entry(kept->project, ".git");
    if (kept->packs > PACKS_MOST)
        printf("The repository that is there has %zu packs: it is fetched anew.\n", kept->packs);
    if (kept->packs > PACKS_MOST && file_remove_tree(fresh, error) < 0)
        return -1;
    if (kept->packs <= PACKS_MOST && repository_prove(kept) < 0)
        return error_set(error, BLAME_SYSTEM, 0, "what the old repository holds cannot be proven");
    return old_remove(kept, error);
}

char *sources_tips(const char *builds_dir, const char *folder)
{
    struct error ignored = ERROR_NONE;
    const int project = folder_open(builds_dir, folder, &ignored);
    char *text = project < 0 ? NULL : small_file(project, ".git/" GIT_TIPS, TIPS_MOST * 66);
    if (project >= 0)
        close(project);
    return text;
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
    struct kept kept = { .project = folder_open(builds_dir, folder, &error), .old = -1 };
    int result = kept.project < 0 ? -1 : repository_tidy(&kept, &error);
    if (result == 0 && each_entry(folder_within(kept.project, "."), steering_forget, NULL, 0) < 0)
        result = error_errno(&error, "look through the project folder");
    if (result < 0)
        fprintf(stderr, "%s\n", error.text);
    if (kept.old >= 0)
        close(kept.old);
    if (kept.project >= 0)
        close(kept.project);
    mem_free(kept.head);
    words_clear(&kept.tips);
    return result < 0 ? 1 : 0;
}
