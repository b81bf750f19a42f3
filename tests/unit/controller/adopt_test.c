/* Going on with the jobs of a controller that is gone: all that is needed is in the pod. */
#include "stage.h"

#include "pod/name.h"
#include "text/json.h"

/* A job whose script runs, and whose controller was killed then. */
static struct wjob *orphan(unsigned pieces)
{
    struct wjob *job = stage_job();

    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->pieces_left = pieces;
    stage_pass(3 * SECONDS);
    stage_kill();
    return job;
}

static void set_annotation(struct wpod *pod, const char *name, const char *value)
{
    struct cJSON *annotations = json_at(pod->object, "metadata.annotations");

    json_remove(annotations, name);
    if (value != NULL)
        json_set_text(annotations, name, value);
}

static void a_running_job_goes_on_and_its_log_has_no_seam(void **state)
{
    struct wjob *job = orphan(40);

    (void)state;
    clock_pass(10 * SECONDS);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(job->finals, 1);
    assert_int_equal(job->scripts, 1);
    assert_true(stage_trace_is_whole(job));
    stage_pass(10 * SECONDS);
    assert_true(stage_pod()->gone);
}

static void a_job_that_ended_meanwhile_is_reported(void **state)
{
    struct wjob *job = orphan(2);

    (void)state;
    clock_pass(5 * MINUTES);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void it_may_change_hands_many_times(void **state)
{
    struct wjob *job = orphan(100);

    (void)state;
    for (unsigned i = 0; i < 8 && job->state != W_OVER; i++) {
        stage_start();
        stage_pass(4 * SECONDS);
        stage_kill();
    }
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(job->finals, 1);
    assert_true(stage_trace_is_whole(job));
}

static void a_pod_without_its_plan_is_reported_and_deleted(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    kube_plan("create secrets", KUBE_OK, 1, true);
    kube_plan("create secrets", KUBE_FAILED, 1, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    stage_kill();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_string_equal(job->reason, "runner_system_failure");
    assert_true(stage_trace_has(job, "the controller was restarted before the job's plan was stored"));
    stage_pass(10 * SECONDS);
    assert_true(stage_pod()->gone);
    assert_int_equal(job->scripts, 0);
}

static void without_an_answer_about_the_plan_the_job_goes_on(void **state)
{
    struct wjob *job = orphan(20);

    (void)state;
    kube_plan("dry secrets", KUBE_FORBIDDEN, 1, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
}

static void a_pod_without_a_seal_is_left_alone(void **state)
{
    (void)state;
    orphan(5);
    set_annotation(stage_pod(), POD_ANNOTATION_SEALED, NULL);
    stage_start();
    stage_pass(10 * MINUTES);
    assert_int_equal(stage_said("pod_not_adopted"), 1);
    assert_null(stage_run());
    assert_false(stage_pod()->deleting);
}

static void a_seal_that_was_copied_from_another_pod_does_not_open(void **state)
{
    struct wjob *job = orphan(5);
    OWNED_TEXT char *renamed = mem_format("%s0", stage_pod()->name);

    (void)state;
    json_remove(json_get(stage_pod()->object, "metadata"), "name");
    json_set_text(json_get(stage_pod()->object, "metadata"), "name", renamed);
    stage_start();
    stage_pass(10 * SECONDS);
    assert_int_equal(stage_said("its sealed annotation cannot be opened"), 1);
    assert_int_not_equal(job->state, W_OVER);
}

static void a_pod_of_an_entry_that_is_not_configured_any_more_is_left_alone(void **state)
{
    struct controller *controller;

    (void)state;
    orphan(5);
    controller = stage_start();
    intake_set_token(&controller->intakes[0], "glrt-another-runner");
    stage_pass(10 * SECONDS);
    assert_int_equal(stage_said("no runner entry fits"), 1);
    assert_null(stage_run());
}

static void of_two_attempts_the_last_is_the_job_and_the_first_is_deleted(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *first;

    (void)state;
    stage_trouble(HOOK_FAILS, 1);
    kube_plan("delete pods", KUBE_FAILED, 1000, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    first = stage_pod();
    STAGE_UNTIL(job->scripts == 1);
    stage_kill();
    kube_unplan();
    assert_int_equal(stage_pods(), 2);
    assert_false(first->deleting);
    stage_pod()->pieces_left = 100;
    stage_start();
    STAGE_UNTIL(stage_said("job_adopted") > 0);
    stage_pass(30 * SECONDS);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_int_equal(stage_said("pod_left_over"), 1);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(job->finals, 1);
    stage_pass(10 * SECONDS);
    assert_true(first->gone);
    assert_true(stage_trace_is_whole(job));
}

static void notes_before_couriers_first_byte_are_not_moved_by_a_restart(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_trace_has(job, "nodes are available"));
    stage_kill();
    stage_schedule(stage_pod());
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
    assert_true(job->trace.length > job->printed.length);
}

static void a_note_that_was_stored_without_an_answer_does_not_shift_the_log(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(NO_NODE, 1);
    kube_plan("patch pods", KUBE_FAILED, 1, true);
    stage_start();
    STAGE_UNTIL(kube_asked("patch") == 1);
    stage_pass(30 * SECONDS);
    stage_schedule(stage_pod());
    stage_pod()->pieces_left = 30;
    STAGE_UNTIL(job->scripts == 1);
    stage_pass(10 * SECONDS);
    stage_kill();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void a_job_that_dataops_ended_meanwhile_is_only_cleaned_away(void **state)
{
    struct wjob *job = orphan(10000);

    (void)state;
    job->state = W_OVER;
    job->end = END_CANCELED;
    stage_start();
    STAGE_UNTIL(stage_run() != NULL);
    STAGE_UNTIL(stage_run() == NULL);
    stage_pass(10 * SECONDS);
    assert_true(stage_pod()->gone);
    assert_int_equal(job->finals, 0);
}

static void the_time_limit_counts_from_the_pods_creation(void **state)
{
    struct wjob *job = orphan(1000000);
    uint64_t began_ms = clock_now_ms();

    (void)state;
    clock_pass(60 * MINUTES); /* of a limit of 3600 s, 180 s for the start, 600 s more */
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_in_range(clock_now_ms() - began_ms, 72 * MINUTES, 75 * MINUTES);
    assert_true(stage_trace_has(job, "the job passed its time limit"));
}

static void an_adopted_pod_that_never_began_has_no_further_attempt(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *pod;

    (void)state;
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(stage_run() != NULL && stage_run()->state == JOB_STARTING);
    stage_kill();
    pod = stage_pod();
    pod->refused = pod->scheduled = true;
    snprintf(pod->phase, sizeof(pod->phase), "Failed");
    snprintf(pod->reason, sizeof(pod->reason), "OutOfcpu");
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "the pod never began (attempt 1): the node has no CPU left"));
    assert_int_equal(stage_pods(), 1);
}

static void an_adopted_job_counts_against_the_limits(void **state)
{
    (void)state;
    orphan(10000);
    stage_job();
    stage_start();
    STAGE_UNTIL(stage_run() != NULL);
    stage_pass(2 * MINUTES);
    assert_int_equal(world.next_job, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_running_job_goes_on_and_its_log_has_no_seam),
        STAGE_TEST(a_job_that_ended_meanwhile_is_reported),
        STAGE_TEST(it_may_change_hands_many_times),
        STAGE_TEST(a_pod_without_its_plan_is_reported_and_deleted),
        STAGE_TEST(without_an_answer_about_the_plan_the_job_goes_on),
        STAGE_TEST(a_pod_without_a_seal_is_left_alone),
        STAGE_TEST(a_seal_that_was_copied_from_another_pod_does_not_open),
        STAGE_TEST(a_pod_of_an_entry_that_is_not_configured_any_more_is_left_alone),
        STAGE_TEST(of_two_attempts_the_last_is_the_job_and_the_first_is_deleted),
        STAGE_TEST(notes_before_couriers_first_byte_are_not_moved_by_a_restart),
        STAGE_TEST(a_note_that_was_stored_without_an_answer_does_not_shift_the_log),
        STAGE_TEST(a_job_that_dataops_ended_meanwhile_is_only_cleaned_away),
        STAGE_TEST(the_time_limit_counts_from_the_pods_creation),
        STAGE_TEST(an_adopted_job_counts_against_the_limits),
        STAGE_TEST(an_adopted_pod_that_never_began_has_no_further_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
