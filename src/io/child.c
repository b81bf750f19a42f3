#include "io/child.h"

#include "child_exec.h"
#include "io/confine.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LAST_WORDS = 400,
    PIECE = 16 * 1024,
    PIECES_A_TURN = 16, /* so that one loud child does not hold up the loop */
    LINGER_MS = 1000,
    KILL_AFTER_MS = 5000,
    LOOK_AGAIN_MS = 20,
    ABANDONED_MOST = 32,
};

struct child {
    struct loop *loop;
    const struct child_events *events; /* NULL: cancelled */
    void *owner;
    pid_t pid;
    int pidfd, input_fd, output_fd;
    struct watch *exit_watch, *input_watch, *output_watch;
    struct timer *timeout, *linger, *look;
    const char *input;
    size_t input_left;
    int status;
    bool exited, timed_out, ending;
    char words[LAST_WORDS + 1];
    size_t words_length;
};

/* Children that were cancelled and did not die at once, to be reaped later. */
static pid_t abandoned[ABANDONED_MOST];

static void reap_abandoned(void)
{
    for (size_t i = 0; i < ABANDONED_MOST; i++)
        if (abandoned[i] > 0 && waitpid(abandoned[i], NULL, WNOHANG) != 0)
            abandoned[i] = 0;
}

static void abandon(pid_t pid)
{
    /* KILL works within a millisecond, but for a process that is giving back much memory or waits for a disk */
    for (int i = 0; i < 20; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    for (size_t i = 0; i < ABANDONED_MOST; i++)
        if (abandoned[i] == 0) {
            abandoned[i] = pid;
            return;
        }
}

/* --- the end --- */

static void kill_group(struct child *child, int number)
{
    /* until it is reaped the number of the leader, and so of the group, is not given to anybody else */
    if (!child->exited)
        kill(-child->pid, number);
}

static void close_watched(struct watch **watch, int *fd)
{
    watch_stop(*watch);
    *watch = NULL;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void child_free(void *owner)
{
    mem_free(owner);
}

static void child_close(struct child *child)
{
    close_watched(&child->exit_watch, &child->pidfd);
    close_watched(&child->input_watch, &child->input_fd);
    close_watched(&child->output_watch, &child->output_fd);
    timer_stop(&child->timeout);
    timer_stop(&child->linger);
    timer_stop(&child->look);
    if (!child->ending)
        loop_later(child->loop, child_free, child);
    child->ending = true;
}

static void child_end(struct child *child)
{
    const struct child_events *events = child->events;
    child->events = NULL;
    child_close(child);
    if (events && events->ended)
        events->ended(child->owner, child->status, child->timed_out);
}

static void linger_over(void *owner)
{
    child_end(owner);
}

static void maybe_end(struct child *child)
{
    if (!child->exited || child->ending)
        return;
    if (child->output_fd < 0)
        child_end(child);
    else if (!child->linger)
        loop_after(child->loop, &child->linger, LINGER_MS, linger_over, child);
}

static void look_for_exit(void *owner)
{
    struct child *child = owner;
    /* it ended at the TERM of its time limit: what it left behind in its group ends as well */
    if (child->timed_out && child->pidfd >= 0)
        kill_group(child, SIGKILL);
    pid_t found = waitpid(child->pid, &child->status, WNOHANG);
    if (found == 0) {
        /* without a pidfd nothing tells when */
        if (child->pidfd < 0)
            loop_after(child->loop, &child->look, LOOK_AGAIN_MS, look_for_exit, child);
        return;
    }
    child->exited = true;
    close_watched(&child->exit_watch, &child->pidfd);
    close_watched(&child->input_watch, &child->input_fd);
    timer_stop(&child->timeout);
    reap_abandoned();
    maybe_end(child);
}

static void exit_ready(void *owner, unsigned ready)
{
    (void)ready;
    look_for_exit(owner);
}

/* --- time --- */

static void too_long_after_term(void *owner)
{
    kill_group(owner, SIGKILL);
}

static void timeout_passed(void *owner)
{
    struct child *child = owner;
    child->timed_out = true;
    kill_group(child, SIGTERM);
    loop_after(child->loop, &child->timeout, KILL_AFTER_MS, too_long_after_term, child);
}

/* --- pipes --- */

static void keep_words(struct child *child, const char *bytes, size_t length)
{
    if (length > LAST_WORDS) {
        bytes += length - LAST_WORDS;
        length = LAST_WORDS;
    }
    size_t kept = child->words_length + length > LAST_WORDS ? LAST_WORDS - length : child->words_length;
    memmove(child->words, child->words + (child->words_length - kept), kept);
    memcpy(child->words + kept, bytes, length);
    child->words_length = kept + length;
    child->words[child->words_length] = '\0';
}

static void output_ready(void *owner, unsigned ready)
{
    (void)ready;
    struct child *child = owner;
    char piece[PIECE];
    for (int i = 0; i < PIECES_A_TURN && child->output_fd >= 0; i++) {
        ssize_t length = read(child->output_fd, piece, sizeof piece);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length <= 0) {
            close_watched(&child->output_watch, &child->output_fd);
            maybe_end(child);
            return;
        }
        keep_words(child, piece, (size_t)length);
        if (child->events && child->events->output)
            child->events->output(child->owner, piece, (size_t)length);
    }
}

static void input_ready(void *owner, unsigned ready)
{
    (void)ready;
    struct child *child = owner;
    ssize_t written = write(child->input_fd, child->input, child->input_left);
    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (written > 0) {
        child->input += written;
        child->input_left -= (size_t)written;
    }
    /* a child that does not read to the end has its reasons */
    if (written < 0 || child->input_left == 0)
        close_watched(&child->input_watch, &child->input_fd);
}

/* --- the start --- */

struct pipes {
    int input[2], output[2], report[2];
};

static void pipes_close(struct pipes *pipes)
{
    int *all[] = { pipes->input, pipes->output, pipes->report };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (int end = 0; end < 2; end++) {
            if (all[i][end] >= 0)
                close(all[i][end]);
            all[i][end] = -1;
        }
}

static int pipes_open(struct pipes *pipes, const struct child_start *start)
{
    *pipes = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
    if ((start->input && pipe2(pipes->input, O_CLOEXEC) < 0) || pipe2(pipes->output, O_CLOEXEC) < 0 ||
        pipe2(pipes->report, O_CLOEXEC) < 0) {
        pipes_close(pipes);
        return -1;
    }
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static int take_end(int *end)
{
    int fd = *end;
    *end = -1;
    return fd;
}

/* Waits until exec happened (the pipe closes) or did not. */
static int exec_result(int report_fd, const struct child_start *start, struct error *error)
{
    struct child_failure failure = { 0 };
    ssize_t length;
    do {
        length = read(report_fd, &failure, sizeof failure);
    } while (length < 0 && errno == EINTR);
    if (length != (ssize_t)sizeof failure)
        return 0;
    failure.step[sizeof failure.step - 1] = '\0';
    return error_set(error, BLAME_SYSTEM, failure.number, "start %s: %s: %s", start->argv[0], failure.step,
                     strerror(failure.number));
}

/* A child of a process that cannot be dumped (courier, when it is not root) may not write its own score before exec. */
static void score_raise(pid_t pid, int score)
{
    char path[48], text[16];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
    int length = snprintf(text, sizeof text, "%d", score);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t written = write(fd, text, (size_t)length);
    (void)written;
    close(fd);
}

static void watch_it(struct child *child, struct pipes *pipes, const struct child_start *start)
{
    struct loop *loop = child->loop;
    child->output_fd = take_end(&pipes->output[0]);
    child->output_watch = loop_watch(loop, child->output_fd, LOOP_READ, output_ready, child);
    if (start->input) {
        child->input = start->input;
        child->input_left = start->input_length;
        child->input_fd = take_end(&pipes->input[1]);
        child->input_watch = loop_watch(loop, child->input_fd, LOOP_WRITE, input_ready, child);
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd >= 0) {
        fcntl(child->pidfd, F_SETFD, FD_CLOEXEC);
        child->exit_watch = loop_watch(loop, child->pidfd, LOOP_READ, exit_ready, child);
    }
    if (!child->exit_watch) {
        close_watched(&child->exit_watch, &child->pidfd);
        loop_after(loop, &child->look, LOOK_AGAIN_MS, look_for_exit, child);
    }
    if (start->timeout_ms)
        loop_after(loop, &child->timeout, start->timeout_ms, timeout_passed, child);
}

char *child_program_find(const char *name)
{
    for (const char *path = CHILD_PATH; *path;) {
        const size_t length = strcspn(path, ":");
        char *program = mem_format("%.*s/%s", (int)length, path, name);
        if (access(program, X_OK) == 0)
            return program;
        mem_free(program);
        path += length + (path[length] == ':');
    }
    return NULL;
}

/* The path to start, mem_free; NULL when it goes by descriptor. A name that is nowhere stays what it is, and exec says
 * so. */
static char *program_path(const struct child_start *start)
{
    const char *name = start->program ? start->program : start->argv[0];
    if (start->program_fd)
        return NULL;
    char *found = strchr(name, '/') ? NULL : child_program_find(name);
    return found ? found : mem_text(name);
}

/* -1 in *rules when there are none, because the kernel has none or the child is an exception. */
static int rules_make(const struct child_start *start, int *rules, struct error *error)
{
    static const struct confinement nothing;
    const int abi = start->unconfined_because ? 0 : confine_abi();
    *rules = -1;
    if (abi == 0)
        return 0;
    *rules = confine_rules(start->confinement ? start->confinement : &nothing,
                           start->program_fd ? *start->program_fd : -1, abi, error);
    return *rules < 0 ? error_within(error, "start %s", start->argv[0]) : 0;
}

static pid_t fork_child(const struct child_start *start, const struct pipes *pipes, int rules)
{
    OWNED_TEXT char *path = program_path(start);
    const struct child_fds fds = { .input = pipes->input[0],
                                   .output = start->output_fd >= 0 ? start->output_fd : pipes->output[1],
                                   .errors = pipes->output[1],
                                   .pass = start->pass_fd,
                                   .rules = rules,
                                   .program = path };
    const pid_t pid = fork();
    if (pid == 0)
        child_become(start, &fds, pipes->report[1]);
    return pid;
}

struct child *child_start(struct loop *loop, const struct child_start *start, const struct child_events *events,
                          void *owner, struct error *error)
{
    struct pipes pipes;
    int rules;
    reap_abandoned();
    if (rules_make(start, &rules, error) < 0)
        return NULL;
    if (pipes_open(&pipes, start) < 0) {
        error_errno(error, "start %s: pipe", start->argv[0]);
        close_fd(rules);
        return NULL;
    }
    const pid_t pid = fork_child(start, &pipes, rules);
    if (pid < 0)
        error_errno(error, "start %s: fork", start->argv[0]);
    close_fd(rules);
    close(take_end(&pipes.report[1]));
    close(take_end(&pipes.output[1]));
    if (pid < 0 || exec_result(pipes.report[0], start, error) < 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        pipes_close(&pipes);
        return NULL;
    }
    if (start->oom_score_adj)
        score_raise(pid, start->oom_score_adj);
    struct child *child = mem_new(sizeof *child);
    *child = (struct child){
        .loop = loop, .events = events, .owner = owner, .pid = pid, .pidfd = -1, .input_fd = -1, .output_fd = -1
    };
    watch_it(child, &pipes, start);
    pipes_close(&pipes);
    return child;
}

const char *child_last_words(const struct child *child)
{
    return child ? child->words : "";
}

void child_signal(struct child *child, int number)
{
    if (child)
        kill_group(child, number);
}

void child_cancel(struct child *child)
{
    if (child == NULL || child->ending)
        return;
    child->events = NULL;
    if (!child->exited) {
        kill_group(child, SIGKILL);
        abandon(child->pid);
        child->exited = true;
    }
    child_close(child);
}
