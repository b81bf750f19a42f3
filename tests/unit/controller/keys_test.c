/* The sealing keys of a controller that runs for weeks, beside pods that an earlier one left. */
#include "stage.h"

#include "text/json.h"

#define DAYS (24 * 60 * MINUTES)

static bool has_key(const char *name)
{
    OWNED_JSON struct cJSON *secret = state_secret_get();

    return json_text(json_get(secret, "data"), name, NULL) != NULL;
}

/* A controller that polls seldom, so that weeks pass quickly. */
static struct controller *start_idle(void)
{
    api_plan("request", 403, UINT32_MAX);
    return stage_start();
}

static void a_new_key_is_made_after_30_days_and_the_old_one_goes(void **state)
{
    (void)state;
    start_idle();
    stage_pass(29 * DAYS);
    assert_true(has_key("key-k1"));
    assert_false(has_key("key-k2"));
    stage_pass(3 * DAYS);
    assert_true(has_key("key-k1"));
    assert_true(has_key("key-k2"));
    stage_pass(4 * DAYS);
    assert_false(has_key("key-k1"));
    assert_true(has_key("key-k2"));
}

/* A pod whose job nobody goes on with: its entry is not configured any more. */
static struct wpod *left_pod(void)
{
    struct wjob *job = stage_job();

    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_kill();
    return stage_pod();
}

static void an_old_key_stays_while_a_pod_is_there_that_it_opens(void **state)
{
    struct wpod *pod = left_pod();
    struct controller *controller;

    (void)state;
    clock_pass(31 * DAYS);
    controller = start_idle();
    entry_set_token(controller_entry(controller, 0), "glrt-another-runner");
    stage_pass(6 * DAYS);
    assert_int_equal(stage_said("no runner entry fits"), 1);
    assert_true(has_key("key-k1"));
    assert_true(has_key("key-k2"));
    pod->gone = true;
    watch_pod_changed(pod);
    stage_pass(2 * DAYS);
    assert_false(has_key("key-k1"));
    assert_true(has_key("key-k2"));
}

static void a_pod_that_only_names_a_key_does_not_keep_it(void **state)
{
    struct wpod *pod = left_pod();
    struct cJSON *annotations = json_at(pod->object, "metadata.annotations");

    (void)state;
    json_remove(annotations, "dataops-runner/sealed");
    json_set_text(annotations, "dataops-runner/sealed", "k1.AAAA");
    clock_pass(31 * DAYS);
    start_idle();
    stage_pass(6 * DAYS);
    assert_false(pod->gone);
    assert_false(has_key("key-k1"));
}

static void a_job_that_was_sealed_with_an_old_key_is_adopted_after_the_rotation(void **state)
{
    struct wjob *job;

    (void)state;
    stage_start();
    stage_pass(MINUTES);
    stage_kill();
    clock_pass(30 * DAYS - 5 * MINUTES);
    job = stage_job();
    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_kill();
    assert_false(has_key("key-k2"));
    clock_pass(10 * MINUTES);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_true(has_key("key-k2"));
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_new_key_is_made_after_30_days_and_the_old_one_goes),
        STAGE_TEST(an_old_key_stays_while_a_pod_is_there_that_it_opens),
        STAGE_TEST(a_pod_that_only_names_a_key_does_not_keep_it),
        STAGE_TEST(a_job_that_was_sealed_with_an_old_key_is_adopted_after_the_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
