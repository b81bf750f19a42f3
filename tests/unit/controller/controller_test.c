/* A controller's beginning and its end: what a signal means for the jobs. */
#include "stage.h"

#include "config/config.h"

static void without_runners_there_is_no_controller(void **state)
{
    struct error error = ERROR_NONE;
    struct config *config = config_load("concurrent = 1\n", 15, CONFIG_TOML, "x.toml", &error);
    struct controller_options options = { .config = config, .release = "stage", .system_id = "s_0123456789ab" };

    (void)state;
    assert_non_null(config);
    assert_null(controller_new(&options, &error));
    assert_non_null(strstr(error.text, "no [[runners]] in the configuration"));
    config_free(config);
}

static void term_hands_running_jobs_over_at_once(void **state)
{
    struct wjob *job = stage_job();
    uint64_t asked_ms;

    (void)state;
    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->pieces_left = 50;
    asked_ms = clock_now_ms();
    stage_signal(SIGTERM);
    assert_false(stage_pass(MINUTES));
    assert_true(clock_now_ms() - asked_ms < 2 * SECONDS);
    assert_false(stage_pod()->deleting);
    assert_int_not_equal(job->state, W_OVER);
    stage_kill();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void term_waits_for_the_open_request_and_makes_its_job_safe(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        struct wjob *job;
        struct controller *controller = stage_start_with("concurrent = 20\n", NULL);

        stage_pass(2 * SECONDS);
        for (unsigned j = 0; j < 5000 && controller_open_requests(controller) == 0; j++)
            stage_pass(1);
        job = stage_job();
        stage_signal(SIGTERM);
        assert_false(stage_pass(MINUTES));
        stage_kill();
        if (job->state == W_PENDING)
            world.job_count--; /* the answer was that there is none */
        else
            assert_true(job->delivered && job->was_safe);
    }
    assert_true(world.job_count > 0);
}

static void term_waits_until_a_plan_is_stored(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create secrets", KUBE_OK, 1, true);
    kube_plan("create secrets", KUBE_FAILED, 1, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    assert_false(stage_pod()->plan_stored);
    stage_signal(SIGTERM);
    assert_false(stage_pass(2 * MINUTES));
    assert_true(stage_pod()->plan_stored);
    assert_int_not_equal(job->state, W_OVER);
    assert_int_equal(stage_said("stopped_too_early"), 0);
}

static void term_reports_a_job_that_waits_for_its_next_attempt(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_QUOTA, 1000, false);
    stage_start();
    STAGE_UNTIL(stage_run() != NULL && run_view(stage_run()).state == JOB_RETRYING);
    stage_signal(SIGTERM);
    assert_false(stage_pass(MINUTES));
    assert_int_equal(job->end, END_FAILED);
    assert_string_equal(job->reason, "runner_system_failure");
    assert_true(stage_trace_has(job, "the runner was stopped before the job's pod began"));
}

static void term_waits_55_seconds_at_most(void **state)
{
    struct controller *controller;
    uint64_t asked_ms;

    (void)state;
    stage_job();
    kube_plan("create secrets", KUBE_OK, 1, true);
    kube_plan("create secrets", KUBE_FAILED, 1000, false);
    controller = stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    asked_ms = clock_now_ms();
    stage_signal(SIGTERM);
    assert_false(stage_pass(10 * MINUTES));
    assert_in_range(clock_now_ms() - asked_ms, 54 * SECONDS, 57 * SECONDS);
    assert_int_equal(stage_said("stopped_too_early"), 1);
    assert_int_equal(controller_end_of(controller), CONTROLLER_DONE);
}

static void a_second_signal_ends_at_once(void **state)
{
    struct controller *controller;

    (void)state;
    stage_job();
    kube_plan("create secrets", KUBE_OK, 1, true);
    kube_plan("create secrets", KUBE_FAILED, 1000, false);
    controller = stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_signal(SIGTERM);
    assert_true(stage_pass(2 * SECONDS));
    stage_signal(SIGTERM);
    assert_false(stage_pass(SECONDS));
    assert_int_equal(controller_end_of(controller), CONTROLLER_FORCED_TERM);
}

static void quit_lets_jobs_end_and_term_after_it_hands_them_over(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->pieces_left = 100000;
    stage_signal(SIGQUIT);
    assert_true(stage_pass(5 * MINUTES));
    stage_signal(SIGTERM);
    assert_false(stage_pass(5 * SECONDS));
    assert_false(stage_pod()->deleting);
    assert_int_not_equal(job->state, W_OVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(without_runners_there_is_no_controller),
        STAGE_TEST(term_hands_running_jobs_over_at_once),
        STAGE_TEST(term_waits_for_the_open_request_and_makes_its_job_safe),
        STAGE_TEST(term_waits_until_a_plan_is_stored),
        STAGE_TEST(term_reports_a_job_that_waits_for_its_next_attempt),
        STAGE_TEST(term_waits_55_seconds_at_most),
        STAGE_TEST(a_second_signal_ends_at_once),
        STAGE_TEST(quit_lets_jobs_end_and_term_after_it_hands_them_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
