/* Pods as a kubelet and a courier make them: start passes, fates, logs of real records. */
#include "world.h"

#include "clock.h"
#include "job/result.h"
#include "pod/name.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list pods = { &pods, &pods };

#define SET(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

static void changed(struct wpod *pod)
{
    if (pod->lost && !pod->gone)
        return;
    pod->version++;
    watch_pod_changed(pod);
}

static void container_set(struct wstatus *container, enum wcontainer state, const char *reason, int exit_code)
{
    container->state = state;
    container->exit_code = exit_code;
    SET(container->reason, "%s", reason);
    container->message[0] = '\0';
}

/* --- what the API shows --- */

static void add_container(struct cJSON *list, const char *name, const struct wstatus *status)
{
    static const char *const words[] = { "", "waiting", "running", "terminated" };
    struct cJSON *item, *state;

    if (status->state == C_NONE)
        return;
    item = json_add_object(list);
    json_set_text(item, "name", name);
    state = json_set_object(json_set_object(item, "state"), words[status->state]);
    if (status->state == C_RUNNING)
        return;
    json_set_text(state, "reason", status->reason);
    if (status->message[0] != '\0')
        json_set_text(state, "message", status->message);
    if (status->state == C_ENDED)
        json_set_int(state, "exitCode", status->exit_code);
}

struct cJSON *pod_object(const struct wpod *pod)
{
    struct cJSON *object = json_copy(pod->object), *meta = json_get(object, "metadata"), *status, *condition, *list;
    char version[16];

    SET(version, "%u", pod->version + 1000);
    json_set_text(meta, "uid", pod->uid);
    json_set_text(meta, "resourceVersion", version);
    if (pod->deleting)
        json_set_text(meta, "deletionTimestamp", "2026-01-01T00:00:00Z");
    if (world.node != NULL)
        json_set_text(json_get(object, "spec"), "nodeName", world.node);
    status = json_set_object(object, "status");
    json_set_text(status, "phase", pod->phase);
    if (pod->reason[0] != '\0')
        json_set_text(status, "reason", pod->reason);
    if (pod->message[0] != '\0')
        json_set_text(status, "message", pod->message);
    condition = json_add_object(json_set_array(status, "conditions"));
    json_set_text(condition, "type", "PodScheduled");
    json_set_text(condition, "status", pod->scheduled ? "True" : "False");
    if (!pod->scheduled)
        json_set_text(condition, "message", "0/3 nodes are available");
    if (pod->lost) {
        condition = json_add_object(json_get(status, "conditions"));
        json_set_text(condition, "type", "DisruptionTarget");
        json_set_text(condition, "status", "True");
        json_set_text(condition, "reason", "DeletionByTaintManager");
    }
    list = json_set_array(status, "containerStatuses");
    add_container(list, POD_BUILD, &pod->build);
    add_container(list, POD_COURIER, &pod->courier);
    return object;
}

struct wpod *pod_named(const char *name)
{
    LIST_EACH(node, &pods)
    {
        struct wpod *pod = list_of(node, struct wpod, node);
        if (!pod->gone && strcmp(pod->name, name) == 0)
            return pod;
    }
    return NULL;
}

void pod_set_annotation(struct wpod *pod, const char *name, const char *value)
{
    json_set_text(json_get(json_get(pod->object, "metadata"), "annotations"), name, value);
    if (strcmp(name, POD_ANNOTATION_ORDER) == 0)
        SET(pod->order, "%s", value);
    pod->version++;
    watch_pod_changed(pod);
}

/* --- courier --- */

static void add_lines(struct wpod *pod, const struct strbuf *records)
{
    size_t at = 0;

    while (at < records->length) {
        const char *line = records->bytes + at;
        size_t length = (size_t)((char *)memchr(line, '\n', records->length - at) - line) + 1;

        at += length;
        if (pod->script_began && happens(FILE_DAMAGE, 3)) {
            pod->job->lossy = true;
            continue;
        }
        if (pod->line_count == pod->line_room) {
            pod->line_room = pod->line_room * 2 + 64;
            pod->lines = mem_grow(pod->lines, pod->line_room * sizeof(*pod->lines));
        }
        pod->lines[pod->line_count].at = pod->file.length;
        pod->lines[pod->line_count++].wall_s = clock_wall_s();
        strbuf_add(&pod->file, line, length);
    }
}

static void courier_print(struct wpod *pod, const char *text, size_t length)
{
    struct strbuf records = STRBUF_EMPTY;

    record_put(&pod->writer, text, length);
    record_flush(&pod->writer, &records);
    add_lines(pod, &records);
    strbuf_clear(&records);
    strbuf_add(&pod->told, text, length);
    strbuf_add(&pod->job->printed, text, length);
}

static void pod_over_due(void *owner)
{
    struct wpod *pod = owner;

    if (pod->gone || pod->lost)
        return;
    SET(pod->phase, "%s", pod->courier.exit_code == 0 && pod->build.exit_code == 0 ? "Succeeded" : "Failed");
    changed(pod);
}

static void containers_over_due(void *owner)
{
    struct wpod *pod = owner;

    if (pod->gone || pod->lost || pod->courier.state == C_ENDED)
        return;
    pod->courier.state = C_ENDED;
    if (pod->killed) {
        container_set(&pod->courier, C_ENDED, chance_percent(50) ? "OOMKilled" : "Error", 137);
        container_set(&pod->build, C_ENDED, "Error", 98);
    } else {
        SET(pod->courier.reason, "Completed");
        if (pod->build.state == C_RUNNING)
            container_set(&pod->build, C_ENDED, "Completed", 0);
    }
    changed(pod);
    clock_after(chance_of(0, 2500), pod_over_due, pod);
}

static void courier_end(struct wpod *pod, enum outcome outcome, enum reason reason, int exit_code)
{
    struct result result = { .outcome = outcome,
                             .reason = reason,
                             .exit_code = exit_code,
                             .says_landlock = world.says_landlock,
                             .landlock_abi = world.landlock_abi };
    struct strbuf json = STRBUF_EMPTY, records = STRBUF_EMPTY;

    if (pod->ended)
        return;
    pod->ended = true;
    result.bytes = pod->writer.offset;
    result.crc = pod->writer.crc;
    result_print(&result, &json);
    if (record_end(&pod->writer, strbuf_text(&json), &records) < 0)
        life_failed("record_end");
    add_lines(pod, &records);
    SET(pod->courier.message, "%s", strbuf_text(&json));
    pod->courier.exit_code = 0;
    pod->job->courier_end = outcome == OUTCOME_SUCCESS ? END_SUCCESS : END_FAILED;
    strbuf_clear(&json);
    strbuf_clear(&records);
    clock_after(chance_of(20, 1500), containers_over_due, pod);
}

static void courier_killed(struct wpod *pod)
{
    if (pod->ended)
        return;
    pod->ended = pod->killed = true;
    pod->job->no_verdict = true;
    if (chance_percent(50)) /* what was written last may be lost with it */
        pod->job->lossy = true;
    clock_after(chance_of(20, 1500), containers_over_due, pod);
}

static void node_gone_due(void *owner)
{
    struct wpod *pod = owner;

    if (!pod->gone) {
        pod->gone = true;
        watch_pod_changed(pod);
    }
}

static void taint_due(void *owner)
{
    struct wpod *pod = owner;

    pod->deleting = true;
    pod->version++;
    watch_pod_changed(pod);
    if (chance_percent(50))
        clock_after(chance_of(60, 1200) * 1000, node_gone_due, pod);
}

static void node_lost(struct wpod *pod)
{
    pod->lost = true;
    pod->job->lossy = pod->job->no_verdict = true;
    clock_after(chance_of(60, 300) * 1000, taint_due, pod);
}

static void print_piece(struct wpod *pod)
{
    struct strbuf text = STRBUF_EMPTY;
    unsigned lines = life_has(BIG_LOG) ? (unsigned)chance_of(1, 1200) : (unsigned)chance_of(0, 12);

    for (unsigned i = 0; i < lines; i++)
        strbuf_format(&text, "~L%" PRIu64 ".%u.%u %x\n", pod->job->id, pod->piece, i, chance_any());
    if (chance_percent(10))
        strbuf_add_text(&text, "bar 50%\rbar \033[1m60%\033_x\r\n");
    if (chance_percent(10))
        strbuf_format(&text, "~L%" PRIu64 ".%u unfinished", pod->job->id, pod->piece);
    pod->piece++;
    if (text.length > 0)
        courier_print(pod, text.bytes, text.length);
    strbuf_clear(&text);
}

static void courier_piece(void *owner)
{
    struct wpod *pod = owner;

    if (pod->ended || pod->gone || pod->lost)
        return;
    if (strcmp(pod->order, "cancel") == 0) {
        courier_print(pod, "~L after_script\n", 16);
        courier_end(pod, OUTCOME_CANCELED, REASON_UNKNOWN, 0);
    } else if (happens(COURIER_KILLED, 15)) {
        courier_killed(pod);
    } else if (happens(NODE_LOST, 15)) {
        node_lost(pod);
    } else if (pod->pieces_left == 0) {
        bool good = pod->job->id % 2 == 0;
        pod->job->natural_end = true;
        courier_end(pod, good ? OUTCOME_SUCCESS : OUTCOME_FAILED, good ? REASON_NONE : REASON_SCRIPT, good ? 0 : 42);
        if (happens(NODE_LOST, 30)) {
            containers_over_due(pod); /* the result is known, the log is not */
            node_lost(pod);
        }
    } else {
        pod->pieces_left--;
        print_piece(pod);
        clock_after(chance_percent(10) ? chance_of(1000, 40000) : chance_of(5, 1500), courier_piece, pod);
    }
}

static void heartbeat_due(void *owner)
{
    struct wpod *pod = owner;
    struct strbuf records = STRBUF_EMPTY;

    if (pod->ended || pod->gone || pod->lost)
        return;
    record_heartbeat(&pod->writer, &records);
    add_lines(pod, &records);
    strbuf_clear(&records);
    clock_after(30000, heartbeat_due, pod);
}

static void courier_begin(struct wpod *pod)
{
    char text[64];

    pod->courier_began = true;
    record_writer_init(&pod->writer);
    strbuf_clear(&pod->job->printed);
    pod->job->courier_end = END_NONE;
    SET(text, "~L%" PRIu64 " Running on %s\n", pod->job->id, pod->name);
    courier_print(pod, text, strlen(text));
    clock_after(30000, heartbeat_due, pod);
}

static void script_begins(void *owner)
{
    struct wpod *pod = owner;

    if (pod->ended || pod->gone || pod->lost)
        return;
    pod->script_began = true;
    if (++pod->job->scripts > 1)
        life_failed("the script of job %" PRIu64 " ran twice", pod->job->id);
    courier_piece(pod);
}

/* --- the kubelet --- */

static void hook_failed(struct wpod *pod)
{
    switch (chance_any() % (world.hooks_are_silent ? 3 : 4)) {
    case 0:
        container_set(&pod->courier, C_ENDED, "Error", 137);
        container_set(&pod->build, C_ENDED, "StartError", 128);
        SET(pod->phase, "Failed");
        break;
    case 1:
        container_set(&pod->courier, C_ENDED, "Error", 1);
        container_set(&pod->build, C_ENDED, "Error", 98);
        SET(pod->phase, "Failed");
        break;
    case 2: /* it hangs, and nobody answers step */
        container_set(&pod->courier, C_RUNNING, "", 0);
        container_set(&pod->build, C_ENDED, "Error", 98);
        break;
    default: /* it finds out by itself */
        container_set(&pod->courier, C_RUNNING, "", 0);
        container_set(&pod->build, C_ENDED, "Error", 98);
        courier_begin(pod);
        courier_end(pod, OUTCOME_NEVER_BEGAN, REASON_SYSTEM, 0);
        break;
    }
}

static void pod_vanishes(void *owner)
{
    struct wpod *pod = owner;

    if (pod->gone)
        return;
    pod->gone = true;
    pod->ended = true;
    watch_pod_changed(pod);
}

static void pod_terminated_due(void *owner)
{
    struct wpod *pod = owner;

    if (pod->lost) {
        clock_after(chance_of(600, 1200) * 1000, node_gone_due, pod);
        return;
    }
    if (pod->courier.state == C_RUNNING)
        containers_over_due(pod);
    clock_after(chance_of(10, 500), pod_vanishes, pod);
}

static void term_comes(struct wpod *pod)
{
    if (pod->term)
        return;
    pod->term = true;
    if (pod->courier_began && !pod->ended && !pod->lost) {
        if (chance_percent(60)) {
            courier_print(pod, "~L interrupted\n", 15);
            courier_end(pod, OUTCOME_INTERRUPTED, REASON_INTERRUPTED, 0);
        } else {
            pod->ended = pod->killed = true;
        }
    }
    clock_after(chance_of(100, 2500), pod_terminated_due, pod);
}

static const char *image_of(const struct cJSON *object, const char *container)
{
    const struct cJSON *item = json_first(json_at(object, "spec.containers"));

    while (item != NULL && strcmp(json_text(item, "name", ""), container) != 0)
        item = json_next(item);
    return json_text(item, "image", "");
}

static void image_fails(void *owner)
{
    struct wpod *pod = owner;

    if (pod->gone || pod->deleting)
        return;
    container_set(&pod->build, C_WAITING, "ImagePullBackOff", 0);
    SET(pod->build.message, "Back-off pulling image \"%s\"", image_of(pod->object, "build"));
    changed(pod);
}

static void deleted_from_outside(void *owner)
{
    struct wpod *pod = owner;

    if (pod->gone || pod->deleting)
        return;
    pod->job->lossy = pod->job->no_verdict = true;
    /* with nobody looking its job goes with it: all that was known of it was in the pod */
    if (life_has(CRASH) || life_has(UPGRADE))
        pod->job->may_vanish = true;
    pod_delete(pod);
}

static void started(void *owner)
{
    struct wpod *pod = owner;

    pod->pulling = false;
    pod->started = true;
    if (pod->deleting) {
        pod->ended = true;
        clock_after(chance_of(10, 500), pod_vanishes, pod);
        return;
    }
    container_set(&pod->courier, C_RUNNING, "", 0);
    container_set(&pod->build, C_RUNNING, "", 0);
    SET(pod->phase, "Running");
    switch (pod->fate) {
    case FATE_HOOK:
        hook_failed(pod);
        break;
    case FATE_COURIER_IMAGE:
        container_set(&pod->courier, C_WAITING, "ErrImagePull", 0);
        container_set(&pod->build, C_ENDED, "StartError", 128);
        SET(pod->phase, "Pending");
        break;
    case FATE_BUILD_IMAGE:
        container_set(&pod->build, C_WAITING, "ErrImagePull", 0);
        SET(pod->phase, "Pending");
        clock_after(10000, image_fails, pod);
        break;
    case FATE_RUNS:
    case FATE_REFUSED:
    case FATE_NO_NODE:
        clock_after(chance_of(0, 300), script_begins, pod);
        break;
    }
    changed(pod);
    if (happens(POD_DELETED, 40))
        clock_after(chance_of(0, 20000), deleted_from_outside, pod);
}

static void start_pass(struct wpod *pod)
{
    if (!pod->scheduled || !pod->plan_stored || pod->pulling || pod->started || pod->deleting || pod->refused)
        return;
    pod->pulling = true;
    if (pod->fate == FATE_RUNS || pod->fate == FATE_BUILD_IMAGE)
        courier_begin(pod);
    clock_after(happens(SLOW_PULL, 60) ? chance_of(5000, 90000) : chance_of(20, 900), started, pod);
}

void pod_plan_stored(struct wpod *pod)
{
    pod->plan_stored = true;
    pod->job->was_safe = true;
    start_pass(pod);
}

static void scheduled_due(void *owner)
{
    struct wpod *pod = owner;

    if (pod->gone)
        return;
    pod->scheduled = true;
    if (pod->fate == FATE_REFUSED) {
        pod->refused = true;
        SET(pod->phase, "Failed");
        SET(pod->reason, "OutOfcpu");
    }
    changed(pod);
    start_pass(pod);
}

static enum pod_fate choose_fate(void)
{
    if (happens(HOOK_FAILS, 50))
        return FATE_HOOK;
    if (happens(COURIER_IMAGE, 50))
        return FATE_COURIER_IMAGE;
    if (happens(BUILD_IMAGE, 50))
        return FATE_BUILD_IMAGE;
    if (happens(NODE_REFUSES, 40))
        return FATE_REFUSED;
    return happens(NO_NODE, 30) ? FATE_NO_NODE : FATE_RUNS;
}

static void count_pods(void)
{
    unsigned live = 0;

    LIST_EACH(node, &pods)
    {
        const struct wpod *pod = list_of(node, struct wpod, node);
        if (!pod->gone && !pod->deleting && !pod->job->counted) {
            pod->job->counted = true; /* an attempt that never began stays until the next one is safe */
            live++;
        }
    }
    for (unsigned i = 0; i < world.job_count; i++)
        world.jobs[i].counted = false;
    if (live > world.concurrent)
        life_failed("%u pods at once, concurrent is %u", live, world.concurrent);
}

struct wpod *pod_create(const struct cJSON *object)
{
    static unsigned count;
    struct wpod *pod = mem_new(sizeof(*pod));
    const struct cJSON *meta = json_get(object, "metadata");

    pod->object = json_copy(object);
    pod->name = mem_text(json_text(meta, "name", ""));
    pod->job = world_job((uint64_t)json_int(json_get(meta, "labels"), POD_LABEL_JOB, 0));
    SET(pod->uid, "uid-%u", ++count);
    SET(pod->phase, "Pending");
    pod->fate = choose_fate();
    pod->pieces_left = life_has(BIG_LOG) ? (unsigned)chance_of(0, 60) : (unsigned)chance_of(0, 12);
    list_append(&pods, &pod->node);
    life_note("pod %s created, fate %d", pod->name, (int)pod->fate);
    count_pods();
    watch_pod_changed(pod);
    if (pod->fate != FATE_NO_NODE)
        clock_after(chance_of(1, 100), scheduled_due, pod);
    return pod;
}

void pod_delete(struct wpod *pod)
{
    if (pod->gone)
        return;
    life_note("pod %s is deleted", pod->name);
    if (!pod->scheduled) {
        pod->deleting = true;
        pod_vanishes(pod);
        return;
    }
    if (!pod->deleting) {
        pod->deleting = true;
        pod->version++;
        watch_pod_changed(pod);
    }
    if (pod->pulling)
        return; /* the kubelet does not even look at it */
    term_comes(pod);
}

void pods_clear(void)
{
    LIST_EACH_SAFE(node, &pods)
    {
        struct wpod *pod = list_of(node, struct wpod, node);
        list_remove(node);
        json_free(pod->object);
        mem_free(pod->name);
        if (pod->courier_began)
            record_writer_clear(&pod->writer);
        strbuf_clear(&pod->file);
        strbuf_clear(&pod->told);
        mem_free(pod->lines);
        mem_free(pod);
    }
}
