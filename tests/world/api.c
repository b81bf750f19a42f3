/* dataops/api.h as a faulty DataOps in this process; trace.c and report.c above it are the real ones. */
#include "dataops/api.h"

#include "clock.h"
#include "text/gzip.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dataops {
    struct list calls;
};
struct operation;
struct dataops_call {
    struct list node;
    struct operation *operation;
    dataops_done *done;
    void *owner;
};
struct operation {
    struct dataops_call *call;
    enum operation_kind { ASK, UPDATE, PATCH } kind;
    struct wjob *job;
    bool final, success, with_output, told_job;
    int exit_code;
    char reason[40];
    uint32_t crc;
    uint64_t bytes, offset;
    struct strbuf chunk;
    int status; /* 0: no answer */
    struct strbuf headers, body;
};
static unsigned calls_open;

struct wjob *world_job(uint64_t id)
{
    for (unsigned i = 0; i < world.job_count; i++)
        if (world.jobs[i].id == id)
            return &world.jobs[i];
    life_failed("a job that nobody gave: %" PRIu64, id);
}

/* --- the client --- */

struct dataops *dataops_new(struct loop *loop UNUSED, struct http *http UNUSED,
                            const struct dataops_place *place UNUSED, struct error *error UNUSED)
{
    struct dataops *dataops = mem_new(sizeof(*dataops));

    list_init(&dataops->calls);
    return dataops;
}

void dataops_free(struct dataops *dataops)
{
    if (dataops == NULL)
        return;
    LIST_EACH_SAFE(node, &dataops->calls)
    dataops_cancel(list_of(node, struct dataops_call, node));
    mem_free(dataops);
}

const char *dataops_api_root(const struct dataops *dataops UNUSED)
{
    return "https://life/api/v4";
}

void dataops_set_token(struct dataops *dataops UNUSED, const char *token UNUSED)
{
}

struct dataops_call *dataops_register(struct dataops *dataops UNUSED, const struct dataops_register *wish UNUSED,
                                      dataops_done *done UNUSED, void *owner UNUSED)
{
    abort();
}

struct dataops_call *dataops_verify(struct dataops *dataops UNUSED, dataops_done *done UNUSED, void *owner UNUSED)
{
    abort();
}

struct dataops_call *dataops_unregister(struct dataops *dataops UNUSED, dataops_done *done UNUSED, void *owner UNUSED)
{
    abort();
}

void dataops_cancel(struct dataops_call *call)
{
    if (call == NULL || call->done == NULL)
        return;
    call->operation->call = NULL;
    list_remove(&call->node);
    calls_open--;
    mem_free(call);
}

void api_check_nothing_left(void)
{
    if (calls_open != 0)
        life_failed("%u DataOps calls were left", calls_open);
}

static void answer_due(void *owner)
{
    struct operation *operation = owner;
    struct dataops_call *call = operation->call;
    struct http_reply reply = { .status = operation->status, .body = operation->body, .headers = operation->headers };
    struct dataops_answer answer = { .status = operation->status, .reply = operation->status != 0 ? &reply : NULL };

    if (call != NULL) {
        dataops_done *done = call->done;
        if (operation->status < 200 || operation->status >= 300)
            error_set(&answer.error, BLAME_REMOTE, operation->status, "the answer was %d", operation->status);
        if (operation->kind == ASK && operation->status == 201 && operation->job != NULL) {
            operation->job->delivered = true;
            life_note("job %" PRIu64 " delivered", operation->job->id);
        }
        call->done = NULL;
        list_remove(&call->node);
        done(call->owner, &answer);
        calls_open--;
        mem_free(call);
    }
    strbuf_clear(&operation->chunk);
    strbuf_clear(&operation->headers);
    strbuf_clear(&operation->body);
    mem_free(operation);
}

/* --- what DataOps does --- */

static void job_end(struct wjob *job, enum end end)
{
    job->state = W_OVER;
    job->end = end;
}

static void cancel_due(void *owner)
{
    struct wjob *job = owner;

    if (job->state != W_RUNNING)
        return;
    job->cancel_wished = true;
    if (happens(ABORT, 50)) {
        life_note("job %" PRIu64 " is canceled at once", job->id);
        job->aborted = true;
        job_end(job, END_CANCELED);
    } else if (life_has(CANCEL)) {
        life_note("job %" PRIu64 " is canceling", job->id);
        job->state = W_CANCELING;
    }
}

static void rewind_due(void *owner)
{
    struct wjob *job = owner;

    if (job->state == W_OVER || job->trace.length == 0)
        return;
    strbuf_cut(&job->trace, chance_any() % job->trace.length);
    job->rewinds++;
    job->end_lost = true;
    life_note("job %" PRIu64 ": DataOps has only %zu bytes", job->id, job->trace.length);
}

static void ask(struct operation *operation)
{
    struct wjob *job;

    operation->status = 204;
    if (world.next_job >= world.job_count || chance_percent(30))
        return;
    job = &world.jobs[world.next_job++];
    operation->job = job;
    operation->status = 201;
    job->state = W_RUNNING;
    job->may_vanish = operation->call == NULL; /* nobody waits for the answer any more */
    strbuf_format(&operation->body,
                  "{\"id\":%" PRIu64 ",\"token\":\"%s\",\"job_info\":{\"id\":%" PRIu64
                  ",\"name\":\"a job\",\"stage\":\"s\",\"project_id\":7},\"git_info\":{\"repo_url\":"
                  "\"https://gitlab-ci-token:%s@host/g/"
                  "p.git\",\"ref\":\"main\",\"sha\":\"4f1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5\",\"refspecs\":"
                  "[\"+a:b\"]},\"runner_info\":{\"timeout\":3600},\"variables\":%s,\"steps\":[{\"name\":\"script\","
                  "\"script\":[\"make\"],\"timeout\":3600,\"when\":\"on_success\"}],\"image\":{\"name\":\"%s\"},"
                  "\"features\":{\"trace_sections\":true,\"failure_reasons\":[\"runner_interrupted\"]}}",
                  job->id, job->token, job->id, job->token, world.variables != NULL ? world.variables : "[]",
                  world.image != NULL ? world.image : "image:1");
    if (life_has(CANCEL) || life_has(ABORT))
        clock_after(chance_of(0, chance_percent(50) ? 3000 : 30000), cancel_due, job);
    if (happens(TRACE_REWIND, 60))
        clock_after(chance_of(500, 30000), rewind_due, job);
}

static void say_status(struct operation *operation)
{
    static const char *const words[] = { "pending", "running", "canceling" };
    const struct wjob *job = operation->job;
    const char *word = job->state == W_OVER ? (job->end == END_SUCCESS  ? "success"
                                               : job->end == END_FAILED ? "failed"
                                                                        : "canceled")
                                            : words[job->state];

    strbuf_format(&operation->headers, "HTTP/1.1 %d X\r\nJob-Status: %s\r\nX-GitLab-Trace-Update-Interval: %d\r\n",
                  operation->status, word, job->id % 3 == 0 ? 10 : 1);
    if (operation->kind == PATCH)
        strbuf_format(&operation->headers, "Range: 0-%zu\r\n", job->trace.length);
}

static void accept_final(struct operation *operation)
{
    struct wjob *job = operation->job;

    /* not when the log could change between two readings, or its lines are of a controller that was killed */
    if (operation->with_output && job->rewinds == 0 &&
        !(job->wanted_again && strstr(strbuf_text(&job->trace), "log incomplete") != NULL) && !world.troubles[CRASH] &&
        (operation->bytes != job->trace.length ||
         operation->crc != crc32_of(0, strbuf_text(&job->trace), job->trace.length)))
        life_failed("job %" PRIu64 ": its final state came with %" PRIu64 " bytes, crc %08x; DataOps has %zu, %08x",
                    job->id, operation->bytes, operation->crc, job->trace.length,
                    crc32_of(0, strbuf_text(&job->trace), job->trace.length));
    job->finals++;
    snprintf(job->reason, sizeof(job->reason), "%s", operation->reason);
    job->exit_code = operation->exit_code;
    life_note("job %" PRIu64 " ends: %s %s", job->id, operation->success ? "success" : "failed", job->reason);
    job_end(job, job->state == W_CANCELING ? END_CANCELED : operation->success ? END_SUCCESS : END_FAILED);
}

static void update(struct operation *operation)
{
    struct wjob *job = operation->job;

    operation->status = 200;
    if (job->state != W_RUNNING && job->state != W_CANCELING) {
        operation->status = 403;
    } else if (!operation->final) {
        if (!job->was_safe && happens(ACCEPT_REFUSED, 40)) {
            job->aborted = chance_percent(50);
            job->cancel_wished = true;
            if (job->aborted)
                job_end(job, END_CANCELED);
            else
                job->state = W_CANCELING;
        }
    } else if (!job->wanted_again && happens(FINAL_412, 70)) {
        job->wanted_again = true;
        operation->status = 412;
        strbuf_cut(&job->trace, 0);
    } else if (happens(FINAL_FAILS, 50)) {
        operation->status = chance_percent(50) ? 500 : 202;
    } else {
        accept_final(operation);
        if (happens(FINAL_FAILS, 40))
            operation->status = 0;
    }
}

static void patch(struct operation *operation)
{
    struct wjob *job = operation->job;
    bool fails = happens(PATCH_TRACE, 15);

    operation->status = 202;
    if (operation->chunk.length == 0 || operation->chunk.length > MIB)
        life_failed("a PATCH of %zu bytes", operation->chunk.length);
    if (job->state != W_RUNNING && job->state != W_CANCELING) {
        operation->status = 403;
        return;
    }
    if (fails && chance_percent(50)) {
        operation->status = chance_percent(50) ? 500 : 0;
        return;
    }
    if (operation->offset != job->trace.length) {
        operation->status = 416;
        return;
    }
    job->end_lost = false;
    strbuf_add(&job->trace, operation->chunk.bytes, operation->chunk.length);
    if (fails)
        operation->status = 0; /* stored, and nobody knows */
}

/* --- answers that a test laid down --- */

static struct {
    int status;
    unsigned times;
} plans[PATCH + 1];
static unsigned asked[PATCH + 1];

static enum operation_kind kind_named(const char *what)
{
    return strcmp(what, "request") == 0 ? ASK : strcmp(what, "update") == 0 ? UPDATE : PATCH;
}

void api_plan(const char *what, int status, unsigned times)
{
    plans[kind_named(what)].status = status;
    plans[kind_named(what)].times = times;
}

unsigned api_asked(const char *what)
{
    return asked[kind_named(what)];
}

void api_unplan(void)
{
    memset(plans, 0, sizeof(plans));
    memset(asked, 0, sizeof(asked));
}

static void effect_due(void *owner)
{
    struct operation *operation = owner;

    if (plans[operation->kind].times > 0) {
        plans[operation->kind].times--;
        operation->status = plans[operation->kind].status;
        clock_after(chance_of(1, 100), answer_due, operation);
        return;
    }
    if (clock_now_ms() < world.dataops_down_until_ms) {
        operation->status = 0;
        clock_after(1000, answer_due, operation);
        return;
    }
    if (operation->kind == ASK)
        ask(operation);
    else if (operation->kind == UPDATE)
        update(operation);
    else
        patch(operation);
    if (operation->job != NULL && operation->status != 0 && operation->kind != ASK)
        say_status(operation);
    clock_after(chance_of(1, 100), answer_due, operation);
}

static struct operation *begin(struct dataops *dataops, enum operation_kind kind, dataops_done *done, void *owner)
{
    struct dataops_call *call = mem_new(sizeof(*call));
    struct operation *operation = mem_new(sizeof(*operation));

    call->operation = operation;
    call->done = done;
    call->owner = owner;
    list_append(&dataops->calls, &call->node);
    calls_open++;
    operation->call = call;
    operation->kind = kind;
    asked[kind]++;
    clock_after(chance_of(1, 40), effect_due, operation);
    return operation;
}

struct dataops_call *dataops_request_job(struct dataops *dataops, dataops_done *done, void *owner)
{
    return begin(dataops, ASK, done, owner)->call;
}

struct dataops_call *dataops_update_job(struct dataops *dataops, const struct dataops_update *wish, dataops_done *done,
                                        void *owner)
{
    struct operation *operation = begin(dataops, UPDATE, done, owner);

    operation->job = world_job(wish->job_id);
    operation->final = strcmp(wish->state, "running") != 0;
    operation->success = strcmp(wish->state, "success") == 0;
    operation->with_output = wish->with_output;
    operation->crc = wish->crc;
    operation->bytes = wish->bytes;
    operation->exit_code = wish->exit_code;
    snprintf(operation->reason, sizeof(operation->reason), "%s", wish->failure_reason);
    if (strcmp(operation->job->token, wish->job_token) != 0)
        life_failed("job %" PRIu64 " with another job's token", wish->job_id);
    return operation->call;
}

struct dataops_call *dataops_patch_trace(struct dataops *dataops, uint64_t job_id, const char *job_token,
                                         uint64_t offset, const char *bytes, size_t length, bool debug_trace UNUSED,
                                         dataops_done *done, void *owner)
{
    struct operation *operation = begin(dataops, PATCH, done, owner);

    operation->job = world_job(job_id);
    operation->offset = offset;
    strbuf_add(&operation->chunk, bytes, length);
    if (strcmp(operation->job->token, job_token) != 0)
        life_failed("job %" PRIu64 " with another job's token", job_id);
    return operation->call;
}

void dataops_begin(void)
{
    for (unsigned i = 0; i < world.job_count; i++) {
        world.jobs[i].id = 100 + i;
        snprintf(world.jobs[i].token, sizeof(world.jobs[i].token), "token-%u", i);
    }
}
