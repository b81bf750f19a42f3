/* Going on with the jobs of a controller that is gone: all that is needed is in the pod. */
#include "stage.h"

#include "pod/name.h"
#include "state.h"
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
    entry_set_token(controller_entry(controller, 0), "glrt-another-runner");
    stage_pass(10 * SECONDS);
    assert_int_equal(stage_said("no runner entry fits"), 1);
    assert_null(stage_run());
}

/* The controller was killed with two attempts at the job in the namespace: gives the pod of the first. */
static struct wpod *kill_with_two_attempts(const struct wjob *job)
{
    struct wpod *first;

    stage_trouble(NODE_REFUSES, 1);
    kube_plan("delete pods", KUBE_FAILED, 1000, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    first = stage_pod();
    STAGE_UNTIL(job->scripts == 1);
    stage_kill();
    kube_unplan();
    return first;
}

static void of_two_attempts_only_the_last_is_the_job(bool last_is_listed_first)
{
    struct wjob *job = stage_job();
    struct wpod *first = kill_with_two_attempts(job);

    assert_int_equal(stage_pods(), 2);
    assert_false(first->deleting);
    stage_pod()->pieces_left = 100;
    if (last_is_listed_first) {
        list_remove(&first->node);
        list_append(&pods, &first->node);
    }
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

static void of_two_attempts_the_last_is_the_job_and_the_first_is_deleted(void **state)
{
    (void)state;
    of_two_attempts_only_the_last_is_the_job(false);
}

static void a_list_in_another_order_brings_the_same_job_once(void **state)
{
    (void)state;
    of_two_attempts_only_the_last_is_the_job(true);
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
    STAGE_UNTIL(stage_run() != NULL && run_view(stage_run()).state == JOB_STARTING);
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

/* --- pods that somebody else made --- */

static const char *annotation(const struct wpod *pod, const char *name)
{
    return json_text(json_at(pod->object, "metadata.annotations"), name, NULL);
}

/* Somebody copies a pod as far as the API shows it, under another name and with another attempt. */
static struct wpod *forge(const struct wpod *model, const char *name, const char *attempt, bool with_seal)
{
    OWNED_JSON struct cJSON *object = json_copy(model->object);
    struct cJSON *meta = json_get(object, "metadata"), *labels = json_get(meta, "labels");
    struct wpod *forged;

    json_remove(meta, "name");
    json_set_text(meta, "name", name);
    json_remove(labels, POD_LABEL_ATTEMPT);
    json_set_text(labels, POD_LABEL_ATTEMPT, attempt);
    forged = pod_create(object);
    if (!with_seal)
        set_annotation(forged, POD_ANNOTATION_SEALED, NULL);
    return forged;
}

/* The running job's pod goes on, whatever stands beside it, and that is never touched. */
static void the_job_goes_on_beside(struct wjob *job, const struct wpod *genuine, const struct wpod *forged)
{
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_int_equal(stage_said("pod_left_over"), 0);
    assert_int_equal(stage_said("pod_not_adopted"), 1);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(job->finals, 1);
    assert_true(stage_trace_is_whole(job));
    stage_pass(10 * MINUTES);
    assert_true(genuine->gone);
    assert_false(forged->deleting || forged->gone);
    assert_int_equal(stage_said("pod_not_adopted"), 1);
}

static void a_pod_with_a_later_attempt_and_the_jobs_key_but_no_seal_changes_nothing(void **state)
{
    struct wjob *job = orphan(40);
    struct wpod *genuine = stage_pod();

    (void)state;
    the_job_goes_on_beside(job, genuine, forge(genuine, "innocent", "99", false));
}

static void a_pod_with_the_jobs_own_seal_under_another_name_changes_nothing(void **state)
{
    struct wjob *job = orphan(40);
    struct wpod *genuine = stage_pod();
    OWNED_TEXT char *later = mem_format("%.*s-99", (int)(strrchr(genuine->name, '-') - genuine->name), genuine->name);

    (void)state;
    the_job_goes_on_beside(job, genuine, forge(genuine, later, "99", true));
    assert_int_equal(stage_said("its sealed annotation cannot be opened"), 1);
}

static void labels_and_key_of_a_genuine_pod_may_say_what_they_like(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *first = kill_with_two_attempts(job);

    (void)state;
    json_remove(json_at(first->object, "metadata.labels"), POD_LABEL_ATTEMPT);
    json_set_text(json_at(first->object, "metadata.labels"), POD_LABEL_ATTEMPT, "7");
    set_annotation(stage_pod(), POD_ANNOTATION_KEY, "something else");
    stage_pod()->pieces_left = 40;
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_int_equal(stage_said("pod_left_over"), 1);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

/* Seals the pod's annotation anew, with this member changed (-1 takes it away). */
static void seal_again(struct controller *controller, struct wpod *pod, const char *name, int64_t value)
{
    struct strbuf text = STRBUF_EMPTY;
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *json = NULL;
    OWNED_TEXT char *sealed = NULL, *printed = NULL;

    assert_int_equal(state_open_sealed(controller_frame(controller)->state, "jobs", pod->name,
                                       annotation(pod, POD_ANNOTATION_SEALED), &text),
                     0);
    json = json_parse(text.bytes, text.length, &error);
    strbuf_clear(&text);
    json_remove(json, name);
    if (value >= 0)
        json_set_int(json, name, value);
    printed = json_print(json);
    sealed = state_seal(controller_frame(controller)->state, "jobs", pod->name, printed);
    set_annotation(pod, POD_ANNOTATION_SEALED, sealed);
}

static void a_pod_of_the_version_before_has_its_attempt_from_its_name(void **state)
{
    struct wjob *job = stage_job();
    struct controller *controller;
    struct wpod *first;

    (void)state;
    stage_trouble(NODE_REFUSES, 1);
    kube_plan("delete pods", KUBE_FAILED, 1000, false);
    controller = stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    first = stage_pod();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->pieces_left = 40;
    seal_again(controller, first, "attempt", -1);
    seal_again(controller, first, "v", 1);
    seal_again(controller, stage_pod(), "attempt", -1);
    seal_again(controller, stage_pod(), "v", 1);
    stage_kill();
    kube_unplan();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(stage_said("job_adopted"), 1);
    assert_int_equal(stage_said("pod_left_over"), 1);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
    stage_pass(10 * SECONDS);
    assert_true(first->gone);
}

static void a_seal_with_another_job_attempt_or_version_is_not_adopted(void **state)
{
    static const struct {
        const char *name;
        int64_t value;
        const char *said;
    } changes[] = {
        { "attempt", 2, "not that of a job's pod of this name" },
        { "attempt", -1, "not that of a job's pod of this name" },
        { "job_id", 101, "not that of a job's pod of this name" },
        { "v", 3, "of another version of the controller" },
        { "v", -1, "of another version of the controller" },
    };

    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        struct wjob *job = stage_job();
        struct controller *controller = stage_start();

        STAGE_UNTIL(job->scripts == 1);
        seal_again(controller, stage_pod(), changes[i].name, changes[i].value);
        stage_kill();
        stage_start();
        stage_pass(10 * SECONDS);
        assert_int_equal(stage_said(changes[i].said), 1);
        assert_int_equal(stage_said("job_adopted"), 0);
        assert_false(stage_pod()->deleting);
        stage_strike(state);
        stage_set(state);
    }
}

static void when_the_last_attempt_does_not_open_the_job_is_reported_from_the_one_before(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *first, *last;

    (void)state;
    stage_trouble(NODE_REFUSES, 1);
    kube_plan("delete pods", KUBE_FAILED, 1000, false);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1);
    first = stage_pod();
    STAGE_UNTIL(job->scripts == 1);
    last = stage_pod();
    last->pieces_left = 10000;
    set_annotation(last, POD_ANNOTATION_SEALED, "k9.AAAA");
    stage_kill();
    kube_unplan();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->finals, 1);
    assert_int_equal(job->end, END_FAILED);
    assert_int_equal(stage_said("pod_not_adopted"), 1);
    stage_pass(10 * SECONDS);
    assert_true(first->gone);
    assert_false(last->deleting || last->gone);
}

static void a_foreign_pod_of_the_name_that_a_job_would_have_is_not_taken_for_its_own(void **state)
{
    struct wjob *job = orphan(5);
    struct wjob *next;
    struct wpod *genuine = stage_pod(), *planted;
    OWNED_TEXT char *prefix = mem_copy(genuine->name, (size_t)(strstr(genuine->name, "-100-") - genuine->name));
    OWNED_TEXT char *name = mem_format("%s-101-1", prefix);

    (void)state;
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    next = stage_job();
    planted = forge(genuine, name, "1", true);
    OWNED_TEXT char *key = pod_key("https://stage", "AbCdEfGhI", 101);
    set_annotation(planted, POD_ANNOTATION_KEY, key);
    planted->job = next;
    STAGE_UNTIL(next->state == W_OVER);
    assert_int_equal(next->end, END_FAILED);
    assert_true(stage_trace_has(next, "that is not of this job exists"));
    assert_false(planted->plan_stored);
    assert_false(planted->deleting);
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
        STAGE_TEST(a_list_in_another_order_brings_the_same_job_once),
        STAGE_TEST(notes_before_couriers_first_byte_are_not_moved_by_a_restart),
        STAGE_TEST(a_note_that_was_stored_without_an_answer_does_not_shift_the_log),
        STAGE_TEST(a_job_that_dataops_ended_meanwhile_is_only_cleaned_away),
        STAGE_TEST(the_time_limit_counts_from_the_pods_creation),
        STAGE_TEST(an_adopted_job_counts_against_the_limits),
        STAGE_TEST(an_adopted_pod_that_never_began_has_no_further_attempt),
        STAGE_TEST(a_pod_with_a_later_attempt_and_the_jobs_key_but_no_seal_changes_nothing),
        STAGE_TEST(a_pod_with_the_jobs_own_seal_under_another_name_changes_nothing),
        STAGE_TEST(labels_and_key_of_a_genuine_pod_may_say_what_they_like),
        STAGE_TEST(a_pod_of_the_version_before_has_its_attempt_from_its_name),
        STAGE_TEST(a_seal_with_another_job_attempt_or_version_is_not_adopted),
        STAGE_TEST(when_the_last_attempt_does_not_open_the_job_is_reported_from_the_one_before),
        STAGE_TEST(a_foreign_pod_of_the_name_that_a_job_would_have_is_not_taken_for_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
