/* Loaded in front of the C library (LD_PRELOAD): counts the calls of one program, and lets one of them fail.
 *
 * FAULT_PROGRAM names the program that is meant (others that inherit the environment are left alone), FAULT_CALL the
 * call, FAULT_NTH which of them fails (0: none, they are only counted), FAULT_ERRNO with what (0: a write takes one byte
 * only), FAULT_COUNT a file of sizeof(struct fault_count) for what happened. */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct fault_count *count; /* NULL: this program is not meant */
static const char *call_name = "";
static unsigned nth;
static int fault_errno;

__attribute__((constructor)) static void begin(void)
{
    const char *program = getenv("FAULT_PROGRAM"), *path = getenv("FAULT_COUNT"), *call = getenv("FAULT_CALL");
    const char *number = getenv("FAULT_NTH"), *error = getenv("FAULT_ERRNO");
    if (!program || !path || !call || !number || !error || strcmp(program, program_invocation_short_name) != 0)
        return;
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *shared = (void *)syscall(SYS_mmap, NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (shared == MAP_FAILED)
        return;
    call_name = call;
    nth = (unsigned)strtoul(number, NULL, 10);
    fault_errno = (int)strtol(error, NULL, 10);
    count = shared;
}

/* True when this call is the one that fails. */
static int is_hit(const char *name)
{
    if (!count || strcmp(name, call_name) != 0)
        return 0;
    const unsigned mine = __atomic_add_fetch(&count->calls, 1, __ATOMIC_SEQ_CST);
    if (mine != nth)
        return 0;
    count->hit = 1;
    if (getenv("FAULT_TRACE")) {
        void *frames[12];
        backtrace_symbols_fd(frames, backtrace(frames, 12), 2);
    }
    errno = fault_errno;
    return 1;
}

#define NEXT(type, name, ...)                                                                                          \
    static type (*next)(__VA_ARGS__);                                                                                  \
    if (!next)                                                                                                         \
    *(void **)&next = dlsym(RTLD_NEXT, name)

#define OPEN(name, flags_at)                                                                                           \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                \
        va_end(rest);                                                                                                  \
        NEXT(int, #name, const char *, int, ...);                                                                      \
        return is_hit("open") ? -1 : next(path, flags, mode);                                                          \
    }
OPEN(open, 1)
OPEN(open64, 1)

#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...)                                                             \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                \
        va_end(rest);                                                                                                  \
        NEXT(int, #name, int, const char *, int, ...);                                                                 \
        return is_hit("open") ? -1 : next(folder, path, flags, mode);                                                  \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t read(int fd, void *bytes, size_t size)
{
    NEXT(ssize_t, "read", int, void *, size_t);
    return is_hit("read") ? -1 : next(fd, bytes, size);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    NEXT(ssize_t, "write", int, const void *, size_t);
    if (is_hit("write"))
        return fault_errno != 0 ? -1 : next(fd, bytes, size > 0 ? 1 : 0);
    return next(fd, bytes, size);
}

#define FAILS(type, name, parameters, arguments, ...)                                                                  \
    type name parameters                                                                                               \
    {                                                                                                                  \
        NEXT(type, #name, __VA_ARGS__);                                                                                \
        return is_hit(#name) ? (type)-1 : next arguments;                                                              \
    }
FAILS(pid_t, fork, (void), (), void)
FAILS(int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags), int,
      struct sockaddr *, socklen_t *, int)
FAILS(int, socket, (int family, int type, int protocol), (family, type, protocol), int, int, int)
FAILS(int, pipe2, (int ends[2], int flags), (ends, flags), int *, int)
FAILS(int, memfd_create, (const char *name, unsigned flags), (name, flags), const char *, unsigned)
FAILS(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), int,
      const struct msghdr *, int)
FAILS(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), int, struct msghdr *, int)
FAILS(int, fsync, (int fd), (fd), int)
FAILS(int, rename, (const char *from, const char *to), (from, to), const char *, const char *)
FAILS(int, mkdir, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
FAILS(int, fchmod, (int fd, mode_t mode), (fd, mode), int, mode_t)
FAILS(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), int, uid_t, gid_t)
