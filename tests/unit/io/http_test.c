#include "http_headers.h"
#include "io/http_world.h"

static void a_body_goes_there_and_back(void **state)
{
    struct world *world = *state;
    const char *const headers[] = { "Content-Type: text/x-test", NULL };
    run(world, (struct http_request){ .method = "POST", .headers = headers, .body = "hello", .body_length = 5 },
        "/echo");
    assert_int_equal(world->error.blame, BLAME_NONE);
    assert_int_equal(world->status, 200);
    assert_string_equal(strbuf_text(&world->body), "hello");
    assert_string_equal(world->header, "forty-two");
    assert_string_equal(world->request_id, "r1");
    assert_non_null(strstr(world->seen, "POST /echo\n"));
    assert_non_null(strstr(world->seen, "Content-Type: text/x-test\r\n"));
    assert_non_null(strstr(world->seen, "User-Agent: test/1\r\n"));
    assert_non_null(strstr(world->seen, "Content-Length: 5\r\n"));
    assert_null(strstr(world->seen, "Expect:"));
}

static void every_method_goes_out_as_it_is(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ .method = "PATCH", .body = "abc", .body_length = 3 }, "/echo");
    assert_non_null(strstr(world->seen, "PATCH /echo\n"));
    run(world, (struct http_request){ .method = "DELETE", .body = "{}", .body_length = 2 }, "/echo");
    assert_non_null(strstr(world->seen, "DELETE /echo\n"));
    assert_string_equal(strbuf_text(&world->body), "{}");
    run(world, (struct http_request){ .method = "DELETE" }, "/echo");
    assert_null(strstr(world->seen, "Content-Length"));
    run(world, (struct http_request){ .method = "POST" }, "/echo");
    assert_non_null(strstr(world->seen, "Content-Length: 0\r\n"));
    run(world, (struct http_request){ .method = "HEAD" }, "/refuse");
    assert_int_equal(world->status, 403);
}

static void connections_are_reused(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 5; i++)
        run(world, (struct http_request){ 0 }, "/x");
    assert_int_equal(world->server.accepted, 1);
    assert_int_equal(http_count(world->http), 5);
}

static void a_kept_connection_that_died_is_replaced(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ 0 }, "/x");
    loopback_reset(list_of(world->server.conns.next, struct loopback_conn, node));
    run(world, (struct http_request){ .method = "POST", .body = "again", .body_length = 5 }, "/echo");
    assert_int_equal(world->status, 200);
    assert_string_equal(strbuf_text(&world->body), "again");
}

static void a_refusal_is_an_answer_and_not_an_error(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ .sink = take }, "/refuse");
    assert_int_equal(world->error.blame, BLAME_NONE);
    assert_int_equal(world->status, 403);
    assert_string_equal(strbuf_text(&world->body), "no");
    assert_int_equal(world->sunk.length, 0);
}

static void a_sink_takes_a_good_body(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ .sink = take }, "/big");
    assert_int_equal(world->sunk.length, 5000);
    assert_int_equal(world->body.length, 0);
    world->sink_fails = true;
    run(world, (struct http_request){ .sink = take }, "/big");
    assert_int_equal(world->error.blame, BLAME_SYSTEM);
}

static void an_answer_over_the_ceiling_is_refused(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ .body_most = 4999 }, "/big");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_int_equal(world->error.code, 0);
    assert_non_null(strstr(world->error.text, "longer than 4999 bytes"));
    run(world, (struct http_request){ .body_most = 5000 }, "/big");
    assert_int_equal(world->error.blame, BLAME_NONE);
    run(world, (struct http_request){ 0 }, "/headers");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
}

static void broken_and_missing_answers_are_errors(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ 0 }, "/cut");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    run(world, (struct http_request){ 0 }, "/die");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_int_equal(world->status, 0);
    run(world, (struct http_request){ .url = "http://127.0.0.1:1/?token=secret" }, "");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_non_null(strstr(world->error.text, "GET http://127.0.0.1:1/"));
    assert_null(strstr(world->error.text, "secret"));
    run(world, (struct http_request){ .url = "ftp://127.0.0.1/" }, "");
    assert_int_equal(world->error.blame, BLAME_INPUT);
}

static void silence_ends_at_the_deadline(void **state)
{
    struct world *world = *state;
    run(world, (struct http_request){ .timeout_ms = 50 }, "/silent");
    assert_int_equal(world->error.blame, BLAME_TIMEOUT);
    run(world, (struct http_request){ .answer_timeout_ms = 50 }, "/silent");
    assert_int_equal(world->error.blame, BLAME_TIMEOUT);
    assert_non_null(strstr(world->error.text, "no answer within 50 ms"));
}

static void a_file_goes_up_as_multipart(void **state)
{
    struct world *world = *state;
    world->source_left = 100000;
    run(world, (struct http_request){ .method = "POST", .source = give, .source_size = -1, .upload_name = "a.zip" },
        "/echo");
    assert_int_equal(world->status, 200);
    const char *body = strbuf_text(&world->body);
    assert_non_null(strstr(body, "name=\"file\"; filename=\"a.zip\""));
    assert_true(world->body.length > 100000);
    assert_non_null(strstr(world->seen, "Transfer-Encoding: chunked"));
    world->source_left = 70000;
    run(world, (struct http_request){ .method = "POST", .source = give, .source_size = 70000 }, "/echo");
    assert_null(strstr(world->seen, "chunked"));
}

static void a_stream_can_be_the_whole_body(void **state)
{
    struct world *world = *state;
    world->source_left = 70000;
    run(world, (struct http_request){ .method = "PUT", .source = give, .source_size = 70000, .source_is_body = true },
        "/echo");
    assert_int_equal(world->body.length, 70000);
    run(world,
        (struct http_request){ .method = "PUT", .source = give_nothing, .source_size = 70, .source_is_body = true },
        "/echo");
    assert_int_equal(world->error.blame, BLAME_SYSTEM);
}

/* A source that has a byte now and then. */
static long give_slowly(void *owner, char *bytes, size_t size)
{
    struct world *world = owner;
    if (world->waits++ % 2 == 0)
        return HTTP_SOURCE_WAITS;
    return give(world, bytes, size < 100 ? size : 100);
}

static void a_source_may_wait_for_what_comes(void **state)
{
    struct world *world = *state;
    struct http_request request = {
        .method = "POST", .source = give_slowly, .source_size = -1, .upload_name = "a.zip"
    };
    world->source_left = 450;
    start(world, request, "/echo");
    for (int i = 0; i < 200 && !world->done; i++) {
        loop_turn(world->loop, 5);
        http_source_ready(world->done ? NULL : world->call);
    }
    assert_true(world->done);
    assert_int_equal(world->status, 200);
    assert_true(world->body.length > 450);
    assert_true(world->waits >= 10);
}

static void a_refusal_ends_a_call_whose_source_waits(void **state)
{
    struct world *world = *state;
    struct http_request request = {
        .method = "POST", .source = give_slowly, .source_size = -1, .upload_name = "a.zip"
    };
    world->server.hold = true; /* the answer comes before the request is over */
    world->source_left = 450;
    start(world, request, "/echo");
    while (world->waits == 0 || list_is_empty(&world->server.conns))
        loop_turn(world->loop, 10);
    struct loopback_conn *conn = list_of(world->server.conns.next, struct loopback_conn, node);
    loopback_reply(conn, "413 Request Entity Too Large", "Connection: close\r\n", "no");
    assert_true(loopback_until(world->loop, &world->done, 3000));
    assert_int_equal(world->status, 413);
    assert_int_equal(world->waits, 1);
}

static void calls_may_be_cancelled_at_any_moment(void **state)
{
    struct world *world = *state;
    http_cancel(NULL);
    start(world, (struct http_request){ 0 }, "/x");
    http_cancel(world->call); /* before it began */
    start(world, (struct http_request){ 0 }, "/silent");
    for (int i = 0; i < 5; i++)
        loop_turn(world->loop, 10);
    http_cancel(world->call); /* while it waits */
    world->cancel_in_sink = true;
    start(world, (struct http_request){ .sink = take }, "/big");
    loopback_until(world->loop, &world->done, 100);
    assert_int_equal(world->dones, 0);
    assert_false(world->cancel_in_sink);
    world->cancel_in_done = true;
    run(world, (struct http_request){ 0 }, "/x");
    assert_int_equal(world->dones, 1);
}

static void the_client_may_be_freed_inside_done(void **state)
{
    struct world *world = *state;
    start(world, (struct http_request){ 0 }, "/silent");
    world->free_in_done = true;
    run(world, (struct http_request){ 0 }, "/x");
    assert_int_equal(world->dones, 1);
}

static void a_new_call_may_start_inside_done(void **state)
{
    struct world *world = *state;
    world->restart_in_done = true;
    run(world, (struct http_request){ 0 }, "/x");
    assert_true(loopback_until(world->loop, &world->done, 1000));
    assert_string_equal(strbuf_text(&world->body), "/again");
}

/* --- TLS --- */

struct tls_case {
    const char *names; /* in the server's certificate */
    long ends_in_s;
    bool trust, insecure, want_client, give_client;
    const char *server_name;
};

/* Runs one GET against a TLS server made for the case. */
static void run_tls(struct world *world, const struct tls_case *tried)
{
    struct identity ca = identity_make(NULL, "Test CA", NULL, 3600);
    struct identity leaf = identity_make(&ca, "server", tried->names, tried->ends_in_s);
    struct identity client = identity_make(&ca, "client", NULL, 3600);
    SSL_CTX *context = identity_server(&leaf, tried->want_client ? &ca : NULL, NULL);
    OWNED_TEXT char *ca_pem = identity_certificate_pem(&ca);
    OWNED_TEXT char *cert_pem = identity_certificate_pem(&client);
    OWNED_TEXT char *key_pem = identity_key_pem(&client);
    struct loopback server;
    loopback_start(&server, world->loop, context, answer, world);
    OWNED_TEXT char *url = mem_format("https://127.0.0.1:%u/x", server.port);
    struct http_tls tls = {
        .ca_only = true, .insecure = tried->insecure, .ca_key = "tls-ca-file", .server_name = tried->server_name
    };
    if (tried->trust)
        tls.ca_pem = ca_pem;
    if (tried->give_client) {
        tls.cert_pem = cert_pem;
        tls.key_pem = key_pem;
    }
    run(world, (struct http_request){ .url = url, .tls = &tls }, "");
    loopback_stop(&server);
    SSL_CTX_free(context);
    identity_clear(&ca);
    identity_clear(&leaf);
    identity_clear(&client);
}

static void a_trusted_certificate_for_the_address_is_accepted(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true });
    assert_string_equal(world->error.text, "");
    assert_int_equal(world->status, 200);
}

static void an_unknown_ca_names_the_key_to_set(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600 });
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_non_null(strstr(world->error.text, "unknown CA"));
    assert_non_null(strstr(world->error.text, "tls-ca-file"));
}

static void a_wrong_name_is_called_that(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "DNS:elsewhere.test", .ends_in_s = 3600, .trust = true });
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_non_null(strstr(world->error.text, "another name"));
}

static void an_expired_certificate_is_called_that(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = -60, .trust = true });
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_non_null(strstr(world->error.text, "expired"));
}

static void insecure_accepts_anything(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "DNS:elsewhere.test", .ends_in_s = -60, .insecure = true });
    assert_int_equal(world->status, 200);
}

static void another_server_name_can_be_verified(void **state)
{
    struct world *world = *state;
    run_tls(world,
            &(struct tls_case){
                .names = "DNS:elsewhere.test", .ends_in_s = 3600, .trust = true, .server_name = "elsewhere.test" });
    assert_string_equal(world->error.text, "");
    assert_int_equal(world->status, 200);
    assert_non_null(strstr(world->seen, "Host: 127.0.0.1:"));
}

static void a_client_certificate_is_shown_when_given(void **state)
{
    struct world *world = *state;
    run_tls(world,
            &(struct tls_case){
                .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true, .want_client = true, .give_client = true });
    assert_string_equal(world->error.text, "");
    assert_int_equal(world->status, 200);
    run_tls(world,
            &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true, .want_client = true });
    assert_int_not_equal(world->error.blame, BLAME_NONE);
}

static void plain_http_on_the_other_side_is_recognised(void **state)
{
    struct world *world = *state;
    OWNED_TEXT char *url = mem_format("https://127.0.0.1:%u/", world->server.port);
    /* a server that was sent TLS answers with an error page at once; ours would wait for the end of the request */
    world->server.hold = true;
    start(world, (struct http_request){ .url = url }, "");
    while (world->server.accepted == 0 || list_is_empty(&world->server.conns))
        loop_turn(world->loop, 10);
    loopback_send_text(list_of(world->server.conns.next, struct loopback_conn, node),
                       "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_true(loopback_until(world->loop, &world->done, 2000));
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_non_null(strstr(world->error.text, "plain HTTP"));
}

static void tls_on_the_other_side_is_recognised(void **state)
{
    struct world *world = *state;
    static const char *const answers[] = { "", "\x15\x03\x01\x02\x02\x46" }; /* nothing, or a TLS alert */
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u/", world->server.port);
        world->server.hold = true;
        world->done = false;
        unsigned accepted = world->server.accepted;
        start(world, (struct http_request){ .url = url }, "");
        while (world->server.accepted == accepted || list_is_empty(&world->server.conns))
            loop_turn(world->loop, 10);
        struct loopback_conn *conn = list_of(world->server.conns.next, struct loopback_conn, node);
        loopback_send_text(conn, answers[i]);
        loopback_close(conn);
        assert_true(loopback_until(world->loop, &world->done, 2000));
        if (!strstr(world->error.text, "begins with https://"))
            fail_msg("%s", world->error.text);
    }
}

static void status_lines_and_harmless_headers_are_recognised(void **state)
{
    (void)state;
    assert_int_equal(header_status("HTTP/1.1 204 No Content"), 204);
    assert_int_equal(header_status("HTTP/2 200"), 200);
    assert_int_equal(header_status("HTTP/1.1 2"), 0);
    assert_int_equal(header_status("Server: x 200"), 0);
    assert_true(header_travels("accept: */*"));
    assert_false(header_travels("PRIVATE-TOKEN: x"));
    assert_false(header_travels("Accepted: x"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_body_goes_there_and_back),
        CASE(every_method_goes_out_as_it_is),
        CASE(connections_are_reused),
        CASE(a_kept_connection_that_died_is_replaced),
        CASE(a_refusal_is_an_answer_and_not_an_error),
        CASE(a_sink_takes_a_good_body),
        CASE(an_answer_over_the_ceiling_is_refused),
        CASE(broken_and_missing_answers_are_errors),
        CASE(silence_ends_at_the_deadline),
        CASE(a_file_goes_up_as_multipart),
        CASE(a_stream_can_be_the_whole_body),
        CASE(a_source_may_wait_for_what_comes),
        CASE(a_refusal_ends_a_call_whose_source_waits),
        CASE(calls_may_be_cancelled_at_any_moment),
        CASE(the_client_may_be_freed_inside_done),
        CASE(a_new_call_may_start_inside_done),
        CASE(a_trusted_certificate_for_the_address_is_accepted),
        CASE(an_unknown_ca_names_the_key_to_set),
        CASE(a_wrong_name_is_called_that),
        CASE(an_expired_certificate_is_called_that),
        CASE(insecure_accepts_anything),
        CASE(another_server_name_can_be_verified),
        CASE(a_client_certificate_is_shown_when_given),
        CASE(plain_http_on_the_other_side_is_recognised),
        CASE(tls_on_the_other_side_is_recognised),
        CASE(status_lines_and_harmless_headers_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
