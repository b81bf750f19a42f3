/* An API server that ends everything early: what is asked for again, is asked for ever more rarely. */
#include "kube/watch.h"

#include "cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#define WHILE_MS      700
#define MOST_REQUESTS 40 /* in that while; without a pause they are hundreds */

struct world {
    struct cluster cluster;
    struct kube_watch *watch;
    void (*list)(struct loopback_conn *conn);
    void (*stream)(struct loopback_conn *conn);
    unsigned requests, lists;
    char trouble[512];
};

static void trouble(void *owner, const struct error *error)
{
    struct world *world = owner;
    if (error->blame != BLAME_NONE)
        snprintf(world->trouble, sizeof world->trouble, "%.500s", error->text);
}

static const struct kube_watch_events events = { .trouble = trouble };

static void empty_list(struct loopback_conn *conn)
{
    loopback_reply_json(conn, "200 OK",
                        "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"100\"},\"items\":[]}");
}

static void stay_open(struct loopback_conn *conn)
{
    loopback_accept(conn);
}

static void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    world->requests++;
    if (*loopback_header(conn, "Upgrade")) {
        world->stream(conn);
    } else if (*cluster_query(conn->target, "watch")) {
        loopback_reply(conn, "200 OK", "", "");
    } else {
        world->lists++;
        world->list(conn);
    }
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){ .list = empty_list, .stream = stay_open };
    cluster_start(&world.cluster, answer, &world);
    *state = &world;
    return world.cluster.kube ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    kube_watch_stop(world->watch);
    world->watch = NULL;
    cluster_stop(&world->cluster);
    return 0;
}

/* Watches for a while; waits are a fortieth of what they usually are. */
static void watch(struct world *world)
{
    static const struct kube_watch_tuning quick = { .first_backoff_ms = 20, .most_backoff_ms = 200 };
    uint64_t until = loop_now_ms(world->cluster.loop) + WHILE_MS;

    world->watch = kube_watch_start(world->cluster.kube, "ns", "pods", NULL, &quick, &events, world);
    while (loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 5);
    assert_in_range(world->requests, 4, MOST_REQUESTS);
}

#define NEWS                                                                                                           \
    "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","                  \
    "\"resourceVersion\":\"101\"}}}\n"

static void news_then_expired(struct loopback_conn *conn)
{
    OWNED_TEXT char *status = cluster_status(410, "Expired", "too old resource version", "");
    OWNED_TEXT char *event = mem_format("{\"type\":\"ERROR\",\"object\":%s}\n", status);
    loopback_accept(conn);
    loopback_text(conn, NEWS);
    loopback_text(conn, event);
    loopback_goodbye(conn, 1000);
}

static void a_version_that_expires_behind_each_event_is_no_storm_of_lists(void **state)
{
    struct world *world = *state;
    world->stream = news_then_expired;
    watch(world);
}

static void news_then_end(struct loopback_conn *conn)
{
    loopback_accept(conn);
    loopback_text(conn, NEWS);
    loopback_goodbye(conn, 1000);
}

static void a_stream_that_ends_behind_each_event_is_opened_ever_more_rarely(void **state)
{
    struct world *world = *state;
    world->stream = news_then_end;
    watch(world);
    assert_in_range(world->requests, 4, 16);
}

static void busy(struct loopback_conn *conn)
{
    loopback_reply(conn, "429 Too Many Requests", "", "Too many requests");
}

static void a_handshake_that_is_refused_as_too_many_while_plain_requests_pass_is_no_storm(void **state)
{
    struct world *world = *state;
    world->stream = busy;
    watch(world);
}

static void page_then_expired(struct loopback_conn *conn)
{
    if (*cluster_query(conn->target, "continue")) {
        OWNED_TEXT char *body = cluster_status(410, "Expired", "the continue token is too old", "");
        loopback_reply_json(conn, "410 Gone", body);
    } else {
        loopback_reply_json(conn, "200 OK",
                            "{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"t\"},\"items\":[]}");
    }
}

static void pages_that_always_expire_are_no_storm_of_lists(void **state)
{
    struct world *world = *state;
    world->list = page_then_expired;
    watch(world);
}

static void another_page(struct loopback_conn *conn)
{
    loopback_reply_json(conn, "200 OK", "{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"t\"},\"items\":[]}");
}

static void a_list_of_endless_pages_has_an_end(void **state)
{
    struct world *world = *state;
    uint64_t until = loop_now_ms(world->cluster.loop) + 20000;

    world->list = another_page;
    world->watch = kube_watch_start(world->cluster.kube, "ns", "pods", NULL, NULL, &events, world);
    while (!world->trouble[0] && world->lists < 3000 && loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 5);
    assert_non_null(strstr(world->trouble, "pages"));
    assert_in_range(world->lists, 900, 1100);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_version_that_expires_behind_each_event_is_no_storm_of_lists),
        CASE(a_stream_that_ends_behind_each_event_is_opened_ever_more_rarely),
        CASE(a_handshake_that_is_refused_as_too_many_while_plain_requests_pass_is_no_storm),
        CASE(pages_that_always_expire_are_no_storm_of_lists),
        CASE(a_list_of_endless_pages_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
