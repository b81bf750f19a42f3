#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connect.h"
#include "limits.h"
#include "oom.h"
#include "processes.h"
#include "run.h"

enum { END_LIMIT_MS = 2000 };

/* What a message asks of the loop. */
enum next { GO_ON, END_BYE, END_LOST };

static int hello_send(int courier)
{
    const struct step_hello hello = { STEP_HELLO, STEP_PROTOCOL_VERSION, oom_kills() };
    return courier_send(courier, &hello, sizeof hello, -1);
}

static int script_start(int courier, struct run *run, const struct step_run *wish, int order_fd)
{
    struct failure failure;
    struct started got;
    if (run_start(run, wish, order_fd, &got, &failure) < 0) {
        const struct step_failed failed = { STEP_FAILED, wish->run, failure.error, failure.call };
        return courier_send(courier, &failed, sizeof failed, -1);
    }
    const struct step_started started = { STEP_STARTED, run->number, run->pid, got.cleaned };
    const int sent = courier_send(courier, &started, sizeof started, got.output_fd);
    close(got.output_fd);
    return sent;
}

/* Reaps all that ended, and reports the script when it is among them. 0, or -1 when courier is lost. */
static int children_reap(int courier, struct run *run)
{
    int sent = 0;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        const bool ended = pid == run->pid;
        run_reaped(run, pid);
        if (ended) {
            const struct step_exited exited = { STEP_EXITED, run->number, status, 0, oom_kills() };
            sent = courier_send(courier, &exited, sizeof exited, -1);
        }
    }
    return sent;
}

static enum next message_do(int courier, struct run *run, const struct packet *packet, const char **why)
{
    switch ((enum step_kind)packet->kind) {
    case STEP_RUN:
        if (packet->run.run == 0 || packet->run.grace_ms > STEP_GRACE_MAX_MS || packet->run.flags > STEP_RUN_ALONE ||
            (packet->run.shell != STEP_SHELL_BASH && packet->run.shell != STEP_SHELL_SH)) {
            *why = "courier sent a RUN with a number, shell, grace or flag that does not exist";
            return END_LOST;
        }
        if (script_start(courier, run, &packet->run, packet->fd) < 0) {
            *why = "courier does not take answers";
            return END_LOST;
        }
        return GO_ON;
    case STEP_STOP:
        if (packet->stop.run == run->number)
            run_stop(run);
        return GO_ON;
    case STEP_BYE:
        return END_BYE;
    case STEP_HELLO:
    case STEP_STARTED:
    case STEP_FAILED:
    case STEP_EXITED:
        break;
    }
    *why = "courier sent a message that only step sends";
    return END_LOST;
}

static enum next message_take(int courier, struct run *run, const char **why)
{
    struct packet packet;
    const int got = courier_receive(courier, &packet, why);
    if (got <= 0)
        return got < 0 ? END_LOST : GO_ON;
    const enum next next = message_do(courier, run, &packet, why);
    if (packet.fd >= 0)
        close(packet.fd);
    return next;
}

static enum next turn(int courier, int signal_fd, struct run *run, const char **why)
{
    struct pollfd ready[] = { { .fd = signal_fd, .events = POLLIN }, { .fd = courier, .events = POLLIN } };
    limits_restore(); /* poll, receiving a descriptor and starting a script need them */
    if (poll(ready, sizeof ready / sizeof *ready, run_wait_ms(run)) < 0 && errno != EINTR) {
        *why = "cannot wait for courier";
        return END_LOST;
    }
    run_tick(run);
    if (ready[0].revents) {
        struct signalfd_siginfo drained;
        const ssize_t ignored = read(signal_fd, &drained, sizeof drained);
        (void)ignored;
    }
    if (children_reap(courier, run) < 0) {
        *why = "courier does not take answers";
        return END_LOST;
    }
    return ready[1].revents ? message_take(courier, run, why) : GO_ON;
}

int serve(int courier, int signal_fd, const char **why)
{
    struct run run = { 0 };
    enum next next = GO_ON;
    if (hello_send(courier) < 0) {
        *why = "courier is gone";
        next = END_LOST;
    }
    while (next == GO_ON)
        next = turn(courier, signal_fd, &run, why);
    processes_end(run.group, END_LIMIT_MS);
    return next == END_BYE ? STEP_EXIT_BYE : STEP_EXIT_LOST;
}
