#include "processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum {
    REAP_AGAIN_MS = 5,
    ROOM_PROCESSES = 16, /* a script that cannot have so many cannot do much */
    ROOM_LIMIT_MS = 2000,
};

/* Kills the children of this process that the first 4 KiB of the kernel's list name. */
static void children_kill(void)
{
    char path[64];
    char list[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const ssize_t bytes = read(fd, list, sizeof list - 1);
    close(fd);
    list[bytes > 0 ? bytes : 0] = '\0';
    char *next = list;
    char *end;
    long pid;
    /* every number ends with a space; one without was cut off, and is another number */
    while ((pid = strtol(next, &end, 10)) > 0 && *end == ' ') {
        kill((pid_t)pid, SIGKILL);
        next = end;
    }
}

void processes_kill(pid_t group)
{
    if (getpid() == 1) {
        kill(-1, SIGKILL);
        return;
    }
    if (group > 0)
        kill(-group, SIGKILL);
    children_kill();
}

/* Reaps what has ended; sets *killed when KILL ended one. True when children are left. */
static bool children_left(bool *killed)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        *killed = *killed || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return pid == 0;
}

bool processes_end(pid_t group, unsigned limit_ms)
{
    const uint64_t last_ms = clock_ms() + limit_ms;
    bool killed = false;
    processes_kill(group);
    while (children_left(&killed) && clock_ms() < last_ms) {
        clock_nap(REAP_AGAIN_MS);
        processes_kill(group);
    }
    return killed;
}

/* Tries it: the limit may be that of the pod or of the user, which the container cannot read. */
static bool room_is_left(void)
{
    pid_t trial[ROOM_PROCESSES];
    unsigned count = 0;
    while (count < ROOM_PROCESSES) {
        const pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0)
            for (;;)
                pause();
        trial[count++] = pid;
    }
    for (unsigned i = 0; i < count; i++) {
        kill(trial[i], SIGKILL);
        waitpid(trial[i], NULL, 0);
    }
    return count == ROOM_PROCESSES;
}

bool processes_make_room(pid_t group)
{
    bool killed = false;
    if (!children_left(&killed) || room_is_left())
        return false;
    processes_end(group, ROOM_LIMIT_MS);
    return true;
}
