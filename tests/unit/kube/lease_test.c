#include "kube/lease.h"

#include "cluster.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs some of the above */
#include <cmocka.h>

/* A server that keeps one Lease, with compare-and-swap as the real one. */
struct world {
    struct cluster cluster;
    struct kube_lease *lease;
    char heard[1024]; /* "held", "doubt", "taken:b", "!503" */
    struct cJSON *stored;
    unsigned version, gets, puts, posts;
    const char *fail; /* every request: "503", "silent" */
    bool lose_next, stop_in_held, gone, denies;
    uint64_t held_ms;
};

static void hear(struct world *world, const char *word, const char *more)
{
    size_t length = strlen(world->heard);
    snprintf(world->heard + length, sizeof world->heard - length, "%s%s%s", length ? " " : "", word, more);
}

static void held(void *owner)
{
    struct world *world = owner;
    hear(world, "held", "");
    world->held_ms = loop_now_ms(world->cluster.loop);
    if (world->stop_in_held)
        kube_lease_stop(world->lease);
}

static void doubted(void *owner)
{
    hear(owner, "doubt", "");
}

static void taken(void *owner, const char *holder)
{
    hear(owner, "taken:", holder);
}

static void trouble(void *owner, const struct error *error)
{
    char code[16];
    snprintf(code, sizeof code, "%d", error->code);
    hear(owner, "!", error->blame == BLAME_NONE ? "ok" : code);
}

static const struct kube_lease_events events = { held, doubted, taken, trouble };

static void store(struct world *world, struct cJSON *object)
{
    char version[16];
    json_free(world->stored);
    world->stored = object;
    snprintf(version, sizeof version, "%u", ++world->version);
    json_set_text(json_get(object, "metadata"), "resourceVersion", version);
    json_set_text(json_get(object, "metadata"), "uid", "lease-uid");
}

static void refuse(struct loopback_conn *conn, int code, const char *reason)
{
    OWNED_TEXT char *line = mem_format("%d Refused", code);
    OWNED_TEXT char *body = cluster_status(code, reason, "no", "");
    loopback_reply_json(conn, line, body);
}

static void give(struct world *world, struct loopback_conn *conn)
{
    OWNED_TEXT char *body = json_print(world->stored);
    loopback_reply_json(conn, "200 OK", body);
}

static void put(struct world *world, struct loopback_conn *conn)
{
    struct error error = ERROR_NONE;
    struct cJSON *object = json_parse(conn->body, conn->body_length, &error);
    assert_non_null(object);
    bool stale = world->stored && strcmp(json_text_at(object, "metadata.resourceVersion", ""),
                                         json_text_at(world->stored, "metadata.resourceVersion", "")) != 0;
    if (strcmp(conn->method, "POST") == 0 ? world->stored != NULL : stale) {
        json_free(object);
        refuse(conn, 409, strcmp(conn->method, "POST") == 0 ? "AlreadyExists" : "Conflict");
        return;
    }
    store(world, object);
    if (world->lose_next) {
        world->lose_next = false;
        refuse(conn, 504, "Timeout");
    } else {
        give(world, conn);
    }
}

static void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    bool get = strcmp(conn->method, "GET") == 0;
    world->gets += get;
    world->puts += strcmp(conn->method, "PUT") == 0;
    world->posts += strcmp(conn->method, "POST") == 0;
    if (world->denies)
        refuse(conn, get ? 404 : 409, get ? "NotFound" : "AlreadyExists");
    else if (world->fail && strcmp(world->fail, "503") == 0)
        refuse(conn, 503, "ServiceUnavailable");
    else if (world->fail)
        return;
    else if (!get)
        put(world, conn);
    else if (world->stored)
        give(world, conn);
    else
        refuse(conn, 404, "NotFound");
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){ 0 };
    cluster_start(&world.cluster, answer, &world);
    *state = &world;
    return world.cluster.kube ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    kube_lease_stop(world->lease);
    world->lease = NULL;
    cluster_stop(&world->cluster);
    json_free(world->stored);
    return 0;
}

static void start(struct world *world)
{
    struct kube_lease_request request = { .ns = "ns",
                                          .name = "slot-0",
                                          .identity = "me",
                                          .label = "l",
                                          .value = "v",
                                          .duration_s = 1,
                                          .renew_ms = 100,
                                          .doubt_ms = 400 };
    world->lease = kube_lease_start(world->cluster.kube, &request, &events, world);
    assert_string_equal(world->heard, "");
}

static void until_heard(struct world *world, const char *heard)
{
    uint64_t until = loop_now_ms(world->cluster.loop) + 6000;
    while (strcmp(world->heard, heard) != 0 && loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 10);
    assert_string_equal(world->heard, heard);
}

static void turn(struct world *world, uint64_t ms)
{
    uint64_t until = loop_now_ms(world->cluster.loop) + ms;
    while (loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 5);
}

static void other_holds(struct world *world, const char *renewed)
{
    struct error error = ERROR_NONE;
    OWNED_TEXT char *text = mem_format("{\"metadata\":{\"name\":\"slot-0\"},\"spec\":{\"holderIdentity\":\"other\","
                                       "\"leaseDurationSeconds\":1,\"leaseTransitions\":4,\"renewTime\":\"%s\"}}",
                                       renewed);
    store(world, json_parse(text, strlen(text), &error));
}

/* --- statements --- */

static void a_missing_lease_is_made_and_renewed(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    assert_true(kube_lease_is_held(world->lease));
    assert_string_equal(kube_lease_uid(world->lease), "lease-uid");
    assert_string_equal(json_text_at(world->stored, "metadata.labels.l", ""), "v");
    assert_int_equal(json_int(json_get(world->stored, "spec"), "leaseTransitions", -1), 0);
    turn(world, 700);
    assert_string_equal(world->heard, "held");
    assert_int_equal(world->posts, 1);
    assert_in_range(world->puts, 3, 8);
}

static void the_times_of_a_lease_have_six_fraction_digits(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    regex_t six;
    assert_int_equal(
        regcomp(&six, "^20[0-9][0-9]-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$", REG_EXTENDED), 0);
    assert_int_equal(regexec(&six, json_text_at(world->stored, "spec.renewTime", ""), 0, NULL, 0), 0);
    assert_int_equal(regexec(&six, json_text_at(world->stored, "spec.acquireTime", ""), 0, NULL, 0), 0);
    regfree(&six);
}

static void a_conflict_leads_to_a_new_read(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    store(world, json_copy(world->stored)); /* somebody touched a label: a new version, our spec */
    turn(world, 300);
    assert_string_equal(world->heard, "held");
    assert_true(world->gets >= 2);
    assert_true(kube_lease_is_held(world->lease));
}

static void a_silent_holder_is_outwaited_whatever_his_clock_says(void **state)
{
    struct world *world = *state;
    other_holds(world, "2099-01-01T00:00:00.000000Z"); /* an hour or a century ahead: not looked at */
    uint64_t begun = loop_now_ms(world->cluster.loop);
    start(world);
    until_heard(world, "taken:other held");
    assert_in_range(world->held_ms - begun, 1000, 2500);
    assert_int_equal(json_int(json_get(world->stored, "spec"), "leaseTransitions", -1), 5);
}

static void a_holder_who_renews_keeps_it(void **state)
{
    struct world *world = *state;
    char time[40];
    other_holds(world, "2000-01-01T00:00:00.000000Z"); /* long past: not looked at either */
    start(world);
    for (int i = 0; i < 8; i++) {
        turn(world, 250);
        snprintf(time, sizeof time, "2000-01-01T00:00:0%d.000000Z", i);
        other_holds(world, time);
    }
    assert_string_equal(world->heard, "taken:other");
    assert_false(kube_lease_is_held(world->lease));
}

static void a_holder_who_cannot_renew_doubts_before_the_lease_ends(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    world->fail = "503";
    until_heard(world, "held !503 doubt");
    assert_false(kube_lease_is_held(world->lease));
    assert_true(loop_now_ms(world->cluster.loop) - world->held_ms < 1000);
    world->fail = NULL;
    until_heard(world, "held !503 doubt held !ok");
    assert_true(kube_lease_is_held(world->lease));
}

static void a_holders_silence_counts_from_when_the_last_good_request_was_sent(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    world->fail = "silent";
    until_heard(world, "held doubt");
    assert_true(loop_now_ms(world->cluster.loop) - world->held_ms < 1000);
}

static void a_lease_that_another_took_is_waited_for(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    other_holds(world, "2026-01-01T00:00:00.000000Z");
    until_heard(world, "held taken:other held");
}

static void a_lost_answer_does_not_lose_the_lease(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    world->lose_next = true;
    until_heard(world, "held !504 doubt held !ok");
    assert_string_equal(json_text_at(world->stored, "spec.holderIdentity", ""), "me");
    assert_int_equal(json_int(json_get(world->stored, "spec"), "leaseTransitions", -1), 0);
}

static void our_own_lease_from_before_goes_on_at_once(void **state)
{
    struct world *world = *state;
    other_holds(world, "2026-01-01T00:00:00.000000Z");
    json_set_text(json_get(world->stored, "spec"), "holderIdentity", "me");
    uint64_t begun = loop_now_ms(world->cluster.loop);
    start(world);
    until_heard(world, "held");
    assert_true(world->held_ms - begun < 500);
    assert_int_equal(json_int(json_get(world->stored, "spec"), "leaseTransitions", -1), 4);
}

static void note_gone(void *owner)
{
    ((struct world *)owner)->gone = true;
}

static void a_released_lease_has_no_holder(void **state)
{
    struct world *world = *state;
    start(world);
    until_heard(world, "held");
    kube_lease_release(world->lease, note_gone, world);
    assert_false(kube_lease_is_held(world->lease));
    assert_true(loopback_until(world->cluster.loop, &world->gone, 2000));
    world->lease = NULL;
    assert_string_equal(json_text_at(world->stored, "spec.holderIdentity", "?"), "");
    assert_int_equal(json_int(json_get(world->stored, "spec"), "leaseDurationSeconds", 0), 1);
    /* one that was never held has nothing to give back */
    world->heard[0] = '\0';
    world->gone = false;
    other_holds(world, "2026-01-01T00:00:00.000000Z");
    start(world);
    until_heard(world, "taken:other");
    unsigned puts = world->puts;
    kube_lease_release(world->lease, note_gone, world);
    assert_true(loopback_until(world->cluster.loop, &world->gone, 2000));
    world->lease = NULL;
    assert_int_equal(world->puts, puts);
}

static void it_may_be_stopped_inside_a_callback(void **state)
{
    struct world *world = *state;
    world->stop_in_held = true;
    start(world);
    until_heard(world, "held");
    turn(world, 300);
    world->lease = NULL;
    assert_string_equal(world->heard, "held");
    assert_int_equal(world->puts, 0);
    kube_lease_stop(NULL);
}

static void a_lease_that_is_missing_when_read_and_there_when_made_is_no_storm(void **state)
{
    struct world *world = *state;
    world->denies = true;
    start(world);
    turn(world, 700);
    assert_in_range(world->gets + world->posts, 4, 10);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_missing_lease_is_made_and_renewed),
        CASE(the_times_of_a_lease_have_six_fraction_digits),
        CASE(a_conflict_leads_to_a_new_read),
        CASE(a_silent_holder_is_outwaited_whatever_his_clock_says),
        CASE(a_holder_who_renews_keeps_it),
        CASE(a_holder_who_cannot_renew_doubts_before_the_lease_ends),
        CASE(a_holders_silence_counts_from_when_the_last_good_request_was_sent),
        CASE(a_lease_that_another_took_is_waited_for),
        CASE(a_lost_answer_does_not_lose_the_lease),
        CASE(our_own_lease_from_before_goes_on_at_once),
        CASE(a_released_lease_has_no_holder),
        CASE(it_may_be_stopped_inside_a_callback),
        CASE(a_lease_that_is_missing_when_read_and_there_when_made_is_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
