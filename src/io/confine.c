#include "io/confine.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What linux/landlock.h has only where it is newer than ABI 2 (Documentation/userspace-api/landlock.rst). */
#define FS_TRUNCATE     (1u << 14)
#define FS_IOCTL_DEV    (1u << 15)
#define NET_BIND_TCP    (1u << 0)
#define NET_CONNECT_TCP (1u << 1)
#define SCOPE_ABSTRACT  (1u << 0)
#define SCOPE_SIGNAL    (1u << 1)
#define ABI_REFER       2
#define ABI_TRUNCATE    3
#define ABI_TCP         4
#define ABI_IOCTL_DEV   5
#define ABI_SCOPE       6
#define FS_ALL_OF_ABI_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_RIGHTS_OF_FILE                                                                                              \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE |         \
     FS_IOCTL_DEV)

/* struct landlock_ruleset_attr as of ABI 6; older kernels take the longer form when what they do not know is 0. */
struct ruleset {
    uint64_t handled_fs, handled_net, scoped;
};

static const struct confine_place system_places[] = {
    { "/usr", CONFINE_LIST | CONFINE_READ | CONFINE_RUN },
    { "/bin", CONFINE_LIST | CONFINE_READ | CONFINE_RUN },
    { "/sbin", CONFINE_LIST | CONFINE_READ | CONFINE_RUN },
    { "/lib", CONFINE_LIST | CONFINE_READ | CONFINE_RUN },
    { "/lib32", CONFINE_LIST | CONFINE_READ | CONFINE_RUN },
    { "/lib64", CONFINE_LIST | CONFINE_READ | CONFINE_RUN },
    { "/etc", CONFINE_LIST | CONFINE_READ },
    { "/dev/null", CONFINE_READ | CONFINE_WRITE },
    { "/dev/random", CONFINE_READ },
    { "/dev/urandom", CONFINE_READ },
};

static const struct {
    enum confine_right right;
    uint64_t access;
} meanings[] = {
    { CONFINE_LIST, LANDLOCK_ACCESS_FS_READ_DIR },
    { CONFINE_READ, LANDLOCK_ACCESS_FS_READ_FILE },
    { CONFINE_RUN, LANDLOCK_ACCESS_FS_EXECUTE },
    { CONFINE_WRITE, LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                         LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE },
    { CONFINE_REMOVE, LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR },
};

int confine_abi(void)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t handled_fs(int abi)
{
    return FS_ALL_OF_ABI_1 | (abi >= ABI_REFER ? LANDLOCK_ACCESS_FS_REFER : 0) |
           (abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0) | (abi >= ABI_IOCTL_DEV ? FS_IOCTL_DEV : 0);
}

static uint64_t access_of(unsigned rights)
{
    uint64_t access = 0;
    for (size_t i = 0; i < COUNT_OF(meanings); i++)
        if (rights & meanings[i].right)
            access |= meanings[i].access;
    return access;
}

static int fd_add(int rules, int fd, unsigned rights, int abi)
{
    struct stat status;
    struct landlock_path_beneath_attr rule = { .allowed_access = access_of(rights) & handled_fs(abi), .parent_fd = fd };
    if (fstat(fd, &status) < 0)
        return -1;
    if (!S_ISDIR(status.st_mode))
        rule.allowed_access &= FS_RIGHTS_OF_FILE;
    return rule.allowed_access ? (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) : 0;
}

static int place_add(int rules, const struct confine_place *place, int abi, struct error *error)
{
    const int fd = open(place->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(error, "open %s", place->path);
    const int added = fd_add(rules, fd, place->rights, abi);
    const int cause = errno;
    close(fd);
    errno = cause;
    return added < 0 ? error_errno(error, "allow %s", place->path) : 0;
}

int confine_rules(const struct confinement *confinement, int program_fd, int abi, struct error *error)
{
    /* The remaining right of a kernel that knows TCP: no child of ours takes connections. */
    const struct ruleset wish = {
        .handled_fs = handled_fs(abi),
        .handled_net = abi < ABI_TCP ? 0 : NET_BIND_TCP | (confinement->no_tcp ? NET_CONNECT_TCP : 0),
        .scoped = abi < ABI_SCOPE ? 0 : SCOPE_ABSTRACT | SCOPE_SIGNAL,
    };
    const int rules = (int)syscall(SYS_landlock_create_ruleset, &wish, sizeof wish, 0);
    if (rules < 0)
        return error_errno(error, "make rules of what it may reach");
    int added = program_fd < 0 ? 0 : fd_add(rules, program_fd, CONFINE_READ | CONFINE_RUN, abi);
    if (added < 0)
        error_errno(error, "allow its program");
    for (size_t i = 0; i < COUNT_OF(system_places) && added == 0; i++)
        added = place_add(rules, &system_places[i], abi, error);
    for (size_t i = 0; i < CONFINE_PLACES_MOST && confinement->places[i].path && added == 0; i++)
        added = place_add(rules, &confinement->places[i], abi, error);
    if (added == 0)
        return rules;
    close(rules);
    return -1;
}

int confine_self(int rules)
{
#ifdef __SANITIZE_ADDRESS__
    /* our own programs, when sanitized, look at their own memory map: nobody else's */
    const struct landlock_path_beneath_attr rule = { .allowed_access =
                                                         LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
                                                     .parent_fd = open("/proc/self", O_PATH | O_CLOEXEC) };
    if (rule.parent_fd >= 0) {
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        close(rule.parent_fd);
    }
#endif
    return (int)syscall(SYS_landlock_restrict_self, rules, 0);
}
