/* Redirects: what travels to a URL that a server named, and what does not. */
#include "io/http_world.h"

static void redirects_are_followed_only_when_asked(void **state)
{
    struct world *world = *state;
    world->location = "/there";
    run(world, (struct http_request){ 0 }, "/redirect");
    assert_int_equal(world->status, 302);
    run(world, (struct http_request){ .follow_redirects = true, .sink = take }, "/redirect");
    assert_int_equal(world->status, 200);
    assert_string_equal(strbuf_text(&world->sunk), "/there");
    run(world, (struct http_request){ .method = "POST", .follow_redirects = true }, "/redirect");
    assert_int_equal(world->status, 302);
}

static void secrets_stay_on_the_host_they_were_meant_for(void **state)
{
    struct world *world = *state;
    const char *const headers[] = { "Job-Token: secret", "Authorization: Bearer secret", "Accept: text/plain", NULL };
    struct http_request request = { .headers = headers, .follow_redirects = true };
    world->location = "/there";
    run(world, request, "/redirect");
    assert_non_null(strstr(world->seen, "Job-Token: secret"));
    OWNED_TEXT char *elsewhere = mem_format("http://127.0.0.1:%u/there", world->other.port);
    world->location = elsewhere;
    run(world, request, "/redirect");
    assert_int_equal(world->status, 200);
    assert_int_equal(world->other.accepted, 1);
    assert_non_null(strstr(world->seen, "GET /there"));
    assert_non_null(strstr(world->seen, "Accept: text/plain"));
    assert_null(strstr(world->seen, "secret"));
}

/* An upload of 1000 bytes with secrets in its headers, to path. */
static void upload(struct world *world, const char *method, const char *path)
{
    static const char *const headers[] = { "Job-Token: secret", "Private-Token: secret", "X-Request-Id: 7", NULL };
    world->source_left = 1000;
    world->moves = 0;
    world->asked = 0;
    run(world,
        (struct http_request){ .method = method,
                               .headers = headers,
                               .source = give,
                               .source_size = -1,
                               .upload_name = "a.zip",
                               .follow_redirects = true,
                               .moved = moved },
        path);
}

static void an_upload_goes_on_elsewhere_without_its_secrets(void **state)
{
    struct world *world = *state;
    OWNED_TEXT char *elsewhere = mem_format("http://127.0.0.1:%u/there?signature=1", world->other.port);
    for (world->redirect_status = 307; world->redirect_status <= 308; world->redirect_status++) {
        world->location = "/there";
        upload(world, "POST", "/redirect");
        assert_int_equal(world->status, 200);
        assert_non_null(strstr(world->seen, "POST /there\n"));
        assert_non_null(strstr(world->seen, "Job-Token: secret"));
        assert_false(world->moved_elsewhere);
        world->location = elsewhere;
        upload(world, "POST", "/redirect");
        assert_int_equal(world->status, 200);
        assert_int_equal(world->moves, 1);
        assert_true(world->moved_elsewhere);
        assert_string_equal(world->moved_to, elsewhere);
        assert_non_null(strstr(world->seen, "POST /there?signature=1\n"));
        assert_non_null(strstr(world->seen, "X-Request-Id: 7"));
        assert_non_null(strstr(world->seen, "multipart/form-data"));
        assert_null(strstr(world->seen, "secret"));
    }
}

static void a_redirect_that_names_only_a_host_keeps_path_and_query(void **state)
{
    struct world *world = *state;
    static const char *const tails[] = { "", "/", "/redirect" };
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        OWNED_TEXT char *host = mem_format("http://127.0.0.1:%u%s", world->other.port, tails[i]);
        OWNED_TEXT char *whole = mem_format("http://127.0.0.1:%u/redirect?artifact_format=zip", world->other.port);
        world->location = host;
        world->redirect_status = 307;
        upload(world, "POST", "/redirect?artifact_format=zip");
        assert_string_equal(world->moved_to, whole);
    }
}

static void a_body_in_memory_is_never_repeated_and_the_owner_may_refuse(void **state)
{
    struct world *world = *state;
    world->location = "/there";
    world->redirect_status = 307;
    run(world,
        (struct http_request){
            .method = "PUT", .body = "token=secret", .body_length = 12, .follow_redirects = true, .moved = moved },
        "/redirect");
    assert_int_equal(world->status, 307);
    assert_int_equal(world->moves, 0);
    world->redirect_status = 302; /* would be a GET */
    upload(world, "POST", "/redirect");
    assert_int_equal(world->status, 302);
    assert_int_equal(world->moves, 0);
    world->redirect_status = 307;
    world->moved_answer = -1;
    upload(world, "POST", "/redirect");
    assert_int_equal(world->status, 307);
    assert_int_equal(world->moves, 1);
    assert_int_equal(world->asked, 1);
}

static void redirects_end(void **state)
{
    struct world *world = *state;
    world->location = "/redirect";
    run(world, (struct http_request){ .follow_redirects = true }, "/redirect");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_int_equal(world->asked, 6);
    world->location = "file:///etc/passwd";
    run(world, (struct http_request){ .follow_redirects = true }, "/redirect");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_non_null(strstr(world->error.text, "refused"));
}

/* A server that takes the client's certificate sends the client on. */
struct sender {
    struct world *world;
    const char *location;
    unsigned asked, certificates;
};

static void send_on(void *owner, struct loopback_conn *conn)
{
    struct sender *sender = owner;
    X509 *shown = conn->ssl ? SSL_get_peer_certificate(conn->ssl) : NULL;
    sender->asked++;
    sender->certificates += shown != NULL;
    X509_free(shown);
    if (sender->location) {
        OWNED_TEXT char *line = mem_format("Location: %s\r\n", sender->location);
        loopback_reply(conn, "307 Temporary Redirect", line, "moved");
    } else {
        loopback_reply(conn, "201 Created", "", "");
    }
}

static void a_client_certificate_and_https_do_not_follow_a_redirect(void **state)
{
    struct world *world = *state;
    struct identity ca = identity_make(NULL, "Test CA", NULL, 3600);
    struct identity leaf = identity_make(&ca, "server", "IP:127.0.0.1", 3600);
    struct identity client = identity_make(&ca, "client", NULL, 3600);
    SSL_CTX *context = identity_server(&leaf, &ca, NULL), *other_context = identity_server(&leaf, &ca, NULL);
    SSL_CTX_set_verify(other_context, SSL_VERIFY_PEER, NULL); /* asks for one, takes none */
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    OWNED_TEXT char *ca_pem = identity_certificate_pem(&ca);
    OWNED_TEXT char *cert_pem = identity_certificate_pem(&client);
    OWNED_TEXT char *key_pem = identity_key_pem(&client);
    struct http_tls tls = { .ca_only = true, .ca_pem = ca_pem, .cert_pem = cert_pem, .key_pem = key_pem };
    struct sender first = { .world = world }, second = { .world = world };
    struct loopback server, evil;
    loopback_start(&server, world->loop, context, send_on, &first);
    loopback_start(&evil, world->loop, other_context, send_on, &second);
    OWNED_TEXT char *url = mem_format("https://127.0.0.1:%u/x", server.port);
    OWNED_TEXT char *elsewhere = mem_format("https://127.0.0.1:%u/anything", evil.port);
    OWNED_TEXT char *plain = mem_format("http://127.0.0.1:%u/anything", world->other.port);
    struct http_request request = { .method = "POST",
                                    .url = url,
                                    .tls = &tls,
                                    .source = give,
                                    .source_size = -1,
                                    .follow_redirects = true,
                                    .moved = moved };
    first.location = elsewhere;
    world->source_left = 1000;
    run(world, request, "");
    assert_string_equal(world->error.text, "");
    assert_int_equal(world->status, 201);
    assert_int_equal(first.certificates, 1);
    assert_int_equal(second.asked, 1);
    assert_int_equal(second.certificates, 0);
    first.location = plain;
    run(world, request, "");
    assert_int_equal(world->error.blame, BLAME_REMOTE);
    assert_non_null(strstr(world->error.text, "redirect from https to http refused"));
    assert_int_equal(world->other.accepted, 0);
    loopback_stop(&server);
    loopback_stop(&evil);
    SSL_CTX_free(context);
    SSL_CTX_free(other_context);
    identity_clear(&ca);
    identity_clear(&leaf);
    identity_clear(&client);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(redirects_are_followed_only_when_asked),
        CASE(secrets_stay_on_the_host_they_were_meant_for),
        CASE(an_upload_goes_on_elsewhere_without_its_secrets),
        CASE(a_redirect_that_names_only_a_host_keeps_path_and_query),
        CASE(a_body_in_memory_is_never_repeated_and_the_owner_may_refuse),
        CASE(redirects_end),
        CASE(a_client_certificate_and_https_do_not_follow_a_redirect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
