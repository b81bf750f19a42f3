/* The world around a controller: a DataOps and a Kubernetes in this process. Which faults happen is said by whoever
 * links it (a seed in tests/life, a test in tests/unit/controller): world, life_has, happens, life_failed and life_note
 * are theirs. */
#ifndef LIFE_WORLD_H
#define LIFE_WORLD_H

#include "base/list.h"
#include "kube/client.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "text/record.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* What may go wrong in one life; each life has a few of them. */
enum trouble {
    CREATE_LOST,    /* the answer to a create is lost: AlreadyExists comes */
    CREATE_FAILS,   /* no answer to a create at all, whether it happened or not */
    QUOTA,          /* a quota is used up for a while */
    PLAN_FAILS,     /* the plan's create fails, is refused or meets a quota */
    POD_REFUSED,    /* the pod is refused for good */
    DELETE_FAILS,   /* deletes fail */
    PATCH_FAILS,    /* annotations cannot be patched */
    WATCH_STALLS,   /* events come late */
    WATCH_RELISTS,  /* events are lost, a list follows */
    LOG_CLOSES,     /* log streams close or fall silent */
    LOG_DAMAGE,     /* the path of the log drops, doubles, replaces lines */
    LOG_DEAF,       /* the kubelet does not serve the log for a while */
    FILE_DAMAGE,    /* the node's file lacks lines for ever */
    HOOK_FAILS,     /* courier or its hook fails, build is started all the same */
    COURIER_IMAGE,  /* courier's image is not there at first */
    BUILD_IMAGE,    /* the job's image never comes */
    NODE_REFUSES,   /* the kubelet refuses the bound pod */
    NO_NODE,        /* it is never scheduled */
    COURIER_KILLED, /* courier dies in the middle of the job */
    POD_DELETED,    /* somebody deletes the pod */
    NODE_LOST,      /* its node goes away: status known, log not, or nothing */
    SLOW_PULL,      /* the image takes a minute */
    PATCH_TRACE,    /* PATCH of the trace fails, before or after it was stored */
    TRACE_REWIND,   /* DataOps loses the end of a trace */
    FINAL_412,      /* DataOps wants the whole log again at the end */
    FINAL_FAILS,    /* the final state is answered by errors or 202 first */
    DATAOPS_DOWN,   /* no answer for minutes */
    CANCEL,         /* graceful */
    ABORT,          /* canceled at once */
    ACCEPT_REFUSED, /* DataOps does not want the job right after it gave it */
    CRASH,          /* the controller is killed */
    UPGRADE,        /* the controller is stopped by TERM, another one starts */
    BIG_LOG,
    TROUBLES,
};
const char *trouble_name(enum trouble trouble);
bool life_has(enum trouble trouble);
/* The life has this trouble, and it happens now. */
bool happens(enum trouble trouble, unsigned percent);

enum end { END_NONE, END_SUCCESS, END_FAILED, END_CANCELED };

/* A job as DataOps knows it. */
struct wjob {
    uint64_t id;
    char token[32];
    enum { W_PENDING, W_RUNNING, W_CANCELING, W_OVER } state;
    enum end end; /* set by a final state, or by an abort */
    char reason[40];
    int exit_code;
    struct strbuf trace;
    bool delivered;  /* a controller got it */
    bool was_safe;   /* a plan was stored for it */
    bool may_vanish; /* its controller was killed before it was safe */
    bool aborted, cancel_wished, counted;
    unsigned finals;       /* accepted ones */
    unsigned scripts;      /* how often its script began */
    bool lossy;            /* bytes of its log may be gone for a reason */
    bool no_verdict;       /* its end record may be unreadable for a reason */
    struct strbuf printed; /* by the courier of the last attempt that spoke */
    enum end courier_end;  /* what its end record says */
    bool printed_over;
    unsigned rewinds;
    bool end_lost;     /* DataOps lost bytes, and nobody asked it since */
    bool natural_end;  /* courier came to its end undisturbed */
    bool wanted_again; /* 412 was said */
};
#define JOBS_MOST 12
struct world {
    struct wjob jobs[JOBS_MOST];
    unsigned job_count, next_job;
    unsigned concurrent;
    bool hooks_are_silent; /* a hook that fails ends its pod before courier says a word */
    bool troubles[TROUBLES];
    unsigned pods_at_once, pods_most;
    unsigned unexpected; /* job_event_unexpected in the log */
    bool verbose, asked_to_end;
    const char *image, *variables; /* of every job: a name, JSON; NULL: image:1, [] */
    const char *node;              /* of every pod; NULL: none is said */
    bool says_landlock;
    int landlock_abi; /* of the nodes, in courier's end records */
    uint64_t dataops_down_until_ms, quota_until_ms, kubelet_deaf_until_ms;
};
extern struct world world;

struct wjob *world_job(uint64_t id);
/* Ends the life with these words. */
void life_failed(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));
void life_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* --- pods (pods.c) --- */
enum wcontainer { C_NONE, C_WAITING, C_RUNNING, C_ENDED };
struct wstatus {
    enum wcontainer state;
    char reason[40], message[1200];
    int exit_code;
};
struct wpod {
    struct list node;
    struct wjob *job;
    struct cJSON *object; /* as created */
    char *name, uid[32], order[16], *notes;
    unsigned version;
    bool scheduled, refused, plan_stored, deleting, gone, started, pulling, lost;
    char phase[16], reason[40], message[80];
    struct wstatus courier, build;
    enum pod_fate { FATE_RUNS, FATE_HOOK, FATE_COURIER_IMAGE, FATE_BUILD_IMAGE, FATE_REFUSED, FATE_NO_NODE } fate;
    /* courier */
    bool courier_began, script_began, ended, term;
    struct record_writer writer;
    struct strbuf file, told; /* the node's file; output so far */
    struct {
        size_t at;
        int64_t wall_s;
    } * lines;
    size_t line_count, line_room;
    unsigned pieces_left, piece;
    uint64_t kill_at_ms;
    bool killed;
    unsigned timers; /* of the world that hold it */
};
extern struct list pods;
struct wpod *pod_named(const char *name);
/* Gives a copy of the object with status. */
struct cJSON *pod_object(const struct wpod *pod);
struct wpod *pod_create(const struct cJSON *object);
void pod_plan_stored(struct wpod *pod);
void pod_delete(struct wpod *pod);
void pod_set_annotation(struct wpod *pod, const char *name, const char *value);
void pods_clear(void);

/* --- the fake kube/ (kube.c) --- */
/* A pod changed (or is gone): the watch will tell. */
void watch_pod_changed(struct wpod *pod);
void kube_check_nothing_left(void);
/* The release's state Secret (state.c), the only one that is read again and put; answers are given. */
struct cJSON *state_secret_get(void);
enum kube_class state_secret_create(const struct cJSON *body, struct cJSON **answer);
enum kube_class state_secret_put(const struct cJSON *body, struct cJSON **answer);
void state_secret_clear(void);
/* The next requests of this kind ("create pods", "dry secrets", "get", "delete", "patch", "put") are answered so. With
 * happens they have their effect all the same. */
void kube_plan(const char *what, enum kube_class kind, unsigned times, bool happens);
/* Requests so far, by verb. */
unsigned kube_asked(const char *verb);
/* Forgets what was laid down and counted. */
void kube_unplan(void);

/* --- the fake dataops/api.h (api.c) --- */
void api_check_nothing_left(void);
/* The next requests of this kind ("request", "update", "patch") are answered with this status (0: not at all) and have
 * no effect. */
void api_plan(const char *what, int status, unsigned times);
unsigned api_asked(const char *what);
void api_unplan(void);
/* Numbers the jobs and their tokens. */
void dataops_begin(void);

#endif
