#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "job/machine.h"

#define CHECK_STEP(from, event, to, does)                                                                              \
    do {                                                                                                               \
        struct job_step_taken step_ = job_machine(from, event);                                                        \
        assert_true(step_.known);                                                                                      \
        assert_string_equal(job_state_name(step_.next), job_state_name(to));                                           \
        assert_int_equal(step_.actions, does);                                                                         \
    } while (0)

static void a_job_runs_in_a_straight_line(void **state)
{
    (void)state;
    CHECK_STEP(JOB_ACCEPTING, JOB_ACCEPTED, JOB_CREATING, ACT_CREATE_POD);
    CHECK_STEP(JOB_CREATING, JOB_POD_CREATED, JOB_STORING, ACT_STORE_PLAN);
    CHECK_STEP(JOB_STORING, JOB_PLAN_STORED, JOB_STARTING, ACT_AWAIT_START);
    CHECK_STEP(JOB_STARTING, JOB_POD_RUNS, JOB_STARTING, ACT_FOLLOW_LOG);
    CHECK_STEP(JOB_STARTING, JOB_SPOKE, JOB_RUNNING, ACT_NONE);
    CHECK_STEP(JOB_RUNNING, JOB_RESULT, JOB_ENDING, ACT_REPORT_RESULT);
    CHECK_STEP(JOB_ENDING, JOB_REPORTED, JOB_CLEANING, ACT_DELETE_POD);
    CHECK_STEP(JOB_CLEANING, JOB_POD_DELETED, JOB_DONE, ACT_FORGET);
}

static void nothing_runs_when_dataops_does_not_want_the_job_any_more(void **state)
{
    (void)state;
    CHECK_STEP(JOB_ACCEPTING, JOB_REFUSED, JOB_DONE, ACT_FORGET);
    CHECK_STEP(JOB_ACCEPTING, JOB_ABORT, JOB_DONE, ACT_FORGET);
}

static void a_cancel_that_overtakes_the_create_leaves_no_pod(void **state)
{
    (void)state;
    CHECK_STEP(JOB_CREATING, JOB_CANCEL, JOB_ENDING, ACT_REPORT_CANCEL);
    CHECK_STEP(JOB_ENDING, JOB_POD_CREATED, JOB_ENDING, ACT_DELETE_POD);
    CHECK_STEP(JOB_CLEANING, JOB_POD_CREATED, JOB_CLEANING, ACT_DELETE_POD);
}

static void a_cancel_before_build_runs_does_not_wait_for_the_pod(void **state)
{
    (void)state;
    CHECK_STEP(JOB_STORING, JOB_CANCEL, JOB_ENDING, ACT_REPORT_CANCEL);
    CHECK_STEP(JOB_STARTING, JOB_CANCEL, JOB_ENDING, ACT_REPORT_CANCEL | ACT_ORDER_CANCEL);
}

static void a_running_job_is_cancelled_by_an_order_and_goes_on_to_its_result(void **state)
{
    (void)state;
    CHECK_STEP(JOB_RUNNING, JOB_CANCEL, JOB_RUNNING, ACT_ORDER_CANCEL);
    CHECK_STEP(JOB_RUNNING, JOB_RESULT, JOB_ENDING, ACT_REPORT_RESULT);
}

/* The old pod stays until the next one is safe: a controller that is killed between them must not lose the job. */
static void an_attempt_that_never_began_is_tried_again(void **state)
{
    (void)state;
    CHECK_STEP(JOB_STARTING, JOB_NEVER_BEGAN, JOB_RETRYING, ACT_RETRY);
    CHECK_STEP(JOB_RETRYING, JOB_TRY_AGAIN, JOB_CREATING, ACT_CREATE_POD);
    CHECK_STEP(JOB_RETRYING, JOB_CANNOT_START, JOB_ENDING, ACT_REPORT_CAUSE);
}

static void a_pod_without_end_record_is_judged_by_its_status(void **state)
{
    (void)state;
    CHECK_STEP(JOB_STARTING, JOB_POD_OVER, JOB_ENDING, ACT_REPORT_RULING);
    CHECK_STEP(JOB_RUNNING, JOB_POD_OVER, JOB_ENDING, ACT_REPORT_RULING);
}

/* The pod holds the only copy of the log until DataOps has all of it, and all that another controller could go on with.
 */
static void the_pod_is_deleted_only_after_the_report_unless_dataops_knows_the_end(void **state)
{
    (void)state;
    for (int from = JOB_ACCEPTING; from < JOB_ENDING; from++)
        for (int event = 0; event < JOB_EVENTS; event++)
            if (event != JOB_ABORT)
                assert_int_equal(job_machine((enum job_state)from, (enum job_event)event).actions & ACT_DELETE_POD, 0);
    assert_int_equal(job_machine(JOB_ENDING, JOB_REPORTED).actions, ACT_DELETE_POD);
    assert_int_equal(job_machine(JOB_RUNNING, JOB_ABORT).actions, ACT_ABANDON | ACT_DELETE_POD);
}

static void every_event_is_known_once_a_verdict_is_on_its_way(void **state)
{
    (void)state;
    for (int event = JOB_POD_CREATED; event < JOB_EVENTS; event++) {
        if (event == JOB_TRY_AGAIN)
            continue; /* its timer is stopped with the attempt */
        if (event != JOB_REPORTED)
            assert_true(job_machine(JOB_ENDING, (enum job_event)event).known);
        assert_true(job_machine(JOB_CLEANING, (enum job_event)event).known);
    }
}

static void an_unfilled_pair_is_told_and_changes_nothing(void **state)
{
    struct job_step_taken step = job_machine(JOB_ACCEPTING, JOB_RESULT);

    (void)state;
    assert_false(step.known);
    assert_int_equal(step.next, JOB_ACCEPTING);
    assert_int_equal(step.actions, ACT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_in_a_straight_line),
        cmocka_unit_test(nothing_runs_when_dataops_does_not_want_the_job_any_more),
        cmocka_unit_test(a_cancel_that_overtakes_the_create_leaves_no_pod),
        cmocka_unit_test(a_cancel_before_build_runs_does_not_wait_for_the_pod),
        cmocka_unit_test(a_running_job_is_cancelled_by_an_order_and_goes_on_to_its_result),
        cmocka_unit_test(an_attempt_that_never_began_is_tried_again),
        cmocka_unit_test(a_pod_without_end_record_is_judged_by_its_status),
        cmocka_unit_test(the_pod_is_deleted_only_after_the_report_unless_dataops_knows_the_end),
        cmocka_unit_test(every_event_is_known_once_a_verdict_is_on_its_way),
        cmocka_unit_test(an_unfilled_pair_is_told_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
