/* The controller's parts and who owns whom: controller > clusters, intakes > runs > follow, trace. */
#ifndef CONTROLLER_PARTS_H
#define CONTROLLER_PARTS_H

#include "base/backoff.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strmap.h"
#include "controller/controller.h"
#include "dataops/trace.h"
#include "io/loop.h"
#include "job/facts.h"
#include "job/machine.h"
#include "job/masking.h"
#include "job/payload.h"
#include "job/result.h"
#include "job/variables.h"
#include "kube/watch.h"
#include "pod/status.h"

#define RUN_ATTEMPTS_MOST      5
#define RUN_WAIT_LINE_AFTER_MS 5000  /* "waiting for ..." lines start after this */
#define RUN_PULL_PATIENCE_MS   30000 /* a registry that hiccups: the kubelet tries again after 10 and 20 s */
#define RUN_STATUS_GRACE_MS    5000  /* how long a missing end record waits for the pod's status */
#define RUN_DELETE_GRACE_S     2
#define RUN_FINAL_TRIES        40   /* for the final state, a minute between them in the end: DataOps may be down */
#define RUN_ASK_AGAIN_MS       5000 /* a request that Kubernetes did not answer */
#define RUN_OUTSIDE_PATIENCE_S 60   /* beyond its grace, for a pod that somebody deleted and that does not end */
#define RUN_LIMIT_SPARE_S      600  /* beyond the job's own limit: nothing in the pod keeps it any more */
#define RUN_WAITS_MOST         512
#define RUN_FIELDS_MOST        16 /* of one event */

struct run;
struct follow;

/* One namespace of one Kubernetes: its client, its watch, the runs with pods there. */
struct cluster {
    struct list node;
    struct controller *controller;
    struct kube *kube;
    bool owns_kube;
    char *ns;
    struct kube_watch *watch;
    struct strmap runs;  /* pod name -> struct run, borrowed */
    struct list graves;  /* pods that are being deleted and belong to no run */
    struct strmap found; /* uid -> pod object, until the first list is complete */
    struct strmap keys;  /* uid of each pod -> number of the key that its sealed text needs; 0 none */
    bool listed, in_trouble;
};

/* One [[runners]] entry: polling for it, and its jobs. */
struct intake {
    struct controller *controller;
    const struct config_runner *runner;
    struct cluster *cluster;
    struct dataops *dataops;
    char *token, *short_token, *ca_pem, *cert_pem, *key_pem;
    struct list requests; /* open polls */
    unsigned open_requests;
    unsigned jobs;
    unsigned failures; /* refused polls in a row */
    uint64_t asleep_until_ms;
    bool wants_poll;         /* a job came: ask again at once */
    bool was_answered;       /* there was a good poll */
    uint64_t asked_since_ms; /* the first poll after the last good one; 0 none */
};

struct controller {
    struct loop *loop;
    struct http *http;
    struct ws *ws;
    struct controller_options options;
    struct list clusters;
    struct intake *intakes;
    size_t intake_count, next_intake;
    struct list runs;
    unsigned run_count, grave_count, open_requests;
    struct timer *poll_timer, *end_timer;
    struct listen_server *listen;
    struct state *state;
    struct dataops_call *enroll_call;
    struct timer *enroll_timer, *keys_timer;
    unsigned enroll_tries;
    bool draining, stopping;
    enum controller_end end;
    uint64_t stopping_since_ms;
    uint64_t jobs_received, jobs_succeeded, jobs_failed;
};

/* One job, from the 201 to the deleted pod. */
struct run {
    struct list node;
    struct controller *controller;
    struct intake *intake;
    struct cluster *cluster;
    enum job_state state;
    uint64_t job_id;
    char *job_token, *job_name;
    char **reasons; /* features.failure_reasons */
    size_t reason_count;
    struct job *job;            /* until courier spoke: a next attempt needs it */
    struct variables variables; /* the job's: settings and what its script sees */
    struct job_facts facts;     /* what is true whatever the variables say */
    struct masking *masking;    /* stays when the payload goes: the end may need words; NULL: not known */
    char *image;
    struct trace *trace;
    struct follow *follow;
    unsigned attempt;
    struct backoff attempts;
    char *pod, *uid, *plan_key;
    char *old_pod, *old_uid;       /* an attempt that never began, kept until the next one is safe */
    bool pod_maybe, pod_was_maybe; /* a create went out, and whether it happened is not known; the one before it too */
    char early_gone[64];           /* uid of a pod of this name that went before the create was answered */
    struct pod_status status;      /* while uid is NULL: of whatever pod has the name */
    struct strbuf notes;           /* the controller's lines before courier's first byte */
    unsigned notes_tries;          /* patches with them in a row of which nobody knows whether they happened */
    size_t notes_sent, notes_safe; /* so much of them is on its way to the pod; an adopter will find so much */
    uint64_t log_end; /* where the tail stands, once it was placed: what the log says behind it has no place */
    bool spoke, log_over, reporting, pod_deleted, has_result, adopted;
    struct result result;
    enum reason cause;
    int cause_exit_code;
    char cause_text[512];
    bool cause_is_system;
    struct strbuf tail; /* the controller's lines after courier's last byte */
    bool tail_made, tail_placed;
    uint64_t tail_at; /* trace offset of its first byte, once it is placed */
    struct run_hole {
        uint64_t at;    /* trace offset of the line that stands for them */
        uint64_t bytes; /* of the log, that nobody has any more */
    } * holes;
    size_t hole_count;
    struct kube_call *create_call, *store_call, *delete_call, *order_call, *notes_call;
    struct timer *retry_timer, *start_timer, *wait_timer, *pull_timer, *status_timer, *gone_timer;
    struct timer *delete_timer, *order_timer, *store_timer, *notes_timer, *outside_timer, *limit_timer, *free_timer;
    uint64_t retry_wait_ms;    /* set: the next attempt waits so long, and does not count */
    uint64_t unanswered_at_ms; /* since when Kubernetes fails to answer; 0 it does */
    bool delete_asked;
    char waited_for[RUN_WAITS_MOST]; /* the last waiting line printed */
    uint64_t received_ms, stored_ms, spoke_ms;
};

/* intake.c */
int intake_init(struct intake *intake, struct controller *controller, const struct config_runner *runner,
                struct error *error);
void intake_clear(struct intake *intake);
/* Copies the token that this entry polls with from now on. */
void intake_set_token(struct intake *intake, const char *token);
/* Polls every runner that may be polled now; keeps the pace of check_interval. */
void intake_start(struct controller *controller);
/* A job of this runner ended: there may be room for the next. */
void intake_has_room(struct controller *controller);

/* cluster.c */
struct cluster *cluster_for(struct controller *controller, const struct config_runner *runner, struct error *error);
void cluster_start(struct cluster *cluster);
void cluster_stop(struct cluster *cluster);
/* Deletes a pod that no run looks after any more; tried until it is done. Copies. */
void cluster_bury(struct cluster *cluster, const char *pod, const char *uid, const struct masking *masking);
/* After all clusters were stopped: two may share one client. */
void cluster_free(struct cluster *cluster);

/* enroll.c: reads or makes the state Secret, registers where needed, then controller_begin */
void enroll_start(struct controller *controller);

/* keys.c: each pod of the release is told of, so that the key of its sealed text stays */
void keys_start(struct controller *controller);
void keys_saw_pod(struct cluster *cluster, const struct cJSON *pod);
void keys_pod_gone(struct cluster *cluster, const char *uid);

/* controller.c: starts the watches and the polling */
void controller_begin(struct controller *controller);

/* adopt.c */
/* What a later controller needs to go on with this run's pod, sealed for it. Gives a text, or NULL when nothing can be
 * sealed. */
char *adopt_seal(struct run *run);
/* Whether a pod's metadata are of this run's attempt: by its key (which anybody can make), and by its sealed text
 * unless nothing can be sealed. */
bool adopt_names_run(const struct run *run, const struct cJSON *meta);
/* Appends the notes that a pod carries. */
void adopt_read_notes(const struct cJSON *meta, struct strbuf *notes);
/* Goes on with all pods that the first list found; of several attempts at one job only with the last. A pod whose
 * sealed text does not open, or names another pod, is left alone and counts for nothing. */
void adopt_found(struct cluster *cluster);

/* run.c */
/* A run without anything but its job's id and token. */
struct run *run_begin(struct intake *intake, uint64_t job_id, const char *job_token);
void run_open_trace(struct run *run, bool debug_trace);
struct run *run_new(struct intake *intake, const char *payload, size_t length);
/* A payload that could not be read: the job is reported as failed with this error. */
struct run *run_new_failed(struct intake *intake, uint64_t job_id, const char *job_token, const struct error *error);
void run_handle(struct run *run, enum job_event event);
/* Sets what will be reported, then run_handle(run, event). */
void run_fail(struct run *run, enum job_event event, enum reason reason, const char *text);
void run_pod_changed(struct run *run, const struct pod_status *status);
void run_pod_gone(struct run *run);
/* From now on the job is given up when its limit has passed: limit_s counts from age_s ago. */
void run_start_limit(struct run *run, int64_t limit_s, int64_t age_s);
/* What exists only here: gone when this process ends. */
bool run_is_unsafe(const struct run *run);
/* The first proven byte came. */
void run_spoke(struct run *run);
void run_free(struct run *run);

/* run_say.c: what is said about a job goes through these, which mask it; scripts/masked sees to it. */
/* Takes what must not be shown from the job and its variables as they are now. */
void run_learn_masking(struct run *run);
/* Gives the text masked. Without a masking only a single word is shown. */
char *masking_masked(const struct masking *masking, const char *text);
/* Appends a line to the run's notes or tail, colour in front of it. What Kubernetes or a payload put into it came out
 * of run_set_cause or run_waits_for: those hide it when the masking is not known. */
void run_say(const struct run *run, struct strbuf *to, const char *colour, const char *text);
/* Sets cause_text. */
void run_set_cause(struct run *run, const char *text);
/* What the pod waits for, masked; "" when it does not. */
void run_waits_for(const struct run *run, char waits[RUN_WAITS_MOST]);
void masking_log(const struct masking *masking, enum log_level level, const char *event, const struct log_field *fields,
                 size_t count);
/* log_event about a job: its texts are masked. */
#define masked_event(masking, level, event, ...)                                                                       \
    masking_log((masking), (level), (event), (const struct log_field[]){ __VA_ARGS__ },                                \
                sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
/* The same for a run; the first field is its job's id. */
#define run_event(run, level, event, ...)                                                                              \
    masked_event((run)->masking, level, event, LOG_NUMBER("job", (run)->job_id), __VA_ARGS__)

/* run_pod.c */
void run_create_pod(struct run *run);
void run_store_plan(struct run *run);
/* The plan is stored for sure: the job is safe. */
void run_plan_is_stored(struct run *run);
/* Asks whether there is a pod of this run. */
void run_look_for_pod(struct run *run);

/* run_end.c */
void run_delete_pod(struct run *run);
void run_order_cancel(struct run *run);
/* The pod of this attempt goes when the next one is safe; one of an earlier attempt goes now. */
void run_keep_old(struct run *run);
void run_bury_old(struct run *run);

/* run_start.c */
void run_retry(struct run *run, bool same_attempt);
void run_await_start(struct run *run);
/* Courier speaks: the controller prints nothing of its own any more, but build may still not have started. */
void run_stop_notes(struct run *run);
/* Looks at how far build is: gives up on an image that cannot be pulled, stops the start deadline when it runs. */
void run_watch_build(struct run *run);
void run_stop_waiting(struct run *run);

/* run_log.c */
void run_follow_log(struct run *run);
/* Moves what is proven from the log to the trace, and the tail behind it when the log is over. */
void run_pump(struct run *run);
/* Adds a line of the controller's own before courier's first byte (stored in the pod first when there is one). */
void run_note(struct run *run, const char *text);
/* The pod was created with the notes so far. */
void run_notes_in_pod(struct run *run);
void run_report_result(struct run *run);
void run_report_ruling(struct run *run);
void run_report_cause(struct run *run);
void run_report_cancel(struct run *run);
void run_log_rewind(struct run *run);

/* health.c */
int health_start(struct controller *controller, struct error *error);

#endif
