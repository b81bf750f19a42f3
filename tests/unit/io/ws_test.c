#include "io/ws.h"

#include "io/certificates.h"
#include "io/descriptors.h"
#include "io/loop.h"
#include "io/loopback.h"
#include "ws_tuning.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct world {
    struct loop *loop;
    struct ws *ws;
    struct loopback server;
    struct ws_stream *stream;
    /* what the stream said */
    bool opened, closed, had_opened;
    unsigned messages, pieces, closes;
    int status;
    struct error error;
    struct strbuf message, last;
    /* how the test wants it */
    bool cancel_in_opened, cancel_in_data, cancel_in_closed;
    void (*serve)(struct world *world, struct loopback_conn *conn);
    char seen[24000];
};

static void opened(void *owner)
{
    struct world *world = owner;
    world->opened = true;
    if (world->cancel_in_opened)
        ws_cancel(world->stream);
}

static void data(void *owner, const char *bytes, size_t length, bool last)
{
    struct world *world = owner;
    world->pieces++;
    strbuf_add(&world->message, bytes, length);
    if (last) {
        world->messages++;
        strbuf_cut(&world->last, 0);
        strbuf_add(&world->last, world->message.bytes, world->message.length);
        strbuf_cut(&world->message, 0);
    }
    if (world->cancel_in_data)
        ws_cancel(world->stream);
}

static void closed(void *owner, int status, bool had_opened, const struct error *error)
{
    struct world *world = owner;
    world->closed = true;
    world->closes++;
    world->status = status;
    world->had_opened = had_opened;
    world->error = *error;
    if (world->cancel_in_closed)
        ws_cancel(world->stream);
}

static const struct ws_events events = { opened, data, closed };

static void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    snprintf(world->seen, sizeof world->seen, "%s %s\n%s", conn->method, conn->target, conn->head);
    world->serve(world, conn);
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){ .loop = loop_new() };
    world.ws = ws_new(world.loop);
    loopback_start(&world.server, world.loop, NULL, answer, &world);
    *state = &world;
    return world.ws ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    ws_free(world->ws);
    loopback_stop(&world->server);
    strbuf_clear(&world->message);
    strbuf_clear(&world->last);
    loop_free(world->loop);
    return 0;
}

static void start(struct world *world, struct ws_request request)
{
    OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u/api/v1/pods?watch=1", world->server.port);
    if (!request.url)
        request.url = url;
    world->closed = world->opened = false;
    world->stream = ws_open(world->ws, &request, &events, world);
    assert_false(world->closed);
}

static void run(struct world *world, struct ws_request request)
{
    start(world, request);
    assert_true(loopback_until(world->loop, &world->closed, 5000));
}

static void hello(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_accept(conn);
    loopback_text(conn, "hello");
    loopback_text(conn, "world");
    loopback_goodbye(conn, 1000);
}

static void messages_arrive_and_an_ordinary_close_is_no_error(void **state)
{
    struct world *world = *state;
    world->serve = hello;
    run(world, (struct ws_request){ .protocol = "binary.k8s.io", .bearer = "token-1", .user_agent = "test/1" });
    assert_true(world->had_opened);
    assert_int_equal(world->messages, 2);
    assert_string_equal(strbuf_text(&world->last), "world");
    assert_int_equal(world->error.blame, BLAME_NONE);
    assert_int_equal(world->closes, 1);
}

static void the_handshake_carries_what_kubernetes_wants(void **state)
{
    struct world *world = *state;
    world->serve = hello;
    run(world, (struct ws_request){ .protocol = "binary.k8s.io", .bearer = "token-1", .user_agent = "test/1" });
    OWNED_TEXT char *origin = mem_format("\nOrigin: http://127.0.0.1:%u\r\n", world->server.port);
    OWNED_TEXT char *host = mem_format("\nHost: 127.0.0.1:%u\r\n", world->server.port);
    assert_non_null(strstr(world->seen, "GET /api/v1/pods?watch=1\n"));
    assert_non_null(strstr(world->seen, origin));
    assert_non_null(strstr(world->seen, host));
    assert_non_null(strstr(world->seen, "\nAuthorization: Bearer token-1\r\n"));
    assert_non_null(strstr(world->seen, "\nUser-Agent: test/1\r\n"));
    assert_non_null(strstr(world->seen, "\nSec-WebSocket-Protocol: binary.k8s.io\r\n"));
    assert_null(strstr(strstr(world->seen, "Authorization:") + 1, "Authorization:"));
    run(world, (struct ws_request){ 0 });
    assert_null(strstr(world->seen, "Sec-WebSocket-Protocol"));
    assert_null(strstr(world->seen, "Authorization"));
}

static void a_long_token_fits_and_a_longer_one_is_an_error(void **state)
{
    struct world *world = *state;
    world->serve = hello;
    char token[20001];
    memset(token, 't', sizeof token);
    token[8000] = '\0';
    run(world, (struct ws_request){ .bearer = token });
    assert_true(world->had_opened);
    assert_non_null(strstr(world->seen, token));
    token[8000] = 't';
    token[20000] = '\0';
    run(world, (struct ws_request){ .bearer = token });
    assert_false(world->had_opened);
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_non_null(strstr(world->error.text, "too long"));
    assert_null(strstr(world->error.text, "ttt"));
}

static void big(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    size_t length = 1500000;
    char *text = mem_new(length);
    memset(text, 'x', length);
    loopback_accept(conn);
    loopback_frame(conn, 1, text, length);
    mem_free(text);
}

static void a_big_message_comes_in_pieces(void **state)
{
    struct world *world = *state;
    world->serve = big;
    start(world, (struct ws_request){ 0 });
    uint64_t until = loop_now_ms(world->loop) + 5000;
    while (world->messages < 1 && loop_now_ms(world->loop) < until)
        loop_turn(world->loop, 20);
    assert_int_equal(world->messages, 1);
    assert_int_equal(world->last.length, 1500000);
    assert_true(world->pieces > 100);
    ws_cancel(world->stream);
}

static void refuse(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_reply_json(conn, "403 Forbidden", "{\"kind\":\"Status\"}");
}

static void no_content(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_send_text(conn, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void redirect(struct world *world, struct loopback_conn *conn)
{
    OWNED_TEXT char *line = mem_format("Location: http://127.0.0.1:%u/elsewhere\r\n", world->server.port);
    loopback_reply(conn, "302 Found", line, "");
}

static void a_refused_handshake_gives_its_status(void **state)
{
    struct world *world = *state;
    world->serve = refuse;
    run(world, (struct ws_request){ 0 });
    assert_false(world->had_opened);
    assert_int_equal(world->status, 403);
    assert_int_equal(world->error.blame, BLAME_DENIED);
    world->serve = no_content;
    run(world, (struct ws_request){ 0 });
    assert_int_equal(world->status, 204);
    world->serve = redirect;
    run(world, (struct ws_request){ .bearer = "secret" });
    assert_int_equal(world->status, 302);
    assert_int_equal(world->server.accepted, 3);
    assert_int_equal(world->closes, 3);
}

static void reset(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_accept(conn);
    loopback_text(conn, "first");
    loop_turn(world->loop, 20);
    loopback_reset(conn);
}

static void die(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_reset(conn);
}

static void a_lost_connection_is_an_error(void **state)
{
    struct world *world = *state;
    world->serve = reset;
    run(world, (struct ws_request){ 0 });
    assert_true(world->had_opened);
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_non_null(strstr(world->error.text, "lost"));
    world->serve = die;
    run(world, (struct ws_request){ 0 });
    assert_false(world->had_opened);
    assert_int_equal(world->status, 0);
    run(world, (struct ws_request){ .url = "http://127.0.0.1:1/" });
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    run(world, (struct ws_request){ .url = "http://no such host/" });
    assert_int_not_equal(world->error.blame, BLAME_NONE);
    run(world, (struct ws_request){ .url = "nonsense" });
    assert_int_not_equal(world->error.blame, BLAME_NONE);
}

static void ignore(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    (void)conn;
}

static void opening_ends_at_its_deadline(void **state)
{
    struct world *world = *state;
    world->serve = ignore;
    run(world, (struct ws_request){ .open_timeout_ms = 100 });
    assert_int_equal(world->error.blame, BLAME_TIMEOUT);
    assert_false(world->had_opened);
}

static void wait_open(struct world *world, struct loopback_conn *conn)
{
    (void)world;
    loopback_accept(conn);
}

static void a_quiet_connection_is_pinged_and_lives(void **state)
{
    struct world *world = *state;
    ws_tune(world->ws, 1, 3);
    world->serve = wait_open;
    start(world, (struct ws_request){ 0 });
    loopback_until(world->loop, &world->closed, 4500);
    assert_false(world->closed);
    assert_in_range(list_of(world->server.conns.next, struct loopback_conn, node)->pings, 2, 5);
    ws_cancel(world->stream);
}

static void a_connection_without_pongs_is_given_up(void **state)
{
    struct world *world = *state;
    ws_tune(world->ws, 1, 2);
    world->server.mute = true;
    world->serve = wait_open;
    start(world, (struct ws_request){ 0 });
    assert_true(loopback_until(world->loop, &world->closed, 5000));
    assert_true(world->had_opened);
    assert_int_equal(world->error.blame, BLAME_REMOTE);
}

static void streams_may_be_cancelled_at_any_moment(void **state)
{
    struct world *world = *state;
    ws_cancel(NULL);
    world->serve = hello;
    start(world, (struct ws_request){ 0 });
    ws_cancel(world->stream); /* before the name was resolved */
    start(world, (struct ws_request){ 0 });
    loop_turn(world->loop, 5);
    ws_cancel(world->stream); /* while connecting */
    world->cancel_in_opened = true;
    start(world, (struct ws_request){ 0 });
    assert_true(loopback_until(world->loop, &world->opened, 1000));
    world->cancel_in_opened = false;
    world->cancel_in_data = true;
    start(world, (struct ws_request){ 0 });
    loopback_until(world->loop, &world->closed, 200);
    assert_int_equal(world->messages, 1);
    assert_int_equal(world->closes, 0);
    world->cancel_in_data = false;
    world->cancel_in_closed = true;
    run(world, (struct ws_request){ 0 });
    assert_int_equal(world->closes, 1);
}

static void many_streams_live_side_by_side(void **state)
{
    struct world *world = *state;
    world->serve = hello;
    for (int i = 0; i < 50; i++)
        start(world, (struct ws_request){ 0 });
    uint64_t until = loop_now_ms(world->loop) + 5000;
    while (world->closes < 50 && loop_now_ms(world->loop) < until)
        loop_turn(world->loop, 20);
    assert_int_equal(world->closes, 50);
    assert_int_equal(world->messages, 100);
}

/* --- TLS --- */

struct tls_case {
    const char *names;
    long ends_in_s;
    bool trust, insecure, want_client, give_client, second_in_bundle;
    const char *server_name, *host;
};

static void run_tls(struct world *world, const struct tls_case *tried)
{
    struct identity ca = identity_make(NULL, "Test CA", NULL, 3600);
    struct identity other = identity_make(NULL, "Other CA", NULL, 3600);
    struct identity leaf = identity_make(&ca, "server", tried->names, tried->ends_in_s);
    struct identity client = identity_make(&ca, "client", NULL, 3600);
    char alpn[64] = "";
    SSL_CTX *context = identity_server(&leaf, tried->want_client ? &ca : NULL, alpn);
    OWNED_TEXT char *one_pem = identity_certificate_pem(&ca);
    OWNED_TEXT char *other_pem = identity_certificate_pem(&other);
    OWNED_TEXT char *ca_pem = mem_format("%s%s", tried->second_in_bundle ? other_pem : "", one_pem);
    OWNED_TEXT char *cert_pem = identity_certificate_pem(&client);
    OWNED_TEXT char *key_pem = identity_key_pem(&client);
    struct loopback server;
    world->serve = hello;
    loopback_start(&server, world->loop, context, answer, world);
    OWNED_TEXT char *url = mem_format("https://%s:%u/x", tried->host ? tried->host : "127.0.0.1", server.port);
    struct http_tls tls = { .ca_pem = tried->trust ? ca_pem : other_pem,
                            .ca_only = true,
                            .insecure = tried->insecure,
                            .ca_key = "certificate-authority",
                            .server_name = tried->server_name };
    if (tried->give_client) {
        tls.cert_pem = cert_pem;
        tls.key_pem = key_pem;
    }
    world->messages = 0;
    run(world, (struct ws_request){ .url = url, .tls = &tls });
    if (world->had_opened)
        assert_string_equal(alpn, "\x08http/1.1");
    loopback_stop(&server);
    SSL_CTX_free(context);
    identity_clear(&ca);
    identity_clear(&other);
    identity_clear(&leaf);
    identity_clear(&client);
}

static void an_address_is_verified_as_an_address(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true });
    assert_string_equal(world->error.text, "");
    assert_true(world->had_opened);
    assert_int_equal(world->messages, 2);
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.2", .ends_in_s = 3600, .trust = true });
    assert_false(world->had_opened);
    assert_non_null(strstr(world->error.text, "another name"));
    run_tls(world, &(struct tls_case){ .names = "DNS:127.0.0.1", .ends_in_s = 3600, .trust = true });
    assert_false(world->had_opened);
}

static void streams_after_the_first_resume_its_tls_session(void **state)
{
    struct world *world = *state;
    struct identity ca = identity_make(NULL, "Test CA", NULL, 3600);
    struct identity leaf = identity_make(&ca, "server", "IP:127.0.0.1", 3600);
    char alpn[64] = "";
    SSL_CTX *context = identity_server(&leaf, NULL, alpn);
    OWNED_TEXT char *ca_pem = identity_certificate_pem(&ca);
    struct loopback server;
    world->serve = hello;
    loopback_start(&server, world->loop, context, answer, world);
    OWNED_TEXT char *url = mem_format("https://127.0.0.1:%u/x", server.port);
    struct http_tls tls = { .ca_pem = ca_pem, .ca_only = true };
    for (int i = 0; i < 3; i++) {
        run(world, (struct ws_request){ .url = url, .tls = &tls });
        assert_string_equal(world->error.text, "");
    }
    assert_int_equal(world->messages, 6);
    assert_int_equal(SSL_CTX_sess_hits(context), 2);
    loopback_stop(&server);
    SSL_CTX_free(context);
    identity_clear(&ca);
    identity_clear(&leaf);
}

static void a_name_is_verified_as_a_name(void **state)
{
    struct world *world = *state;
    run_tls(world,
            &(struct tls_case){ .names = "DNS:localhost", .ends_in_s = 3600, .trust = true, .host = "localhost" });
    assert_string_equal(world->error.text, "");
    run_tls(world,
            &(struct tls_case){
                .names = "DNS:elsewhere.test", .ends_in_s = 3600, .trust = true, .server_name = "elsewhere.test" });
    assert_string_equal(world->error.text, "");
    assert_true(world->had_opened);
}

static void every_certificate_of_a_bundle_is_trusted(void **state)
{
    struct world *world = *state;
    run_tls(world,
            &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true, .second_in_bundle = true });
    assert_string_equal(world->error.text, "");
}

static void tls_failures_are_told_in_words(void **state)
{
    struct world *world = *state;
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600 });
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_non_null(strstr(world->error.text, "unknown CA"));
    assert_non_null(strstr(world->error.text, "certificate-authority"));
    run_tls(world, &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = -60, .trust = true });
    assert_non_null(strstr(world->error.text, "expired"));
    run_tls(world, &(struct tls_case){ .names = "DNS:elsewhere.test", .ends_in_s = -60, .insecure = true });
    assert_true(world->had_opened);
}

static void a_client_certificate_is_shown_when_given(void **state)
{
    struct world *world = *state;
    run_tls(world,
            &(struct tls_case){
                .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true, .want_client = true, .give_client = true });
    assert_string_equal(world->error.text, "");
    run_tls(world,
            &(struct tls_case){ .names = "IP:127.0.0.1", .ends_in_s = 3600, .trust = true, .want_client = true });
    assert_false(world->had_opened);
}

static void a_ca_that_is_none_is_an_error_of_the_configuration(void **state)
{
    struct world *world = *state;
    struct http_tls tls = { .ca_pem = "nonsense", .ca_only = true, .ca_key = "ca_file" };
    run(world, (struct ws_request){ .url = "https://127.0.0.1:1/", .tls = &tls });
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_non_null(strstr(world->error.text, "ca_file"));
}

static void count_closed(void *owner, int status UNUSED, bool had_opened UNUSED, const struct error *error)
{
    struct world *world = owner;
    world->closes++;
    world->error = *error;
}

/* Nobody answers: all of them stay until they are cancelled. */
static void more_than_a_thousand_streams_are_open_at_once(void **state)
{
    enum { STREAMS = 1200 };
    struct world *world = *state;
    static const struct ws_events counts = { .closed = count_closed };
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(fd, 4096), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u/", ntohs(name.sin_port));
    struct ws_request request = { .url = url };
    struct ws *ws;
    if (descriptors_raise() < STREAMS + 100)
        skip();
    ws = ws_new(world->loop);
    for (int i = 0; i < STREAMS; i++) {
        assert_non_null(ws_open(ws, &request, &counts, world));
        loop_turn(world->loop, 0);
    }
    for (int i = 0; i < 50; i++)
        loop_turn(world->loop, 10);
    if (world->closes != 0)
        fail_msg("%u of them are over: %s", world->closes, world->error.text);
    ws_free(ws);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(messages_arrive_and_an_ordinary_close_is_no_error),
        CASE(the_handshake_carries_what_kubernetes_wants),
        CASE(a_long_token_fits_and_a_longer_one_is_an_error),
        CASE(a_big_message_comes_in_pieces),
        CASE(a_refused_handshake_gives_its_status),
        CASE(more_than_a_thousand_streams_are_open_at_once),
        CASE(a_lost_connection_is_an_error),
        CASE(opening_ends_at_its_deadline),
        CASE(a_quiet_connection_is_pinged_and_lives),
        CASE(a_connection_without_pongs_is_given_up),
        CASE(streams_may_be_cancelled_at_any_moment),
        CASE(many_streams_live_side_by_side),
        CASE(an_address_is_verified_as_an_address),
        CASE(streams_after_the_first_resume_its_tls_session),
        CASE(a_name_is_verified_as_a_name),
        CASE(every_certificate_of_a_bundle_is_trusted),
        CASE(tls_failures_are_told_in_words),
        CASE(a_client_certificate_is_shown_when_given),
        CASE(a_ca_that_is_none_is_an_error_of_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
