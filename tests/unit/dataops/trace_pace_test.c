/* A DataOps that never has enough: it is asked, and the log is read again, ever more rarely, and there is an end. */
#include "stage.h"

#define MINUTE_MS 60000u

static unsigned patches;

/* Stores a PATCH, then has forgotten everything with the next: 202 and 416 "0-0" in turn. */
static void forgets_every_other(struct world *world, const struct asked *asked, struct answer *answer)
{
    if (strcmp(asked->method, "PATCH") == 0 && ++patches % 2 == 0) {
        strbuf_cut(&world->stored, 0);
        answer->status = 416;
        add_header(answer, "Range: 0-0");
        return;
    }
    platform(world, asked, answer);
}

static void a_running_jobs_log_is_not_read_again_with_every_answer(void **state)
{
    struct stage stage;

    (void)state;
    patches = 0;
    set_stage(&stage, false);
    stage.world->answer = forgets_every_other;
    stage.world->interval_s = 1;
    for (unsigned second = 0; second < 600; second++) {
        print_lines(&stage, 10);
        world_run(stage.world, 1000);
    }
    assert_in_range(stage.wanted, 5, 30);
    assert_in_range(count_of(stage.world, "PATCH"), 10, 60);
    stage.world->answer = platform; /* it came to its senses */
    world_run(stage.world, 2 * MINUTE_MS);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 2 * MINUTE_MS);
    assert_int_equal(stage.reports, 1);
    check_stored(&stage);
    clear_stage(&stage);
}

static void an_ended_job_is_reported_without_the_bytes_that_dataops_does_not_keep(void **state)
{
    struct stage stage;

    (void)state;
    patches = 0;
    set_stage(&stage, false);
    print_lines(&stage, 100);
    world_run(stage.world, 100);
    stage.world->answer = forgets_every_other;
    print_lines(&stage, 4 * MIB);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, MINUTE_MS);
    assert_in_range(count_of(stage.world, "PATCH"), 5, 30);
    world_run(stage.world, 60 * MINUTE_MS);
    assert_int_equal(stage.reports, 1);
    assert_string_equal(stage.world->final_state, "success");
    assert_in_range(stage.wanted, 5, 20);
    stage.world->violations = 0; /* the checksum is that of the log, not of what it kept */
    clear_stage(&stage);
}

static void wants_all_again(struct world *world, const struct asked *asked, struct answer *answer)
{
    if (strcmp(asked->method, "PUT") == 0 && strstr(asked->body, "\"running\"") == NULL) {
        strbuf_cut(&world->stored, 0);
        answer->status = 412;
        return;
    }
    platform(world, asked, answer);
}

static void a_dataops_that_always_wants_the_whole_log_again_is_given_up(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    stage.world->answer = wants_all_again;
    print_lines(&stage, 1000);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, MINUTE_MS);
    assert_in_range(stage.wanted, 3, 12);
    world_run(stage.world, 60 * MINUTE_MS);
    assert_int_equal(stage.reports, 1);
    assert_int_not_equal(stage.reported.blame, BLAME_NONE);
    clear_stage(&stage);
}

static unsigned long long claimed;

/* Claims to have a byte more than it was told of, each time. */
static void runs_ahead(struct world *world, const struct asked *asked, struct answer *answer)
{
    if (strcmp(asked->method, "PATCH") == 0) {
        claimed++;
        answer->status = 416;
        add_header(answer, "Range: 0-%llu", claimed);
        return;
    }
    platform(world, asked, answer);
}

static void a_dataops_that_is_always_one_byte_ahead_is_no_storm(void **state)
{
    struct stage stage;

    (void)state;
    claimed = 0;
    set_stage(&stage, false);
    stage.world->answer = runs_ahead;
    print_lines(&stage, 1000);
    world_run(stage.world, 10 * MINUTE_MS);
    assert_in_range(count_of(stage.world, "PATCH"), 5, 30);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    world_run(stage.world, 60 * MINUTE_MS);
    assert_int_equal(stage.reports, 1);
    stage.world->violations = 0; /* a checksum of what it never took */
    clear_stage(&stage);
}

static void is_down(struct world *world, const struct asked *asked, struct answer *answer)
{
    (void)world;
    (void)asked;
    answer->status = 0;
}

static void bytes_that_come_late_do_not_speed_up_what_fails(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, false);
    stage.reads_along = false;
    print_lines(&stage, 100);
    stage.world->answer = is_down;
    trace_put(stage.trace, stage.log.bytes, 10);
    trace_finish(stage.trace, true, REASON_NONE, 0);
    for (unsigned i = 10; i < 90; i++) {
        world_run(stage.world, 100);
        trace_put(stage.trace, stage.log.bytes + i, 1);
    }
    assert_in_range(count_of(stage.world, "PATCH"), 2, 10);
    trace_abandon(stage.trace);
    world_run(stage.world, 1);
    clear_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_jobs_log_is_not_read_again_with_every_answer),
        cmocka_unit_test(an_ended_job_is_reported_without_the_bytes_that_dataops_does_not_keep),
        cmocka_unit_test(a_dataops_that_always_wants_the_whole_log_again_is_given_up),
        cmocka_unit_test(a_dataops_that_is_always_one_byte_ahead_is_no_storm),
        cmocka_unit_test(bytes_that_come_late_do_not_speed_up_what_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
