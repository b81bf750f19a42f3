/* A job's log at DataOps, on a virtual clock, and what a bad line does (docs/reference/dataops.md, "The trace" and
 * "Cancel and abort"). */
#include "stage.h"

/* --- PATCH --- */

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

/* --- latency and pace (docs/reference/dataops.md, "The pace of the trace") --- */

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

/* --- 416 --- */

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

/* --- how a job ends from outside --- */

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

/* --- the end of a trace --- */

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
        cmocka_unit_test(an_abandoned_job_sends_nothing_more),
        cmocka_unit_test(a_trace_can_be_freed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
