/* Probes: alive while the loop turns; ready when both sides answer. */
#include "stage.h"

static int ready(void)
{
    struct strbuf body = STRBUF_EMPTY;
    int status = clock_probe("/readyz", &body);

    strbuf_clear(&body);
    return status;
}

static void expect_words(const char *path, int status, const char *words)
{
    struct strbuf body = STRBUF_EMPTY;

    assert_int_equal(clock_probe(path, &body), status);
    assert_non_null(strstr(strbuf_text(&body), words));
    strbuf_clear(&body);
}

static void it_is_alive_whatever_the_others_do(void **state)
{
    (void)state;
    api_plan("request", 0, 1000);
    stage_start();
    expect_words("/healthz", 200, "ok\n");
    stage_pass(10 * MINUTES);
    expect_words("/healthz", 200, "ok\n");
}

static void it_is_ready_once_both_sides_answered(void **state)
{
    (void)state;
    stage_start();
    expect_words("/readyz", 503, "Kubernetes");
    stage_pass(3 * SECONDS);
    expect_words("/readyz", 200, "ok\n");
}

static void it_is_not_ready_before_dataops_answered(void **state)
{
    (void)state;
    api_plan("request", 0, 1000);
    stage_start();
    stage_pass(3 * SECONDS);
    expect_words("/readyz", 503, "DataOps");
}

static void a_refused_token_is_no_answer(void **state)
{
    (void)state;
    api_plan("request", 403, 1000);
    stage_start();
    stage_pass(10 * SECONDS);
    expect_words("/readyz", 503, "DataOps");
}

static void silence_of_two_minutes_ends_readiness_and_an_answer_brings_it_back(void **state)
{
    (void)state;
    stage_start();
    stage_pass(3 * SECONDS);
    api_plan("request", 0, 1000000);
    stage_pass(110 * SECONDS);
    assert_int_equal(ready(), 200);
    stage_pass(15 * SECONDS);
    assert_int_equal(ready(), 503);
    api_unplan();
    stage_pass(3 * SECONDS);
    assert_int_equal(ready(), 200);
}

static void dataops_that_is_seldom_asked_is_not_silent(void **state)
{
    struct controller *controller;

    (void)state;
    controller = stage_start();
    stage_pass(3 * SECONDS);
    controller_frame(controller)->options.config->check_interval_s = 600;
    stage_pass(500 * SECONDS);
    assert_int_equal(ready(), 200);
}

static void a_full_runner_stays_ready_and_so_it_does_when_its_job_ends(void **state)
{
    (void)state;
    stage_job();
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pod()->pieces_left = 2000;
    for (unsigned i = 0; i < 20; i++) {
        stage_pass(60 * SECONDS);
        assert_int_equal(ready(), 200);
    }
    stage_pod()->pieces_left = 0;
    for (unsigned i = 0; i < 3000; i++) {
        stage_pass(20);
        assert_int_equal(ready(), 200);
    }
}

static void a_runner_that_took_over_as_many_jobs_as_it_may_have_is_ready(void **state)
{
    (void)state;
    stage_job();
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pod()->pieces_left = 100000;
    stage_pass(20 * SECONDS);
    stage_kill();
    stage_start();
    stage_pass(10 * SECONDS);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_int_equal(ready(), 200);
    stage_pass(10 * MINUTES);
    assert_int_equal(ready(), 200);
}

static void metrics_count_jobs(void **state)
{
    (void)state;
    stage_job();
    stage_job();
    stage_start();
    STAGE_UNTIL(world.jobs[0].state == W_OVER && world.jobs[1].state == W_OVER);
    stage_pass(30 * SECONDS);
    expect_words("/metrics", 200, "\ndataops_runner_jobs 0\n");
    expect_words("/metrics", 200, "\ndataops_runner_jobs_limit 1\n");
    expect_words("/metrics", 200, "\ndataops_runner_jobs_received_total 2\n");
    expect_words("/metrics", 200, "{result=\"success\"} 1\n");
    expect_words("/metrics", 200, "{result=\"failed\"} 1\n");
}

static void any_other_path_is_not_found(void **state)
{
    (void)state;
    stage_start();
    expect_words("/healthz/", 404, "not found");
    expect_words("/", 404, "not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(it_is_alive_whatever_the_others_do),
        STAGE_TEST(it_is_ready_once_both_sides_answered),
        STAGE_TEST(it_is_not_ready_before_dataops_answered),
        STAGE_TEST(a_refused_token_is_no_answer),
        STAGE_TEST(silence_of_two_minutes_ends_readiness_and_an_answer_brings_it_back),
        STAGE_TEST(dataops_that_is_seldom_asked_is_not_silent),
        STAGE_TEST(a_full_runner_stays_ready_and_so_it_does_when_its_job_ends),
        STAGE_TEST(a_runner_that_took_over_as_many_jobs_as_it_may_have_is_ready),
        STAGE_TEST(metrics_count_jobs),
        STAGE_TEST(any_other_path_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
