/* Everything here runs in a copy of a process with threads: only system calls, no allocation. */
#include "child_exec.h"

#include "io/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FIRST_FREE_FD = 16 }; /* descriptors are moved above this while 0 to 3 are laid out */

static int report = -1;

static _Noreturn void fail(const char *step)
{
    struct child_failure failure = { .number = errno };
    strncpy(failure.step, step, sizeof failure.step - 1);
    ssize_t written = write(report, &failure, sizeof failure);
    (void)written;
    _exit(127);
}

static void reset_signals(void)
{
    struct sigaction standard = { .sa_handler = SIG_DFL };
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL); /* fails for KILL and STOP, as it should */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Raising the score is allowed to everyone; a failure only means that the kernel picks another victim. */
static void set_oom_score(int score)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d", score);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t written = write(fd, text, (size_t)length);
    (void)written;
    close(fd);
}

static int lift(int fd)
{
    int given = fd >= 0 ? fd : open("/dev/null", O_RDWR | O_CLOEXEC);
    int lifted = fcntl(given, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (lifted < 0)
        fail("descriptors");
    return lifted;
}

static void close_between(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0u) == 0)
        return;
    /* kernels before 5.9 */
    struct rlimit limit = { .rlim_cur = 1024 };
    getrlimit(RLIMIT_NOFILE, &limit);
    const unsigned most = limit.rlim_cur < 65536 ? (unsigned)limit.rlim_cur : 65536;
    for (unsigned fd = first; fd <= last && fd < most; fd++)
        close((int)fd);
}

/* Closes all from first on, but for the report and the program (-1: none). Both close at exec. */
static void close_from(unsigned first, int program)
{
    const unsigned low = (unsigned)(program >= 0 && program < report ? program : report);
    const unsigned high = program > report ? (unsigned)program : (unsigned)report;
    close_between(first, low - 1);
    if (low < high)
        close_between(low + 1, high - 1);
    close_between(high + 1, ~0u);
}

/* The program's descriptor where it is now, or -1. */
static int lay_out(const struct child_fds *fds, const int *program_fd)
{
    report = lift(report);
    int input = lift(fds->input), output = lift(fds->output), errors = lift(fds->errors);
    int pass = fds->pass >= 0 ? lift(fds->pass) : -1;
    int program = program_fd ? lift(*program_fd) : -1;
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0 || (pass >= 0 && dup2(pass, 3) < 0))
        fail("descriptors");
    close_from(pass >= 0 ? 4 : 3, program);
    return program;
}

static void drop_capabilities(void)
{
    /* With no_new_privs nothing comes back at exec; emptying the bounding set, which needs a right, is tried as well.
     */
    for (int number = 0; number <= 63; number++)
        prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
    if (syscall(SYS_capset, &header, none) < 0)
        fail("capset");
}

static void change_user(uid_t uid, gid_t gid)
{
    /* who is that user already and may not change anything has nothing to change */
    bool already = geteuid() == uid && getuid() == uid && getegid() == gid && getgid() == gid;
    if (setgroups(0, NULL) < 0 && !(already && errno == EPERM))
        fail("setgroups");
    if (setresgid(gid, gid, gid) < 0)
        fail("setgid");
    if (setresuid(uid, uid, uid) < 0)
        fail("setuid");
}

/* The strings of these two are only handed to exec, which does not write to them. */
static char *const *as_exec_wants(const char *const *strings)
{
    union {
        const char *const *given;
        char *const *wanted;
    } either = { .given = strings };
    return either.wanted;
}

/* Past the length a write shall fail and be told, so the signal is ignored, which exec keeps. */
static void set_limits(const struct child_start *start)
{
    const struct rlimit data = { start->data_most, start->data_most }, file = { start->file_most, start->file_most };
    if (start->file_most && (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &file) < 0))
        fail("file limit");
    if (start->data_most && setrlimit(RLIMIT_DATA, &data) < 0)
        fail("memory limit");
}

/* An exec as uid 0 or of a set-uid file gains nothing, and rules can be put on without a right. */
static void confine(const struct child_fds *fds)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("no_new_privs");
    if (fds->rules >= 0 && confine_self(fds->rules) < 0)
        fail("confine");
}

static _Noreturn void start_program(const struct child_start *start, const char *path, int program)
{
    static const char *const nothing[] = { NULL };
    char *const *words = as_exec_wants(start->argv);
    char *const *environment = as_exec_wants(start->env ? start->env : nothing);
    if (program >= 0)
        syscall(SYS_execveat, program, "", words, environment, AT_EMPTY_PATH);
    else
        execve(path, words, environment);
    fail("exec");
}

void child_become(const struct child_start *start, const struct child_fds *fds, int report_fd)
{
    report = report_fd;
    setpgid(0, 0);
    reset_signals();
    if (start->oom_score_adj)
        set_oom_score(start->oom_score_adj);
    confine(fds);
    const int program = lay_out(fds, start->program_fd);
    if (start->change_user)
        change_user(start->uid, start->gid);
    if (start->change_user || start->no_capabilities)
        drop_capabilities();
    if (start->folder && chdir(start->folder) < 0)
        fail("chdir");
    set_limits(start);
    start_program(start, fds->program, program);
}
