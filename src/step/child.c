#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "step/protocol.h"

static const struct {
    uint32_t kind; /* enum step_shell */
    const char *path;
    const char *name;
} shells[] = {
    { STEP_SHELL_BASH, "/usr/local/bin/bash", "bash" },
    { STEP_SHELL_BASH, "/usr/bin/bash", "bash" },
    { STEP_SHELL_BASH, "/bin/bash", "bash" },
    { STEP_SHELL_SH, "/usr/local/bin/sh", "sh" },
    { STEP_SHELL_SH, "/usr/bin/sh", "sh" },
    { STEP_SHELL_SH, "/bin/sh", "sh" },
    { STEP_SHELL_SH, "/busybox/sh", "sh" },
};

static noreturn void child_fail(int failure_fd, uint32_t call, int error)
{
    const struct failure failure = { call, error };
    const ssize_t ignored = write(failure_fd, &failure, sizeof failure);
    (void)ignored;
    _exit(STEP_EXIT_LOST);
}

/* Step blocks all signals, and whoever started it may have ignored some: a script starts with neither. libc keeps
 * signals 32 and 33 for itself and refuses to touch them, so the kernel is asked directly. */
static void signals_reset(void)
{
    sigset_t none;
    const struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } ordinary = { .handler = SIG_DFL };
    for (int i = 1; i <= SIGRTMAX; i++)
        syscall(SYS_rt_sigaction, i, &ordinary, NULL, sizeof ordinary.mask);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whether this errno of execve is about that one shell, so that another may do. */
static bool is_about_the_shell(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENOEXEC || error == ELOOP;
}

/* Executes the first shell that is there. Returns an errno: of the first shell that exists, else ENOENT. */
static int shell_execute(const struct child *child, const char *script)
{
    int cause = ENOENT;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (child->shell == STEP_SHELL_SH && shells[i].kind != STEP_SHELL_SH)
            continue;
        union {
            const char *kept[3];
            char *given[3]; /* execve takes what it does not change as char * */
        } words = { .kept = { shells[i].name, script, NULL } };
        execve(shells[i].path, words.given, child->environment);
        if (!is_about_the_shell(errno))
            return errno;
        if (cause == ENOENT)
            cause = errno;
    }
    return cause;
}

noreturn void child_become(const struct child *child)
{
    char script[32];
    /* out of the way of the script's number, which may be one of these */
    const int failure_fd = fcntl(child->failure_fd, F_DUPFD_CLOEXEC, STEP_SCRIPT_FD + 1);
    const int script_fd = fcntl(child->script_fd, F_DUPFD_CLOEXEC, STEP_SCRIPT_FD + 1);

    if (failure_fd < 0 || script_fd < 0)
        child_fail(child->failure_fd, STEP_CALL_SCRIPT, errno);
    setsid();
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
        child_fail(failure_fd, STEP_CALL_STDIN, errno);
    if (dup2(child->output_fd, STDOUT_FILENO) < 0 || dup2(child->output_fd, STDERR_FILENO) < 0)
        child_fail(failure_fd, STEP_CALL_PIPE, errno);
    if (dup2(script_fd, STEP_SCRIPT_FD) < 0)
        child_fail(failure_fd, STEP_CALL_SCRIPT, errno);
    snprintf(script, sizeof script, "/proc/self/fd/%d", STEP_SCRIPT_FD);
    if (chdir(child->folder) < 0)
        child_fail(failure_fd, STEP_CALL_CHDIR, errno);
    signals_reset();
    child_fail(failure_fd, STEP_CALL_EXEC, shell_execute(child, script));
}
