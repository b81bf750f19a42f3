#include "kube/log.h"

#include "cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct world {
    struct cluster cluster;
    struct kube_log *log;
    struct strbuf text;
    bool ended, cancel_in_data;
    unsigned ends, streams, plains;
    enum kube_log_end end;
    struct error error;
    void (*stream)(struct loopback_conn *conn);
    void (*plain)(struct loopback_conn *conn);
    struct loopback_conn *conn;
    char target[2048], head[4096];
};

static void data(void *owner, const char *bytes, size_t length)
{
    struct world *world = owner;
    assert_true(length > 0);
    strbuf_add(&world->text, bytes, length);
    if (world->cancel_in_data)
        kube_log_cancel(world->log);
}

static void ended(void *owner, enum kube_log_end end, const struct error *error)
{
    struct world *world = owner;
    world->ended = true;
    world->ends++;
    world->end = end;
    world->error = *error;
    kube_log_cancel(world->log); /* has nothing to do any more */
}

static const struct kube_log_events events = { data, ended };

static void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    bool upgrade = *loopback_header(conn, "Upgrade") != '\0';
    if (upgrade || world->streams == 0) {
        snprintf(world->target, sizeof world->target, "%s", conn->target);
        snprintf(world->head, sizeof world->head, "%.4000s", conn->head);
    }
    world->conn = conn;
    if (upgrade) {
        world->streams++;
        world->stream(conn);
    } else {
        world->plains++;
        world->plain(conn);
    }
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
    cluster_stop(&world->cluster);
    strbuf_clear(&world->text);
    return 0;
}

static void run(struct world *world, struct kube_log_request request)
{
    request.ns = "ns";
    request.pod = "job-1";
    request.container = "courier";
    world->ended = false;
    strbuf_cut(&world->text, 0);
    world->log = kube_log_start(world->cluster.kube, &request, &events, world);
    assert_false(world->ended);
    assert_true(loopback_until(world->cluster.loop, &world->ended, 5000));
}

static void stream_some(struct loopback_conn *conn)
{
    loopback_accept(conn);
    loopback_frame(conn, 2, "", 0);
    loopback_frame(conn, 2, "caf\xc3", 4);
    loopback_frame(conn, 2, "\xa9\n", 2);
    loopback_frame(conn, 2, "end\n", 4);
    loopback_goodbye(conn, 1000);
}

static void frames_cut_anywhere_become_one_stream(void **state)
{
    struct world *world = *state;
    world->stream = stream_some;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_CLOSED);
    assert_string_equal(strbuf_text(&world->text), "caf\xc3\xa9\nend\n");
    assert_string_equal(world->target, "/api/v1/namespaces/ns/pods/job-1/log?container=courier&follow=true");
    assert_non_null(strstr(world->head, "\nSec-WebSocket-Protocol: binary.k8s.io\r\n"));
    assert_int_equal(world->plains, 0);
}

static void a_time_to_read_from_is_sent_in_whole_seconds(void **state)
{
    struct world *world = *state;
    world->stream = stream_some;
    run(world, (struct kube_log_request){ .follow = true, .since_unix_s = 1767225600 });
    assert_string_equal(cluster_query(world->target, "sinceTime"), "2026-01-01T00%3A00%3A00Z");
}

static void stream_reset(struct loopback_conn *conn)
{
    loopback_accept(conn);
    loopback_frame(conn, 2, "half", 4);
    loop_turn(conn->server->loop, 20);
    loopback_reset(conn);
}

static void a_cut_stream_ends_as_closed(void **state)
{
    struct world *world = *state;
    world->stream = stream_reset;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_CLOSED);
    assert_string_equal(strbuf_text(&world->text), "half");
}

static void no_node(struct loopback_conn *conn)
{
    loopback_send_text(conn, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void refuse(struct loopback_conn *conn, int code, const char *reason, const char *message)
{
    OWNED_TEXT char *body = cluster_status(code, reason, message, "");
    OWNED_TEXT char *line = mem_format("%d Refused", code);
    loopback_reply_json(conn, line, body);
}

static void waiting(struct loopback_conn *conn)
{
    refuse(conn, 400, "BadRequest",
           "container \\\"courier\\\" in pod \\\"job-1\\\" is waiting to start: ContainerCreating");
}

static void not_available(struct loopback_conn *conn)
{
    refuse(conn, 400, "BadRequest", "container \\\"courier\\\" in pod \\\"job-1\\\" is not available");
}

static void a_container_that_has_not_started_is_no_error(void **state)
{
    struct world *world = *state;
    world->stream = no_node;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_NOT_YET);
    assert_int_equal(world->plains, 0);
    world->stream = world->plain = waiting;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_NOT_YET);
    assert_int_equal(world->plains, 1);
    world->stream = world->plain = not_available;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_NOT_YET);
    world->plain = no_node;
    run(world, (struct kube_log_request){ 0 });
    assert_int_equal(world->end, LOG_NOT_YET);
}

static void missing(struct loopback_conn *conn)
{
    refuse(conn, 404, "NotFound", "pods \\\"job-1\\\" not found");
}

static void a_missing_pod_ends_the_stream(void **state)
{
    struct world *world = *state;
    world->stream = world->plain = missing;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_GONE);
    run(world, (struct kube_log_request){ 0 });
    assert_int_equal(world->end, LOG_GONE);
}

static void wrong_container(struct loopback_conn *conn)
{
    refuse(conn, 400, "BadRequest", "container courier is not valid for pod job-1");
}

static void rbac(struct loopback_conn *conn)
{
    refuse(conn, 403, "Forbidden",
           "pods \\\"job-1\\\" is forbidden: User \\\"u\\\" cannot get resource \\\"pods/log\\\" in API group");
}

static void kubelet_gone(struct loopback_conn *conn)
{
    refuse(conn, 500, "", "Get \\\"https://node:10250/containerLogs/x\\\": dial tcp: connect: connection refused");
}

static void refusals_are_told_apart_from_an_unreachable_node(void **state)
{
    struct world *world = *state;
    world->stream = world->plain = wrong_container;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_REFUSED);
    assert_string_equal(world->error.text,
                        "log of job-1/courier: 400 BadRequest: container courier is not valid for pod job-1");
    world->stream = world->plain = rbac;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_REFUSED);
    assert_int_equal(world->error.blame, BLAME_DENIED);
    world->stream = world->plain = kubelet_gone;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_UNREACHABLE);
    run(world, (struct kube_log_request){ 0 });
    assert_int_equal(world->end, LOG_UNREACHABLE);
}

static void empty_403(struct loopback_conn *conn)
{
    loopback_send_text(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
}

static void some_text(struct loopback_conn *conn)
{
    loopback_reply(conn, "200 OK", "Content-Type: text/plain\r\n", "the whole log\n");
}

static void a_handshake_that_a_proxy_refuses_is_called_that(void **state)
{
    struct world *world = *state;
    world->stream = empty_403;
    world->plain = some_text;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_REFUSED);
    assert_non_null(strstr(world->error.text, "handshake"));
    assert_int_equal(world->text.length, 0);
}

static void a_container_that_started_in_between_is_asked_for_again(void **state)
{
    struct world *world = *state;
    world->stream = waiting;
    world->plain = some_text;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_NOT_YET);
    assert_int_equal(world->text.length, 0);
}

static void unauthorized(struct loopback_conn *conn)
{
    refuse(conn, 401, "Unauthorized", "Unauthorized");
}

static void a_401_is_tried_once_more(void **state)
{
    struct world *world = *state;
    world->stream = world->plain = unauthorized;
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_REFUSED);
    assert_int_equal(world->streams, 2);
}

static void a_plain_read_gives_the_whole_log(void **state)
{
    struct world *world = *state;
    world->plain = some_text;
    run(world, (struct kube_log_request){ 0 });
    assert_int_equal(world->end, LOG_CLOSED);
    assert_int_equal(world->error.blame, BLAME_NONE);
    assert_string_equal(strbuf_text(&world->text), "the whole log\n");
    assert_string_equal(world->target, "/api/v1/namespaces/ns/pods/job-1/log?container=courier");
    run(world, (struct kube_log_request){ .most_bytes = 5 });
    assert_int_equal(world->end, LOG_REFUSED);
    assert_non_null(strstr(world->error.text, "longer than 5 bytes"));
}

static void an_unreachable_server_is_told(void **state)
{
    struct world *world = *state;
    struct kube *good = world->cluster.kube;
    world->cluster.kube = cluster_client(&world->cluster, &(struct kube_place){ .host = "http://127.0.0.1:1" });
    run(world, (struct kube_log_request){ .follow = true });
    assert_int_equal(world->end, LOG_UNREACHABLE);
    kube_free(world->cluster.kube);
    world->cluster.kube = good;
}

static void reading_may_be_cancelled_at_any_moment(void **state)
{
    struct world *world = *state;
    struct kube_log_request request = { .ns = "ns", .pod = "p", .container = "c", .follow = true };
    world->stream = stream_some;
    world->plain = some_text;
    kube_log_cancel(NULL);
    kube_log_cancel(kube_log_start(world->cluster.kube, &request, &events, world));
    world->cancel_in_data = true;
    world->log = kube_log_start(world->cluster.kube, &request, &events, world);
    loopback_until(world->cluster.loop, &world->ended, 200);
    assert_string_equal(strbuf_text(&world->text), "caf\xc3");
    strbuf_cut(&world->text, 0);
    request.follow = false;
    world->log = kube_log_start(world->cluster.kube, &request, &events, world);
    loopback_until(world->cluster.loop, &world->ended, 200);
    assert_string_equal(strbuf_text(&world->text), "the whole log\n");
    assert_int_equal(world->ends, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(frames_cut_anywhere_become_one_stream),
        CASE(a_time_to_read_from_is_sent_in_whole_seconds),
        CASE(a_cut_stream_ends_as_closed),
        CASE(a_container_that_has_not_started_is_no_error),
        CASE(a_missing_pod_ends_the_stream),
        CASE(refusals_are_told_apart_from_an_unreachable_node),
        CASE(a_handshake_that_a_proxy_refuses_is_called_that),
        CASE(a_container_that_started_in_between_is_asked_for_again),
        CASE(a_401_is_tried_once_more),
        CASE(a_plain_read_gives_the_whole_log),
        CASE(an_unreachable_server_is_told),
        CASE(reading_may_be_cancelled_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
