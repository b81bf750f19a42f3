/* A run's trace and its report: notes, what courier printed, and the last lines; what is missing is said. */
#include "stage.h"

#include "job/result.h"

#define LOST "WARNING: log incomplete: "

static struct wjob *running(unsigned pieces)
{
    struct wjob *job = stage_job();

    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->pieces_left = pieces;
    return job;
}

/* The trace has a line that says how many bytes are lost, and the rest is there. */
static uint64_t lost_bytes(const struct wjob *job)
{
    uint64_t lost = 0;

    for (const char *at = strstr(strbuf_text(&job->trace), LOST); at != NULL; at = strstr(at + 1, LOST))
        lost += strtoull(at + strlen(LOST), NULL, 10);
    return lost;
}

static size_t all_of(const char *words, const struct strbuf *text)
{
    size_t count = 0;

    for (const char *at = strstr(strbuf_text(text), words); at != NULL; at = strstr(at + 1, words))
        count++;
    return count;
}

static void a_success_is_what_courier_printed_and_no_more(void **state)
{
    struct wjob *job = running(8);

    (void)state;
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(job->trace.length, job->printed.length);
    assert_memory_equal(job->trace.bytes, job->printed.bytes, job->printed.length);
}

static void a_failed_script_brings_its_exit_code(void **state)
{
    struct wjob *job;

    (void)state;
    stage_job();
    job = stage_job();
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_int_equal(job->exit_code, 42);
    assert_string_equal(job->reason, "script_failure");
    assert_true(stage_trace_is_whole(job));
}

static void lines_the_node_lost_become_one_line_with_their_number(void **state)
{
    struct wjob *job = running(0);

    (void)state;
    stage_pod()->pieces_left = 30;
    stage_pass(2 * SECONDS);
    stage_trouble(FILE_DAMAGE, 1);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(lost_bytes(job) > 0);
    assert_int_equal(all_of(LOST, &job->trace), 1);
    /* the line replaces exactly what is lost */
    const char *line = strstr(strbuf_text(&job->trace), LOST);
    size_t front = (size_t)(line - job->trace.bytes);
    while (front > 0 && job->trace.bytes[front] != '\n')
        front--;
    const char *behind = strchr(line, '\n') + 1;
    size_t tail = job->trace.length - (size_t)(behind - job->trace.bytes);
    assert_int_equal(front + lost_bytes(job) + tail, job->printed.length);
    assert_memory_equal(job->trace.bytes, job->printed.bytes, front);
    assert_memory_equal(behind, job->printed.bytes + job->printed.length - tail, tail);
}

static void a_line_about_lost_bytes_is_sent_again_in_its_place(void **state)
{
    struct wjob *job = running(60);
    size_t length;

    (void)state;
    stage_pass(2 * SECONDS);
    stage_trouble(FILE_DAMAGE, 1);
    STAGE_UNTIL(all_of(LOST, &job->trace) == 1);
    OWNED_TEXT char *before = mem_text(strbuf_text(&job->trace));
    length = strlen(before);
    strbuf_cut(&job->trace, 20);
    job->rewinds++;
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(all_of(LOST, &job->trace), 1);
    assert_true(job->trace.length > length);
    assert_memory_equal(job->trace.bytes, before, length);
}

static void a_log_that_cannot_be_read_does_not_change_the_result(void **state)
{
    struct wjob *job = running(5);

    (void)state;
    world.kubelet_deaf_until_ms = UINT64_MAX;
    stage_trouble(LOG_CLOSES, 1);
    STAGE_UNTIL(stage_pod()->ended);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(job->trace.length < job->printed.length + 200);
    assert_int_equal(all_of(LOST, &job->trace), 1);
    assert_memory_equal(job->trace.bytes, job->printed.bytes, 10);
}

static void a_courier_that_was_killed_is_a_system_failure(void **state)
{
    struct wjob *job = running(5);

    (void)state;
    stage_trouble(COURIER_KILLED, 1);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_string_equal(job->reason, "runner_system_failure");
    assert_true(stage_trace_has(job, "ERROR: Job failed (system failure): "));
    assert_int_equal(job->finals, 1);
}

static void a_pod_that_succeeded_without_an_end_record_is_no_success(void **state)
{
    struct wjob *job = running(1000000);
    struct wpod *pod = stage_pod();

    (void)state;
    stage_pass(2 * SECONDS);
    pod->ended = true;
    pod->courier.state = pod->build.state = C_ENDED;
    snprintf(pod->courier.reason, sizeof(pod->courier.reason), "Completed");
    snprintf(pod->build.reason, sizeof(pod->build.reason), "Completed");
    snprintf(pod->phase, sizeof(pod->phase), "Succeeded");
    watch_pod_changed(pod);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
}

static void bytes_that_dataops_lost_are_sent_again(void **state)
{
    struct wjob *job = running(40);

    (void)state;
    stage_pass(5 * SECONDS);
    for (unsigned i = 0; i < 3; i++) {
        strbuf_cut(&job->trace, job->trace.length / 2);
        job->rewinds++;
        stage_pass(5 * SECONDS);
    }
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void the_whole_log_is_sent_again_when_dataops_wants_it_at_the_end(void **state)
{
    struct wjob *job;

    (void)state;
    stage_trouble(FINAL_412, 1);
    job = running(20);
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(job->wanted_again);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(job->finals, 1);
    assert_true(stage_trace_is_whole(job));
}

static void a_log_that_is_gone_when_it_is_wanted_again_is_said_to_be_lost(void **state)
{
    struct wjob *job = running(10);

    (void)state;
    api_plan("update", 500, 1000000);
    STAGE_UNTIL(stage_pod()->ended);
    stage_pass(10 * SECONDS);
    pod_delete(stage_pod());
    stage_pass(10 * SECONDS);
    assert_true(stage_pod()->gone);
    api_unplan();
    stage_trouble(FINAL_412, 1);
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(job->wanted_again);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(lost_bytes(job), job->printed.length);
}

static void a_dataops_that_is_down_for_minutes_misses_nothing(void **state)
{
    struct wjob *job = running(30);

    (void)state;
    world.dataops_down_until_ms = clock_now_ms() + 10 * MINUTES;
    STAGE_UNTIL(job->state == W_OVER);
    assert_true(clock_now_ms() > 10 * MINUTES);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void a_big_log_waits_in_the_pod_while_dataops_is_down(void **state)
{
    struct wjob *job;
    const struct run *run;

    (void)state;
    stage_trouble(BIG_LOG, 1000000);
    job = running(250);
    run = stage_run();
    world.dataops_down_until_ms = clock_now_ms() + 20 * MINUTES;
    STAGE_UNTIL(stage_pod()->ended);
    assert_true(job->printed.length > 3 * MIB);
    stage_pass(10 * SECONDS);
    assert_true(run_view(run).trace_wanted <= TRACE_BUFFER_MOST + job->trace.length);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void damage_on_the_way_is_repaired_without_a_trace_of_it(void **state)
{
    struct wjob *job = running(60);

    (void)state;
    for (unsigned i = 0; i < 100 && job->state != W_OVER; i++) {
        stage_trouble(LOG_DAMAGE, 1);
        stage_pass(500);
    }
    stage_trouble(LOG_DAMAGE, 0);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

/* Courier ended in this pod before it began its log, and says so by its termination message alone. */
static void courier_only_leaves_a_message(struct wpod *pod, enum outcome outcome)
{
    const struct result result = { .outcome = outcome, .message = "the hook failed" };
    OWNED_STRBUF struct strbuf json = STRBUF_EMPTY;

    result_print(&result, &json);
    pod->scheduled = true;
    pod->courier.state = C_ENDED;
    snprintf(pod->courier.message, sizeof(pod->courier.message), "%s", strbuf_text(&json));
    watch_pod_changed(pod);
}

static void what_courier_said_of_one_attempt_is_no_word_about_the_next(void **state)
{
    struct wjob *job = stage_job();
    struct wpod *first;

    (void)state;
    stage_trouble(NO_NODE, 2);
    stage_start();
    STAGE_UNTIL(stage_pods() == 1 && stage_pod()->plan_stored);
    first = stage_pod();
    stage_pass(5 * SECONDS);
    courier_only_leaves_a_message(first, OUTCOME_NEVER_BEGAN);
    first->build.state = C_ENDED;
    first->build.exit_code = 128;
    watch_pod_changed(first);
    STAGE_UNTIL(stage_pods() == 2 && stage_pod()->plan_stored);
    assert_int_equal(stage_said("job_attempt_failed"), 1);
    stage_pass(5 * SECONDS);
    /* the script ran, and the log cannot be read: the message decides */
    courier_only_leaves_a_message(stage_pod(), OUTCOME_SUCCESS);
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_int_equal(stage_pods(), 2);
}

static void a_job_that_passed_its_limit_is_given_up(void **state)
{
    struct wjob *job = running(10000000);
    uint64_t began_ms = clock_now_ms();

    (void)state;
    STAGE_UNTIL(job->state == W_OVER);
    assert_in_range(clock_now_ms() - began_ms, 72 * MINUTES, 75 * MINUTES);
    assert_int_equal(job->end, END_FAILED);
    assert_true(stage_trace_has(job, "ERROR: Job failed: the job passed its time limit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_success_is_what_courier_printed_and_no_more),
        STAGE_TEST(a_failed_script_brings_its_exit_code),
        STAGE_TEST(lines_the_node_lost_become_one_line_with_their_number),
        STAGE_TEST(a_log_that_cannot_be_read_does_not_change_the_result),
        STAGE_TEST(a_courier_that_was_killed_is_a_system_failure),
        STAGE_TEST(a_pod_that_succeeded_without_an_end_record_is_no_success),
        STAGE_TEST(bytes_that_dataops_lost_are_sent_again),
        STAGE_TEST(the_whole_log_is_sent_again_when_dataops_wants_it_at_the_end),
        STAGE_TEST(a_log_that_is_gone_when_it_is_wanted_again_is_said_to_be_lost),
        STAGE_TEST(a_dataops_that_is_down_for_minutes_misses_nothing),
        STAGE_TEST(a_big_log_waits_in_the_pod_while_dataops_is_down),
        STAGE_TEST(damage_on_the_way_is_repaired_without_a_trace_of_it),
        STAGE_TEST(what_courier_said_of_one_attempt_is_no_word_about_the_next),
        STAGE_TEST(a_job_that_passed_its_limit_is_given_up),
        STAGE_TEST(a_line_about_lost_bytes_is_sent_again_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
