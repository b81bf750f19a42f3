#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "order.h"
#include "processes.h"

enum {
    EXEC_LIMIT_MS = 10000,
    END_LIMIT_MS = 2000,
};

static int fail(struct failure *failure, enum step_call call, int error)
{
    *failure = (struct failure){ call, error };
    return -1;
}

static void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/*
 * Gives a file with exactly the script in it, made by the job's user: the shell opens it once more by its name in
 * /proc, which asks for the rights of an ordinary open. -1 and errno.
 */
static int script_keep(const struct order *order)
{
    const int fd = memfd_create("script", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < order->script_bytes) {
        const ssize_t bytes = write(fd, order->script + done, order->script_bytes - done);
        if (bytes < 0) {
            const int cause = errno;
            close(fd);
            errno = cause;
            return -1;
        }
        done += (size_t)bytes;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
}

/* Waits until the child runs its shell (0) or says why it does not (-1). */
static int child_await(pid_t pid, int failure_fd, struct failure *failure)
{
    struct pollfd answer = { .fd = failure_fd, .events = POLLIN };
    if (poll(&answer, 1, EXEC_LIMIT_MS) != 1) {
        kill(pid, SIGKILL);
        return fail(failure, STEP_CALL_WAIT, ETIMEDOUT);
    }
    /* closed by exec: nothing to read */
    return read(failure_fd, failure, sizeof *failure) == (ssize_t)sizeof *failure ? -1 : 0;
}

/* Forks the child between its pipes. Gives the read end of its output. The pid, or -1 and *failure. */
static pid_t child_start(struct child *child, int *output_fd, struct failure *failure)
{
    int output[2];
    int answer[2];
    if (pipe2(output, O_CLOEXEC) < 0)
        return fail(failure, STEP_CALL_PIPE, errno);
    if (pipe2(answer, O_CLOEXEC) < 0) {
        fail(failure, STEP_CALL_PIPE, errno);
        close_both(output);
        return -1;
    }
    child->output_fd = output[1];
    child->failure_fd = answer[1];
    pid_t pid = fork();
    if (pid == 0)
        child_become(child);
    if (pid < 0) {
        fail(failure, STEP_CALL_FORK, errno);
        close_both(output);
        close_both(answer);
        return -1;
    }
    close(output[1]);
    close(answer[1]);
    if (child_await(pid, answer[0], failure) < 0)
        pid = -1;
    close(answer[0]);
    if (pid < 0)
        close(output[0]);
    else
        *output_fd = output[0];
    return pid;
}

/* Starts what the order says. The pid, or -1 and *failure. */
static pid_t order_start(const struct order *order, uint32_t shell, int *output_fd, struct failure *failure)
{
    struct child child = { .folder = order->folder, .shell = shell };
    child.environment = order_environment(order, environ);
    if (!child.environment)
        return fail(failure, STEP_CALL_ORDER, ENOMEM);
    pid_t pid = -1;
    child.script_fd = script_keep(order);
    if (child.script_fd < 0) {
        fail(failure, STEP_CALL_SCRIPT, errno);
    } else {
        pid = child_start(&child, output_fd, failure);
        close(child.script_fd);
    }
    free(child.environment);
    return pid;
}

int run_start(struct run *run, const struct step_run *wish, int order_fd, struct started *started,
              struct failure *failure)
{
    if (run->pid)
        return fail(failure, STEP_CALL_RUN, EBUSY);
    struct order order;
    const int error = order_map(&order, order_fd);
    if (error) {
        order_clear(&order);
        return fail(failure, STEP_CALL_ORDER, error);
    }
    *started = (struct started){ .output_fd = -1 };
    if (run->kill_at_ms) { /* stopped, and still in its grace */
        if (processes_end(run->group, END_LIMIT_MS))
            started->cleaned = STEP_CLEANED_STOPPED;
        run->kill_at_ms = 0;
    }
    if (processes_make_room(run->group))
        started->cleaned = STEP_CLEANED_NO_ROOM;
    const pid_t pid = order_start(&order, wish->shell, &started->output_fd, failure);
    order_clear(&order);
    if (pid < 0)
        return -1;
    *run = (struct run){
        .number = wish->run, .pid = pid, .group = pid, .grace_ms = wish->grace_ms, .alone = wish->flags & STEP_RUN_ALONE
    };
    return 0;
}

void run_stop(struct run *run)
{
    if (run->kill_at_ms) {
        run->kill_at_ms = clock_ms();
    } else if (run->pid) {
        kill(-run->group, SIGTERM);
        run->kill_at_ms = clock_ms() + run->grace_ms;
    }
    run_tick(run);
}

int run_wait_ms(const struct run *run)
{
    if (!run->kill_at_ms)
        return -1;
    const uint64_t now_ms = clock_ms();
    return now_ms < run->kill_at_ms ? (int)(run->kill_at_ms - now_ms) : 0;
}

void run_tick(struct run *run)
{
    if (run_wait_ms(run) != 0)
        return;
    processes_kill(run->group);
    run->kill_at_ms = 0;
}

void run_reaped(struct run *run, pid_t pid)
{
    if (pid == run->pid) {
        run->pid = 0;
        if (run->alone)
            processes_end(run->group, END_LIMIT_MS);
    }
    if (!run->pid && run->kill_at_ms && kill(-run->group, 0) < 0 && errno == ESRCH)
        run->kill_at_ms = 0;
}
