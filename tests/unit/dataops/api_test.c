/* The job API over a real socket: what is on the wire, and lines that break. */
#include "dataops/api.h"

#include "dataops/trace.h"
#include "io/http.h"
#include "io/leftovers.h"
#include "io/loop.h"
#include "io/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct world {
    struct loop *loop;
    struct http *http;
    struct loopback server;
    struct dataops *dataops;
    /* what the server says */
    const char *status, *headers, *body;
    size_t promised; /* announces so many more bytes than it sends, then closes */
    size_t pad;      /* sends so many more bytes */
    /* what the server saw */
    char method[16], target[256], head[4096];
    struct strbuf stored;
    uint64_t seen_ms;
    /* what the caller got */
    bool done;
    int answered;
    struct error error;
    struct strbuf got;
};

static void serve(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;

    snprintf(world->method, sizeof(world->method), "%s", conn->method);
    snprintf(world->target, sizeof(world->target), "%.255s", conn->target);
    snprintf(world->head, sizeof(world->head), "%s", conn->head);
    world->seen_ms = loop_now_ms(world->loop);
    if (strcmp(conn->method, "PATCH") == 0) {
        OWNED_TEXT char *headers =
            mem_format("Range: 0-%zu\r\nJob-Status: running\r\nX-GitLab-Trace-Update-Interval: 1\r\n",
                       world->stored.length + conn->body_length);
        strbuf_add(&world->stored, conn->body, conn->body_length);
        loopback_reply(conn, "202 Accepted", headers, "");
        return;
    }
    OWNED_TEXT char *head = mem_format("HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", world->status, world->headers,
                                       strlen(world->body) + world->promised + world->pad, world->body);
    loopback_send_text(conn, head);
    if (world->pad > 0) {
        char *more = mem_new(world->pad);
        memset(more, ' ', world->pad);
        loopback_send(conn, more, world->pad);
        mem_free(more);
    }
    if (world->promised > 0 && !conn->dead)
        loopback_close(conn);
}

static void done(void *owner, const struct dataops_answer *answer)
{
    struct world *world = owner;

    world->done = true;
    world->answered = answer->status;
    world->error = answer->error;
    strbuf_cut(&world->got, 0);
    if (answer->reply)
        strbuf_add(&world->got, strbuf_text(&answer->reply->body), answer->reply->body.length);
}

static void set_world(struct world *world)
{
    struct error error;

    *world = (struct world){ .status = "204 No Content", .headers = "", .body = "" };
    world->loop = loop_new();
    world->http = http_new(world->loop, NULL);
    loopback_start(&world->server, world->loop, NULL, serve, world);
    OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u/ci/", world->server.port);
    const struct dataops_place place = { .url = url,
                                         .token = "glrt-1",
                                         .system_id = "s_0123456789ab",
                                         .executor = "kubernetes",
                                         .version = "0.1.0",
                                         .revision = "abc123" };
    world->dataops = dataops_new(world->loop, world->http, &place, &error);
    assert_non_null(world->dataops);
}

static void clear_world(struct world *world)
{
    dataops_free(world->dataops);
    http_free(world->http);
    loopback_stop(&world->server);
    strbuf_clear(&world->stored);
    strbuf_clear(&world->got);
    for (int i = 0; i < 5; i++)
        loop_turn(world->loop, 1);
    loop_free(world->loop);
}

static void poll_once(struct world *world)
{
    world->done = false;
    dataops_request_job(world->dataops, done, world);
    assert_true(loopback_until(world->loop, &world->done, 10000));
}

static void a_poll_looks_like_this(void **state)
{
    struct world world;

    (void)state;
    set_world(&world);
    world.status = "201 Created";
    world.headers = "Content-Type: application/json\r\n";
    world.body = "{\"id\":1}";
    poll_once(&world);
    assert_int_equal(world.answered, 201);
    assert_int_equal(world.error.blame, BLAME_NONE);
    assert_string_equal(strbuf_text(&world.got), "{\"id\":1}");
    assert_string_equal(world.method, "POST");
    assert_string_equal(world.target, "/api/v4/jobs/request");
    assert_non_null(strstr(world.head, "\r\nUser-Agent: dataops-runner 0.1.0 (abc123; linux/amd64)\r\n"));
    assert_non_null(strstr(world.head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(world.head, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(world.head, "\r\nX-Request-Id: "));
    clear_world(&world);
}

static void a_refused_connection_is_said(void **state)
{
    struct world world;

    (void)state;
    set_world(&world);
    loopback_stop(&world.server);
    poll_once(&world);
    assert_int_equal(world.answered, 0);
    assert_int_equal(world.error.blame, BLAME_REMOTE);
    assert_non_null(strstr(world.error.text, "127.0.0.1"));
    assert_null(strstr(world.error.text, "glrt-1"));
    loopback_start(&world.server, world.loop, NULL, serve, &world);
    clear_world(&world);
}

static void a_body_that_stops_half_way_is_handed_on(void **state)
{
    struct world world;

    (void)state;
    set_world(&world);
    world.status = "201 Created";
    world.headers = "Content-Type: application/json\r\n";
    world.body = "{\"id\":5,\"token\":\"t\",\"job_info";
    world.promised = 1000;
    poll_once(&world);
    assert_int_equal(world.answered, 201);
    assert_int_equal(world.error.blame, BLAME_REMOTE);
    assert_string_equal(strbuf_text(&world.got), "{\"id\":5,\"token\":\"t\",\"job_info");
    clear_world(&world);
}

static void a_payload_over_the_ceiling_is_refused_while_reading(void **state)
{
    struct world world;

    (void)state;
    set_world(&world);
    world.status = "201 Created";
    world.headers = "Content-Type: application/json\r\n";
    world.body = "{\"id\":5,\"token\":\"t\",";
    world.pad = 17 * MIB;
    poll_once(&world);
    assert_int_equal(world.answered, 201);
    assert_int_equal(world.error.blame, BLAME_REMOTE);
    assert_true(world.got.length > 0 && world.got.length <= 16 * MIB);
    assert_memory_equal(world.got.bytes, "{\"id\":5,\"token\":\"t\",", 20);
    clear_world(&world);
}

static void no_cancel(void *owner, bool gracefully)
{
    (void)gracefully;
    fail_msg("%p was not to be cancelled", owner);
}
static void no_wants(void *owner)
{
    (void)owner;
}
static void reported(void *owner, const struct error *error)
{
    struct world *world = owner;

    world->done = true;
    world->error = *error;
}

static void a_printed_line_arrives_within_a_fifth_of_a_second(void **state)
{
    static const struct trace_events events = { no_cancel, no_wants, reported };
    struct world world;

    (void)state;
    set_world(&world);
    world.status = "200 OK";
    world.headers = "Content-Type: application/json\r\nJob-Status: running\r\n";
    world.body = "200";
    const struct trace_input input = {
        .dataops = world.dataops, .loop = world.loop, .job_id = 7, .job_token = "glcbt-1"
    };
    struct trace *trace = trace_new(&input, &events, &world);
    uint64_t printed_ms = loop_now_ms(world.loop);
    assert_int_equal(trace_put(trace, "hello\n", 6), 6);
    while (world.stored.length == 0 && loop_now_ms(world.loop) < printed_ms + 5000)
        loop_turn(world.loop, 10);
    assert_true(world.seen_ms - printed_ms <= 200);
    assert_string_equal(world.target, "/api/v4/jobs/7/trace?debug_trace=false");
    assert_non_null(strstr(world.head, "\r\nContent-Range: 0-5\r\n"));
    assert_non_null(strstr(world.head, "\r\nJob-Token: glcbt-1\r\n"));
    assert_non_null(strstr(world.head, "\r\nContent-Type: text/plain\r\n"));
    char *more = mem_new(3 * MIB / 2);
    memset(more, 'x', 3 * MIB / 2);
    assert_int_equal(trace_put(trace, more, 3 * MIB / 2), 3 * MIB / 2);
    mem_free(more);
    trace_finish(trace, true, REASON_NONE, 0);
    assert_true(loopback_until(world.loop, &world.done, 10000));
    assert_int_equal(world.error.blame, BLAME_NONE);
    assert_int_equal(world.stored.length, 6 + 3 * MIB / 2);
    assert_string_equal(world.method, "PUT");
    trace_free(trace);
    clear_world(&world);
}

static void the_client_key_is_wiped_when_its_runner_goes(void **state)
{
    (void)state;
    struct error error;
    char *key = leftover_secret();
    struct dataops_place place = { .url = "https://dataops.example.com", .tls = { .cert_pem = "c", .key_pem = key } };
    struct dataops *dataops = dataops_new(NULL, NULL, &place, &error);
    assert_non_null(dataops);
    mem_wipe_free(key, strlen(key));
    assert_int_equal(leftovers(), 1);
    dataops_free(dataops);
    assert_int_equal(leftovers(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poll_looks_like_this),
        cmocka_unit_test(a_refused_connection_is_said),
        cmocka_unit_test(a_body_that_stops_half_way_is_handed_on),
        cmocka_unit_test(a_payload_over_the_ceiling_is_refused_while_reading),
        cmocka_unit_test(a_printed_line_arrives_within_a_fifth_of_a_second),
        cmocka_unit_test(the_client_key_is_wiped_when_its_runner_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
