/* A job that is over: its pod is ordered to cancel, and it goes. */
#include "stage.h"

/* A job whose script runs and does not end by itself. */
static struct wjob *long_job(void)
{
    struct wjob *job = stage_job();

    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->pieces_left = 1000000;
    return job;
}

static void cancel(struct wjob *job)
{
    job->cancel_wished = true;
    job->state = W_CANCELING;
}

static void abort_job(struct wjob *job)
{
    job->aborted = true;
    job->state = W_OVER;
    job->end = END_CANCELED;
}

static void expect_nothing_left(void)
{
    STAGE_UNTIL(stage_run() == NULL);
    stage_pass(MINUTES);
    LIST_EACH(node, &pods)
    assert_true(list_of(node, struct wpod, node)->gone);
}

static void a_pod_is_deleted_after_its_job_was_reported(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_start();
    for (unsigned i = 0; i < 10000 && job->state != W_OVER; i++) {
        stage_pass(10);
        assert_true(job->state == W_OVER || stage_pods() == 0 || !stage_pod()->deleting);
    }
    assert_int_equal(job->end, END_SUCCESS);
    expect_nothing_left();
}

static void a_delete_that_failed_is_tried_until_it_is_done(void **state)
{
    (void)state;
    stage_job();
    kube_plan("delete pods", KUBE_FAILED, 5, false);
    stage_start();
    STAGE_UNTIL(stage_said("pod_delete_failed") == 5);
    expect_nothing_left();
    assert_int_equal(kube_asked("delete"), 6);
}

static void without_the_right_to_delete_the_pod_stays_and_the_next_job_runs(void **state)
{
    struct wjob *next;

    (void)state;
    stage_job();
    next = stage_job();
    kube_plan("delete pods", KUBE_FORBIDDEN, 2, false);
    stage_start();
    STAGE_UNTIL(next->state == W_OVER);
    stage_pass(MINUTES);
    assert_int_equal(stage_said("pod_delete_failed"), 2);
    assert_null(stage_run());
    assert_false(stage_pod()->deleting);
}

static void a_canceled_job_is_told_to_its_courier_who_ends_it(void **state)
{
    struct wjob *job = long_job();

    (void)state;
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_CANCELED);
    assert_string_equal(stage_pod()->order, "cancel");
    assert_true(stage_trace_has(job, "~L after_script\n"));
    assert_true(stage_trace_is_whole(job));
    assert_int_equal(job->finals, 1);
    expect_nothing_left();
}

static void an_order_that_did_not_go_through_is_given_again(void **state)
{
    struct wjob *job = long_job();

    (void)state;
    kube_plan("patch pods", KUBE_FAILED, 3, false);
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("order_failed"), 3);
    assert_true(stage_trace_has(job, "~L after_script\n"));
}

static void without_the_right_to_patch_a_cancel_deletes_the_pod(void **state)
{
    struct wjob *job = long_job();
    uint64_t asked_ms = clock_now_ms();

    (void)state;
    kube_plan("patch pods", KUBE_FORBIDDEN, 1, false);
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(clock_now_ms() - asked_ms < 2 * MINUTES);
    assert_int_equal(job->end, END_CANCELED);
    expect_nothing_left();
}

static void a_cancel_is_given_again_by_who_adopts_the_job(void **state)
{
    struct wjob *job = long_job();

    (void)state;
    kube_plan("patch pods", KUBE_FAILED, 1000, false);
    cancel(job);
    stage_pass(MINUTES);
    stage_kill();
    kube_unplan();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(stage_trace_has(job, "~L after_script\n"));
}

static void a_cancel_while_the_image_is_pulled_is_reported_without_the_pod(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pod()->scheduled = true;
    stage_pod()->pulling = true;
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_CANCELED);
    assert_true(stage_trace_has(job, "ERROR: Job failed: canceled"));
    assert_false(stage_pod()->gone);
}

static void a_deleted_pod_counts_against_the_limit_until_it_is_gone(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_job();
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pod()->scheduled = true;
    stage_pod()->pulling = true; /* a kubelet that pulls does not even look at it */
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
    stage_pass(5 * MINUTES);
    assert_true(stage_pod()->deleting);
    assert_int_equal(world.next_job, 1);
    stage_pod()->gone = true;
    watch_pod_changed(stage_pod());
    stage_pass(MINUTES);
    assert_int_equal(world.next_job, 2);
}

static void a_pod_that_does_not_go_stops_counting_after_ten_minutes(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_job();
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pod()->scheduled = true;
    stage_pod()->pulling = true;
    cancel(job);
    STAGE_UNTIL(world.next_job == 2);
    assert_int_equal(stage_said("pod_will_not_go"), 1);
    assert_true(clock_now_ms() > 10 * MINUTES);
}

static void a_cancel_before_the_pod_was_made_leaves_none(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_QUOTA, 1000, false);
    stage_start();
    STAGE_UNTIL(kube_asked("create") > 2);
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_CANCELED);
    kube_unplan();
    expect_nothing_left();
    assert_int_equal(stage_pods(), 0);
}

/* A canceled job of whose pod Kubernetes tells nothing. */
static void end_a_job_without_an_answer(void)
{
    struct wjob *job = stage_job();

    kube_plan("create pods", KUBE_FAILED, 1000, false);
    kube_plan("get pods", KUBE_FAILED, 100000, false);
    stage_start();
    STAGE_UNTIL(kube_asked("create") > 2);
    cancel(job);
    STAGE_UNTIL(job->state == W_OVER);
}

static void a_stop_waits_while_nobody_tells_whether_a_pod_exists(void **state)
{
    (void)state;
    end_a_job_without_an_answer();
    stage_pass(MINUTES);
    assert_non_null(stage_run());
    stage_signal(SIGTERM);
    assert_true(stage_pass(30 * SECONDS)); /* a pod may stay behind: the process does not end before that is known */
}

static void a_question_for_a_pod_that_is_never_answered_has_an_end(void **state)
{
    (void)state;
    end_a_job_without_an_answer();
    STAGE_UNTIL(stage_run() == NULL);
    assert_int_equal(stage_said("pod_unknown"), 1);
    assert_in_range(kube_asked("get"), 50, 70);
}

static void an_abort_before_the_create_was_answered_leaves_no_pod(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NO_NODE, 1);
    kube_plan("create pods", KUBE_FAILED, 1, true);
    kube_plan("create pods", KUBE_FAILED, 1000, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    abort_job(job);
    expect_nothing_left();
    assert_int_equal(job->scripts, 0);
}

static void the_pod_of_an_earlier_attempt_is_deleted_until_it_is_gone(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NODE_REFUSES, 1);
    kube_plan("delete pods", KUBE_FAILED, 3, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 2);
    stage_pod()->pieces_left = 100;
    STAGE_UNTIL(job->state == W_OVER);
    expect_nothing_left();
}

static void an_aborted_job_loses_its_pod_at_once_and_is_not_reported(void **state)
{
    struct wjob *job = long_job();

    (void)state;
    abort_job(job);
    STAGE_UNTIL(stage_pod()->deleting);
    expect_nothing_left();
    assert_int_equal(job->finals, 0);
}

static void a_pod_that_somebody_deletes_ends_its_job_as_interrupted_or_failed(void **state)
{
    struct wjob *job = long_job();

    (void)state;
    pod_delete(stage_pod());
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(strcmp(job->reason, "runner_interrupted") == 0 || strcmp(job->reason, "runner_system_failure") == 0);
    expect_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_pod_is_deleted_after_its_job_was_reported),
        STAGE_TEST(a_delete_that_failed_is_tried_until_it_is_done),
        STAGE_TEST(without_the_right_to_delete_the_pod_stays_and_the_next_job_runs),
        STAGE_TEST(a_canceled_job_is_told_to_its_courier_who_ends_it),
        STAGE_TEST(an_order_that_did_not_go_through_is_given_again),
        STAGE_TEST(without_the_right_to_patch_a_cancel_deletes_the_pod),
        STAGE_TEST(a_cancel_is_given_again_by_who_adopts_the_job),
        STAGE_TEST(a_cancel_while_the_image_is_pulled_is_reported_without_the_pod),
        STAGE_TEST(a_deleted_pod_counts_against_the_limit_until_it_is_gone),
        STAGE_TEST(a_pod_that_does_not_go_stops_counting_after_ten_minutes),
        STAGE_TEST(a_cancel_before_the_pod_was_made_leaves_none),
        STAGE_TEST(a_stop_waits_while_nobody_tells_whether_a_pod_exists),
        STAGE_TEST(a_question_for_a_pod_that_is_never_answered_has_an_end),
        STAGE_TEST(an_abort_before_the_create_was_answered_leaves_no_pod),
        STAGE_TEST(the_pod_of_an_earlier_attempt_is_deleted_until_it_is_gone),
        STAGE_TEST(an_aborted_job_loses_its_pod_at_once_and_is_not_reported),
        STAGE_TEST(a_pod_that_somebody_deletes_ends_its_job_as_interrupted_or_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
