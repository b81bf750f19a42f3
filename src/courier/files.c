#include "files.h"

#include "io/file.h"
#include "job/plan.h"
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_file_name(const char *key)
{
    const size_t length = strlen(key);
    return length > 0 && length < 256 && key[0] != '.' && !strchr(key, '/');
}

static int file_make(const struct context *context, int folder, const struct plan_pair *file, struct error *error)
{
    if (!is_file_name(file->key))
        return error_set(error, BLAME_INPUT, 0, "file variable %.64s has a name that no file can have", file->key);
    unlinkat(folder, file->key, 0);
    const int fd = openat(folder, file->key, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(error, "file variable %s", file->key);
    int done = file_write_fd(fd, file->value, strlen(file->value));
    if (done == 0 && context->is_root)
        done = fchown(fd, context->uid, context->gid);
    if (done < 0)
        error_errno(error, "file variable %s", file->key);
    close(fd);
    return done;
}

int files_write(const struct context *context, struct error *error)
{
    const struct plan *plan = context->plan;
    if (plan->file_count == 0)
        return 0;
    if (mkdir(context->paths->files, 0711) < 0 && errno != EEXIST)
        return error_errno(error, "make the folder of file variables");
    const int folder = open(context->paths->files, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return error_errno(error, "open the folder of file variables");
    int done = fchmod(folder, 0711);
    for (size_t i = 0; i < plan->file_count && done == 0; i++)
        done = file_make(context, folder, &plan->files[i], error);
    close(folder);
    return done;
}
