/* One namespace: one client for those who share a server, one watch for all its jobs. */
#include "stage.h"

#define SECOND_ENTRY(ns)                                                                                               \
    "[runners.kubernetes]\nhelper_image = \"helper:1\"\n" ns                                                           \
    "[[runners]]\nname = \"second\"\nurl = \"https://stage\"\ntoken = \"glrt-SecondRunner00\"\n"                       \
    "executor = \"kubernetes\"\n"

static void entries_of_one_namespace_share_a_watch(void **state)
{
    struct controller *controller = stage_start_with(NULL, SECOND_ENTRY(""));

    (void)state;
    assert_non_null(controller_entry(controller, 1));
    assert_null(controller_entry(controller, 2));
    assert_ptr_equal(controller_entry(controller, 0)->cluster, controller_entry(controller, 1)->cluster);
}

static void entries_of_two_namespaces_share_a_client(void **state)
{
    struct controller *controller = stage_start_with(NULL, SECOND_ENTRY("namespace = \"other\"\n"));

    (void)state;
    assert_ptr_not_equal(controller_entry(controller, 0)->cluster, controller_entry(controller, 1)->cluster);
    assert_ptr_equal(cluster_kube(controller_entry(controller, 0)->cluster),
                     cluster_kube(controller_entry(controller, 1)->cluster));
    assert_string_equal(cluster_namespace(controller_entry(controller, 0)->cluster), "other");
}

static void entries_of_two_servers_share_nothing(void **state)
{
    struct controller *controller = stage_start_with(NULL, SECOND_ENTRY("host = \"https://elsewhere\"\n"));

    (void)state;
    assert_ptr_not_equal(cluster_kube(controller_entry(controller, 0)->cluster),
                         cluster_kube(controller_entry(controller, 1)->cluster));
}

static void events_that_were_lost_are_made_good_by_a_list(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(WATCH_RELISTS, 6);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    STAGE_UNTIL(stage_run() == NULL);
    assert_int_equal(stage_pods(), 1);
}

static void events_that_come_late_do_no_harm(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_trouble(WATCH_STALLS, 3);
    stage_start();
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_SUCCESS);
    assert_true(stage_trace_is_whole(job));
}

static void a_pod_that_vanished_while_nobody_watched_ends_its_job(void **state)
{
    struct wjob *job = stage_job();

    (void)state;
    stage_start();
    STAGE_UNTIL(job->scripts == 1);
    stage_pod()->gone = stage_pod()->ended = true; /* no event; the next list does not show it */
    STAGE_UNTIL(job->state == W_OVER);
    assert_int_equal(job->end, END_FAILED);
    assert_true(clock_now_ms() < 20 * MINUTES);
    STAGE_UNTIL(stage_run() == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(entries_of_one_namespace_share_a_watch),
        STAGE_TEST(entries_of_two_namespaces_share_a_client),
        STAGE_TEST(entries_of_two_servers_share_nothing),
        STAGE_TEST(events_that_were_lost_are_made_good_by_a_list),
        STAGE_TEST(events_that_come_late_do_no_harm),
        STAGE_TEST(a_pod_that_vanished_while_nobody_watched_ends_its_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
