#include "io/listen.h"

#include "io/http.h"
#include "io/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct world {
    struct loop *loop;
    struct http *http;
    struct listen_server *server;
    struct error error;
    char path[256];
    bool stop_in_answer;
    unsigned asked;
    bool done;
    int status;
    char body[256], type[64];
};

static int answer(void *owner, const char *path, struct strbuf *body, const char **content_type)
{
    struct world *world = owner;
    world->asked++;
    snprintf(world->path, sizeof world->path, "%s", path);
    if (world->stop_in_answer) {
        listen_stop(world->server);
        world->server = NULL;
    }
    if (strcmp(path, "/metrics") != 0)
        return 404;
    strbuf_add_text(body, "up 1\n");
    *content_type = "text/x-metrics";
    return 200;
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){ .loop = loop_new() };
    world.http = http_new(world.loop, "test");
    world.server = listen_start(world.loop, "127.0.0.1:0", answer, &world, &world.error);
    *state = &world;
    return world.server ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    http_free(world->http);
    listen_stop(world->server);
    loop_free(world->loop);
    return 0;
}

static void done(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct world *world = owner;
    (void)error;
    world->done = true;
    world->status = reply->status;
    snprintf(world->body, sizeof world->body, "%s", strbuf_text(&reply->body));
    if (!http_reply_header(reply, "Content-Type", world->type, sizeof world->type))
        world->type[0] = '\0';
}

static void ask(struct world *world, const char *method, const char *path)
{
    OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u%s", listen_port(world->server), path);
    struct http_request request = { .method = method, .url = url };
    world->done = false;
    http_start(world->http, &request, done, world);
    for (int i = 0; i < 200 && !world->done; i++)
        loop_turn(world->loop, 20);
    assert_true(world->done);
}

static void a_path_is_answered_without_its_query(void **state)
{
    struct world *world = *state;
    ask(world, "GET", "/metrics?x=1");
    assert_int_equal(world->status, 200);
    assert_string_equal(world->body, "up 1\n");
    assert_string_equal(world->type, "text/x-metrics");
    assert_string_equal(world->path, "/metrics");
    ask(world, "GET", "/other");
    assert_int_equal(world->status, 404);
    ask(world, "HEAD", "/metrics");
    assert_int_equal(world->status, 200);
    ask(world, "POST", "/metrics");
    assert_int_equal(world->status, 405);
    assert_int_equal(world->asked, 3);
}

static int visit(struct world *world)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)listen_port(world->server)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    loop_turn(world->loop, 20);
    return fd;
}

static void say(struct world *world, int fd, const char *text, size_t length)
{
    assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
    for (int i = 0; i < 5; i++)
        loop_turn(world->loop, 10);
}

static void a_request_may_come_in_pieces(void **state)
{
    struct world *world = *state;
    int fd = visit(world);
    say(world, fd, "GET /metrics HT", 15);
    assert_int_equal(world->asked, 0);
    say(world, fd, "TP/1.0\r\n\r\n", 10);
    char text[512] = "";
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "\r\n\r\nup 1\n"));
    close(fd);
}

static void nonsense_is_refused_and_an_endless_request_dropped(void **state)
{
    struct world *world = *state;
    char text[9000];
    int fd = visit(world);
    say(world, fd, "hello\r\n\r\n", 9);
    assert_true(recv(fd, text, sizeof text, 0) > 0);
    assert_memory_equal(text, "HTTP/1.1 400 ", 13);
    close(fd);
    fd = visit(world);
    memset(text, 'x', sizeof text);
    say(world, fd, text, sizeof text);
    assert_int_not_equal(recv(fd, text, sizeof text, MSG_DONTWAIT) > 0, 1);
    assert_int_equal(world->asked, 0);
    close(fd);
}

static void no_more_than_64_visitors_are_kept(void **state)
{
    struct world *world = *state;
    int fds[66];
    for (int i = 0; i < 66; i++)
        fds[i] = visit(world);
    for (int i = 0; i < 10; i++)
        loop_turn(world->loop, 5);
    char byte;
    assert_int_equal(recv(fds[65], &byte, 1, 0), 0);
    assert_int_equal(recv(fds[0], &byte, 1, 0), -1);
    for (int i = 0; i < 66; i++)
        close(fds[i]);
}

static void the_server_may_be_stopped_while_it_answers(void **state)
{
    struct world *world = *state;
    world->stop_in_answer = true;
    ask(world, "GET", "/metrics");
    assert_int_equal(world->status, 0);
}

static void an_address_that_cannot_be_used_is_named(void **state)
{
    struct world *world = *state;
    OWNED_TEXT char *taken = mem_format("127.0.0.1:%u", listen_port(world->server));
    assert_null(listen_start(world->loop, "9252", answer, world, &world->error));
    assert_int_equal(world->error.blame, BLAME_CONFIG);
    assert_null(listen_start(world->loop, "127.0.0.1:http", answer, world, &world->error));
    assert_null(listen_start(world->loop, taken, answer, world, &world->error));
    assert_non_null(strstr(world->error.text, "in use"));
    struct listen_server *every = listen_start(world->loop, ":0", answer, world, &world->error);
    assert_non_null(every);
    assert_true(listen_port(every) > 0);
    listen_stop(every);
    listen_stop(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_path_is_answered_without_its_query),
        CASE(a_request_may_come_in_pieces),
        CASE(nonsense_is_refused_and_an_endless_request_dropped),
        CASE(no_more_than_64_visitors_are_kept),
        CASE(the_server_may_be_stopped_while_it_answers),
        CASE(an_address_that_cannot_be_used_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
