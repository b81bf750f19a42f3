/* The state Secret: one key for all controllers of a release, one registration for each URL. Kubernetes is played here:
 * an answer waits until the test turns. */
#include "state.h"

#include "kube/client.h"
#include "text/digest.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- Kubernetes --- */

struct kube_call {
    bool open;
    enum kube_class kind;
    struct cJSON *object;
    kube_done *done;
    void *owner;
};
#define CALLS_MOST 16
static struct kube_call calls[CALLS_MOST];
static struct cJSON *stored; /* the Secret */
static int64_t version;
static enum kube_class refusal; /* of the next request; KUBE_OK: none */
static bool happens_anyway;
static unsigned creates, puts_seen;

static struct kube_call *begin(kube_done *done, void *owner)
{
    for (size_t i = 0; i < CALLS_MOST; i++)
        if (!calls[i].open) {
            calls[i] = (struct kube_call){ .open = true, .done = done, .owner = owner };
            return &calls[i];
        }
    fail_msg("too many calls");
    return NULL;
}

/* True when the request shall have no effect. */
static bool refused(struct kube_call *call)
{
    bool without_effect = refusal != KUBE_OK && !happens_anyway;

    call->kind = refusal;
    refusal = KUBE_OK;
    happens_anyway = false;
    return without_effect;
}

static void store(const struct cJSON *object)
{
    OWNED_TEXT char *text = mem_format("%d", (int)++version);
    struct cJSON *meta;

    json_free(stored);
    stored = json_copy(object);
    meta = json_get(stored, "metadata");
    json_remove(meta, "resourceVersion");
    json_set_text(meta, "resourceVersion", text);
}

struct kube_call *kube_get(struct kube *kube UNUSED, const char *ns, const char *resource, const char *name,
                           kube_done *done, void *owner)
{
    struct kube_call *call = begin(done, owner);

    assert_string_equal(ns, "ns");
    assert_string_equal(resource, "secrets");
    assert_string_equal(name, "rel-state");
    if (refused(call))
        return call;
    call->kind = stored != NULL ? KUBE_OK : KUBE_MISSING;
    call->object = json_copy(stored);
    return call;
}

struct kube_call *kube_create(struct kube *kube UNUSED, const char *ns UNUSED, const char *resource UNUSED,
                              const struct cJSON *object, kube_done *done, void *owner)
{
    struct kube_call *call = begin(done, owner);

    creates++;
    if (refused(call))
        return call;
    if (stored != NULL) {
        call->kind = KUBE_EXISTS;
        return call;
    }
    store(object);
    call->object = json_copy(stored);
    return call;
}

struct kube_call *kube_put(struct kube *kube UNUSED, const char *ns UNUSED, const char *resource UNUSED,
                           const char *name UNUSED, const struct cJSON *object, kube_done *done, void *owner)
{
    struct kube_call *call = begin(done, owner);
    const char *mine = json_text_at(object, "metadata.resourceVersion", "");

    puts_seen++;
    if (refused(call))
        return call;
    if (strcmp(mine, json_text_at(stored, "metadata.resourceVersion", "")) != 0) {
        call->kind = KUBE_CONFLICT;
        return call;
    }
    store(object);
    call->object = json_copy(stored);
    return call;
}

void kube_cancel(struct kube_call *call)
{
    if (call == NULL)
        return;
    json_free(call->object);
    *call = (struct kube_call){ .open = false };
}

/* Gives one answer, the oldest; false: nobody waits. */
static bool turn(void)
{
    for (size_t i = 0; i < CALLS_MOST; i++)
        if (calls[i].open) {
            struct kube_call call = calls[i];
            struct kube_answer answer = { .kind = call.kind, .reason = "", .object = call.object };

            calls[i].open = false;
            if (call.kind != KUBE_OK)
                error_set(&answer.error, BLAME_REMOTE, 500, "no");
            call.done(call.owner, &answer);
            json_free(call.object);
            return true;
        }
    return false;
}

static void turn_all(void)
{
    for (unsigned i = 0; turn(); i++)
        assert_true(i < 100);
}

/* --- two controllers --- */

struct asker {
    struct state *state;
    unsigned ready, told;
    struct error error;
    char token[64];
    bool got_token, ours;
};
static struct asker one, two;

static void is_ready(void *owner, const struct error *error)
{
    struct asker *asker = owner;

    asker->ready++;
    asker->error = *error;
}

static void is_stored(void *owner, const char *token, bool ours, const struct error *error)
{
    struct asker *asker = owner;

    asker->told++;
    asker->error = *error;
    asker->got_token = token != NULL;
    asker->ours = ours;
    snprintf(asker->token, sizeof(asker->token), "%s", token != NULL ? token : "");
}

static void open_for(struct asker *asker)
{
    asker->state = state_open(NULL, NULL, "ns", "rel", is_ready, asker);
}

static void registers(struct asker *asker, const char *url, const char *token)
{
    state_store_registration(asker->state, url, token, 7, NULL, is_stored, asker);
}

static int set(void **state)
{
    (void)state;
    memset(&one, 0, sizeof(one));
    memset(&two, 0, sizeof(two));
    creates = puts_seen = 0;
    refusal = KUBE_OK;
    return 0;
}

static int strike(void **state)
{
    (void)state;
    state_free(one.state);
    state_free(two.state);
    json_free(stored);
    stored = NULL;
    for (size_t i = 0; i < CALLS_MOST; i++)
        if (calls[i].open)
            return -1;
    return 0;
}

/* --- what it does --- */

static bool opens(const struct asker *asker, const char *ns, const char *pod, const char *sealed, const char *words)
{
    struct strbuf json = STRBUF_EMPTY;
    bool good = state_open_sealed(asker->state, ns, pod, sealed, &json) == 0 && strcmp(strbuf_text(&json), words) == 0;

    strbuf_clear(&json);
    return good;
}

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

static void a_secret_that_somebody_made_empty_gets_a_key(void **state)
{
    OWNED_JSON struct cJSON *empty = json_object();

    (void)state;
    json_set_text(json_set_object(empty, "metadata"), "name", "rel-state");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set, strike)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_controller_makes_the_secret_and_the_next_reads_it),
        TEST(two_that_begin_at_once_end_with_the_same_key),
        TEST(a_create_whose_answer_was_lost_is_found_again),
        TEST(a_secret_that_somebody_made_empty_gets_a_key),
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
