/* How scripts are ended, what is waited for then, and what they leave behind. */
#include "courier/pod.h"

/* A child of the script that needs this many tenths of a second for its end, while the shell dies of TERM at once. */
#define TIDY_CHILD(tenths)                                                                                             \
    "trap - TERM; (trap 'i=0; while [ $i -lt " tenths " ]; do sleep 0.1; echo tidying $i; i=$((i+1)); done; "          \
    "echo tidied; exit' TERM; echo begun; while :; do sleep 0.05; done) & wait"

static void a_canceled_script_may_tidy_up_until_its_grace_is_over(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", TIDY_CHILD("30"));
    plan_step_line(&pod, "after_script", "echo after");
    pod_begin(&pod);
    pod_read_until(&pod, "\nbegun\n");
    pod_order(&pod, "cancel");
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    trace_has(&pod, "\ntidying 29\ntidied\n");
    trace_has(&pod, "\nafter\n");
    trace_has_no(&pod, "background process");
    trace_has_no(&pod, "were ended");
    pod_clear(&pod);
}

static void a_pod_that_is_deleted_gives_what_is_left_of_a_script_five_seconds(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", TIDY_CHILD("200"));
    plan_step_line(&pod, "after_script", "echo after");
    pod_begin(&pod);
    pod_read_until(&pod, "\nbegun\n");
    const uint64_t asked_ms = now_ms();
    kill(pod.courier, SIGTERM);
    pod_finish(&pod);
    assert_in_range(now_ms() - asked_ms, 4500, 8500);
    assert_int_equal(pod.result.outcome, OUTCOME_INTERRUPTED);
    trace_has(&pod, "\ntidying 25\n");
    trace_has(&pod, "\nafter\n");
    pod_clear(&pod);
}

static void a_script_that_ended_in_time_is_not_timed_out_by_what_holds_its_output(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "script_timeout_s", 1);
    plan_step_line(&pod, "script", "sleep 30 & sleep 0.5");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    pod_clear(&pod);
}

static void what_a_stopped_script_left_in_silence_is_named_when_it_is_ended(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "trap - TERM; (trap '' TERM; exec sleep 1000 > /dev/null 2>&1) & echo begun; wait");
    plan_step_line(&pod, "after_script", "echo after");
    pod_begin(&pod);
    pod_read_until(&pod, "\nbegun\n");
    usleep(200000);
    pod_order(&pod, "cancel");
    pod_finish(&pod);
    trace_has(&pod, "WARNING: Processes that the stopped script left running were ended.");
    trace_has_no(&pod, "no room");
    trace_has(&pod, "\nafter\n");
    pod_clear(&pod);
}

static void nothing_that_a_script_starts_inherits_a_descriptor(void **state)
{
    static const char *const wishes[] = { "bash", "sh" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wishes); i++) {
        struct pod pod;
        pod_init(&pod);
        json_set_text(pod.plan, "shell", wishes[i]);
        plan_step_line(&pod, "script", "ls /proc/self/fd");
        plan_step_line(&pod, "after_script", "ls /proc/self/fd");
        pod_run(&pod, geteuid());
        trace_has(&pod, "ls /proc/self/fd\033[0;m\n0\n1\n2\n3\nsection_end:");
        trace_has(&pod,
                  "Running after script...\033[0;m\n\033[32;1m$ ls /proc/self/fd\033[0;m\n0\n1\n2\n3\nsection_end:");
        pod_clear(&pod);
    }
}

static void a_secret_is_masked_up_to_the_moment_of_the_time_limit(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "timeout_s", 3);
    json_set_int(pod.plan, "output_limit_bytes", 512 * 1024 * 1024);
    plan_mask(&pod, "hunter2-secret");
    plan_step_line(&pod, "script", "trap '' TERM; while :; do printf hunter; printf '2-secret\\n'; done");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_TIMEDOUT);
    trace_has(&pod, "\n[MASKED]\n");
    trace_has_no(&pod, "hunter2-secret");
    pod_clear(&pod);
}

static void the_result_is_told_to_the_kubelet_before_the_log_is_taken(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "timeout_s", 2);
    plan_step_line(&pod, "script", "head -c 3000000 /dev/urandom; sleep 60");
    pod_begin(&pod);
    char *message = NULL;
    const uint64_t last_ms = now_ms() + 10000;
    while (now_ms() < last_ms && !(message && *message)) {
        mem_free(message);
        usleep(50000);
        message = file_text(pod_path(&pod, "/dev/termination-log"));
    }
    assert_non_null(message);
    if (!strstr(message, "\"timedout\""))
        fail_msg("no result while the log is not read: %s", message);
    mem_free(message);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_TIMEDOUT);
    pod_clear(&pod);
}

static void orders_are_seen_in_a_folder_that_cannot_be_watched(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo begun; sleep 600");
    assert_int_equal(unlink(pod_path(&pod, "/.dataops-order/order")), 0);
    assert_int_equal(rmdir(pod_path(&pod, "/.dataops-order")), 0);
    pod_begin(&pod);
    pod_read_until(&pod, "\nbegun\n");
    assert_int_equal(mkdir(pod_path(&pod, "/.dataops-order"), 0755), 0);
    const uint64_t asked_ms = now_ms();
    file_put_text(pod_path(&pod, "/.dataops-order/order"), "cancel");
    pod_finish(&pod);
    assert_true(now_ms() - asked_ms < 3000);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    pod_clear(&pod);
}

static void a_courier_that_cannot_begin_says_so_in_its_result_and_ends(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    assert_int_equal(rmdir(pod_path(&pod, "/.dataops")), 0);
    pod_start_courier(&pod);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_NEVER_BEGAN);
    assert_non_null(strstr(pod.result.message, "bind "));
    pod_clear(&pod);
}

/* The node's file holds stderr as well, where any line that is no record looks like damage. */
static void nothing_is_ever_said_on_stderr(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    file_put_text(pod_path(&pod, "/.dataops-plan/plan"), "this is no plan");
    const int errors = open(pod_path(&pod, "/stderr"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int own = dup(STDERR_FILENO);
    assert_true(errors >= 0 && own >= 0);
    dup2(errors, STDERR_FILENO);
    pod_start_courier(&pod);
    dup2(own, STDERR_FILENO);
    close(own);
    close(errors);
    pod_finish(&pod);
    char *said = file_text(pod_path(&pod, "/stderr"));
    assert_string_equal(said, "");
    mem_free(said);
    pod_clear(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_canceled_script_may_tidy_up_until_its_grace_is_over),
        cmocka_unit_test(a_pod_that_is_deleted_gives_what_is_left_of_a_script_five_seconds),
        cmocka_unit_test(a_script_that_ended_in_time_is_not_timed_out_by_what_holds_its_output),
        cmocka_unit_test(what_a_stopped_script_left_in_silence_is_named_when_it_is_ended),
        cmocka_unit_test(nothing_that_a_script_starts_inherits_a_descriptor),
        cmocka_unit_test(a_secret_is_masked_up_to_the_moment_of_the_time_limit),
        cmocka_unit_test(the_result_is_told_to_the_kubelet_before_the_log_is_taken),
        cmocka_unit_test(orders_are_seen_in_a_folder_that_cannot_be_watched),
        cmocka_unit_test(a_courier_that_cannot_begin_says_so_in_its_result_and_ends),
        cmocka_unit_test(nothing_is_ever_said_on_stderr),
    };
    return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}
