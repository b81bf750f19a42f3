#include "io/listen.h"

#include "io/http.h"
#include "io/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
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

/* A visitor from 127.0.0.<last>, who says nothing yet. */
static int visit_from(struct world *world, unsigned last)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)listen_port(world->server)) };
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 + last) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    loop_turn(world->loop, 0);
    return fd;
}

static void visit_many(struct world *world, unsigned last, int *fds, int count)
{
    for (int i = 0; i < count; i++)
        fds[i] = visit_from(world, last);
}

static bool was_sent_away(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static void when_all_places_are_taken_the_oldest_silent_visitor_goes(void **state)
{
    struct world *world = *state;
    int a[128], b[128];
    visit_many(world, 2, a, 128);
    visit_many(world, 3, b, 128);
    assert_false(was_sent_away(a[0]));
    int late = visit_from(world, 4);
    assert_true(was_sent_away(a[0]));
    assert_false(was_sent_away(a[1]) || was_sent_away(b[0]));
    say(world, late, "GET /metrics HTTP/1.1\r\n\r\n", 25);
    char text[512] = "";
    assert_true(recv(late, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(text, "up 1"));
    close_all(a, 128);
    close_all(b, 128);
    close(late);
}

static void one_address_cannot_take_all_places(void **state)
{
    struct world *world = *state;
    int early = visit_from(world, 4), crowd[300], place = 0;
    visit_many(world, 2, crowd, 300);
    assert_false(was_sent_away(early));
    while (place < 300 && was_sent_away(crowd[place]))
        place++;
    assert_int_equal(place, 300 - 128);
    close_all(crowd, 300);
    close(early);
}

static void a_head_that_is_not_whole_after_a_second_ends_the_visit(void **state)
{
    struct world *world = *state;
    int fd = visit_from(world, 2);
    uint64_t began_ms = loop_now_ms(world->loop);
    while (!was_sent_away(fd) && loop_now_ms(world->loop) - began_ms < 4000) {
        uint64_t sent_ms = loop_now_ms(world->loop);
        if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) /* a byte now and then does not help */
            break;
        while (loop_now_ms(world->loop) - sent_ms < 100)
            loop_turn(world->loop, 20);
    }
    assert_in_range(loop_now_ms(world->loop) - began_ms, 900, 1600);
    close(fd);
}

/* Keeps many connections open without a word, and opens those anew that were closed. */
static void crowd(unsigned port)
{
    enum { CROWD = 400 };
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)port) };
    int fds[CROWD];
    memset(fds, -1, sizeof fds);
    for (;;)
        for (int i = 0; i < CROWD; i++) {
            char byte;
            if (fds[i] >= 0 && recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
                continue;
            if (fds[i] >= 0)
                close(fds[i]);
            fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            connect(fds[i], (struct sockaddr *)&to, sizeof to);
        }
}

static void probes_pass_while_a_silent_crowd_comes_back_again_and_again(void **state)
{
    struct world *world = *state;
    unsigned port = listen_port(world->server);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        crowd(port);
    }
    assert_true(child > 0);
    for (int i = 0; i < 40; i++)
        loop_turn(world->loop, 10);
    for (int i = 0; i < 20; i++) {
        uint64_t began_ms = loop_now_ms(world->loop);
        ask(world, "GET", "/metrics");
        assert_int_equal(world->status, 200);
        assert_in_range(loop_now_ms(world->loop) - began_ms, 0, 999); /* a kubelet waits for a second */
        for (int turn = 0; turn < 10; turn++)
            loop_turn(world->loop, 5);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void without_descriptors_it_pauses_and_then_goes_on(void **state)
{
    struct world *world = *state;
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)listen_port(world->server)) };
    struct rlimit before, none;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), turns = 0;
    loop_turn(world->loop, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)fd + 1;
    connect(fd, (struct sockaddr *)&to, sizeof to);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    do {
        loop_turn(world->loop, 20);
        turns++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 < 300);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_in_range(turns, 1, 60);
    say(world, fd, "GET /metrics HTTP/1.1\r\n\r\n", 25);
    for (int i = 0; i < 100 && world->asked == 0; i++)
        loop_turn(world->loop, 20);
    assert_int_equal(world->asked, 1);
    close(fd);
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
        CASE(when_all_places_are_taken_the_oldest_silent_visitor_goes),
        CASE(one_address_cannot_take_all_places),
        CASE(a_head_that_is_not_whole_after_a_second_ends_the_visit),
        CASE(probes_pass_while_a_silent_crowd_comes_back_again_and_again),
        CASE(without_descriptors_it_pauses_and_then_goes_on),
        CASE(the_server_may_be_stopped_while_it_answers),
        CASE(an_address_that_cannot_be_used_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
