/* The first and the last word about a job, on a virtual clock (docs/reference/dataops.md, "Accepting a job" and "The
 * final state"). */
#include "stage.h"

/* --- accepting --- */

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

/* --- the final state --- */

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
    /* neither key on success */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepting_is_one_put_running),
        cmocka_unit_test(an_abort_reply_to_it_means_that_nothing_runs),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
