/* The state Secret: one set of keys for all controllers of a release, one registration for each URL. */
#include "secret_api.h"

static void the_first_controller_makes_the_secret_and_the_next_reads_it(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    open_for(&two);
    turn_all();
    assert_int_equal(creates, 1);
    assert_int_equal(one.ready + two.ready, 2);
    assert_int_equal(one.error.blame, BLAME_NONE);
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{\"a\":1}");
    assert_true(opens(&two, "ns", "pod-1", sealed, "{\"a\":1}"));
}

static void two_that_begin_at_once_end_with_the_same_key(void **state)
{
    (void)state;
    open_for(&one);
    open_for(&two);
    turn_all();
    assert_int_equal(creates, 2);
    assert_int_equal(two.ready, 1);
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    assert_true(opens(&two, "ns", "pod-1", sealed, "{}"));
}

static void a_create_whose_answer_was_lost_is_found_again(void **state)
{
    OWNED_TEXT char *sealed = NULL;

    (void)state;
    open_for(&one);
    turn(); /* it is not there; the create is under way */
    assert_non_null(stored);
    json_free(calls[0].object);
    calls[0].object = NULL;
    calls[0].kind = KUBE_EXISTS;
    turn_all();
    assert_int_equal(one.error.blame, BLAME_NONE);
    sealed = state_seal(one.state, "ns", "pod-1", "{}");
    assert_true(opens(&one, "ns", "pod-1", sealed, "{}"));
}

static void an_empty_secret_with_the_controllers_label_gets_a_key(void **state)
{
    OWNED_JSON struct cJSON *empty = planted("dataops-runner", NULL);

    (void)state;
    store(empty);
    open_for(&one);
    open_for(&two);
    turn_all();
    assert_int_equal(one.ready, 1);
    assert_true(state_can_seal(one.state));
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    assert_true(opens(&two, "ns", "pod-1", sealed, "{}"));
    registers(&one, "https://a", "glrt-1");
    turn_all();
    assert_string_equal(one.token, "glrt-1");
}

static void a_secret_that_somebody_else_planted_is_neither_used_nor_changed(void **state)
{
    static const struct {
        const char *managed_by, *release, *says;
    } foreign[] = {
        { NULL, NULL, "label secret rel-state app.kubernetes.io/managed-by=dataops-runner" },
        { "Helm", NULL, "Delete it" },
        { "Helm", "rel", "somebody else made it" },
        { "dataops-runner", "other", "belongs to the release other" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        OWNED_JSON struct cJSON *secret = planted(foreign[i].managed_by, foreign[i].release);
        uint8_t key[SEAL_KEY] = { 1 };
        static const char registrations[] = "{\"https://a\":{\"token\":\"glrt-evil\"}}";

        put_data(secret, "version", "1", 1);
        put_data(secret, "key-k1", key, sizeof(key));
        put_data(secret, "registrations", registrations, strlen(registrations));
        store(secret);
        open_for(&one);
        turn_all();
        assert_int_equal(one.error.blame, BLAME_DENIED);
        assert_non_null(strstr(one.error.text, foreign[i].says));
        assert_non_null(strstr(one.error.text, "restart the controller"));
        assert_false(state_can_seal(one.state));
        assert_null(state_seal(one.state, "ns", "pod-1", "{}"));
        assert_null(state_token(one.state, "https://a"));
        assert_int_equal(puts_seen + creates, 0);
        state_free(one.state);
        one.state = NULL;
        json_free(stored);
        stored = NULL;
    }
}

static void a_secret_of_a_newer_version_is_left_alone(void **state)
{
    OWNED_JSON struct cJSON *secret = planted("dataops-runner", "rel");

    (void)state;
    put_data(secret, "version", "3", 1);
    store(secret);
    open_for(&one);
    turn_all();
    assert_non_null(strstr(one.error.text, "a newer version of dataops-runner wrote it"));
    assert_int_equal(puts_seen, 0);
}

static void a_secret_of_the_version_before_goes_on_with_a_new_key(void **state)
{
    OWNED_TEXT char *old = sealed_by_the_version_before("ns/pod-1", "{\"a\":1}");

    (void)state;
    store_of_the_version_before();
    open_for(&one);
    turn_all();
    assert_int_equal(one.error.blame, BLAME_NONE);
    assert_string_equal(state_token(one.state, "https://a"), "glrt-old");
    assert_true(opens(&one, "ns", "pod-1", old, "{\"a\":1}"));
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-2", "{}");
    assert_memory_equal(sealed, "k2.", 3);
    assert_string_equal(json_text(json_get(stored_meta(), "labels"), "dataops-runner/release", ""), "rel");
    assert_int_equal(puts_seen, 1);
    open_for(&two);
    turn_all();
    assert_int_equal(puts_seen, 1);
    assert_true(opens(&two, "ns", "pod-1", old, "{\"a\":1}"));
    assert_true(opens(&two, "ns", "pod-2", sealed, "{}"));
}

static void a_copy_with_another_uid_seals_with_a_key_of_its_own(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    set_text(stored_meta(), "uid", "uid-of-the-copy");
    open_for(&two);
    turn_all();
    OWNED_TEXT char *again = state_seal(two.state, "ns", "pod-1", "{}");
    assert_memory_equal(again, "k2.", 3);
    assert_true(opens(&two, "ns", "pod-1", sealed, "{}"));
    assert_false(opens(&one, "ns", "pod-1", again, "{}"));
}

static void without_the_right_to_update_the_key_that_is_there_seals_on(void **state)
{
    (void)state;
    store_of_the_version_before();
    open_for(&one);
    turn();
    calls[0].kind = KUBE_FORBIDDEN;
    turn_all();
    assert_int_equal(one.error.blame, BLAME_NONE);
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    assert_memory_equal(sealed, "k1.", 3);
}

static void without_the_right_to_read_it_nothing_can_be_sealed_and_it_says_so(void **state)
{
    (void)state;
    refusal = KUBE_FORBIDDEN;
    open_for(&one);
    turn_all();
    assert_int_equal(one.ready, 1);
    assert_int_not_equal(one.error.blame, BLAME_NONE);
    assert_false(state_can_seal(one.state));
    assert_null(state_seal(one.state, "ns", "pod-1", "{}"));
}

static void what_was_sealed_for_one_pod_does_not_open_for_another(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{}");
    assert_true(opens(&one, "ns", "pod-1", sealed, "{}"));
    assert_false(opens(&one, "ns", "pod-2", sealed, "{}"));
    assert_false(opens(&one, "other", "pod-1", sealed, "{}"));
}

static void a_changed_or_strange_annotation_does_not_open(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    OWNED_TEXT char *sealed = state_seal(one.state, "ns", "pod-1", "{\"token\":\"x\"}");
    assert_null(strstr(sealed, "token"));
    sealed[10] = sealed[10] == 'A' ? 'B' : 'A';
    assert_false(opens(&one, "ns", "pod-1", sealed, "{\"token\":\"x\"}"));
    assert_false(opens(&one, "ns", "pod-1", "", ""));
    assert_false(opens(&one, "ns", "pod-1", "k1.", ""));
    assert_false(opens(&one, "ns", "pod-1", "k2.AAAA", ""));
    assert_false(opens(&one, "ns", "pod-1", "k1.AAAA", ""));
    assert_false(opens(&one, "ns", "pod-1", "k1", ""));
    assert_false(opens(&one, "ns", "pod-1", "k01.AAAA", ""));
    assert_false(opens(&one, "ns", "pod-1", "k9999999999999999999.AAAA", ""));
    assert_int_equal(state_key_of(sealed), 1);
    assert_int_equal(state_key_of("k12.x"), 12);
    assert_int_equal(state_key_of("k1x."), 0);
}

static void sealing_the_same_twice_gives_two_texts(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    OWNED_TEXT char *first = state_seal(one.state, "ns", "pod-1", "{}");
    OWNED_TEXT char *second = state_seal(one.state, "ns", "pod-1", "{}");
    assert_string_not_equal(first, second);
}

static void a_registration_is_there_for_the_next_controller(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    registers(&one, "https://a", "glrt-1");
    turn_all();
    registers(&one, "https://b", "glrt-2");
    turn_all();
    assert_true(one.ours);
    open_for(&two);
    turn_all();
    assert_string_equal(state_token(two.state, "https://a"), "glrt-1");
    assert_string_equal(state_token(two.state, "https://b"), "glrt-2");
    assert_null(state_token(two.state, "https://c"));
    assert_true(state_can_seal(two.state));
}

static void of_two_that_register_at_once_the_first_one_stored_holds_for_both(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    open_for(&two);
    turn_all();
    registers(&one, "https://a", "glrt-1");
    registers(&two, "https://a", "glrt-2");
    turn_all();
    assert_true(one.ours);
    assert_string_equal(one.token, "glrt-1");
    assert_false(two.ours);
    assert_string_equal(two.token, "glrt-1");
}

static void registrations_at_two_urls_do_not_push_each_other_out(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    open_for(&two);
    turn_all();
    registers(&one, "https://a", "glrt-1");
    registers(&two, "https://b", "glrt-2");
    turn_all();
    assert_true(one.ours && two.ours);
    assert_string_equal(state_token(two.state, "https://a"), "glrt-1");
    assert_string_equal(state_token(two.state, "https://b"), "glrt-2");
}

static void a_put_whose_answer_was_lost_is_ours_when_tried_again(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    puts_seen = 0;
    refusal = KUBE_FAILED;
    happens_anyway = true;
    registers(&one, "https://a", "glrt-1");
    calls[0].kind = KUBE_FAILED;
    turn_all();
    assert_false(one.got_token);
    state_store_again(one.state);
    turn_all();
    assert_int_equal(one.told, 2);
    assert_true(one.ours);
    assert_string_equal(one.token, "glrt-1");
    assert_int_equal(puts_seen, 1);
}

static void a_put_that_failed_is_tried_again_with_the_same_token(void **state)
{
    (void)state;
    open_for(&one);
    turn_all();
    refusal = KUBE_FAILED;
    registers(&one, "https://a", "glrt-1");
    turn_all();
    assert_int_equal(one.told, 1);
    assert_false(one.got_token);
    assert_int_not_equal(one.error.blame, BLAME_NONE);
    state_store_again(one.state);
    turn_all();
    assert_string_equal(one.token, "glrt-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_controller_makes_the_secret_and_the_next_reads_it),
        TEST(two_that_begin_at_once_end_with_the_same_key),
        TEST(a_create_whose_answer_was_lost_is_found_again),
        TEST(an_empty_secret_with_the_controllers_label_gets_a_key),
        TEST(a_secret_that_somebody_else_planted_is_neither_used_nor_changed),
        TEST(a_secret_of_a_newer_version_is_left_alone),
        TEST(a_secret_of_the_version_before_goes_on_with_a_new_key),
        TEST(a_copy_with_another_uid_seals_with_a_key_of_its_own),
        TEST(without_the_right_to_update_the_key_that_is_there_seals_on),
        TEST(without_the_right_to_read_it_nothing_can_be_sealed_and_it_says_so),
        TEST(what_was_sealed_for_one_pod_does_not_open_for_another),
        TEST(a_changed_or_strange_annotation_does_not_open),
        TEST(sealing_the_same_twice_gives_two_texts),
        TEST(a_registration_is_there_for_the_next_controller),
        TEST(of_two_that_register_at_once_the_first_one_stored_holds_for_both),
        TEST(registrations_at_two_urls_do_not_push_each_other_out),
        TEST(a_put_whose_answer_was_lost_is_ours_when_tried_again),
        TEST(a_put_that_failed_is_tried_again_with_the_same_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
