/* A node whose kernel confines courier's children less than it could: the operator hears of it once, with what to do.
 */
#include "stage.h"

static void two_jobs_run(void)
{
    struct wjob *first = stage_job(), *second;

    STAGE_UNTIL(first->state == W_OVER);
    second = stage_job();
    STAGE_UNTIL(second->state == W_OVER);
}

static void a_node_without_landlock_is_told_once_with_what_to_do(void **state)
{
    (void)state;
    world.node = "worker-7";
    world.says_landlock = true;
    stage_start();
    two_jobs_run();
    assert_int_equal(stage_said("kernel_confines_less"), 1);
    assert_int_equal(stage_said("worker-7"), 1);
    assert_int_equal(stage_said("Landlock (Linux 5.13)"), 1);
    assert_int_equal(stage_said("can also read the job's plan"), 1);
    assert_int_equal(stage_said("boot nodes with lsm=landlock"), 1);
    two_jobs_run();
    world.node = "worker-8";
    two_jobs_run();
    assert_int_equal(stage_said("kernel_confines_less"), 1);
}

static void each_lack_is_told_for_itself(void **state)
{
    static const char *const missing[] = {
        [1] = "Landlock ABI 2 (Linux 5.19)", [2] = "Landlock ABI 4 (Linux 6.7)", [4] = "Landlock ABI 6 (Linux 6.12)"
    };
    (void)state;
    world.says_landlock = true;
    stage_start();
    for (world.landlock_abi = 1; world.landlock_abi <= 5; world.landlock_abi++)
        two_jobs_run();
    for (size_t i = 0; i < COUNT_OF(missing); i++)
        if (missing[i] != NULL)
            assert_int_equal(stage_said(missing[i]), 1);
    assert_int_equal(stage_said("kernel_confines_less"), 3);
    assert_int_equal(stage_said("node=unknown"), 3);
}

static void a_kernel_that_has_all_of_it_is_no_news(void **state)
{
    (void)state;
    world.says_landlock = true;
    world.landlock_abi = 6;
    stage_start();
    two_jobs_run();
    assert_int_equal(stage_said("kernel_confines_less"), 0);
}

static void an_older_courier_that_does_not_look_is_no_news(void **state)
{
    (void)state;
    stage_start();
    two_jobs_run();
    assert_int_equal(stage_said("kernel_confines_less"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_node_without_landlock_is_told_once_with_what_to_do),
        STAGE_TEST(each_lack_is_told_for_itself),
        STAGE_TEST(a_kernel_that_has_all_of_it_is_no_news),
        STAGE_TEST(an_older_courier_that_does_not_look_is_no_news),
    };

    return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
