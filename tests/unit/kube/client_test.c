#include "kube/client.h"

#include "cluster.h"
#include "io/certificates.h"
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct world {
    struct cluster cluster;
    struct kube_call *call;
    /* what done saw */
    bool done;
    unsigned dones;
    enum kube_class kind;
    int status;
    struct error error;
    char name[64];
    struct strbuf sunk;
    bool cancel_in_done, free_in_done;
    /* what the server is to do */
    const char *script[8]; /* "503", "429 1", "200", "reset", "silent"; the last one stays */
    unsigned asked, open, most_open;
    char method[16], target[2048], head[4096], body[4096];
};

static void done(void *owner, const struct kube_answer *answer)
{
    struct world *world = owner;
    world->done = true;
    world->dones++;
    world->kind = answer->kind;
    world->status = answer->status;
    world->error = answer->error;
    snprintf(world->name, sizeof world->name, "%s", json_text_at(answer->object, "metadata.name", ""));
    if (world->cancel_in_done)
        kube_cancel(world->call);
    if (world->free_in_done) {
        kube_free(world->cluster.kube);
        world->cluster.kube = NULL;
    }
}

static int take(void *owner, const char *bytes, size_t length)
{
    struct world *world = owner;
    strbuf_add(&world->sunk, bytes, length);
    return 0;
}

static void act(struct loopback_conn *conn, const char *what)
{
    int code = (int)strtol(what, NULL, 10);
    if (strcmp(what, "reset") == 0) {
        loopback_reset(conn);
    } else if (strcmp(what, "silent") == 0) {
        return;
    } else if (strcmp(what, "half") == 0) {
        loopback_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst half");
        loopback_close(conn);
    } else if (strcmp(what, "429 text") == 0) {
        loopback_reply(conn, "429 Too Many Requests", "Retry-After: 1\r\n",
                       "Too many requests, please try again later.");
    } else if (strcmp(what, "text") == 0) {
        loopback_reply(conn, "200 OK", "Content-Type: text/plain\r\n", "plain words");
    } else if (strcmp(what, "403 rights") == 0) {
        OWNED_TEXT char *body =
            cluster_status(403, "Forbidden", "pods is forbidden: User \"u\" cannot get resource \"pods\"", "");
        loopback_reply_json(conn, "403 Forbidden", body);
    } else if (code == 200) {
        loopback_reply_json(conn, "200 OK", "{\"metadata\":{\"name\":\"x\"}}");
    } else {
        OWNED_TEXT char *line = mem_format("%d Whatever", code);
        const char *reason = strchr(what, ' ');
        OWNED_TEXT char *body = cluster_status(code, reason ? reason + 1 : "InternalError", "the message", "");
        loopback_reply_json(conn, line, body);
    }
}

static void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    world->asked++;
    snprintf(world->method, sizeof world->method, "%s", conn->method);
    snprintf(world->target, sizeof world->target, "%s", conn->target);
    snprintf(world->head, sizeof world->head, "%s", conn->head);
    snprintf(world->body, sizeof world->body, "%s", conn->body);
    const char *what = world->script[0];
    if (world->script[1])
        memmove(world->script, world->script + 1, sizeof(world->script) - sizeof(world->script[0]));
    act(conn, what);
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
    strbuf_clear(&world->sunk);
    return 0;
}

#define PLAY(world, ...) memcpy((world)->script, ((const char *const[8]){ __VA_ARGS__ }), sizeof((world)->script))

static void until_done(struct world *world, uint64_t most_ms)
{
    assert_false(world->done);
    assert_true(loopback_until(world->cluster.loop, &world->done, most_ms));
    world->call = NULL;
}

static struct cJSON *pod(const char *name)
{
    struct cJSON *object = json_object();
    json_set_text(json_set_object(object, "metadata"), "name", name);
    return object;
}

static void run_get(struct world *world)
{
    world->done = false;
    world->call = kube_get(world->cluster.kube, "ns", "pods", "x", done, world);
    until_done(world, 10000);
}

static void a_get_carries_token_and_accept(void **state)
{
    struct world *world = *state;
    PLAY(world, "200");
    run_get(world);
    assert_int_equal(world->kind, KUBE_OK);
    assert_string_equal(world->name, "x");
    assert_string_equal(world->target, "/api/v1/namespaces/ns/pods/x");
    assert_non_null(strstr(world->head, "Authorization: Bearer token-1\r\n"));
    assert_non_null(strstr(world->head, "Accept: application/json\r\n"));
    assert_non_null(strstr(world->head, "User-Agent: dataops-runner/" DATAOPS_VERSION "\r\n"));
}

static void paths_follow_group_and_resource(void **state)
{
    struct world *world = *state;
    PLAY(world, "200");
    kube_get(world->cluster.kube, "a b", "leases", "l", done, world);
    until_done(world, 5000);
    assert_string_equal(world->target, "/apis/coordination.k8s.io/v1/namespaces/a%20b/leases/l");
    world->done = false;
    kube_list(world->cluster.kube, "ns", "events", "fieldSelector=involvedObject.uid%3Du", done, world);
    until_done(world, 5000);
    assert_string_equal(world->target, "/api/v1/namespaces/ns/events?fieldSelector=involvedObject.uid%3Du");
}

static void a_create_sends_the_object_and_its_type(void **state)
{
    struct world *world = *state;
    OWNED_JSON struct cJSON *object = pod("x");
    PLAY(world, "200");
    kube_create(world->cluster.kube, "ns", "pods", object, done, world);
    until_done(world, 5000);
    assert_string_equal(world->method, "POST");
    assert_string_equal(world->body, "{\"metadata\":{\"name\":\"x\"}}");
    assert_non_null(strstr(world->head, "Content-Type: application/json\r\n"));
    world->done = false;
    kube_create_dry(world->cluster.kube, "ns", "secrets", object, done, world);
    until_done(world, 5000);
    assert_string_equal(world->target, "/api/v1/namespaces/ns/secrets?dryRun=All");
}

static void a_create_whose_answer_was_lost_is_sent_again_and_ends_as_exists(void **state)
{
    struct world *world = *state;
    OWNED_JSON struct cJSON *object = pod("x");
    PLAY(world, "reset", "409 AlreadyExists");
    kube_create(world->cluster.kube, "ns", "pods", object, done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_EXISTS);
    assert_true(world->asked >= 2);
    assert_string_equal(world->error.text, "create pod x: 409 AlreadyExists: the message");
}

static void a_delete_carries_the_uid_and_what_is_gone_counts_as_deleted(void **state)
{
    struct world *world = *state;
    PLAY(world, "200", "404 NotFound", "409 Conflict", "403 Forbidden");
    for (int i = 0; i < 4; i++) {
        world->done = false;
        kube_delete(world->cluster.kube, "ns", "pods", "x", "u-1", i == 0 ? 5 : -1, done, world);
        until_done(world, 5000);
        assert_int_equal(world->kind, i < 3 ? KUBE_OK : KUBE_REFUSED);
        assert_string_equal(world->method, "DELETE");
        assert_string_equal(
            world->body,
            i == 0
                ? "{\"gracePeriodSeconds\":5,\"preconditions\":{\"uid\":\"u-1\"},\"propagationPolicy\":\"Background\"}"
                : "{\"preconditions\":{\"uid\":\"u-1\"},\"propagationPolicy\":\"Background\"}");
    }
}

static void a_patch_is_a_merge_patch(void **state)
{
    struct world *world = *state;
    OWNED_JSON struct cJSON *patch = pod("x");
    PLAY(world, "200");
    kube_patch(world->cluster.kube, "ns", "pods", "x", patch, done, world);
    until_done(world, 5000);
    assert_string_equal(world->method, "PATCH");
    assert_non_null(strstr(world->head, "Content-Type: application/merge-patch+json\r\n"));
}

static void transient_failures_are_repeated_and_bounded(void **state)
{
    struct world *world = *state;
    PLAY(world, "503 ServiceUnavailable", "500 InternalError", "200");
    run_get(world);
    assert_int_equal(world->kind, KUBE_OK);
    assert_int_equal(world->asked, 3);
    world->asked = 0;
    PLAY(world, "503 ServiceUnavailable");
    world->done = false;
    kube_get(world->cluster.kube, "ns", "pods", "x", done, world);
    until_done(world, 30000);
    assert_int_equal(world->kind, KUBE_FAILED);
    assert_int_equal(world->asked, 5);
}

static void a_server_that_comes_back_may_not_know_the_rights_yet(void **state)
{
    struct world *world = *state;
    PLAY(world, "503 ServiceUnavailable", "403 rights", "200");
    run_get(world);
    assert_int_equal(world->kind, KUBE_OK);
    assert_int_equal(world->asked, 3);
    world->asked = 0;
    PLAY(world, "403 rights");
    world->done = false;
    kube_get(world->cluster.kube, "ns", "pods", "x", done, world);
    until_done(world, 30000);
    assert_int_equal(world->kind, KUBE_BUSY);
    assert_int_equal(world->asked, 5);
}

static void refusals_and_unsafe_requests_are_not_repeated(void **state)
{
    struct world *world = *state;
    OWNED_JSON struct cJSON *object = pod("x");
    PLAY(world, "422 Invalid");
    run_get(world);
    assert_int_equal(world->kind, KUBE_REFUSED);
    assert_int_equal(world->asked, 1);
    PLAY(world, "503 ServiceUnavailable");
    world->done = false;
    kube_put(world->cluster.kube, "ns", "leases", "x", object, done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_FAILED);
    assert_int_equal(world->asked, 2);
}

static void a_busy_server_is_given_its_time(void **state)
{
    struct world *world = *state;
    PLAY(world, "429 text", "200");
    uint64_t begun = loop_now_ms(world->cluster.loop);
    run_get(world);
    assert_int_equal(world->kind, KUBE_OK);
    assert_true(loop_now_ms(world->cluster.loop) - begun >= 1000);
}

static void a_deadline_ends_each_try(void **state)
{
    struct world *world = *state;
    PLAY(world, "silent");
    struct kube_request request = { .method = "GET", .path = "/api/v1/x", .timeout_ms = 50, .what = "look" };
    kube_start(world->cluster.kube, &request, done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_FAILED);
    assert_int_equal(world->error.blame, BLAME_TIMEOUT);
    assert_int_equal(world->asked, 1);
}

static void plain_text_goes_to_the_sink_and_is_never_sent_twice(void **state)
{
    struct world *world = *state;
    struct kube_request request = {
        .method = "GET", .path = "/api/v1/x", .raw = true, .sink = take, .idempotent = true
    };
    PLAY(world, "text");
    kube_start(world->cluster.kube, &request, done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_OK);
    assert_string_equal(strbuf_text(&world->sunk), "plain words");
    world->done = false;
    world->asked = 0;
    PLAY(world, "half");
    kube_start(world->cluster.kube, &request, done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_FAILED);
    assert_int_equal(world->asked, 1);
}

static void an_unreachable_server_is_named(void **state)
{
    struct world *world = *state;
    PLAY(world, "200");
    struct kube *kube = cluster_client(&world->cluster, &(struct kube_place){ .host = "http://127.0.0.1:1" });
    struct kube_request request = { .method = "GET", .path = "/api/v1/x", .what = "look" };
    kube_start(kube, &request, done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_FAILED);
    assert_int_equal(world->status, 0);
    assert_non_null(strstr(world->error.text, "look: GET http://127.0.0.1:1/api/v1/x"));
    kube_free(kube);
}

static void a_burst_queues_here(void **state)
{
    struct world *world = *state;
    PLAY(world, "200");
    for (int i = 0; i < 100; i++)
        kube_get(world->cluster.kube, "ns", "pods", "x", done, world);
    uint64_t until = loop_now_ms(world->cluster.loop) + 5000;
    while (world->dones < 100 && loop_now_ms(world->cluster.loop) < until)
        loop_turn(world->cluster.loop, 20);
    assert_int_equal(world->dones, 100);
    assert_true(world->cluster.server.accepted <= 8);
}

static void slow_logs_do_not_keep_objects_waiting(void **state)
{
    struct world *world = *state;
    PLAY(world, "silent");
    struct kube_request request = { .method = "GET", .path = "/api/v1/x/log", .raw = true, .sink = take };
    for (int i = 0; i < 40; i++)
        kube_start(world->cluster.kube, &request, done, world);
    loopback_until(world->cluster.loop, &world->done, 200);
    assert_int_equal(world->cluster.server.accepted, 32);
    PLAY(world, "200");
    run_get(world);
    assert_int_equal(world->kind, KUBE_OK);
}

static void calls_may_be_cancelled_at_any_moment(void **state)
{
    struct world *world = *state;
    PLAY(world, "503 ServiceUnavailable");
    kube_cancel(NULL);
    kube_cancel(kube_get(world->cluster.kube, "ns", "pods", "x", done, world));
    struct kube_call *waiting = kube_get(world->cluster.kube, "ns", "pods", "x", done, world);
    loopback_until(world->cluster.loop, &world->done, 100); /* now between two tries */
    kube_cancel(waiting);
    PLAY(world, "200");
    world->cancel_in_done = true;
    run_get(world);
    assert_int_equal(world->dones, 1);
    for (int i = 0; i < 40; i++)
        kube_get(world->cluster.kube, "ns", "pods", "x", done, world); /* and freed while they are under way */
}

static void the_client_may_be_freed_inside_done(void **state)
{
    struct world *world = *state;
    PLAY(world, "200");
    kube_get(world->cluster.kube, "ns", "pods", "y", done, world);
    kube_get(world->cluster.kube, "ns", "pods", "z", done, world);
    world->free_in_done = true;
    run_get(world);
    loop_turn(world->cluster.loop, 50);
    assert_int_equal(world->dones, 1);
}

/* --- a service account --- */

static char account[64];

static void account_file(const char *name, const char *text)
{
    struct error error = ERROR_NONE;
    OWNED_TEXT char *path = mem_format("%s/%s", account, name);
    assert_int_equal(file_write(path, text, strlen(text), 0600, &error), 0);
}

static void a_401_makes_the_token_be_read_again(void **state)
{
    struct world *world = *state;
    struct identity ca = identity_make(NULL, "Cluster CA", NULL, 3600);
    struct identity leaf = identity_make(&ca, "apiserver", "IP:127.0.0.1", 3600);
    SSL_CTX *context = identity_server(&leaf, NULL, NULL);
    OWNED_TEXT char *ca_pem = identity_certificate_pem(&ca);
    struct loopback server;
    loopback_start(&server, world->cluster.loop, context, answer, world);
    snprintf(account, sizeof account, "/tmp/client_test_XXXXXX");
    assert_non_null(mkdtemp(account));
    account_file("token", "old\n");
    account_file("ca.crt", ca_pem);
    account_file("namespace", "jobs");
    OWNED_TEXT char *port = mem_format("%u", server.port);
    struct kube *kube = cluster_client(
        &world->cluster,
        &(struct kube_place){ .service_host = "127.0.0.1", .service_port = port, .service_account = account });
    assert_non_null(kube);
    assert_string_equal(kube_namespace(kube), "jobs");
    account_file("token", "new\n");
    PLAY(world, "401 Unauthorized", "200");
    kube_get(kube, "ns", "pods", "x", done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_OK);
    assert_non_null(strstr(world->head, "Authorization: Bearer new\r\n"));
    /* a token that cannot be read any more leaves the old one in force; a second 401 is final */
    account_file("token", "  \n");
    PLAY(world, "401 Unauthorized");
    world->asked = 0;
    world->done = false;
    kube_get(kube, "ns", "pods", "x", done, world);
    until_done(world, 5000);
    assert_int_equal(world->kind, KUBE_UNAUTHORIZED);
    assert_int_equal(world->asked, 2);
    assert_non_null(strstr(world->head, "Authorization: Bearer new\r\n"));
    kube_free(kube);
    loopback_stop(&server);
    SSL_CTX_free(context);
    identity_clear(&ca);
    identity_clear(&leaf);
    struct error error = ERROR_NONE;
    assert_int_equal(file_remove_tree(account, &error), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_get_carries_token_and_accept),
        CASE(paths_follow_group_and_resource),
        CASE(a_create_sends_the_object_and_its_type),
        CASE(a_create_whose_answer_was_lost_is_sent_again_and_ends_as_exists),
        CASE(a_delete_carries_the_uid_and_what_is_gone_counts_as_deleted),
        CASE(a_patch_is_a_merge_patch),
        CASE(transient_failures_are_repeated_and_bounded),
        CASE(a_server_that_comes_back_may_not_know_the_rights_yet),
        CASE(refusals_and_unsafe_requests_are_not_repeated),
        CASE(a_busy_server_is_given_its_time),
        CASE(a_deadline_ends_each_try),
        CASE(plain_text_goes_to_the_sink_and_is_never_sent_twice),
        CASE(an_unreachable_server_is_named),
        CASE(a_burst_queues_here),
        CASE(slow_logs_do_not_keep_objects_waiting),
        CASE(calls_may_be_cancelled_at_any_moment),
        CASE(the_client_may_be_freed_inside_done),
        CASE(a_401_makes_the_token_be_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
