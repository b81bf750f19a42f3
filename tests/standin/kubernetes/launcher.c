/*
 * The last step of starting a container: bubblewrap has made the namespaces and
 * the mounts, this takes the user, the groups, the capabilities and the seccomp
 * profile that the pod asks for, and becomes the container's command.
 *
 * launcher ERROR_FD CGROUP_FDS UID GID GROUPS CAPABILITIES FLAGS FOLDER COMMAND [ARGUMENT...]
 *   CGROUP_FDS    open cgroup.procs files to join, comma-separated, or "-"
 *   GROUPS        comma-separated numbers or "-"
 *   CAPABILITIES  hexadecimal mask of the bounding set
 *   FLAGS         letters: n = no new privileges, s = seccomp RuntimeDefault,
 *                 d = die with the parent, "-" = none
 * Writes "R" to ERROR_FD just before the command is started; on failure
 * "E <errno> <call>" follows. The descriptor closes when the command runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBERS_MAX     64
#define CAPABILITY_LAST 63

static int error_fd = -1;

static void fail(const char *call)
{
    char text[128];
    int length = snprintf(text, sizeof(text), "E %d %s\n", errno, call);

    if (length > 0 && write(error_fd, text, (size_t)length) < 0)
        _exit(127);
    _exit(127);
}

static int parse_numbers(const char *text, unsigned int *numbers)
{
    int count = 0;
    char *end;

    while (*text >= '0' && *text <= '9' && count < NUMBERS_MAX) {
        numbers[count++] = (unsigned int)strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return count;
}

static void join_cgroups(const char *text)
{
    unsigned int fds[NUMBERS_MAX];
    int count = parse_numbers(text, fds);

    for (int i = 0; i < count; i++)
        if (write((int)fds[i], "0", 1) < 0)
            fail("cgroup");
}

/* Every folder of the path; what exists already is no error. */
static void make_folders(const char *path)
{
    char copy[4096];
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(copy))
        return;
    memcpy(copy, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (copy[i] != '/')
            continue;
        copy[i] = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return;
        copy[i] = '/';
    }
    if (mkdir(copy, 0755) < 0)
        return;
}

/* What containerd's default profile refuses to a container without the capability. */
static void install_seccomp(void)
{
    static const uint32_t refused[] = {
        SYS_pidfd_getfd, SYS_add_key,         SYS_keyctl,         SYS_request_key,
        SYS_bpf,         SYS_perf_event_open, SYS_userfaultfd,    SYS_kexec_load,
        SYS_mount,       SYS_umount2,         SYS_unshare,        SYS_setns,
        SYS_pivot_root,  SYS_swapon,          SYS_swapoff,        SYS_reboot,
        SYS_init_module, SYS_finit_module,    SYS_delete_module,  SYS_open_by_handle_at,
        SYS_fsopen,      SYS_fsconfig,        SYS_fsmount,        SYS_move_mount,
        SYS_open_tree,   SYS_io_uring_setup,  SYS_io_uring_enter, SYS_io_uring_register,
    };
    enum { REFUSED = sizeof(refused) / sizeof(refused[0]) };
    struct sock_filter code[REFUSED + 3];
    struct sock_fprog program = { .len = REFUSED + 3, .filter = code };

    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < REFUSED; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(REFUSED - i), 0);
    code[REFUSED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[REFUSED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        fail("seccomp");
}

static void drop_capabilities(uint64_t kept)
{
    for (int number = 0; number <= CAPABILITY_LAST; number++) {
        if (kept & (1ULL << number))
            continue;
        if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 && errno != EINVAL)
            fail("drop capability");
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        fail("clear ambient");
}

int main(int argc, char **argv)
{
    gid_t groups[NUMBERS_MAX];
    sigset_t none;

    if (argc < 10)
        return 127;
    error_fd = (int)strtol(argv[1], NULL, 10);
    uid_t uid = (uid_t)strtoul(argv[3], NULL, 10);
    gid_t gid = (gid_t)strtoul(argv[4], NULL, 10);
    int group_count = parse_numbers(argv[5], groups);
    const char *flags = argv[7];

    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return 127;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    join_cgroups(argv[2]);
    make_folders(argv[8]);
    for (int fd = 0; fd < 3; fd++)
        if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EROFS)
            continue;
    if (strchr(flags, 'n') && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("no new privileges");
    if (strchr(flags, 's'))
        install_seccomp();
    drop_capabilities(strtoull(argv[6], NULL, 16));
    if (setgroups((size_t)group_count, groups) < 0)
        fail("setgroups");
    if (setresgid(gid, gid, gid) < 0)
        fail("setgid");
    if (setresuid(uid, uid, uid) < 0)
        fail("setuid");
    if (strchr(flags, 'd') && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        fail("parent death signal");
    if (chdir(argv[8]) < 0)
        fail("chdir");
    if (write(error_fd, "R\n", 2) != 2)
        return 127;
    execvp(argv[9], argv + 9);
    fail("exec");
}
