#include "ready.h"

#include "io/file.h"
#include "job/plan.h"
#include "paths.h"
#include "text/gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *ready_own_path(struct error *error)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    if (length <= 0 || (size_t)length >= sizeof path) {
        error_errno(error, "find the courier program");
        return NULL;
    }
    return mem_copy(path, (size_t)length);
}

static int copy_whole(int from, int to)
{
    ssize_t got;
    while ((got = sendfile(to, from, NULL, 1u << 20)) > 0)
        continue;
    return got < 0 ? -1 : 0;
}

static int step_copy(const char *from, const char *to, struct error *error)
{
    const int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return error_errno(error, "open %s", from);
    unlink(to);
    const int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
    int done = target < 0 ? -1 : 0;
    if (done == 0 && (copy_whole(source, target) < 0 || fchmod(target, 0555) < 0))
        done = -1;
    if (done < 0)
        error_errno(error, "copy step to %s", to);
    if (target >= 0)
        close(target);
    close(source);
    return done;
}

int ready_install_step(const struct paths *paths, const char *own_path, struct error *error)
{
    const char *slash = strrchr(own_path, '/');
    OWNED_TEXT char *from = mem_format("%.*sdataops-step", slash ? (int)(slash - own_path) + 1 : 0, own_path);
    OWNED_TEXT char *temporary = mem_format("%s.new", paths->step);
    if (step_copy(from, temporary, error) < 0)
        return -1;
    if (rename(temporary, paths->step) < 0)
        return error_errno(error, "put %s in place", paths->step);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int ready_wait(const struct paths *paths, uint64_t most_ms)
{
    const uint64_t last_ms = now_ms() + most_ms;
    const struct timespec pause = { .tv_nsec = READY_LOOK_MS * 1000000L };
    while (access(paths->step, F_OK) < 0) {
        if (now_ms() >= last_ms)
            return -1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

bool ready_has_plan(const struct paths *paths)
{
    return access(paths->plan, F_OK) == 0;
}

struct plan *ready_plan(const struct paths *paths, struct error *error)
{
    struct strbuf packed = STRBUF_UP_TO(2u * PLAN_PACKED_MOST), text = STRBUF_UP_TO(PLAN_MOST);
    struct plan *plan = NULL;
    if (file_read(paths->plan, &packed, error) == 0 &&
        gzip_unpack(strbuf_text(&packed), packed.length, &text, error) == 0)
        plan = plan_parse(strbuf_text(&text), text.length, error);
    strbuf_wipe(&packed);
    strbuf_wipe(&text);
    if (!plan)
        error_within(error, "read the plan");
    return plan;
}
