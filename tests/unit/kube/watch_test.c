#include "kube/watch.h"

#include "cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct world {
    struct cluster cluster;
    struct kube_watch *watch;
    /* what the owner heard, a word each: "+a" changed, "-a" gone, "L" listed, "!403" trouble, "!ok" */
    char heard[4096];
    bool stop_in_changed, stop_in_gone, stop_in_trouble;
    struct error trouble;
    unsigned gone_with_spec;
    /* what the server is to do */
    void (*list)(struct world *world, struct loopback_conn *conn);
    void (*stream)(struct world *world, struct loopback_conn *conn);
    void (*plain)(struct world *world, struct loopback_conn *conn); /* a watch without upgrade */
    const char *items;                                              /* of the ordinary list */
    struct loopback_conn *conn;                                     /* the last stream */
    unsigned lists, streams, plains;
    uint64_t at_ms[64]; /* when a stream was asked for */
    char target[2048], head[4096];
};

static void hear(struct world *world, const char *kind, const char *name)
{
    size_t length = strlen(world->heard);
    snprintf(world->heard + length, sizeof world->heard - length, "%s%s%s", length ? " " : "", kind, name);
}

static void changed(void *owner, const struct cJSON *object)
{
    struct world *world = owner;
    hear(world, "+", json_text_at(object, "metadata.name", "?"));
    if (world->stop_in_changed)
        kube_watch_stop(world->watch);
}

static void gone(void *owner, const struct cJSON *last)
{
    struct world *world = owner;
    hear(world, "-", json_text_at(last, "metadata.name", "?"));
    world->gone_with_spec += json_get(last, "spec") != NULL;
    if (world->stop_in_gone)
        kube_watch_stop(world->watch);
}

static void listed(void *owner)
{
    hear(owner, "L", "");
}

static void trouble(void *owner, const struct error *error)
{
    struct world *world = owner;
    char code[16];
    snprintf(code, sizeof code, "%d", error->code);
    world->trouble = *error;
    hear(world, "!", error->blame == BLAME_NONE ? "ok" : code);
    if (world->stop_in_trouble)
        kube_watch_stop(world->watch);
}

static const struct kube_watch_events events = { changed, gone, listed, trouble };

/* --- the server --- */

static void send_list(struct world *world, struct loopback_conn *conn)
{
    OWNED_TEXT char *body =
        mem_format("{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"100\"},\"items\":[%s]}",
                   world->items ? world->items : "");
    loopback_reply_json(conn, "200 OK", body);
}

static void stay_open(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_accept(conn);
}

static void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    snprintf(world->target, sizeof world->target, "%s", conn->target);
    snprintf(world->head, sizeof world->head, "%.4000s", conn->head);
    if (*loopback_header(conn, "Upgrade")) {
        if (world->streams < COUNT_OF(world->at_ms))
            world->at_ms[world->streams] = loop_now_ms(world->cluster.loop);
        world->streams++;
        world->conn = conn;
        world->stream(world, conn);
    } else if (*cluster_query(conn->target, "watch")) {
        world->plains++;
        world->plain(world, conn);
    } else {
        world->lists++;
        world->list(world, conn);
    }
}

#define POD(name, uid, version)                                                                                        \
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"ns\",\"uid\":\"" uid                        \
    "\",\"resourceVersion\":\"" version "\"},\"spec\":{}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){ .list = send_list, .stream = stay_open };
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

/* Short waits, and no relist of its own. */
static const struct kube_watch_tuning quick = { .first_backoff_ms = 20, .most_backoff_ms = 200 };

static void start(struct world *world, const struct kube_watch_tuning *tuning)
{
    world->watch = kube_watch_start(world->cluster.kube, "ns", "pods", "labelSelector=a%3Db", tuning, &events, world);
    assert_string_equal(world->heard, "");
}

/* Turns until heard is that, or the time is over. */
static void until_heard(struct world *world, const char *heard)
{
    uint64_t until = loop_now_ms(world->cluster.loop) + 5000;
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

static void until_streams(struct world *world, unsigned count)
{
    uint64_t until = loop_now_ms(world->cluster.loop) + 5000;
    while (world->streams < count && loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 10);
    assert_true(world->streams >= count);
    turn(world, 20);
}

/* --- statements --- */

static void the_watch_request_is_as_the_server_wants_it(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    OWNED_TEXT char *origin = mem_format("\nOrigin: http://127.0.0.1:%u\r\n", world->cluster.server.port);
    assert_non_null(strstr(world->head, origin));
    assert_non_null(strstr(world->head, "\nAuthorization: Bearer token-1\r\n"));
    assert_null(strstr(world->head, "Sec-WebSocket-Protocol"));
    assert_string_equal(cluster_query(world->target, "watch"), "1");
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "100");
    assert_string_equal(cluster_query(world->target, "allowWatchBookmarks"), "true");
    assert_string_equal(cluster_query(world->target, "labelSelector"), "a%3Db");
    assert_in_range(strtoul(cluster_query(world->target, "timeoutSeconds"), NULL, 10), 240, 600);
}

static void events_arrive_after_the_list(void **state)
{
    struct world *world = *state;
    world->items = POD("a", "u1", "7") "," POD("b", "u2", "8");
    start(world, &quick);
    until_streams(world, 1);
    loopback_text(world->conn, EVENT("ADDED", POD("c", "u3", "101")));
    loopback_text(world->conn, EVENT("MODIFIED", POD("a", "u1", "102")));
    loopback_text(world->conn, EVENT("DELETED", POD("b", "u2", "103")));
    until_heard(world, "+a +b L +c +a -b");
    assert_int_equal(world->gone_with_spec, 1);
    assert_int_equal(kube_watch_counts(world->watch).events, 3);
}

static void what_is_unknown_is_ignored(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    loopback_text(world->conn, EVENT("NOVELTY", POD("x", "u9", "101")));
    loopback_text(world->conn, "{\"extra\":[1,{}],\"type\":\"ADDED\",\"object\":" POD("c", "u3", "102") "}\n\n");
    until_heard(world, "L +c");
    assert_int_equal(world->streams, 1);
}

static void a_big_event_is_parsed_once_whole(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    size_t length = 1500000;
    char *padding = mem_new(length + 1);
    memset(padding, 'p', length);
    OWNED_TEXT char *event = mem_format("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"big\",\"uid\":\"u\","
                                        "\"resourceVersion\":\"101\",\"x\":\"%s\"}}}\n",
                                        padding);
    loopback_text(world->conn, event);
    until_heard(world, "L +big");
    assert_int_equal(kube_watch_counts(world->watch).events, 1);
    mem_free(padding);
}

static void an_event_over_the_ceiling_leads_to_a_new_list(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    size_t length = 5 * 1024 * 1024;
    char *endless = mem_new(length + 1);
    memset(endless, 'x', length);
    loopback_text(world->conn, endless);
    mem_free(endless);
    until_heard(world, "L !0 L !ok");
    assert_int_equal(world->lists, 2);
    assert_non_null(strstr(world->head, "Upgrade"));
}

static void expiry_in_the_stream_leads_to_a_new_list_that_tells_what_vanished(void **state)
{
    struct world *world = *state;
    world->items = POD("a", "u1", "7") "," POD("b", "u2", "8");
    start(world, &quick);
    until_streams(world, 1);
    world->items = POD("b", "u2", "8");
    OWNED_TEXT char *status = cluster_status(410, "Expired", "too old resource version: 100 (200)", "");
    OWNED_TEXT char *event = mem_format("{\"type\":\"ERROR\",\"object\":%s}\n", status);
    loopback_text(world->conn, event);
    loopback_goodbye(world->conn, 1000);
    until_heard(world, "+a +b L +b -a L");
    assert_int_equal(world->gone_with_spec, 0);
    until_streams(world, 2);
    assert_int_equal(world->lists, 2);
}

static void send_410(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    world->stream = stay_open;
    OWNED_TEXT char *body = cluster_status(410, "Gone", "too old", "");
    loopback_reply_json(conn, "410 Gone", body);
}

static void expiry_as_an_http_status_leads_to_a_new_list_too(void **state)
{
    struct world *world = *state;
    world->stream = send_410;
    start(world, &quick);
    until_heard(world, "L L");
    until_streams(world, 2);
    assert_int_equal(world->plains, 0);
}

static void a_busy_server_in_the_stream_keeps_the_version(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    loopback_text(world->conn, EVENT("ADDED", POD("c", "u3", "150")));
    OWNED_TEXT char *status = cluster_status(429, "TooManyRequests", "later", "\"retryAfterSeconds\":1");
    OWNED_TEXT char *event = mem_format("{\"type\":\"ERROR\",\"object\":%s}\n", status);
    loopback_text(world->conn, event);
    until_streams(world, 2);
    assert_true(world->at_ms[1] - world->at_ms[0] >= 1000);
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "150");
    assert_int_equal(world->lists, 1);
}

static void refuse_429(struct world *world, struct loopback_conn *conn)
{
    world->stream = stay_open;
    loopback_reply(conn, "429 Too Many Requests", "Retry-After: 1\r\n", "Too many requests, please try again later.");
}

static void plain_ok(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_reply_json(conn, "200 OK", "");
}

static void a_busy_server_at_the_handshake_keeps_the_version(void **state)
{
    struct world *world = *state;
    world->stream = refuse_429;
    world->plain = plain_ok;
    start(world, &quick);
    until_streams(world, 2);
    assert_int_equal(world->lists, 1);
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "100");
}

static void a_version_from_the_future_leads_to_a_new_list_after_a_second(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    OWNED_TEXT char *status =
        cluster_status(504, "Timeout", "Too large resource version",
                       "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}],\"retryAfterSeconds\":1");
    OWNED_TEXT char *event = mem_format("{\"type\":\"ERROR\",\"object\":%s}\n", status);
    loopback_text(world->conn, event);
    until_streams(world, 2);
    assert_true(world->at_ms[1] - world->at_ms[0] >= 1000);
    assert_int_equal(world->lists, 2);
}

static void every_end_of_a_watch_is_resumed_from_the_last_version(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    for (unsigned i = 0; i < 3; i++) {
        until_streams(world, i + 1);
        loopback_text(world->conn, i == 0   ? EVENT("ADDED", POD("a", "u1", "201"))
                                   : i == 1 ? EVENT("ADDED", POD("b", "u2", "202"))
                                            : EVENT("ADDED", POD("c", "u3", "203")));
        turn(world, 30);
        if (i == 0)
            loopback_goodbye(world->conn, 1000);
        else if (i == 1)
            loopback_goodbye(world->conn, 1001);
        else
            loopback_reset(world->conn);
    }
    until_streams(world, 4);
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "203");
    assert_string_equal(world->heard, "L +a +b +c");
    assert_int_equal(world->lists, 1);
}

static void a_version_with_odd_bytes_stays_one_parameter(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    loopback_text(world->conn, EVENT("ADDED", POD("a", "u1", "2&watch=0 #x")));
    loopback_goodbye(world->conn, 1000);
    until_streams(world, 2);
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "2%26watch%3D0%20%23x");
}

static void a_bookmark_moves_the_version_and_nothing_else(void **state)
{
    struct world *world = *state;
    start(world, &quick);
    until_streams(world, 1);
    loopback_text(world->conn, EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"300\"}}"));
    turn(world, 30);
    assert_int_equal(kube_watch_counts(world->watch).bookmarks, 1);
    assert_int_equal(kube_watch_counts(world->watch).events, 0);
    loopback_reset(world->conn);
    until_streams(world, 2);
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "300");
    assert_string_equal(world->heard, "L");
}

static void the_same_name_with_a_new_uid_is_another_object(void **state)
{
    struct world *world = *state;
    world->items = POD("a", "u1", "7");
    start(world, &quick);
    until_streams(world, 1);
    world->items = POD("a", "u2", "9");
    OWNED_TEXT char *status = cluster_status(410, "Expired", "too old", "");
    OWNED_TEXT char *event = mem_format("{\"type\":\"ERROR\",\"object\":%s}\n", status);
    loopback_text(world->conn, event);
    until_heard(world, "+a L +a -a L");
}

static void a_silent_watch_is_repaired_by_the_periodic_list(void **state)
{
    struct world *world = *state;
    struct kube_watch_tuning often = quick;
    often.relist_ms = 200;
    start(world, &often);
    until_streams(world, 1);
    world->items = POD("late", "u1", "7");
    uint64_t until = loop_now_ms(world->cluster.loop) + 2000;
    while (!strstr(world->heard, "+late") && loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 10);
    assert_non_null(strstr(world->heard, "+late L"));
}

static void refuse_empty_403(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_send_text(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
}

static void rbac(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    OWNED_TEXT char *body = cluster_status(
        403, "Forbidden", "pods is forbidden: User \\\"u\\\" cannot watch resource \\\"pods\\\" in API group \\\"\\\"",
        "");
    loopback_reply_json(conn, "403 Forbidden", body);
}

static void a_bare_403_is_called_a_handshake_problem(void **state)
{
    struct world *world = *state;
    world->stream = refuse_empty_403;
    world->plain = plain_ok;
    start(world, &quick);
    until_heard(world, "L !403");
    assert_non_null(strstr(world->trouble.text, "handshake"));
    world->stream = stay_open;
    until_heard(world, "L !403 !ok");
}

static void a_refusal_for_want_of_rights_is_explained_by_a_plain_request(void **state)
{
    struct world *world = *state;
    world->stream = refuse_empty_403;
    world->plain = rbac;
    start(world, &quick);
    until_heard(world, "L !403");
    assert_int_equal(world->trouble.blame, BLAME_DENIED);
    assert_string_equal(
        world->trouble.text,
        "watch pods: 403 Forbidden: pods is forbidden: User \"u\" cannot watch resource \"pods\" in API group \"\"");
    turn(world, 600); /* asked again after the long wait, told once */
    assert_string_equal(world->heard, "L !403");
    assert_true(world->plains >= 2);
    world->stream = stay_open;
    until_heard(world, "L !403 !ok");
}

static void list_forbidden(struct world *world, struct loopback_conn *conn)
{
    rbac(world, conn);
}

static void a_list_that_is_refused_is_told_and_tried_again(void **state)
{
    struct world *world = *state;
    world->list = list_forbidden;
    start(world, &quick);
    until_heard(world, "!403");
    world->list = send_list;
    until_heard(world, "!403 L !ok");
}

static void unauthorized_once(struct world *world, struct loopback_conn *conn)
{
    world->stream = stay_open;
    OWNED_TEXT char *body = cluster_status(401, "Unauthorized", "Unauthorized", "");
    loopback_reply_json(conn, "401 Unauthorized", body);
}

static void a_401_is_tried_once_more_at_once(void **state)
{
    struct world *world = *state;
    world->stream = unauthorized_once;
    start(world, &quick);
    until_streams(world, 2);
    assert_int_equal(world->plains, 0);
    assert_string_equal(world->heard, "L");
}

static void open_and_close(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_accept(conn);
    loopback_goodbye(conn, 1000);
}

static void reconnects_slow_down_with_jitter(void **state)
{
    struct world *world = *state;
    world->stream = open_and_close;
    start(world, &quick);
    until_streams(world, 8);
    uint64_t first = world->at_ms[1] - world->at_ms[0];
    uint64_t last = world->at_ms[7] - world->at_ms[6];
    assert_true(first < 100);
    assert_in_range(last, 95, 400);
    assert_int_equal(world->lists, 1);
}

static void page(struct world *world, struct loopback_conn *conn)
{
    const char *token = cluster_query(conn->target, "continue");
    if (!*token && world->lists <= 2) {
        assert_string_equal(cluster_query(conn->target, "limit"), "100");
        loopback_reply_json(
            conn, "200 OK",
            "{\"metadata\":{\"resourceVersion\":\"100\",\"continue\":\"t/1\"},\"items\":[" POD("a", "u1", "7") "]}");
    } else if (strcmp(token, "t%2F1") == 0 && world->lists == 2) {
        OWNED_TEXT char *body = cluster_status(410, "Expired", "the continue token is too old", "");
        loopback_reply_json(conn, "410 Gone", body);
    } else {
        assert_string_equal(cluster_query(conn->target, "limit"), "");
        loopback_reply_json(
            conn, "200 OK",
            "{\"metadata\":{\"resourceVersion\":\"110\"},\"items\":[" POD("a", "u1", "7") "," POD("b", "u2", "8") "]}");
    }
}

static void pages_are_put_together_and_an_expired_page_starts_over(void **state)
{
    struct world *world = *state;
    world->list = page;
    start(world, &quick);
    until_heard(world, "+a +a +b L");
    until_streams(world, 1);
    assert_string_equal(cluster_query(world->target, "resourceVersion"), "110");
}

static void no_json(struct world *world, struct loopback_conn *conn)
{
    world->stream = stay_open;
    loopback_accept(conn);
    loopback_text(conn, "this is no JSON");
}

static void an_event_that_is_no_json_leads_to_a_new_list(void **state)
{
    struct world *world = *state;
    world->stream = no_json;
    start(world, &quick);
    until_heard(world, "L !0 L !ok");
}

static void the_watch_may_be_stopped_in_every_callback(void **state)
{
    struct world *world = *state;
    world->items = POD("a", "u1", "7") "," POD("b", "u2", "8");
    world->stop_in_changed = true;
    start(world, &quick);
    turn(world, 100);
    assert_string_equal(world->heard, "+a");
    world->heard[0] = '\0';
    world->stop_in_changed = false;
    world->stop_in_gone = true;
    start(world, &quick);
    until_streams(world, 1);
    loopback_text(world->conn, EVENT("DELETED", POD("a", "u1", "101")));
    loopback_text(world->conn, EVENT("DELETED", POD("b", "u2", "102")));
    turn(world, 100);
    assert_string_equal(world->heard, "+a +b L -a");
    world->heard[0] = '\0';
    world->stop_in_trouble = true;
    world->stream = no_json;
    start(world, &quick);
    turn(world, 100);
    assert_string_equal(world->heard, "+a +b L !0");
    world->watch = NULL;
    kube_watch_stop(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_watch_request_is_as_the_server_wants_it),
        CASE(events_arrive_after_the_list),
        CASE(what_is_unknown_is_ignored),
        CASE(a_big_event_is_parsed_once_whole),
        CASE(an_event_over_the_ceiling_leads_to_a_new_list),
        CASE(expiry_in_the_stream_leads_to_a_new_list_that_tells_what_vanished),
        CASE(expiry_as_an_http_status_leads_to_a_new_list_too),
        CASE(a_busy_server_in_the_stream_keeps_the_version),
        CASE(a_busy_server_at_the_handshake_keeps_the_version),
        CASE(a_version_from_the_future_leads_to_a_new_list_after_a_second),
        CASE(every_end_of_a_watch_is_resumed_from_the_last_version),
        CASE(a_version_with_odd_bytes_stays_one_parameter),
        CASE(a_bookmark_moves_the_version_and_nothing_else),
        CASE(the_same_name_with_a_new_uid_is_another_object),
        CASE(a_silent_watch_is_repaired_by_the_periodic_list),
        CASE(a_bare_403_is_called_a_handshake_problem),
        CASE(a_refusal_for_want_of_rights_is_explained_by_a_plain_request),
        CASE(a_list_that_is_refused_is_told_and_tried_again),
        CASE(a_401_is_tried_once_more_at_once),
        CASE(reconnects_slow_down_with_jitter),
        CASE(pages_are_put_together_and_an_expired_page_starts_over),
        CASE(an_event_that_is_no_json_leads_to_a_new_list),
        CASE(the_watch_may_be_stopped_in_every_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
