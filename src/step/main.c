/*
 * dataops-step: the first process of a job's container. It does what courier, in the container beside it, tells it
 * over one socket: run this script, end it, say how it ended (docs/design.md, section 1; docs/formats.md, section 7).
 *
 * What it must withstand: a job that kills, floods or traces whatever it can reach with the same user id. So nothing
 * of the job holds the socket, no signal but KILL from outside the container ends step, it cannot be traced or read
 * (not dumpable), and it ends everything when courier is gone. It copies no output and keeps nothing of a script.
 *
 * connect.c socket - order.c what to run - run.c, child.c start and stop - processes.c kill and reap -
 * serve.c the loop - limits.c, oom.c, clock.c
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "step/protocol.h"
#include "connect.h"
#include "limits.h"
#include "oom.h"
#include "serve.h"

/* Standard descriptors are there, no other is, and none of this process's doings can be looked into. */
static int process_prepare(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return -1;
    closefrom(STDERR_FILENO + 1);
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -1;
    } while (fd <= STDERR_FILENO);
    close(fd);
    limits_keep();
    return 0;
}

/*
 * Blocks every signal, for TERM means nothing here: the kubelet sends it when the pod is to end, courier gets it too
 * and decides what is still to be done. Gives the descriptor that reports ended children. -1 and errno.
 */
static int signals_prepare(void)
{
    sigset_t all;
    sigset_t children;
    sigfillset(&all);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    signal(SIGCHLD, SIG_DFL); /* ignored, the kernel would reap for us and lose the status */
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return -1;
    return signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int step(void)
{
    const char *path = getenv(STEP_SOCKET_VARIABLE);
    const char *why = NULL;
    int signal_fd = -1;
    if (!path || !*path)
        path = STEP_SOCKET;
    if (process_prepare() < 0 || (signal_fd = signals_prepare()) < 0) {
        dprintf(STDERR_FILENO, "dataops-step: cannot start: %s\n", strerror(errno));
        return STEP_EXIT_LOST;
    }
    const int courier = courier_connect(path);
    if (courier < 0) {
        dprintf(STDERR_FILENO, "dataops-step: no courier at %s within %u s: %s\n", path, STEP_CONNECT_LIMIT_MS / 1000,
                strerror(errno));
        return STEP_EXIT_LOST;
    }
    oom_open();
    const int code = serve(courier, signal_fd, &why);
    if (why)
        dprintf(STDERR_FILENO, "dataops-step: %s\n", why);
    return code;
}

/* For the postStart hook of a service: a hook that fails would take the service down, so it never does. */
static int mark(const char *file)
{
    const int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        dprintf(STDERR_FILENO, "dataops-step: mark %s: %s\n", file, strerror(errno));
    else
        close(fd);
    return 0;
}

int main(int count, char **words)
{
    if (count <= 1)
        return step();
    if (strcmp(words[1], "mark") == 0)
        return count == 3 ? mark(words[2]) : 0;
    if (count == 2 && strcmp(words[1], "--version") == 0) {
        dprintf(STDOUT_FILENO, "dataops-step %s, protocol %u\n", DATAOPS_VERSION, STEP_PROTOCOL_VERSION);
        return 0;
    }
    dprintf(STDERR_FILENO, "usage: step | step mark FILE | step --version\n");
    return STEP_EXIT_USAGE;
}
