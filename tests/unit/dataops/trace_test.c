/* A job's log and state at DataOps, on a virtual clock: statements 14, 31 to 35 and 38 to 40 of the job API, and what a
 * bad line does. */
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

static void give(struct stage *stage)
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

static void on_cancel(void *owner, bool gracefully)
{
    struct stage *stage = owner;

    stage->cancels += gracefully;
    stage->aborts += !gracefully;
}

static void on_wants(void *owner)
{
    struct stage *stage = owner;

    stage->wanted++;
    if (stage->reads_along)
        give(stage);
}

static void on_reported(void *owner, const struct error *error)
{
    struct stage *stage = owner;

    stage->reports++;
    stage->reported = *error;
    trace_free(stage->trace);
    stage->trace = NULL;
}

static void on_accepted(void *owner, bool go, bool canceling)
{
    struct stage *stage = owner;

    stage->accepted = true;
    stage->go = go;
    stage->canceling = canceling;
}

static const struct trace_events events = { on_cancel, on_wants, on_reported };
static char unknown_failure[] = "unknown_failure", script_failure[] = "script_failure";
static char *reasons[] = { unknown_failure, script_failure };

static void set_stage(struct stage *stage, bool resumed)
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
static void clear_stage(struct stage *stage)
{
    assert_int_equal(stage->world->violations, 0);
    trace_free(stage->trace);
    world_free(stage->world);
    strbuf_clear(&stage->log);
}

static void check_stored(const struct stage *stage)
{
    assert_int_equal(stage->world->stored.length, stage->log.length);
    assert_memory_equal(stage->world->stored.bytes, stage->log.bytes, stage->log.length);
}

static void print_lines(struct stage *stage, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        strbuf_add_char(&stage->log, (char)(i * 7 + stage->log.length / 251));
    give(stage);
}

static size_t count_of(const struct world *world, const char *method)
{
    size_t count = 0;

    for (size_t i = 0; i < world->count; i++)
        count += strcmp(world->history[i].method, method) == 0;
    return count;
}

static const struct asked *nth(const struct world *world, const char *method, size_t n)
{
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(world->history[i].method, method) == 0 && n-- == 0)
            return &world->history[i];
    }
    fail_msg("there is no such %s", method);
    return NULL;
}

/* --- statement 14: accepting --- */

static void accepting_is_one_put_running(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    trace_accept(stage.trace, on_accepted);
    assert_false(stage.accepted);
    world_run(stage.world, 1000);
    assert_true(stage.accepted && stage.go && !stage.canceling);
    assert_int_equal(stage.world->count, 1);
    const struct asked *put = nth(stage.world, "PUT", 0);
    assert_string_equal(put->url, "https://host/api/v4/jobs/90210");
    assert_non_null(strstr(put->body, "\"state\":\"running\""));
    assert_non_null(strstr(put->body, "\"output\":{}"));
    assert_null(strstr(put->body, "failure_reason"));
    assert_null(strstr(put->body, "\"exit_code\""));
    assert_null(strstr(put->body, "\"checksum\""));
    clear_stage(&stage);
}

static void check_accept(int status, const char *headers, bool go, bool canceling)
{
    struct stage stage;

    set_stage(&stage, false);
    for (int i = 0; i < 5; i++)
        plan_put(stage.world, status, headers);
    trace_accept(stage.trace, on_accepted);
    world_run(stage.world, 10000);
    assert_true(stage.accepted);
    assert_int_equal(stage.go, go);
    assert_int_equal(stage.canceling, canceling);
    assert_int_equal(stage.cancels + stage.aborts, 0);
    clear_stage(&stage);
}

static void an_abort_reply_to_it_means_that_nothing_runs(void **state)
{
    (void)state;
    check_accept(403, "", false, false);
    check_accept(404, "", false, false);
    check_accept(200, "Job-Status: canceled\r\n", false, false);
    check_accept(200, "Job-Status: failed\r\n", false, false);
    check_accept(200, "Job-Status: canceling\r\n", false, true);
    check_accept(200, "", true, false);
    check_accept(500, "", true, false);
    check_accept(0, "", true, false);
}

/* --- statement 31: PATCH --- */

static void patches_are_contiguous_and_at_most_one_mib(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 10);
    world_run(stage.world, 100);
    assert_int_equal(count_of(stage.world, "PATCH"), 1);
    assert_string_equal(asked_header(nth(stage.world, "PATCH", 0), "Content-Range"), "0-9");
    assert_string_equal(asked_header(nth(stage.world, "PATCH", 0), "Content-Type"), "text/plain");
    assert_non_null(strstr(nth(stage.world, "PATCH", 0)->url, "/jobs/90210/trace?debug_trace=false"));
    print_lines(&stage, 5 * MIB);
    world_run(stage.world, 60000);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 60000);
    assert_int_equal(stage.reports, 1);
    check_stored(&stage);
    assert_true(count_of(stage.world, "PATCH") <= 8);
    clear_stage(&stage);
}

static void an_empty_job_sends_no_patch(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    assert_int_equal(trace_put(stage.trace, "", 0), 0);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 10000);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(count_of(stage.world, "PATCH"), 0);
    assert_non_null(strstr(nth(stage.world, "PUT", 0)->body, "crc32:00000000"));
    clear_stage(&stage);
}

static void the_reader_waits_when_dataops_is_slow(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    stage.reads_along = false;
    print_lines(&stage, 3 * MIB);
    assert_int_equal(trace_wanted(stage.trace), TRACE_BUFFER_MOST);
    assert_int_equal(trace_put(stage.trace, "x", 1), 0);
    assert_int_equal(stage.wanted, 0);
    world_run(stage.world, 50);
    assert_int_equal(stage.wanted, 1);
    give(&stage);
    assert_int_equal(trace_wanted(stage.trace), 3 * MIB);
    world_run(stage.world, 20000);
    check_stored(&stage);
    clear_stage(&stage);
}

/* --- latency and statement 33: pace --- */

static void the_first_line_after_a_pause_is_sent_at_once(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    world_run(stage.world, 10000);
    uint64_t printed_ms = stage.world->loop.now_ms;
    print_lines(&stage, 5);
    world_run(stage.world, 1000);
    assert_true(nth(stage.world, "PATCH", 0)->at_ms <= printed_ms + 50);
    print_lines(&stage, 5);
    world_run(stage.world, 1900);
    assert_int_equal(count_of(stage.world, "PATCH"), 1);
    world_run(stage.world, 200);
    assert_int_equal(count_of(stage.world, "PATCH"), 2);
    assert_int_equal(nth(stage.world, "PATCH", 1)->at_ms - nth(stage.world, "PATCH", 0)->at_ms, 3000);
    world_run(stage.world, 5000);
    printed_ms = stage.world->loop.now_ms;
    print_lines(&stage, 5);
    world_run(stage.world, 1000);
    assert_true(nth(stage.world, "PATCH", 2)->at_ms <= printed_ms + 50);
    clear_stage(&stage);
}

static void an_interval_of_60_slows_patches_to_60_s(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    stage.world->interval_s = 60;
    print_lines(&stage, 5);
    for (int i = 0; i < 300; i++) {
        world_run(stage.world, 1000);
        print_lines(&stage, 5);
    }
    assert_in_range(count_of(stage.world, "PATCH"), 5, 6);
    for (size_t i = 1; i < count_of(stage.world, "PATCH"); i++)
        assert_int_equal(nth(stage.world, "PATCH", i)->at_ms - nth(stage.world, "PATCH", i - 1)->at_ms, 60000);
    stage.world->interval_s = 3;
    world_run(stage.world, 60000);
    size_t before = count_of(stage.world, "PATCH");
    for (int i = 0; i < 30; i++) {
        world_run(stage.world, 1000);
        print_lines(&stage, 5);
    }
    assert_in_range(count_of(stage.world, "PATCH") - before, 9, 11);
    clear_stage(&stage);
}

static void intervals_that_are_none_are_ignored(void **state)
{
    static const char *const headers[] = { "", "X-GitLab-Trace-Update-Interval: 0\r\n",
                                           "X-GitLab-Trace-Update-Interval: -5\r\n",
                                           "X-GitLab-Trace-Update-Interval: soon\r\n" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct http_reply reply = { 0 };
        strbuf_add_text(&reply.headers, headers[i]);
        assert_int_equal(dataops_update_interval_ms(&reply), 0);
        strbuf_clear(&reply.headers);
    }
    struct http_reply reply = { 0 };
    strbuf_add_text(&reply.headers, "x-gitlab-trace-update-interval: 86400\r\n");
    assert_int_equal(dataops_update_interval_ms(&reply), 15 * 60 * 1000);
    strbuf_clear(&reply.headers);
}

static void an_idle_job_touches_after_30_s(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 100);
    world_run(stage.world, 29000);
    assert_int_equal(count_of(stage.world, "PUT"), 0);
    world_run(stage.world, 2000);
    assert_int_equal(count_of(stage.world, "PUT"), 1);
    const struct asked *put = nth(stage.world, "PUT", 0);
    assert_non_null(strstr(put->body, "\"state\":\"running\""));
    assert_non_null(strstr(put->body, "\"bytesize\":100"));
    world_run(stage.world, 29000);
    assert_int_equal(count_of(stage.world, "PUT"), 1);
    world_run(stage.world, 61000);
    assert_int_equal(count_of(stage.world, "PUT"), 4);
    clear_stage(&stage);
}

/* --- statement 32: 416 --- */

static void after_416_it_goes_on_where_dataops_is_forwards(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 300);
    stage.world->patch_next[0].cut = true; /* stored, but the answer got lost */
    world_run(stage.world, 10);
    strbuf_add(&stage.world->stored, stage.log.bytes, 300);
    plan_patch(stage.world, 0, "");
    print_lines(&stage, 200);
    world_run(stage.world, 5000);
    assert_string_equal(asked_header(nth(stage.world, "PATCH", 2), "Content-Range"), "300-499");
    check_stored(&stage);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 1000);
    assert_int_equal(stage.reports, 1);
    clear_stage(&stage);
}

static void after_416_it_goes_on_where_dataops_is_backwards(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 1000);
    world_run(stage.world, 100);
    strbuf_cut(&stage.world->stored, 500);
    print_lines(&stage, 10);
    world_run(stage.world, 4000);
    assert_int_equal(stage.wanted, 1);
    assert_string_equal(asked_header(nth(stage.world, "PATCH", 1), "Content-Range"), "1000-1009");
    assert_string_equal(asked_header(nth(stage.world, "PATCH", 2), "Content-Range"), "500-1009");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 1000);
    assert_int_equal(stage.reports, 1);
    check_stored(&stage);
    clear_stage(&stage);
}

static void a_server_that_always_answers_416_is_not_flooded(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    for (int i = 0; i < 30; i++)
        plan_patch(stage.world, 416, i % 2 ? "Range: 0-0\r\n" : "Range: 0-4\r\n");
    print_lines(&stage, 10);
    world_run(stage.world, 10000);
    assert_in_range(count_of(stage.world, "PATCH"), 3, 20);
    trace_abandon(stage.trace);
    world_run(stage.world, 1);
    assert_int_equal(stage.reports, 1);
    clear_stage(&stage);
}

static void an_adopted_job_goes_on_where_dataops_is(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, true);
    for (size_t i = 0; i < 100000; i++)
        strbuf_add_char(&stage.log, (char)i);
    strbuf_add(&stage.world->stored, stage.log.bytes, 70000);
    give(&stage);
    world_run(stage.world, 1000);
    check_stored(&stage);
    assert_true(nth(stage.world, "PATCH", 0)->length <= 4096);
    assert_string_equal(asked_header(nth(stage.world, "PATCH", 1), "Content-Range"), "70000-99999");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 1000);
    assert_int_equal(stage.reports, 1);
    clear_stage(&stage);
}

static void an_adopted_job_may_be_behind_dataops_for_a_while(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, true);
    print_lines(&stage, 100);
    struct strbuf rest = STRBUF_EMPTY;
    for (int i = 0; i < 400; i++)
        strbuf_add_char(&rest, 'r');
    strbuf_add(&stage.world->stored, stage.log.bytes, 100);
    strbuf_add(&stage.world->stored, rest.bytes, 300);
    world_run(stage.world, 1000);
    assert_int_equal(trace_bytes(stage.trace), 400);
    assert_int_equal(trace_wanted(stage.trace), 100);
    strbuf_add(&stage.log, rest.bytes, rest.length);
    give(&stage);
    world_run(stage.world, 5000);
    check_stored(&stage);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 1000);
    assert_int_equal(stage.reports, 1);
    strbuf_clear(&rest);
    clear_stage(&stage);
}

static void an_adopted_job_without_any_trace_starts_at_0(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, true);
    print_lines(&stage, 50000);
    world_run(stage.world, 1000);
    check_stored(&stage);
    clear_stage(&stage);
}

/* --- statements 34 and 35: how a job ends from outside --- */

static void canceling_is_told_once(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    snprintf(stage.world->job_status, sizeof(stage.world->job_status), "canceling");
    print_lines(&stage, 10);
    world_run(stage.world, 4000);
    assert_int_equal(stage.cancels, 1);
    print_lines(&stage, 10); /* after_script's output still goes out */
    world_run(stage.world, 4000);
    assert_int_equal(stage.cancels, 1);
    check_stored(&stage);
    trace_finish(stage.trace, false, REASON_UNKNOWN, 1);
    world_run(stage.world, 1000);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(stage.aborts, 0);
    assert_string_equal(stage.world->final_state, "failed");
    assert_string_equal(stage.world->final_reason, "unknown_failure");
    clear_stage(&stage);
}

static void check_abort(bool on_put, int status, const char *headers)
{
    struct stage stage;

    set_stage(&stage, false);
    print_lines(&stage, 10);
    if (on_put)
        plan_put(stage.world, status, headers);
    else
        plan_patch(stage.world, status, headers);
    world_run(stage.world, 31000);
    assert_int_equal(stage.aborts, 1);
    assert_int_equal(stage.cancels, 0);
    size_t sent = stage.world->count;
    print_lines(&stage, 10);
    assert_int_equal(trace_wanted(stage.trace), 20);
    world_run(stage.world, 120000);
    trace_finish(stage.trace, false, REASON_UNKNOWN, 1);
    assert_int_equal(stage.reports, 0);
    world_run(stage.world, 120000);
    assert_int_equal(stage.world->count, sent); /* nothing more is sent */
    assert_int_equal(stage.reports, 1);
    assert_int_equal(stage.reported.blame, BLAME_NONE);
    clear_stage(&stage);
}

static void canceled_failed_and_403_stop_everything(void **state)
{
    (void)state;
    check_abort(false, 202, "Job-Status: canceled\r\n");
    check_abort(false, 202, "Job-Status: failed\r\n");
    check_abort(false, 403, "");
    check_abort(false, 403, "Job-Status: canceling\r\n");
    check_abort(false, 400, "Job-Status: canceled\r\n");
    check_abort(true, 200, "Job-Status: canceled\r\n");
    check_abort(true, 403, "");
}

static void a_404_on_patch_does_not_kill_the_job(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    plan_patch(stage.world, 404, "");
    plan_patch(stage.world, 404, "");
    print_lines(&stage, 10);
    world_run(stage.world, 20000);
    assert_int_equal(stage.aborts + stage.cancels, 0);
    check_stored(&stage);
    clear_stage(&stage);
}

static void a_404_on_put_does(void **state)
{
    (void)state;
    check_abort(true, 404, "");
}

static void trouble_on_the_line_loses_nothing(void **state)
{
    static const int statuses[] = { 0, 500, 0, 0, 502, 400, 0 };
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        plan_patch(stage.world, statuses[i], "");
    for (int i = 0; i < 60; i++) {
        print_lines(&stage, 1000);
        world_run(stage.world, 1000);
    }
    world_run(stage.world, 10000);
    check_stored(&stage);
    assert_int_equal(stage.aborts + stage.cancels, 0);
    clear_stage(&stage);
}

/* --- statements 38 to 40 and 28: the final state --- */

static void the_final_put_comes_after_the_last_byte(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    stage.world->interval_s = 60;
    print_lines(&stage, 100);
    world_run(stage.world, 1000);
    print_lines(&stage, 2 * MIB - 50);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    uint64_t finished_ms = stage.world->loop.now_ms;
    world_run(stage.world, 100);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(stage.reported.blame, BLAME_NONE);
    check_stored(&stage);
    const struct asked *last = &stage.world->history[stage.world->count - 1];
    assert_string_equal(last->method, "PUT");
    assert_int_equal(last->at_ms, finished_ms); /* it waits for no interval */
    assert_string_equal(stage.world->final_state, "success");
    /* statement 28: neither key on success */
    assert_null(strstr(last->body, "\"exit_code\""));
    assert_null(strstr(last->body, "failure_reason"));
    char checksum[64];
    snprintf(checksum, sizeof(checksum), "\"checksum\":\"crc32:%08" PRIx32 "\"",
             crc32_of(0, stage.log.bytes, stage.log.length));
    assert_non_null(strstr(last->body, checksum));
    clear_stage(&stage);
}

static void exit_code_and_reason_arrive(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    trace_finish(stage.trace, false, REASON_SCRIPT, 42);
    world_run(stage.world, 100);
    assert_string_equal(stage.world->final_state, "failed");
    assert_string_equal(stage.world->final_reason, "script_failure");
    assert_int_equal(stage.world->final_exit_code, 42);
    clear_stage(&stage);
}

static void a_reason_that_is_not_offered_is_never_sent(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    trace_finish(stage.trace, false, REASON_IMAGE_PULL, 0);
    world_run(stage.world, 100);
    assert_string_equal(stage.world->final_reason, "runner_system_failure");
    clear_stage(&stage);
}

static void a_202_is_repeated_after_the_interval_until_200(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 10);
    plan_put(stage.world, 202, "X-GitLab-Trace-Update-Interval: 1\r\n");
    plan_put(stage.world, 202, "X-GitLab-Trace-Update-Interval: 8\r\n");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 8900);
    assert_int_equal(stage.reports, 0);
    world_run(stage.world, 200);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(count_of(stage.world, "PUT"), 3);
    assert_int_equal(nth(stage.world, "PUT", 1)->at_ms - nth(stage.world, "PUT", 0)->at_ms, 1000);
    assert_int_equal(nth(stage.world, "PUT", 2)->at_ms - nth(stage.world, "PUT", 1)->at_ms, 8000);
    assert_int_equal(stage.reported.blame, BLAME_NONE);
    clear_stage(&stage);
}

static void a_202_for_ever_ends(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    for (int i = 0; i < 32; i++)
        plan_put(stage.world, 202, "X-GitLab-Trace-Update-Interval: 64\r\n");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 20 * 60 * 1000);
    assert_int_equal(stage.reports, 1);
    assert_true(stage.world->put_used < 32);
    clear_stage(&stage);
}

static void a_412_resends_the_trace_from_0(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 3 * MIB);
    world_run(stage.world, 20000);
    plan_put(stage.world, 412, "X-GitLab-Trace-Update-Interval: 1\r\n");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    strbuf_cut(&stage.world->stored, 0);
    world_run(stage.world, 5000);
    assert_int_equal(stage.reports, 1);
    check_stored(&stage);
    clear_stage(&stage);
}

static void when_nobody_can_read_again_the_state_still_arrives(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 1000);
    world_run(stage.world, 20000);
    stage.reads_along = false;
    plan_put(stage.world, 412, "");
    trace_finish(stage.trace, false, REASON_SCRIPT, 1);
    world_run(stage.world, 10000);
    assert_int_equal(stage.wanted, 1);
    assert_int_equal(stage.reports, 0);
    world_run(stage.world, 60000);
    assert_int_equal(stage.reports, 1);
    assert_string_equal(stage.world->final_state, "failed");
    stage.world->violations = 0; /* there is no checksum to send for a log that nobody has */
    clear_stage(&stage);
}

static void finishing_twice_gives_up_on_reading_again(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 1000);
    world_run(stage.world, 20000);
    stage.reads_along = false;
    plan_put(stage.world, 412, "");
    trace_finish(stage.trace, false, REASON_SCRIPT, 1);
    world_run(stage.world, 1);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 5000);
    assert_int_equal(stage.reports, 1);
    assert_string_equal(stage.world->final_state, "failed"); /* the first word counts */
    stage.world->violations = 0;
    clear_stage(&stage);
}

static void the_final_state_is_tried_ten_times(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    for (int i = 0; i < 32; i++)
        plan_put(stage.world, 0, "");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    uint64_t start_ms = stage.world->loop.now_ms;
    world_run(stage.world, 60 * 60 * 1000);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(stage.reported.blame, BLAME_REMOTE);
    assert_int_equal(count_of(stage.world, "PUT"), 10);
    assert_int_equal(nth(stage.world, "PUT", 1)->at_ms - start_ms, 1000);
    assert_int_equal(nth(stage.world, "PUT", 2)->at_ms - start_ms, 3000);
    assert_int_equal(nth(stage.world, "PUT", 3)->at_ms - start_ms, 7000);
    assert_true(nth(stage.world, "PUT", 9)->at_ms - start_ms < 6 * 60 * 1000);
    clear_stage(&stage);
}

static void the_last_bytes_are_tried_again_before_the_state(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 1000);
    plan_patch(stage.world, 0, "");
    plan_patch(stage.world, 500, "");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 30000);
    assert_int_equal(stage.reports, 1);
    check_stored(&stage);
    clear_stage(&stage);
}

static void a_404_in_the_final_flush_stops_the_trace_but_not_the_state(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 1000);
    plan_patch(stage.world, 404, "");
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 100);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(count_of(stage.world, "PATCH"), 1);
    assert_string_equal(stage.world->final_state, "success");
    stage.world->violations = 0;
    clear_stage(&stage);
}

static void an_abandoned_job_sends_nothing_more(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    print_lines(&stage, 1000);
    trace_abandon(stage.trace);
    trace_abandon(stage.trace);
    assert_int_equal(stage.reports, 0);
    world_run(stage.world, 60000);
    assert_int_equal(stage.reports, 1);
    assert_int_equal(stage.reported.blame, BLAME_NONE);
    assert_int_equal(stage.world->count, 0);
    clear_stage(&stage);
}

static void a_trace_can_be_freed_at_any_time(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 5000; ms += 250) {
        struct stage stage;
        set_stage(&stage, false);
        trace_accept(stage.trace, on_accepted);
        print_lines(&stage, 1000);
        world_run(stage.world, ms);
        print_lines(&stage, 1000);
        if (ms % 500 == 0)
            trace_finish(stage.trace, true, REASON_NONE, 0);
        clear_stage(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepting_is_one_put_running),
        cmocka_unit_test(an_abort_reply_to_it_means_that_nothing_runs),
        cmocka_unit_test(patches_are_contiguous_and_at_most_one_mib),
        cmocka_unit_test(an_empty_job_sends_no_patch),
        cmocka_unit_test(the_reader_waits_when_dataops_is_slow),
        cmocka_unit_test(the_first_line_after_a_pause_is_sent_at_once),
        cmocka_unit_test(an_interval_of_60_slows_patches_to_60_s),
        cmocka_unit_test(intervals_that_are_none_are_ignored),
        cmocka_unit_test(an_idle_job_touches_after_30_s),
        cmocka_unit_test(after_416_it_goes_on_where_dataops_is_forwards),
        cmocka_unit_test(after_416_it_goes_on_where_dataops_is_backwards),
        cmocka_unit_test(a_server_that_always_answers_416_is_not_flooded),
        cmocka_unit_test(an_adopted_job_goes_on_where_dataops_is),
        cmocka_unit_test(an_adopted_job_may_be_behind_dataops_for_a_while),
        cmocka_unit_test(an_adopted_job_without_any_trace_starts_at_0),
        cmocka_unit_test(canceling_is_told_once),
        cmocka_unit_test(canceled_failed_and_403_stop_everything),
        cmocka_unit_test(a_404_on_patch_does_not_kill_the_job),
        cmocka_unit_test(a_404_on_put_does),
        cmocka_unit_test(trouble_on_the_line_loses_nothing),
        cmocka_unit_test(the_final_put_comes_after_the_last_byte),
        cmocka_unit_test(exit_code_and_reason_arrive),
        cmocka_unit_test(a_reason_that_is_not_offered_is_never_sent),
        cmocka_unit_test(a_202_is_repeated_after_the_interval_until_200),
        cmocka_unit_test(a_202_for_ever_ends),
        cmocka_unit_test(a_412_resends_the_trace_from_0),
        cmocka_unit_test(when_nobody_can_read_again_the_state_still_arrives),
        cmocka_unit_test(finishing_twice_gives_up_on_reading_again),
        cmocka_unit_test(the_final_state_is_tried_ten_times),
        cmocka_unit_test(the_last_bytes_are_tried_again_before_the_state),
        cmocka_unit_test(a_404_in_the_final_flush_stops_the_trace_but_not_the_state),
        cmocka_unit_test(an_abandoned_job_sends_nothing_more),
        cmocka_unit_test(a_trace_can_be_freed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
