/* Orders and the pod's deletion in every stage but the script itself (stop_test.c, life_test.c). */
#include "courier/pod.h"

static void hook(const struct pod *pod, const char *line)
{
    json_set_text(json_get(pod->plan, "git"), "strategy", "clone");
    json_add_text(json_set_array(json_get(pod->plan, "hooks"), "pre_get_sources"), line);
}

static void a_cancel_during_a_hook_ends_the_job_at_once(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    hook(&pod, "echo hooked; sleep 600");
    plan_step_line(&pod, "script", "true");
    plan_step_line(&pod, "after_script", "echo after");
    pod_begin(&pod);
    pod_read_until(&pod, "\nhooked\n");
    const uint64_t asked_ms = now_ms();
    pod_order(&pod, "cancel");
    pod_finish(&pod);
    assert_true(now_ms() - asked_ms < 1900);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    trace_has_no(&pod, "after_script");
    pod_clear(&pod);
}

static void a_deletion_during_a_hook_is_an_interruption(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    hook(&pod, "echo hooked; sleep 600");
    plan_step_line(&pod, "script", "true");
    pod_begin(&pod);
    pod_read_until(&pod, "\nhooked\n");
    const uint64_t asked_ms = now_ms();
    kill(pod.courier, SIGTERM);
    pod_finish(&pod);
    assert_true(now_ms() - asked_ms < 1900);
    assert_int_equal(pod.result.outcome, OUTCOME_INTERRUPTED);
    pod_clear(&pod);
}

static void a_deletion_during_the_fetch_may_be_tried_again(void **state)
{
    struct pod pod;
    unsigned port;
    char url[100];
    (void)state;
    pod_init(&pod);
    const int server = silent_server(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/g/p.git", port);
    json_set_text(json_get(pod.plan, "git"), "url", url);
    json_set_text(json_get(pod.plan, "git"), "strategy", "clone");
    plan_step_line(&pod, "script", "true");
    pod_begin(&pod);
    pod_read_until(&pod, "Created fresh repository.");
    const uint64_t asked_ms = now_ms();
    kill(pod.courier, SIGTERM);
    pod_finish(&pod);
    assert_true(now_ms() - asked_ms < 1900);
    assert_int_equal(pod.result.outcome, OUTCOME_NEVER_BEGAN);
    close(server);
    pod_clear(&pod);
}

/* Whether whoever connected to the server has gone, within patience. */
static bool is_closed(int connection)
{
    struct pollfd ready = { .fd = connection, .events = POLLIN };
    char piece[4096];
    while (poll(&ready, 1, 5000) == 1) {
        if (read(connection, piece, sizeof piece) <= 0)
            return true;
    }
    return false;
}

/* With the capabilities that the pod leaves courier, a child that runs as the job's user has to end at once as well. */
static void a_fetch_as_another_user_ends_with_the_job(void **state)
{
    static const char *const orders[] = { "cancel", "stop", NULL };
    (void)state;
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        struct pod pod;
        unsigned port;
        char url[100];
        pod_init(&pod);
        const int server = silent_server(&port);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/g/p.git", port);
        json_set_text(json_get(pod.plan, "git"), "url", url);
        hook(&pod, "echo hooked"); /* so that the fetch waits for build, and for its user */
        if (!orders[i])
            json_set_int(pod.plan, "timeout_s", 3);
        plan_step_line(&pod, "script", "true");
        plan_store(&pod);
        pod_start_courier(&pod);
        pod_start_step(&pod, 1000);
        const int connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        assert_true(connection >= 0);
        if (orders[i])
            pod_order(&pod, orders[i]);
        pod_finish(&pod);
        if (!is_closed(connection))
            fail_msg("git goes on after %s", orders[i] ? orders[i] : "the time limit");
        assert_int_equal(pod.result.outcome, orders[i] ? OUTCOME_CANCELED : OUTCOME_TIMEDOUT);
        close(connection);
        close(server);
        pod_clear(&pod);
    }
}

static void a_stop_during_a_download_ends_the_job_at_once(void **state)
{
    struct pod pod;
    unsigned port;
    char api[100];
    (void)state;
    pod_init(&pod);
    const int server = silent_server(&port);
    snprintf(api, sizeof api, "http://127.0.0.1:%u/api/v4", port);
    json_set_text(json_get(pod.plan, "server"), "api", api);
    struct cJSON *dependency = json_add_object(json_get(pod.plan, "dependencies"));
    json_set_int(dependency, "id", 5);
    json_set_text(dependency, "name", "earlier");
    json_set_text(dependency, "token", "glcbt-job-token-1234");
    json_set_text(dependency, "filename", "artifacts.zip");
    plan_step_line(&pod, "script", "true");
    pod_begin(&pod);
    pod_read_until(&pod, "Downloading artifacts for earlier (5)...");
    const uint64_t asked_ms = now_ms();
    pod_order(&pod, "stop");
    pod_finish(&pod);
    assert_true(now_ms() - asked_ms < 1900);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    close(server);
    pod_clear(&pod);
}

static void a_deletion_during_after_script_lets_it_end(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "true");
    plan_step_line(&pod, "after_script", "echo after; sleep 0.5; echo tidy");
    pod_begin(&pod);
    pod_read_until(&pod, "\nafter\n");
    kill(pod.courier, SIGTERM);
    pod_finish(&pod);
    trace_has(&pod, "\ntidy\n");
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    pod_clear(&pod);
}

static void a_stop_during_after_script_or_upload_ends_the_job_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pod pod;
        unsigned port;
        char api[100];
        pod_init(&pod);
        const int server = silent_server(&port);
        snprintf(api, sizeof api, "http://127.0.0.1:%u/api/v4", port);
        json_set_text(json_get(pod.plan, "server"), "api", api);
        plan_artifact_add(&pod, "a");
        plan_step_line(&pod, "script", "echo a > a");
        plan_step_line(&pod, "after_script", i ? "true" : "echo after; sleep 600");
        pod_begin(&pod);
        pod_read_until(&pod, i ? "found 1 matching" : "\nafter\n");
        const uint64_t asked_ms = now_ms();
        pod_order(&pod, "stop");
        pod_finish(&pod);
        assert_true(now_ms() - asked_ms < 1900);
        assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
        close(server);
        pod_clear(&pod);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_during_a_hook_ends_the_job_at_once),
        cmocka_unit_test(a_deletion_during_a_hook_is_an_interruption),
        cmocka_unit_test(a_deletion_during_the_fetch_may_be_tried_again),
        cmocka_unit_test(a_fetch_as_another_user_ends_with_the_job),
        cmocka_unit_test(a_stop_during_a_download_ends_the_job_at_once),
        cmocka_unit_test(a_deletion_during_after_script_lets_it_end),
        cmocka_unit_test(a_stop_during_after_script_or_upload_ends_the_job_at_once),
    };
    return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
