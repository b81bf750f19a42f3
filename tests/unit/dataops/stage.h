/* A job's trace on the stage of world.h: a reader that has the whole log, and what the trace told its owner. */
#ifndef TESTS_DATAOPS_STAGE_H
#define TESTS_DATAOPS_STAGE_H

#include "dataops/trace.h"
#include "world.h"

struct stage {
    struct world *world;
    struct trace *trace;
    struct strbuf log; /* what the reader can give, from offset 0 */
    bool reads_along;  /* the reader answers wants by putting what is wanted */
    unsigned cancels, aborts, reports, wanted;
    struct error reported;
    bool accepted, go, canceling;
};

static inline void give(struct stage *stage)
{
    uint64_t at = trace_wanted(stage->trace);

    while (at < stage->log.length) {
        size_t taken = trace_put(stage->trace, stage->log.bytes + at, stage->log.length - at);
        if (taken == 0)
            return;
        at += taken;
        assert_int_equal(trace_wanted(stage->trace), at);
    }
}

static inline void on_cancel(void *owner, bool gracefully)
{
    struct stage *stage = owner;

    stage->cancels += gracefully;
    stage->aborts += !gracefully;
}

static inline void on_wants(void *owner)
{
    struct stage *stage = owner;

    stage->wanted++;
    if (stage->reads_along)
        give(stage);
}

static inline void on_reported(void *owner, const struct error *error)
{
    struct stage *stage = owner;

    stage->reports++;
    stage->reported = *error;
    trace_free(stage->trace);
    stage->trace = NULL;
}

static inline void on_accepted(void *owner, bool go, bool canceling)
{
    struct stage *stage = owner;

    stage->accepted = true;
    stage->go = go;
    stage->canceling = canceling;
}

static const struct trace_events events = { on_cancel, on_wants, on_reported };
static char unknown_failure[] = "unknown_failure", script_failure[] = "script_failure";
static char *reasons[] = { unknown_failure, script_failure };

static inline void set_stage(struct stage *stage, bool resumed)
{
    *stage = (struct stage){ .reads_along = true };
    stage->world = world_new("https://host/ci/", "glrt-1");
    const struct trace_input input = {
        .dataops = stage->world->dataops,
        .loop = &stage->world->loop,
        .job_id = 90210,
        .job_token = "glcbt-1",
        .failure_reasons = reasons,
        .failure_reason_count = COUNT_OF(reasons),
        .resumed = resumed,
    };
    stage->trace = trace_new(&input, &events, stage);
}

/* The stage is empty again, nothing was wrong, and DataOps has the log. */
static inline void clear_stage(struct stage *stage)
{
    assert_int_equal(stage->world->violations, 0);
    trace_free(stage->trace);
    world_free(stage->world);
    strbuf_clear(&stage->log);
}

static inline void check_stored(const struct stage *stage)
{
    assert_int_equal(stage->world->stored.length, stage->log.length);
    assert_memory_equal(stage->world->stored.bytes, stage->log.bytes, stage->log.length);
}

static inline void print_lines(struct stage *stage, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        strbuf_add_char(&stage->log, (char)(i * 7 + stage->log.length / 251));
    give(stage);
}

static inline size_t count_of(const struct world *world, const char *method)
{
    size_t count = 0;

    for (size_t i = 0; i < world->count; i++)
        count += strcmp(world->history[i].method, method) == 0;
    return count;
}

static inline const struct asked *nth(const struct world *world, const char *method, size_t n)
{
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(world->history[i].method, method) == 0 && n-- == 0)
            return &world->history[i];
    }
    fail_msg("there is no such %s", method);
    return NULL;
}

#endif
