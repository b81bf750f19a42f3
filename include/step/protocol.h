/*
 * What courier and step say to each other: docs/formats.md, section 7.
 *
 * A SOCK_SEQPACKET unix socket, one struct a packet, little-endian, descriptors by SCM_RIGHTS.
 * Every message begins with its kind. Step tolerates nothing else: a packet of another size, kind or
 * number of descriptors ends it with STEP_EXIT_LOST.
 *
 * The order of things, seen by courier:
 *   connect    -> HELLO, once, first
 *   RUN        -> STARTED with the output pipe, later EXITED; or FAILED alone
 *   STOP       -> nothing of its own: EXITED comes when the script ended
 *   BYE, close -> step kills what is left and ends
 */
#ifndef STEP_PROTOCOL_H
#define STEP_PROTOCOL_H

#include <stdint.h>

/* Where things lie in the memory volume that both containers share (docs/formats.md, section 1). */
#define STEP_SOCKET          "/.dataops/socket"
#define STEP_SOCKET_VARIABLE "DATAOPS_SOCKET" /* names another socket, for tests */

#define STEP_PROTOCOL_VERSION  1u
#define STEP_MESSAGE_MAX_BYTES 256u                /* no packet is longer, either way */
#define STEP_CONNECT_LIMIT_MS  2000u               /* step looks for courier so long */
#define STEP_GRACE_MAX_MS      (60u * 60u * 1000u) /* longest time between TERM and KILL */
#define STEP_ORDER_MAX_BYTES   (8u * 1024 * 1024)
#define STEP_ORDER_MAX_ENTRIES 65536u /* environment entries in an order block */

/*
 * The shell is started as SHELL /proc/self/fd/9. It opens that once more for itself, so the script's first line may
 * close the descriptor ("exec 9<&-"), and nothing that the script starts inherits it. 9, because dash and busybox can
 * close no higher one by its number, and because bash, dash and busybox keep what they read above it.
 */
#define STEP_SCRIPT_FD 9

/* Exit codes of the program. */
#define STEP_EXIT_BYE   0  /* courier said BYE */
#define STEP_EXIT_USAGE 2  /* unknown argument */
#define STEP_EXIT_LOST  98 /* courier was not found, is gone, or said what this header does not know */

enum step_kind {
    STEP_HELLO = 1,
    STEP_RUN = 2,
    STEP_STARTED = 3,
    STEP_FAILED = 4,
    STEP_EXITED = 5,
    STEP_STOP = 6,
    STEP_BYE = 7,
};

/* Shell wish of RUN. The first that can be executed is taken; both lists are in docs/formats.md. */
enum step_shell {
    STEP_SHELL_BASH = 1, /* bash, else sh */
    STEP_SHELL_SH = 2,   /* sh only */
};

/* Flags of RUN. */
enum step_run_flag {
    STEP_RUN_ALONE = 1, /* what the script leaves running is killed before EXITED is said */
};

/* What STARTED says about processes that earlier runs left running. */
enum step_cleaned {
    STEP_CLEANED_NOT = 0,
    STEP_CLEANED_NO_ROOM = 1, /* killed: there was no room for new ones */
    STEP_CLEANED_STOPPED = 2, /* killed: their run was stopped, and this one ends its grace */
};

/* Which call FAILED is about. The errno beside it says why. */
enum step_call {
    STEP_CALL_RUN = 1,    /* the request: EBUSY, another script is running */
    STEP_CALL_ORDER = 2,  /* the order block: EPERM not sealed, EFBIG too big, EBADMSG not its format, ... */
    STEP_CALL_SCRIPT = 3, /* keeping the script text in memory */
    STEP_CALL_PIPE = 4,   /* making the pipes, or giving them to the script */
    STEP_CALL_FORK = 5,   /* no process: EAGAIN also after everything left behind was killed */
    STEP_CALL_STDIN = 6,  /* opening /dev/null */
    STEP_CALL_CHDIR = 7,  /* entering the working folder */
    STEP_CALL_EXEC = 8,   /* no shell (ENOENT), none that may be executed, or E2BIG: environment too big */
    STEP_CALL_WAIT = 9,   /* ETIMEDOUT: the new process did not reach its shell within 10 s */
};

/* step -> courier, first. */
struct step_hello {
    uint32_t kind;
    uint32_t version;  /* STEP_PROTOCOL_VERSION */
    int64_t oom_kills; /* processes of step's cgroup killed for memory so far; -1 unknown */
};

/*
 * courier -> step, with one descriptor: a memfd holding an order block (struct step_order), sealed with
 * F_SEAL_WRITE and F_SEAL_SHRINK. The script's environment is the one step itself was started with (the
 * image's ENV), less the names that the order holds, and then the order's entries.
 */
struct step_run {
    uint32_t kind;
    uint32_t run;      /* number chosen by courier, not 0; comes back in every answer */
    uint32_t shell;    /* enum step_shell */
    uint32_t grace_ms; /* between TERM and KILL after STOP, at most STEP_GRACE_MAX_MS */
    uint32_t flags;    /* enum step_run_flag */
};

/* step -> courier, with one descriptor: the read end of the pipe that is the script's stdout and stderr. */
struct step_started {
    uint32_t kind;
    uint32_t run;
    int32_t pid;      /* in step's pid namespace */
    uint32_t cleaned; /* enum step_cleaned */
};

/* step -> courier: nothing was started. */
struct step_failed {
    uint32_t kind;
    uint32_t run;
    int32_t error; /* errno */
    uint32_t call; /* enum step_call */
};

/*
 * step -> courier: the script's own process ended. Processes that it left behind live on, and may hold
 * the pipe open.
 */
struct step_exited {
    uint32_t kind;
    uint32_t run;
    int32_t status;    /* wait status: WIFEXITED, WTERMSIG, ... */
    uint32_t padding;  /* 0 */
    int64_t oom_kills; /* as in HELLO; a higher number than before names the cause of a SIGKILL */
};

/*
 * courier -> step: TERM to the script's process group, after the run's grace KILL to everything in the
 * container (to the group and what step adopted, where step is not PID 1). The grace goes on for the group when the
 * script's own process ended before the others. A second STOP for the same run ends the grace at once, so does the
 * next RUN. A run that ended before the first STOP came is left alone.
 */
struct step_stop {
    uint32_t kind;
    uint32_t run;
};

/* courier -> step: kill what is left and end with STEP_EXIT_BYE. */
struct step_bye {
    uint32_t kind;
};

/*
 * The head of an order block. Behind it, without gaps: the working folder (absolute), the environment
 * entries ("NAME=value", the name not empty), each of these ended by one NUL, then the script text, which
 * is the rest of the block.
 */
struct step_order {
    char magic[4]; /* STEP_ORDER_MAGIC, no NUL */
    uint32_t version;
    uint32_t folder_bytes; /* without its NUL */
    uint32_t entries;      /* at most STEP_ORDER_MAX_ENTRIES */
    uint32_t script_bytes;
};

#define STEP_ORDER_MAGIC   "DORD"
#define STEP_ORDER_VERSION 1u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs travel as they lie in memory");
_Static_assert(sizeof(struct step_hello) == 16, "size is part of the protocol");
_Static_assert(sizeof(struct step_run) == 20, "size is part of the protocol");
_Static_assert(sizeof(struct step_started) == 16, "size is part of the protocol");
_Static_assert(sizeof(struct step_failed) == 16, "size is part of the protocol");
_Static_assert(sizeof(struct step_exited) == 24, "size is part of the protocol");
_Static_assert(sizeof(struct step_stop) == 8, "size is part of the protocol");
_Static_assert(sizeof(struct step_bye) == 4, "size is part of the protocol");
_Static_assert(sizeof(struct step_order) == 20, "size is part of the format");

#endif
