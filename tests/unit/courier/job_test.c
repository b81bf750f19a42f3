/* Whole jobs by the real courier and the real step: what the trace holds and how the job ended. */
#include "courier/pod.h"

static void a_trivial_job_succeeds_with_the_trace_that_people_know(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "echo hello");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    assert_int_equal(pod.result.exit_code, 0);
    char *trace = trace_timeless(&pod);
    assert_string_equal(
        trace,
        "\033[0KRunning with dataops-runner 0.1.0 (abc)\033[0;m\n"
        "\033[0K  on site-a AbCdEfGhI, system ID: s_0123456789ab\033[0;m\n"
        "section_start:0:prepare_executor\r\033[0K\033[0K\033[36;1mPreparing the \"kubernetes\" "
        "executor\033[0;m\033[0;m\n"
        "\033[0KUsing Kubernetes namespace: ns\033[0;m\n"
        "\033[0KUsing Kubernetes executor with image img:1 ...\033[0;m\n"
        "section_end:0:prepare_executor\r\033[0Ksection_start:0:prepare_script\r\033[0K\033[0K\033[36;1mPreparing "
        "environment\033[0;m\033[0;m\n"
        "Running on job-1 via dataops-runner...\n"
        "section_end:0:prepare_script\r\033[0Ksection_start:0:get_sources\r\033[0K\033[0K\033[36;1mGetting source from "
        "Git "
        "repository\033[0;m\033[0;m\n"
        "\033[32;1mSkipping Git repository setup\033[0;m\n"
        "\033[32;1mSkipping Git checkout\033[0;m\n"
        "\033[32;1mSkipping Git submodules setup\033[0;m\n"
        "section_end:0:get_sources\r\033[0Ksection_start:0:step_script\r\033[0K\033[0K\033[36;1mExecuting "
        "\"step_script\" stage "
        "of the job script\033[0;m\033[0;m\n"
        "\033[32;1m$ echo hello\033[0;m\n"
        "hello\n"
        "section_end:0:step_script\r\033[0K\033[32;1mJob succeeded\033[0;m\n");
    mem_free(trace);
    pod_clear(&pod);
}

static void the_exit_code_of_the_script_is_the_jobs(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "exit 42");
    plan_step_line(&pod, "after_script", "echo status $CI_JOB_STATUS");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(pod.result.exit_code, 42);
    assert_int_equal(pod.result.reason, REASON_SCRIPT);
    trace_has(&pod, "\033[32;1mRunning after script...\033[0;m\n");
    trace_has(&pod, "\nstatus failed\n");
    trace_has(&pod, "\033[31;1mERROR: Job failed: command terminated with exit code 42\033[0;m\n");
    pod_clear(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trivial_job_succeeds_with_the_trace_that_people_know),
        cmocka_unit_test(the_exit_code_of_the_script_is_the_jobs),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
