/* How a job can end otherwise: time limits, orders, deletion, processes left behind, a build container that goes away.
 */
#include "courier/pod.h"

static void a_cancel_ends_the_script_and_runs_after_script(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo sleeping; sleep 600");
    plan_step_line(&pod, "after_script", "echo status $CI_JOB_STATUS");
    pod_begin(&pod);
    pod_read_until(&pod, "\nsleeping\n");
    const uint64_t asked_ms = now_ms();
    pod_order(&pod, "cancel");
    pod_finish(&pod);
    assert_true(now_ms() - asked_ms < 2000);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    trace_has(&pod, "\nstatus canceled\n");
    trace_has(&pod, "\033[0;33mWARNING: script canceled externally (UI, API)\033[0;m\n"
                    "\033[31;1mERROR: Job failed: canceled\033[0;m\n");
    pod_clear(&pod);
}

static void a_script_that_ignores_term_is_killed_when_stopped(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "trap '' TERM; echo sleeping; while true; do sleep 0.1; done");
    plan_step_line(&pod, "after_script", "echo after");
    pod_begin(&pod);
    pod_read_until(&pod, "\nsleeping\n");
    pod_order(&pod, "stop");
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    trace_has_no(&pod, "after_script");
    pod_clear(&pod);
}

static void a_cancel_before_the_script_ends_the_job_at_once(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo ran");
    plan_store(&pod);
    pod_start_courier(&pod);
    pod_order(&pod, "cancel");
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    trace_has(&pod, "get_sources");
    trace_has(&pod, "ERROR: Job failed: canceled");
    pod_clear(&pod);
}

static void a_cancel_after_the_script_changes_nothing(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "true");
    plan_step_line(&pod, "after_script", "echo after; sleep 0.5; echo done");
    pod_begin(&pod);
    pod_read_until(&pod, "\nafter\n");
    pod_order(&pod, "cancel");
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "\ndone\n");
    pod_clear(&pod);
}

static void the_job_time_limit_stops_everything(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "timeout_s", 1);
    plan_step_line(&pod, "script", "trap '' TERM; echo begun; sleep 30");
    plan_step_line(&pod, "after_script", "echo after");
    pod_run(&pod, geteuid());
    assert_true(now_ms() - pod.began_ms < 4000);
    assert_int_equal(pod.result.outcome, OUTCOME_TIMEDOUT);
    assert_int_equal(pod.result.reason, REASON_TIMEOUT);
    trace_has(&pod, "\nbegun\n");
    trace_has(&pod, "ERROR: Job failed: execution took longer than 1s seconds");
    trace_has_no(&pod, "after_script");
    pod_clear(&pod);
}

static void the_job_time_limit_holds_while_build_does_not_start(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "timeout_s", 1);
    plan_step_line(&pod, "script", "true");
    plan_store(&pod);
    pod_start_courier(&pod);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_TIMEDOUT);
    pod_clear(&pod);
}

static void the_script_time_limit_leaves_room_for_after_script(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "script_timeout_s", 1);
    json_set_int(pod.plan, "timeout_s", 3600);
    plan_step_line(&pod, "script", "sleep 30");
    plan_step_line(&pod, "after_script", "echo status $CI_JOB_STATUS");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_TIMEDOUT);
    trace_has(&pod, "\nstatus timedout\n");
    trace_has(&pod, "ERROR: Job failed: execution took longer than 1h0m0s seconds");
    pod_clear(&pod);
}

static void after_script_has_a_limit_of_its_own_and_no_say(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "after_script_timeout_s", 1);
    plan_step_line(&pod, "script", "true");
    plan_step_line(&pod, "after_script", "sleep 30");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "WARNING: after_script could not run to completion");
    pod_clear(&pod);
}

static void a_failing_after_script_counts_only_when_asked(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "true");
    plan_step_line(&pod, "after_script", "exit 3");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "WARNING: after_script failed, but job will continue unaffected: exit code 3");
    pod_clear(&pod);

    pod_init(&pod);
    json_set_bool(pod.plan, "after_script_ignore_errors", false);
    plan_step_line(&pod, "script", "true");
    plan_step_line(&pod, "after_script", "exit 3");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(pod.result.exit_code, 3);
    pod_clear(&pod);
}

static void a_later_step_runs_only_after_success(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo one");
    plan_step_line(&pod, "release", "echo two; exit 5");
    plan_step_line(&pod, "other", "echo three");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.exit_code, 5);
    trace_has(&pod, "section_start:");
    trace_has(&pod, "Executing \"step_release\" stage of the job script");
    trace_has(&pod, "\ntwo\n");
    trace_has_no(&pod, "three");
    pod_clear(&pod);
}

static void a_background_process_that_holds_the_output_is_not_waited_for(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "sleep 30 & echo begun");
    pod_run(&pod, geteuid());
    assert_true(now_ms() - pod.began_ms < 10000);
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "\nbegun\n\033[0;33mWARNING: A background process still holds the script's output");
    pod_clear(&pod);
}

static void a_deleted_pod_ends_the_script_and_still_runs_after_script(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo begun; sleep 600");
    plan_step_line(&pod, "after_script", "echo status $CI_JOB_STATUS");
    pod_begin(&pod);
    pod_read_until(&pod, "\nbegun\n");
    kill(pod.courier, SIGTERM);
    pod_finish(&pod);
    assert_true(now_ms() - pod.began_ms < 10000);
    assert_int_equal(pod.result.outcome, OUTCOME_INTERRUPTED);
    assert_int_equal(pod.result.reason, REASON_INTERRUPTED);
    trace_has(&pod, "\nstatus failed\n");
    pod_clear(&pod);
}

static void a_pod_deleted_before_the_script_may_be_tried_again(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "true");
    plan_store(&pod);
    pod_start_courier(&pod);
    pod_wait_for_file(&pod, "/.dataops/step");
    kill(pod.courier, SIGTERM);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_NEVER_BEGAN);
    assert_int_equal(pod.trace.length, 0); /* the next attempt's log is the job's */
    pod_clear(&pod);
}

static void a_build_container_that_dies_during_the_script_is_a_system_failure(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo begun; sleep 600");
    plan_step_line(&pod, "after_script", "echo after");
    pod_begin(&pod);
    pod_read_until(&pod, "\nbegun\n");
    kill(pod.step, SIGKILL);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(pod.result.reason, REASON_SYSTEM);
    trace_has(&pod, "the build container ended while the script ran");
    trace_has(&pod, "memory_limit");
    pod_clear(&pod);
}

static void a_build_container_that_dies_before_the_script_never_began(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "true");
    pod_start_courier(&pod); /* no plan yet, so that the order of things is certain */
    pod_start_step(&pod, geteuid());
    usleep(200000);
    kill(pod.step, SIGKILL);
    plan_store(&pod);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_NEVER_BEGAN);
    pod_clear(&pod);
}

static void a_plan_that_is_none_fails_the_job_and_sends_build_away(void **state)
{
    struct pod pod;
    int status;
    (void)state;
    pod_init(&pod);
    file_put_text(pod_path(&pod, "/.dataops-plan/plan"), "this is no plan");
    pod_start_courier(&pod);
    pod_start_step(&pod, geteuid());
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(pod.result.reason, REASON_SYSTEM);
    child_wait(&pod.step, &status);
    pod_clear(&pod);
}

static void file_variables_belong_to_the_job_alone(void **state)
{
    struct pod pod;
    (void)state;
    if (geteuid() != 0)
        print_message("[ NOTE ] not root: only this user is tried\n");
    const uid_t uid = geteuid() == 0 ? 1000 : geteuid();
    pod_init(&pod);
    plan_file(&pod, "KEY_FILE", "line one\nline two");
    plan_step_line(&pod, "script", "stat -c '%a %u' $KEY_FILE; cat $KEY_FILE; echo .; id -u; pwd; touch here");
    pod_run(&pod, uid);
    char wanted[512];
    snprintf(wanted, sizeof wanted, "\n600 %u\nline one\nline two.\n%u\n%s\n", uid, uid, pod.project);
    trace_has(&pod, wanted);
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    pod_clear(&pod);
}

static void variables_given_on_by_gitlab_env_reach_after_script(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo COLOUR=blue >> $GITLAB_ENV");
    plan_step_line(&pod, "after_script", "echo it is $COLOUR");
    pod_run(&pod, geteuid());
    trace_has(&pod, "\nit is blue\n");
    pod_clear(&pod);
}

static void the_hook_returns_when_step_is_there(void **state)
{
    struct pod pod;
    int status = -1;
    (void)state;
    pod_init(&pod);
    const pid_t hook = fork();
    if (hook == 0) {
        const char *courier = program("dataops-courier");
        execl(courier, courier, "--root", pod.root, "--wait-ready", (char *)NULL);
        _exit(110);
    }
    usleep(100000);
    assert_int_equal(waitpid(hook, &status, WNOHANG), 0);
    plan_step_line(&pod, "script", "true");
    pod_run(&pod, geteuid());
    assert_int_equal(waitpid(hook, &status, 0), hook);
    assert_int_equal(status, 0);
    pod_clear(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_ends_the_script_and_runs_after_script),
        cmocka_unit_test(a_script_that_ignores_term_is_killed_when_stopped),
        cmocka_unit_test(a_cancel_before_the_script_ends_the_job_at_once),
        cmocka_unit_test(a_cancel_after_the_script_changes_nothing),
        cmocka_unit_test(the_job_time_limit_stops_everything),
        cmocka_unit_test(the_job_time_limit_holds_while_build_does_not_start),
        cmocka_unit_test(the_script_time_limit_leaves_room_for_after_script),
        cmocka_unit_test(after_script_has_a_limit_of_its_own_and_no_say),
        cmocka_unit_test(a_failing_after_script_counts_only_when_asked),
        cmocka_unit_test(a_later_step_runs_only_after_success),
        cmocka_unit_test(a_background_process_that_holds_the_output_is_not_waited_for),
        cmocka_unit_test(a_deleted_pod_ends_the_script_and_still_runs_after_script),
        cmocka_unit_test(a_pod_deleted_before_the_script_may_be_tried_again),
        cmocka_unit_test(a_build_container_that_dies_during_the_script_is_a_system_failure),
        cmocka_unit_test(a_build_container_that_dies_before_the_script_never_began),
        cmocka_unit_test(a_plan_that_is_none_fails_the_job_and_sends_build_away),
        cmocka_unit_test(file_variables_belong_to_the_job_alone),
        cmocka_unit_test(variables_given_on_by_gitlab_env_reach_after_script),
        cmocka_unit_test(the_hook_returns_when_step_is_there),
    };
    return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
