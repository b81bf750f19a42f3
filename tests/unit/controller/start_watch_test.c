/* A pod on its way: what it waits for is told, and for how long it is waited. */
#include "stage.h"

static void what_a_pod_waits_for_is_told_after_five_seconds_and_once(void **state)
{
    struct wjob *job = stage_job();
    const char *first;

    (void)state;
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pass(4 * SECONDS);
    assert_int_equal(job->trace.length, 0);
    stage_pass(60 * SECONDS);
    first = strstr(strbuf_text(&job->trace), "Waiting for pod jobs/");
    assert_non_null(first);
    assert_null(strstr(first + 1, "Waiting for pod jobs/"));
    assert_true(stage_trace_has(job, "0/3 nodes are available"));
}

static void a_line_is_in_the_pod_before_it_is_in_the_trace(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NO_NODE, 1);
    kube_plan("patch pods", KUBE_FORBIDDEN, 1000, false);
    stage_start();
    stage_pass(60 * SECONDS);
    assert_int_equal(job->trace.length, 0);
    stage_schedule(stage_pod());
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->trace.length, job->printed.length);
    assert_true(stage_trace_is_whole(job));
}

static void a_pod_that_does_not_start_within_poll_timeout_fails_the_job(void **state)
{
    struct wjob *job = stage_job();
    uint64_t began_ms;

    (void)state;
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    began_ms = clock_now_ms();
    STAGE_UNTIL(job->state == W_OVER);
    assert_in_range(clock_now_ms() - began_ms, 178 * SECONDS, 190 * SECONDS);
    assert_true(stage_trace_has(job, "the pod did not start within 180 s: "));
    assert_string_equal(job->reason, "runner_system_failure");
    stage_pass(10 * SECONDS);
    assert_true(stage_pod()->gone);
}

static void an_image_that_cannot_be_pulled_gets_half_a_minute(void **state)
{
    struct wjob *job = stage_job();
    uint64_t began_ms;

    (void)state;
    stage_trouble(BUILD_IMAGE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1 && stage_pod()->build.state == C_WAITING);
    began_ms = clock_now_ms();
    STAGE_UNTIL(job->state == W_OVER);
    assert_in_range(clock_now_ms() - began_ms, 28 * SECONDS, 36 * SECONDS);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "image image:1: "));
    assert_int_equal(stage_pods(), 1);
}

static void a_hook_that_failed_leads_to_another_attempt_and_a_line_about_it(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    world.hooks_are_silent = true;
    stage_trouble(HOOK_FAILS, 2);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 3);
    assert_int_equal(job->scripts, 1);
    assert_true(stage_trace_has(job, "Attempt 1 of 5 never began: "));
    assert_true(stage_trace_has(job, "Attempt 2 of 5 never began: "));
    assert_true(stage_trace_is_whole(job));
}

static void five_attempts_are_enough(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NODE_REFUSES,
                  100); /* a hook that fails may let courier speak, which ends the attempts: as the dice fall */
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_int_equal(stage_pods(), 5);
    assert_int_equal(job->scripts, 0);
    assert_true(stage_trace_has(job, "the pod never began (attempt 5): "));
    assert_string_equal(job->reason, "runner_system_failure");
    stage_pass(MINUTES);
    LIST_EACH(node, &pods)
    assert_true(list_of(node, struct wpod, node)->gone);
}

static void a_node_that_refuses_the_pod_leads_to_another_attempt(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NODE_REFUSES, 1);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 2);
}

static void the_pod_of_a_failed_attempt_stays_until_the_next_is_safe(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *first;

    (void)state;
    stage_trouble(NODE_REFUSES, 1);
    kube_plan("create secrets", KUBE_OK, 2, true);
    kube_plan("create secrets", KUBE_FAILED, 1, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    first = stage_pod();
    STAGE_UNTIL(stage_pods() == 2);
    stage_pod()->pieces_left = 100;
    while (!stage_pod()->plan_stored) {
        assert_false(first->deleting);
        stage_pass(10);
    }
    stage_pass(10 * SECONDS);
    assert_true(first->gone);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
}

static void a_refused_pod_whose_containers_were_seen_is_asked_for_its_log(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *pod;

    (void)state;
    world.kubelet_deaf_until_ms = UINT64_MAX; /* what courier says does not come through */
    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pass(2 * SECONDS);
    pod = stage_pod();
    pod->ended = pod->refused = true;
    pod->courier.state = pod->build.state = C_NONE;
    snprintf(pod->phase, sizeof(pod->phase), "Failed");
    snprintf(pod->reason, sizeof(pod->reason), "UnexpectedAdmissionError");
    watch_pod_changed(pod);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_int_equal(job->scripts, 1);
    assert_int_equal(stage_pods(), 1);
}

static void a_slow_pull_is_no_reason_to_give_up(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(SLOW_PULL, 1);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(what_a_pod_waits_for_is_told_after_five_seconds_and_once),
        STAGE_TEST(a_line_is_in_the_pod_before_it_is_in_the_trace),
        STAGE_TEST(a_pod_that_does_not_start_within_poll_timeout_fails_the_job),
        STAGE_TEST(an_image_that_cannot_be_pulled_gets_half_a_minute),
        STAGE_TEST(a_hook_that_failed_leads_to_another_attempt_and_a_line_about_it),
        STAGE_TEST(five_attempts_are_enough),
        STAGE_TEST(a_node_that_refuses_the_pod_leads_to_another_attempt),
        STAGE_TEST(the_pod_of_a_failed_attempt_stays_until_the_next_is_safe),
        STAGE_TEST(a_refused_pod_whose_containers_were_seen_is_asked_for_its_log),
        STAGE_TEST(a_slow_pull_is_no_reason_to_give_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
