/*
 * The container of dataops-step, for its tests: starts the real program in several kinds of containers, and plays
 * courier over the real socket. The program is $DATAOPS_BUILD/dataops-step.
 *
 * A test program that includes this is also what runs inside: `TEST as UID PROGRAM` drops to a user, see inside().
 */
#ifndef TESTS_STEP_CONTAINER_H
#define TESTS_STEP_CONTAINER_H

#include "step/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000

/* A kind of container. */
struct place {
    const char *name;
    bool first; /* step is PID 1, in a pid namespace of its own */
    unsigned uid;
    const char *shell;  /* the only shell there, as /busybox/sh ("" none); NULL: what this machine has */
    unsigned processes; /* RLIMIT_NPROC; 0: as it is */
};

struct container {
    const struct place *place;
    char folder[64]; /* writable for all; holds the socket and step's stderr */
    int listener;
    int courier; /* our end */
    pid_t pid;   /* step, or bubblewrap around it */
};

/* What a run of a script brought. Free output with free(). */
struct outcome {
    int status;
    char *output; /* NUL behind it */
    size_t bytes;
    unsigned cleaned;
};

static char test_program[512];
static char step_program[512];

static inline uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void programs_find(void)
{
    const char *build = getenv("DATAOPS_BUILD");
    assert_true(readlink("/proc/self/exe", test_program, sizeof test_program - 1) > 0);
    snprintf(step_program, sizeof step_program, "%s/dataops-step", build ? build : ".");
    if (access(step_program, X_OK) < 0)
        fail_msg("no program at %s: set DATAOPS_BUILD", step_program);
}

/*
 * `TEST as UID NPROC PROGRAM...`: becomes that user and executes the program, with a signal ignored and another one
 * blocked as a container runtime might leave them.
 */
static inline int inside_as(char **words)
{
    const unsigned uid = (unsigned)strtoul(words[0], NULL, 10);
    const rlim_t processes = strtoul(words[1], NULL, 10);
    const struct rlimit limit = { processes, processes };
    sigset_t blocked;
    if (processes && setrlimit(RLIMIT_NPROC, &limit) < 0)
        return 111;
    if (geteuid() != uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        return 112;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    execv(words[2], words + 2);
    return 113;
}

static inline bool bubblewrap_works(void)
{
    return system("bwrap --ro-bind / / --unshare-pid --as-pid-1 --dev /dev --proc /proc true 2> /dev/null") == 0;
}

static inline void add(const char **words, unsigned *count, unsigned many, ...)
{
    va_list list;
    va_start(list, many);
    while (many--)
        words[(*count)++] = va_arg(list, const char *);
    va_end(list);
}

/* A root with libraries and the two programs, and place->shell as its only shell. */
static inline void add_bare_root(const struct place *place, const char **words, unsigned *count)
{
    add(words, count, 6, "--ro-bind", "/usr", "/usr", "--ro-bind", "/lib", "/lib");
    add(words, count, 3, "--ro-bind-try", "/lib64", "/lib64");
    add(words, count, 4, "--tmpfs", "/usr/bin", "--tmpfs", "/usr/local/bin");
    add(words, count, 6, "--ro-bind", step_program, "/step", "--ro-bind", test_program, "/test");
    add(words, count, 4, "--perms", "0755", "--dir", "/tmp");
    if (!*place->shell)
        return;
    add(words, count, 7, "--perms", "0755", "--dir", "/busybox", "--ro-bind", place->shell, "/busybox/sh");
    /* the first of all shells is there, and may not be executed */
    add(words, count, 3, "--ro-bind", "/etc/passwd", "/usr/local/bin/bash");
}

static inline void add_bubblewrap(const struct container *container, const char **words, unsigned *count, char *uid)
{
    const struct place *place = container->place;
    add(words, count, 4, "bwrap", "--unshare-pid", "--as-pid-1", "--die-with-parent");
    if (place->shell)
        add_bare_root(place, words, count);
    else
        add(words, count, 3, "--ro-bind", "/", "/");
    add(words, count, 4, "--dev", "/dev", "--proc", "/proc");
    add(words, count, 3, "--bind", container->folder, container->folder);
    if (geteuid() != 0)
        add(words, count, 3, "--unshare-user", "--uid", uid);
    else if (place->uid == 0)
        add(words, count, 2, "--cap-drop", "ALL");
}

static inline void container_exec(const struct container *container)
{
    const char *words[64] = { NULL };
    unsigned count = 0;
    char uid[16];
    char processes[16];
    char path[128];

    snprintf(uid, sizeof uid, "%u", container->place->uid);
    snprintf(processes, sizeof processes, "%u", container->place->processes);
    snprintf(path, sizeof path, "%s/socket", container->folder);
    setenv(STEP_SOCKET_VARIABLE, path, 1);
    setenv("OF_IMAGE", "kept", 1);
    setenv("OF_BOTH", "of the image", 1);
    snprintf(path, sizeof path, "%s/stderr", container->folder);
    const int errors = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(errors, STDERR_FILENO);
    if (container->place->first)
        add_bubblewrap(container, words, &count, uid);
    if (geteuid() == 0 || container->place->first)
        add(words, &count, 4, container->place->shell ? "/test" : test_program, "as", uid, processes);
    add(words, &count, 1, container->place->shell ? "/step" : step_program);
    execvp(words[0], (char **)(uintptr_t)words);
    _exit(110);
}

/* Starts step in a container and accepts its connection. */
static inline void container_open(struct container *container, const struct place *place)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

    *container = (struct container){ .place = place, .folder = "/tmp/step-XXXXXX" };
    assert_non_null(mkdtemp(container->folder));
    assert_int_equal(chmod(container->folder, 0777), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", container->folder);
    container->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(container->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chmod(address.sun_path, 0666), 0);
    assert_int_equal(listen(container->listener, 1), 0);
    container->pid = fork();
    if (container->pid == 0)
        container_exec(container);
    struct pollfd ready = { .fd = container->listener, .events = POLLIN };
    if (poll(&ready, 1, PATIENCE_MS) != 1)
        fail_msg("step did not connect in %s", place->name);
    container->courier = accept4(container->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(container->courier >= 0);
    setsockopt(container->courier, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

/* Receives one message of that kind and size; with a descriptor when fd is not NULL. */
static inline void expect(const struct container *container, uint32_t kind, void *message, size_t size, int *fd)
{
    char bytes[STEP_MESSAGE_MAX_BYTES + 1];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr packet = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    const ssize_t got = recvmsg(container->courier, &packet, MSG_CMSG_CLOEXEC);
    if (got < 0)
        fail_msg("no message of kind %u in %s: %s", kind, container->place->name, strerror(errno));
    if (got >= 16)
        memcpy(message, bytes, size);
    if (got >= 4 && memcmp(bytes, &kind, 4) != 0) {
        struct step_failed failed;
        memcpy(&failed, bytes, sizeof failed);
        fail_msg("kind %u instead of %u in %s (error %d, call %u)", failed.kind, kind, container->place->name,
                 failed.error, failed.call);
    }
    assert_int_equal(got, size);
    assert_int_equal(packet.msg_controllen, fd ? CMSG_SPACE(sizeof(int)) : 0);
    if (fd)
        memcpy(fd, CMSG_DATA(&control.head), sizeof *fd);
}

static inline void expect_hello(const struct container *container)
{
    struct step_hello hello;
    expect(container, STEP_HELLO, &hello, sizeof hello, NULL);
    assert_int_equal(hello.version, STEP_PROTOCOL_VERSION);
    assert_true(hello.oom_kills >= -1);
}

static inline void expect_failed(const struct container *container, uint32_t run, int error, uint32_t call)
{
    struct step_failed failed;
    expect(container, STEP_FAILED, &failed, sizeof failed, NULL);
    assert_int_equal(failed.run, run);
    assert_int_equal(failed.error, error);
    assert_int_equal(failed.call, call);
}

/* The output pipe of the run. */
static inline int expect_started(const struct container *container, uint32_t run, struct step_started *started)
{
    int fd = -1;
    expect(container, STEP_STARTED, started, sizeof *started, &fd);
    assert_int_equal(started->run, run);
    assert_true(started->pid > 1);
    return fd;
}

static inline int expect_exited(const struct container *container, uint32_t run)
{
    struct step_exited exited;
    expect(container, STEP_EXITED, &exited, sizeof exited, NULL);
    assert_int_equal(exited.run, run);
    assert_true(exited.oom_kills >= -1);
    return exited.status;
}

static inline void send_packet(const struct container *container, const void *message, size_t size, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec part = { (void *)(uintptr_t)message, size };
    struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        packet.msg_control = control.bytes;
        packet.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){ CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    assert_int_equal(sendmsg(container->courier, &packet, MSG_NOSIGNAL), size);
}

static inline void send_stop(const struct container *container, uint32_t run)
{
    const struct step_stop stop = { STEP_STOP, run };
    send_packet(container, &stop, sizeof stop, -1);
}

static inline void send_bye(const struct container *container)
{
    const struct step_bye bye = { STEP_BYE };
    send_packet(container, &bye, sizeof bye, -1);
}

/* A memfd with these bytes and seals. */
static inline int file_with(const void *bytes, size_t size, int seals)
{
    const int fd = memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    for (size_t done = 0; done < size;) {
        const ssize_t part = write(fd, (const char *)bytes + done, size - done);
        assert_true(part > 0);
        done += (size_t)part;
    }
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* An order to be written as a block. */
struct wish {
    const char *folder;         /* NULL: the container's folder */
    const char *const *entries; /* NULL ends them */
    const char *script;
    uint32_t shell; /* 0: bash */
    uint32_t grace_ms;
    uint32_t flags;
};

/* Gives the block (free) and its size. */
static inline char *block_write(const struct container *container, const struct wish *wish, size_t *size)
{
    static const char *const usual[] = { "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", NULL };
    const char *const *entries = wish->entries ? wish->entries : usual;
    const char *folder = wish->folder ? wish->folder : container->folder;
    struct step_order head = { STEP_ORDER_MAGIC, STEP_ORDER_VERSION, (uint32_t)strlen(folder), 0,
                               (uint32_t)strlen(wish->script) };
    char *block = NULL;
    FILE *file = open_memstream(&block, size);
    for (unsigned i = 0; entries[i]; i++)
        head.entries++;
    fwrite(&head, sizeof head, 1, file);
    fwrite(folder, strlen(folder) + 1, 1, file);
    for (unsigned i = 0; entries[i]; i++)
        fwrite(entries[i], strlen(entries[i]) + 1, 1, file);
    fwrite(wish->script, 1, strlen(wish->script), file);
    fclose(file);
    return block;
}

static inline void send_run(const struct container *container, uint32_t run, const struct wish *wish)
{
    size_t size;
    char *block = block_write(container, wish, &size);
    const struct step_run message = { STEP_RUN, run, wish->shell ? wish->shell : STEP_SHELL_BASH, wish->grace_ms,
                                      wish->flags };
    const int fd = file_with(block, size, F_SEAL_WRITE | F_SEAL_SHRINK);
    send_packet(container, &message, sizeof message, fd);
    close(fd);
    free(block);
}

/* Reads until EOF, or (many not 0) so many bytes. Gives the bytes, a NUL behind them. */
static inline char *output_read(int fd, size_t many, size_t *bytes)
{
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    char *output = malloc(1);
    *bytes = 0;
    while (many == 0 || *bytes < many) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        if (now_ms() >= last_ms || poll(&ready, 1, PATIENCE_MS) != 1)
            fail_msg("output does not end");
        const size_t space = many ? many - *bytes : 65536;
        output = realloc(output, *bytes + space + 1);
        const ssize_t part = read(fd, output + *bytes, space);
        if (part <= 0)
            break;
        *bytes += (size_t)part;
    }
    output[*bytes] = '\0';
    return output;
}

/* Waits for these words, and nothing else, on the pipe. */
static inline void output_expect(int fd, const char *words)
{
    size_t bytes;
    char *output = output_read(fd, strlen(words), &bytes);
    assert_string_equal(output, words);
    free(output);
}

/* Runs a script to its end. Free outcome.output. */
static inline struct outcome run_wish(const struct container *container, uint32_t run, const struct wish *wish)
{
    struct outcome outcome;
    struct step_started started;
    send_run(container, run, wish);
    const int fd = expect_started(container, run, &started);
    outcome.cleaned = started.cleaned;
    outcome.output = output_read(fd, 0, &outcome.bytes);
    outcome.status = expect_exited(container, run);
    close(fd);
    return outcome;
}

/* Runs a script that must print these words and exit 0. */
static inline void run_prints(const struct container *container, const char *script, const char *words)
{
    struct outcome outcome = run_wish(container, 1, &(struct wish){ .script = script });
    assert_string_equal(outcome.output, words);
    assert_int_equal(outcome.status, 0);
    free(outcome.output);
}

/* Waits for the end of step. Its exit code, or -signal. */
static inline int container_wait(struct container *container)
{
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(container->pid, &status, WNOHANG)) == 0 && now_ms() < last_ms)
        usleep(2000);
    if (pid == 0)
        fail_msg("step does not end in %s", container->place->name);
    container->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Whether step said this on its stderr. */
static inline bool container_said(const struct container *container, const char *words)
{
    char path[128];
    char text[4096] = "";
    snprintf(path, sizeof path, "%s/stderr", container->folder);
    const int fd = open(path, O_RDONLY);
    const ssize_t bytes = read(fd, text, sizeof text - 1);
    close(fd);
    return bytes > 0 && strstr(text, words);
}

/* Removes the container, whatever is left of it. */
static inline void container_close(struct container *container)
{
    char command[128];
    close(container->courier);
    close(container->listener);
    if (container->pid > 0)
        container_wait(container);
    snprintf(command, sizeof command, "rm -rf '%s'", container->folder);
    assert_int_equal(system(command), 0);
}

#endif
