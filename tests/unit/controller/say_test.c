/* What the controller says about a job shows none of its masked values: in the trace, in the pod, in its own log. */
#include "stage.h"

#include "pod/name.h"
#include "text/json.h"

#define SECRET "s3cr3tvalue42"
#define TOP    "[{\"key\":\"TOP\",\"value\":\"" SECRET "\",\"masked\":true,\"public\":false}]"

static const char *notes_in_pod(void)
{
    const struct wpod *pod = stage_pod();

    return json_text(json_at(pod->object, "metadata.annotations"), POD_ANNOTATION_NOTES, "");
}

static void check_nothing_shows(const struct wjob *job)
{
    assert_false(stage_trace_has(job, SECRET));
    assert_null(strstr(notes_in_pod(), SECRET));
    assert_int_equal(stage_said(SECRET), 0);
    /* nor most of it, where a text was cut */
    assert_false(stage_trace_has(job, "s3cr3t"));
    assert_int_equal(stage_said("s3cr3t"), 0);
}

static void an_image_that_cannot_be_pulled_is_named_without_the_masked_part(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    world.image = "absent/$TOP:1";
    world.variables = TOP;
    stage_trouble(BUILD_IMAGE, 1);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(stage_trace_has(job, "Back-off pulling image \"absent/[MASKED]:1\""));
    assert_true(stage_trace_has(job, "ERROR: Job failed (system failure): image absent/[MASKED]:1: "));
    assert_int_equal(stage_said("job_cannot_run"), 1);
    assert_true(stage_said("image absent/[MASKED]:1: ") > 0);
    check_nothing_shows(job);
}

static void a_line_about_what_is_waited_for_is_masked_in_trace_and_pod(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    world.variables = "[{\"key\":\"TOP\",\"value\":\"nodes are\",\"masked\":true}]"; /* words of the scheduler */
    stage_trouble(NO_NODE, 1);
    stage_start();
    STAGE_UNTIL(job->trace.length > 0);
    assert_true(stage_trace_has(job, "0/3 [MASKED] available"));
    assert_non_null(strstr(notes_in_pod(), "0/3 [MASKED] available"));
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(stage_trace_has(job, "the pod did not start within 180 s: "));
    assert_false(stage_trace_has(job, "nodes are"));
    assert_int_equal(stage_said("nodes are"), 0);
}

static void the_next_controller_knows_what_to_mask(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    world.image = "absent/$TOP:1";
    world.variables = TOP;
    stage_trouble(BUILD_IMAGE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1 && stage_pod()->build.state == C_WAITING);
    stage_kill();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_true(stage_trace_has(job, "Back-off pulling image \"absent/[MASKED]:1\""));
    assert_true(stage_said("absent/[MASKED]:1") > 0);
    check_nothing_shows(job);
}

static void more_masked_values_than_the_pod_carries_hide_the_text_from_the_next_controller(void **state)
{
    struct wjob *job = stage_job();
    OWNED_STRBUF struct strbuf variables = STRBUF_EMPTY;

    (void)state;
    strbuf_add_text(&variables, "[{\"key\":\"TOP\",\"value\":\"" SECRET "\",\"masked\":true}");
    for (unsigned i = 0; i < 60; i++)
        strbuf_format(&variables, ",{\"key\":\"V%u\",\"masked\":true,\"value\":\"%0600u\"}", i, i);
    strbuf_add_char(&variables, ']');
    world.image = "absent/$TOP:1";
    world.variables = strbuf_text(&variables);
    stage_trouble(BUILD_IMAGE, 1);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1 && stage_pod()->build.state == C_WAITING);
    stage_kill();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(stage_trace_has(job, "ERROR: Job failed (system failure): (not shown: "));
    check_nothing_shows(job);
}

static void a_value_stays_masked_when_the_payload_is_gone(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    world.variables = TOP;
    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    assert_false(run_view(stage_run()).has_payload);
    snprintf(stage_pod()->reason, sizeof(stage_pod()->reason), "Evicted");
    snprintf(stage_pod()->message, sizeof(stage_pod()->message), "the node says " SECRET " and s3cr3tv...");
    stage_trouble(COURIER_KILLED, 1);
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(stage_trace_has(job, "the node says [MASKED] and [MASKED]..."));
    check_nothing_shows(job);
}

static void what_kubernetes_refuses_with_is_masked(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    world.variables =
        "[{\"key\":\"TOP\",\"value\":\"the answer was\",\"masked\":true}]"; /* words of the world's answer */
    kube_plan("create pods", KUBE_REFUSED, 1, false);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "pods: [MASKED] 4"));
    assert_false(stage_trace_has(job, "the answer was"));
    assert_int_equal(stage_said("the answer was"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(an_image_that_cannot_be_pulled_is_named_without_the_masked_part),
        STAGE_TEST(a_line_about_what_is_waited_for_is_masked_in_trace_and_pod),
        STAGE_TEST(the_next_controller_knows_what_to_mask),
        STAGE_TEST(more_masked_values_than_the_pod_carries_hide_the_text_from_the_next_controller),
        STAGE_TEST(a_value_stays_masked_when_the_payload_is_gone),
        STAGE_TEST(what_kubernetes_refuses_with_is_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
