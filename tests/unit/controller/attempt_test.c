/* A job's pod and its plan: what an answer of Kubernetes means for the job. */
#include "stage.h"

#include "pod/name.h"
#include "text/json.h"

static void a_job_gets_one_pod_and_a_plan(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 1);
    assert_true(stage_pod()->plan_stored);
    assert_int_equal(job->scripts, 1);
    assert_true(stage_trace_is_whole(job));
    stage_pass(5 * SECONDS);
    assert_true(stage_pod()->gone);
}

static void a_create_whose_answer_was_lost_is_found_by_its_name(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_EXISTS, 1, true);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 1);
}

static void a_create_without_an_answer_is_tried_with_the_same_name(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_FAILED, 1, true);
    kube_plan("create pods", KUBE_FAILED, 2, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 1);
    assert_int_equal(job->scripts, 1);
    /* the pod was made before there was a line to tell of it, and must be the same for whoever adopts it */
    assert_int_equal(job->trace.length, job->printed.length);
}

static void kubernetes_that_does_not_answer_for_poll_timeout_fails_the_job(void **state)
{
    struct wjob *job = stage_job();
    uint64_t began_ms;

    (void)state;
    kube_plan("create pods", KUBE_FAILED, 1000, false);
    stage_start();
    STAGE_UNTIL(job->state == W_RUNNING);
    began_ms = clock_now_ms();
    STAGE_UNTIL(job->state == W_OVER);
    assert_in_range(clock_now_ms() - began_ms, 170 * SECONDS, 240 * SECONDS);
    assert_int_equal(job->end, END_FAILED);
    assert_string_equal(job->reason, "runner_system_failure");
    assert_int_equal(stage_pods(), 0);
}

static void quota_is_waited_for_and_said_once(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_QUOTA, 20, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(clock_now_ms() > 9 * MINUTES);
    assert_true(stage_trace_has(job, "Waiting for quota: pods: the answer was 403"));
    assert_int_equal(stage_said("job_attempt_failed"), 0);
    const char *first = strstr(strbuf_text(&job->trace), "Waiting for quota");
    assert_null(strstr(first + 1, "Waiting for quota"));
}

static void a_quota_between_two_outages_is_an_answer(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_FAILED, 1, false);
    kube_plan("create pods", KUBE_QUOTA, 20, false);
    kube_plan("create pods", KUBE_FAILED, 1, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
}

static void a_refused_pod_fails_the_job_with_the_servers_words(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_REFUSED, 1, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "ERROR: Job failed (system failure): pods: the answer was 422"));
    assert_int_equal(kube_asked("create"), 2); /* the state Secret's and the pod's */
}

static void no_right_to_create_pods_fails_the_job(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_FORBIDDEN, 1, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_string_equal(job->reason, "runner_system_failure");
}

/* Right after the create, before its answer is known. */
static struct wpod *pod_at_once(void)
{
    for (unsigned i = 0; i < 5000 && stage_pods() == 0; i++)
        stage_pass(1);
    assert_int_equal(stage_pods(), 1);
    return stage_pod();
}

static void a_pod_of_somebody_else_with_that_name_is_not_touched(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *pod;

    (void)state;
    kube_plan("create pods", KUBE_EXISTS, 1, true);
    stage_start();
    pod = pod_at_once();
    json_remove(json_at(pod->object, "metadata.annotations"), POD_ANNOTATION_KEY);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "that is not of this job exists in namespace jobs"));
    stage_pass(MINUTES);
    assert_false(pod->deleting);
    assert_false(pod->plan_stored);
    assert_null(stage_run());
}

static void a_dying_pod_of_that_name_leads_to_the_next_attempt(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *pod;

    (void)state;
    kube_plan("create pods", KUBE_EXISTS, 1, true);
    stage_start();
    pod = pod_at_once();
    pod->deleting = true;
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 2);
    assert_string_not_equal(stage_pod()->name, pod->name);
    assert_int_equal(job->scripts, 1);
}

static void a_pod_that_went_before_its_create_was_answered_is_noticed(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_start();
    pod_delete(pod_at_once());
    STAGE_UNTIL(job->state == W_OVER);
    stage_pass(20 * MINUTES);
    assert_null(stage_run());
}

static void a_refused_plan_fails_the_job_and_takes_the_pod_away(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create secrets", KUBE_OK, 1, true); /* the state Secret */
    kube_plan("create secrets", KUBE_REFUSED, 1, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "secrets: the answer was 422"));
    stage_pass(10 * SECONDS);
    assert_true(stage_pod()->gone);
    assert_int_equal(job->scripts, 0);
}

static void a_plan_whose_create_was_lost_is_stored_all_the_same(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create secrets", KUBE_OK, 1, true);
    kube_plan("create secrets", KUBE_FAILED, 1, true);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 1);
}

static void a_quota_for_secrets_is_waited_for_with_the_same_pod_and_said(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create secrets", KUBE_OK, 1, true);
    kube_plan("create secrets", KUBE_QUOTA, 8, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_pass(10 * SECONDS);
    assert_true(stage_trace_has(job, "Waiting for quota: secrets"));
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 1);
    assert_true(stage_trace_is_whole(job));
}

static void a_server_that_refuses_the_token_for_a_while_is_waited_for(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create pods", KUBE_UNAUTHORIZED, 2, false);
    kube_plan("create pods", KUBE_BUSY, 2, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
}

static void the_payload_is_forgotten_once_courier_spoke(void **state)
{
    (void)state;
    stage_job();
    stage_start();
    STAGE_UNTIL(stage_run() != NULL);
    assert_true(run_view(stage_run()).has_payload);
    STAGE_UNTIL(run_view(stage_run()).has_spoken);
    assert_false(run_view(stage_run()).has_payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_job_gets_one_pod_and_a_plan),
        STAGE_TEST(a_create_whose_answer_was_lost_is_found_by_its_name),
        STAGE_TEST(a_create_without_an_answer_is_tried_with_the_same_name),
        STAGE_TEST(kubernetes_that_does_not_answer_for_poll_timeout_fails_the_job),
        STAGE_TEST(quota_is_waited_for_and_said_once),
        STAGE_TEST(a_quota_between_two_outages_is_an_answer),
        STAGE_TEST(a_refused_pod_fails_the_job_with_the_servers_words),
        STAGE_TEST(no_right_to_create_pods_fails_the_job),
        STAGE_TEST(a_pod_of_somebody_else_with_that_name_is_not_touched),
        STAGE_TEST(a_dying_pod_of_that_name_leads_to_the_next_attempt),
        STAGE_TEST(a_pod_that_went_before_its_create_was_answered_is_noticed),
        STAGE_TEST(a_refused_plan_fails_the_job_and_takes_the_pod_away),
        STAGE_TEST(a_plan_whose_create_was_lost_is_stored_all_the_same),
        STAGE_TEST(a_quota_for_secrets_is_waited_for_with_the_same_pod_and_said),
        STAGE_TEST(a_server_that_refuses_the_token_for_a_while_is_waited_for),
        STAGE_TEST(the_payload_is_forgotten_once_courier_spoke),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
