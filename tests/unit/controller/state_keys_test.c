/* The keys of the state Secret grow old: a new one after 30 days, the old ones as long as a pod needs them. */
#include "secret_api.h"

#define DAY_MS (24 * 3600 * 1000ull)

static void pass_days(unsigned days)
{
    clock_pass(days * DAY_MS);
}

static void renews(struct asker *asker)
{
    state_renew(asker->state, is_ready, asker);
    turn_all();
    assert_int_equal(asker->error.blame, BLAME_NONE);
}

static bool seals_with(const struct asker *asker, const char *id)
{
    OWNED_TEXT char *sealed = state_seal(asker->state, "ns", "pod-1", "{}");

    return strncmp(sealed, id, strlen(id)) == 0 && sealed[strlen(id)] == '.';
}

static void after_30_days_there_is_a_new_key_and_the_old_one_still_opens(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    OWNED_TEXT char *old = state_seal(one.state, "ns", "pod-1", "{}");
    pass_days(29);
    renews(&one);
    assert_true(seals_with(&one, "k1"));
    pass_days(2);
    renews(&one);
    assert_true(seals_with(&one, "k2"));
    assert_true(opens(&one, "ns", "pod-1", old, "{}"));
    pass_days(29);
    renews(&one);
    assert_true(seals_with(&one, "k2"));
    open_for(&two); /* a controller that starts looks, too */
    turn_all();
    assert_true(seals_with(&two, "k2"));
    pass_days(2);
    state_free(two.state);
    open_for(&two);
    turn_all();
    assert_true(seals_with(&two, "k3"));
    assert_true(opens(&two, "ns", "pod-1", old, "{}"));
}

static void a_key_of_which_no_time_is_known_is_as_old_as_the_secret(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    json_remove(json_get(stored, "data"), "made");
    pass_days(29);
    renews(&one);
    assert_true(seals_with(&one, "k1"));
    pass_days(2);
    renews(&one);
    assert_true(seals_with(&one, "k2"));
}

static void a_key_that_was_made_with_a_clock_ahead_does_not_last_for_ever(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    OWNED_TEXT char *made = mem_format("{\"k1\":%" PRId64 "}", clock_wall_s() + INT64_C(5000) * 24 * 3600);
    put_data(stored, "made", made, strlen(made));
    renews(&one);
    assert_true(seals_with(&one, "k2"));
    renews(&one);
    assert_true(seals_with(&one, "k2"));
}

static void of_two_that_find_a_key_too_old_one_makes_the_new_one(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    open_for(&two);
    turn_all();
    pass_days(31);
    puts_seen = 0;
    state_renew(one.state, is_ready, &one);
    state_renew(two.state, is_ready, &two);
    turn_all();
    assert_int_equal(puts_seen, 2);
    assert_true(seals_with(&one, "k2") && seals_with(&two, "k2"));
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    assert_true(opens(&two, "ns", "pod-1", sealed, "{}"));
}

static unsigned used; /* the key that pods still carry */

static bool is_used(void *owner UNUSED, unsigned number)
{
    return number == used;
}

static void drops(struct asker *asker)
{
    state_drop_keys(asker->state, is_used, NULL);
    turn_all();
}

static bool has_key(const char *name)
{
    return json_text(json_get(stored, "data"), name, NULL) != NULL;
}

static void an_old_key_stays_while_a_pod_carries_its_number_and_then_goes(void **state)
{
    (void)state;
    store_of_the_version_before();
    OWNED_TEXT char *old = sealed_by_the_version_before("ns/pod-1", "{}");
    open_for(&one);
    turn_all();
    used = 1;
    pass_days(20);
    drops(&one);
    assert_true(has_key("key-k1"));
    assert_true(opens(&one, "ns", "pod-1", old, "{}"));
    used = 0;
    drops(&one);
    assert_false(has_key("key-k1"));
    assert_true(has_key("key-k2"));
    assert_false(opens(&one, "ns", "pod-1", old, "{}"));
    assert_true(seals_with(&one, "k2"));
    assert_string_equal(state_token(one.state, "https://a"), "glrt-old");
    puts_seen = 0;
    drops(&one);
    assert_int_equal(puts_seen, 0); /* the newest one never goes */
}

static void a_key_that_was_just_replaced_stays_for_those_who_do_not_know_it_yet(void **state)
{
    (void)state;
    used = 0;
    open_for(&one);
    turn_all();
    open_for(&two);
    turn_all();
    pass_days(31);
    renews(&one);
    pass_days(1);
    drops(&one);
    assert_true(has_key("key-k1"));
    OWNED_TEXT char *late = state_seal(two.state, "ns", "pod-1", "{}");
    assert_true(opens(&one, "ns", "pod-1", late, "{}"));
    pass_days(2);
    drops(&one);
    assert_false(has_key("key-k1"));
}

static void a_drop_that_another_controller_overtook_changes_nothing(void **state)
{
    (void)state;
    used = 0;
    open_for(&one);
    turn_all();
    pass_days(31);
    renews(&one);
    open_for(&two);
    turn_all();
    pass_days(3);
    registers(&two, "https://a", "glrt-2");
    turn_all();
    drops(&one);
    assert_true(has_key("key-k1"));
    renews(&one);
    drops(&one);
    assert_false(has_key("key-k1"));
    assert_string_equal(state_token(one.state, "https://a"), "glrt-2");
}

static void a_secret_that_was_deleted_comes_back_with_what_it_held(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    registers(&one, "https://a", "glrt-1");
    turn_all();
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    json_free(stored);
    stored = NULL;
    renews(&one);
    open_for(&two);
    turn_all();
    assert_string_equal(state_token(two.state, "https://a"), "glrt-1");
    assert_true(opens(&two, "ns", "pod-1", sealed, "{}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_30_days_there_is_a_new_key_and_the_old_one_still_opens),
        TEST(a_key_of_which_no_time_is_known_is_as_old_as_the_secret),
        TEST(a_key_that_was_made_with_a_clock_ahead_does_not_last_for_ever),
        TEST(of_two_that_find_a_key_too_old_one_makes_the_new_one),
        TEST(an_old_key_stays_while_a_pod_carries_its_number_and_then_goes),
        TEST(a_key_that_was_just_replaced_stays_for_those_who_do_not_know_it_yet),
        TEST(a_drop_that_another_controller_overtook_changes_nothing),
        TEST(a_secret_that_was_deleted_comes_back_with_what_it_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
