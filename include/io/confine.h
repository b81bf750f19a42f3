/* What a child may reach: enforced by the kernel (Landlock) from before its program starts, for all that it starts. No
 * privilege is needed, none lifts it again, and it holds for uid 0 with every capability as well. */
#ifndef IO_CONFINE_H
#define IO_CONFINE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* What may be done to a file or folder, and to all that lies below it. */
enum confine_right {
    CONFINE_LIST = 1,   /* list folders */
    CONFINE_READ = 2,   /* read files */
    CONFINE_RUN = 4,    /* start programs; libraries need only CONFINE_READ */
    CONFINE_WRITE = 8,  /* write and make files, folders and symlinks; no device, socket or fifo */
    CONFINE_REMOVE = 16 /* remove files and folders; with CONFINE_WRITE also move them */
};
#define CONFINE_PLACES_MOST 6

struct confine_place {
    const char *path; /* borrowed; a symlink is followed; missing is fine and gives nothing */
    unsigned rights;
};
/* Programs, libraries and settings of the system (/usr, /bin, /sbin, /lib*, /etc) can always be read and run, /dev/null
 * and the random devices used; everything else is out of reach unless it stands here. */
struct confinement {
    struct confine_place places[CONFINE_PLACES_MOST]; /* ends at the first without a path */
    bool no_tcp; /* no TCP connection (kernels from 6.7); none can be accepted in any case */
};

/* What this kernel can enforce, Landlock's ABI: 0 nothing, 1 files (5.13), 2 moving files between folders (5.19), 3
 * truncating (6.2), 4 TCP (6.7), 5 ioctl of devices (6.10), 6 signals and abstract unix sockets (6.12). A system call
 * that a container's profile refuses counts as none. */
int confine_abi(void);
/* Makes the rule set of a child on a kernel of that abi, at least 1 (tests name an older one than confine_abi()).
 * program_fd: a program that it may start wherever that lies, or -1. Gives a descriptor for confine_self, or -1: a
 * child that should be confined and cannot be is not to be started. */
int confine_rules(const struct confinement *confinement, int program_fd, int abi, struct error *error) MUST_CHECK;
/* Puts this process under the rules, for good; it must have no_new_privs. System calls only, so that it can stand
 * between fork and exec. -1 with errno. */
int confine_self(int rules) MUST_CHECK;

#endif
