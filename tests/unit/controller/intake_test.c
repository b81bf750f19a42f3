/* Asking DataOps for jobs: pace, limits, and what a refusal means. */
#include "stage.h"

static void a_runner_asks_once_an_interval(void **state)
{
    (void)state;
    stage_start_with("concurrent = 4\n", NULL);
    stage_pass(60 * SECONDS);
    assert_in_range(api_asked("request"), 55, 62);
}

static void no_job_is_asked_for_before_kubernetes_told_its_pods(void **state)
{
    struct controller *controller;

    (void)state;
    stage_job();
    controller = stage_start();
    for (unsigned i = 0; i < 500 && !cluster_is_listed(controller_entry(controller, 0)->cluster); i++) {
        assert_int_equal(api_asked("request"), 0);
        stage_pass(1);
    }
    stage_pass(2 * SECONDS);
    assert_true(api_asked("request") > 0);
}

static void after_a_job_the_next_is_asked_for_at_once(void **state)
{
    struct controller *controller;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        stage_job();
    controller = stage_start_with("concurrent = 8\n", NULL);
    controller_frame(controller)->options.config->check_interval_s = 600;
    STAGE_UNTIL(world.next_job > 0);
    stage_pass(2 * SECONDS);
    assert_true(api_asked("request") > 1);
}

static void strict_check_interval_waits_even_after_a_job(void **state)
{
    struct controller *controller;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        stage_job();
    controller = stage_start_with("concurrent = 8\n", "strict_check_interval = true");
    controller_frame(controller)->options.config->check_interval_s = 600;
    STAGE_UNTIL(world.next_job > 0);
    stage_pass(10 * SECONDS);
    assert_int_equal(world.next_job, 1);
}

static void concurrent_counts_jobs_and_open_requests(void **state)
{
    struct controller *controller;
    unsigned most = 0;

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        stage_job();
    controller = stage_start_with("concurrent = 2\n", "request_concurrency = 9");
    for (unsigned i = 0; i < 2000; i++) {
        unsigned taken = runs_count(controller_runs(controller)) + controller_open_requests(controller);
        most = taken > most ? taken : most;
        stage_pass(20);
    }
    assert_int_equal(most, 2);
}

static void limit_counts_the_jobs_of_its_entry(void **state)
{
    struct controller *controller;
    unsigned most = 0;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        stage_job();
    controller = stage_start_with("concurrent = 9\n", "limit = 1\nrequest_concurrency = 5");
    for (unsigned i = 0; i < 1000; i++) {
        most = runs_count(controller_runs(controller)) > most ? runs_count(controller_runs(controller)) : most;
        stage_pass(20);
    }
    assert_int_equal(most, 1);
}

static void a_token_refused_three_times_is_left_alone_for_an_hour(void **state)
{
    unsigned asked;

    (void)state;
    api_plan("request", 403, 3);
    stage_start();
    STAGE_UNTIL(stage_said("runner_unhealthy") == 1);
    asked = api_asked("request");
    assert_int_equal(asked, 3);
    stage_pass(59 * MINUTES);
    assert_int_equal(api_asked("request"), asked);
    stage_pass(2 * MINUTES);
    assert_true(api_asked("request") > asked);
}

static void a_good_answer_between_refusals_forgives_them(void **state)
{
    (void)state;
    stage_start();
    for (unsigned i = 0; i < 4; i++) {
        api_plan("request", 403, 2);
        stage_pass(10 * SECONDS);
    }
    assert_int_equal(stage_said("poll_refused"), 8);
    assert_int_equal(stage_said("runner_unhealthy"), 0);
}

static void errors_of_dataops_do_not_make_a_runner_unhealthy(void **state)
{
    (void)state;
    api_plan("request", 500, 20);
    stage_start();
    stage_pass(60 * SECONDS);
    assert_int_equal(stage_said("poll_failed"), 20);
    assert_int_equal(stage_said("runner_unhealthy"), 0);
    assert_true(api_asked("request") > 40);
}

static void answers_that_are_no_jobs_do_not_make_it_ask_without_a_pause(void **state)
{
    (void)state;
    api_plan("request", 201, 1000000); /* with an empty body */
    stage_start();
    stage_pass(60 * SECONDS);
    assert_in_range(api_asked("request"), 55, 62);
    assert_true(stage_said("payload_unreadable") >= 50);
}

static void a_runner_that_drains_asks_for_nothing_more(void **state)
{
    unsigned asked;
    struct wjob *job;

    (void)state;
    job = stage_job();
    stage_job();
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    asked = api_asked("request");
    stage_signal(SIGQUIT);
    assert_false(stage_pass(60 * MINUTES));
    assert_int_equal(api_asked("request"), asked);
    assert_int_equal(job->end, END_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_runner_asks_once_an_interval),
        STAGE_TEST(no_job_is_asked_for_before_kubernetes_told_its_pods),
        STAGE_TEST(after_a_job_the_next_is_asked_for_at_once),
        STAGE_TEST(strict_check_interval_waits_even_after_a_job),
        STAGE_TEST(concurrent_counts_jobs_and_open_requests),
        STAGE_TEST(limit_counts_the_jobs_of_its_entry),
        STAGE_TEST(a_token_refused_three_times_is_left_alone_for_an_hour),
        STAGE_TEST(a_good_answer_between_refusals_forgives_them),
        STAGE_TEST(errors_of_dataops_do_not_make_a_runner_unhealthy),
        STAGE_TEST(answers_that_are_no_jobs_do_not_make_it_ask_without_a_pause),
        STAGE_TEST(a_runner_that_drains_asks_for_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
