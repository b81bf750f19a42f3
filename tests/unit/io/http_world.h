/* One client and two servers on one loop, for the tests of io/http: what done saw, what the servers were asked. */
#ifndef TESTS_HTTP_WORLD_H
#define TESTS_HTTP_WORLD_H

#include "io/http.h"

#include "io/certificates.h"
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
    struct loopback server, other;
    struct http_call *call;
    /* what done saw */
    bool done;
    unsigned dones;
    int status;
    struct error error;
    struct strbuf body, sunk;
    char header[256], request_id[64];
    /* how the test wants it */
    bool cancel_in_sink, cancel_in_done, free_in_done, restart_in_done, sink_fails;
    unsigned source_left, waits;
    const char *location;
    unsigned redirect_status;
    int moved_answer;
    unsigned moves;
    bool moved_elsewhere;
    char moved_to[300];
    char seen[4096];
    unsigned asked;
};

static inline void done(void *owner, const struct http_reply *reply, const struct error *error)
{
    struct world *world = owner;
    world->done = true;
    world->dones++;
    world->status = reply->status;
    world->error = *error;
    strbuf_cut(&world->body, 0);
    strbuf_add(&world->body, strbuf_text(&reply->body), reply->body.length);
    if (!http_reply_header(reply, "x-answer", world->header, sizeof world->header))
        world->header[0] = '\0';
    memcpy(world->request_id, reply->remote_request_id, sizeof world->request_id);
    if (world->cancel_in_done)
        http_cancel(world->call);
    if (world->free_in_done) {
        http_free(world->http);
        world->http = NULL;
    }
    if (world->restart_in_done) {
        OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u/again", world->server.port);
        struct http_request request = { .method = "GET", .url = url };
        world->restart_in_done = false;
        world->done = false;
        world->call = http_start(world->http, &request, done, world);
    }
}

static inline int take(void *owner, const char *bytes, size_t length)
{
    struct world *world = owner;
    strbuf_add(&world->sunk, bytes, length);
    if (world->cancel_in_sink) {
        world->cancel_in_sink = false;
        http_cancel(world->call);
    }
    return world->sink_fails ? -1 : 0;
}

static inline long give(void *owner, char *bytes, size_t size)
{
    struct world *world = owner;
    size_t length = world->source_left < size ? world->source_left : size;
    memset(bytes, 'u', length);
    world->source_left -= (unsigned)length;
    return (long)length;
}

static inline long give_nothing(void *owner, char *bytes, size_t size)
{
    (void)owner;
    (void)bytes;
    (void)size;
    return -1;
}

static inline int moved(void *owner, const char *url, bool is_elsewhere)
{
    struct world *world = owner;
    world->moves++;
    world->moved_elsewhere = is_elsewhere;
    snprintf(world->moved_to, sizeof world->moved_to, "%s", url);
    world->source_left = 1000;
    return world->moved_answer;
}

static inline void answer(void *owner, struct loopback_conn *conn)
{
    struct world *world = owner;
    const char *target = conn->target;
    world->asked++;
    snprintf(world->seen, sizeof world->seen, "%s %s\n%s", conn->method, target, conn->head);
    if (strcmp(target, "/echo") == 0) {
        OWNED_TEXT char *text = mem_copy(conn->body, conn->body_length);
        loopback_reply(conn, "200 OK", "X-Answer:  forty-two \r\nX-Request-Id: r1\r\n", text);
    } else if (strncmp(target, "/redirect", 9) == 0 && conn->server == &world->server) {
        OWNED_TEXT char *line = mem_format("Location: %s\r\n", world->location);
        OWNED_TEXT char *status = mem_format("%u Moved", world->redirect_status ? world->redirect_status : 302);
        loopback_reply(conn, status, line, "moved");
    } else if (strcmp(target, "/refuse") == 0) {
        loopback_reply(conn, "403 Forbidden", "", "no");
    } else if (strcmp(target, "/big") == 0) {
        char text[5001];
        memset(text, 'b', 5000);
        text[5000] = '\0';
        loopback_reply(conn, "200 OK", "", text);
    } else if (strcmp(target, "/cut") == 0) {
        loopback_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        loopback_close(conn);
    } else if (strcmp(target, "/headers") == 0) {
        loopback_send_text(conn, "HTTP/1.1 200 OK\r\n");
        char line[1025];
        memset(line, 'h', sizeof line);
        memcpy(line, "X: ", 3);
        memcpy(line + 1022, "\r\n", 3);
        for (int i = 0; i < 100 && !conn->dead; i++)
            loopback_send_text(conn, line);
    } else if (strcmp(target, "/die") == 0) {
        loopback_reset(conn);
    } else if (strcmp(target, "/silent") != 0) {
        loopback_reply(conn, "200 OK", "", target);
    }
}

static inline int set_up(void **state)
{
    static struct world world;
    world = (struct world){ .loop = loop_new() };
    world.http = http_new(world.loop, "test/1");
    loopback_start(&world.server, world.loop, NULL, answer, &world);
    loopback_start(&world.other, world.loop, NULL, answer, &world);
    *state = &world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *world = *state;
    http_free(world->http);
    loopback_stop(&world->server);
    loopback_stop(&world->other);
    strbuf_clear(&world->body);
    strbuf_clear(&world->sunk);
    loop_free(world->loop);
    return 0;
}

static inline void start(struct world *world, struct http_request request, const char *path)
{
    OWNED_TEXT char *url = mem_format("http://127.0.0.1:%u%s", world->server.port, path);
    if (!request.url)
        request.url = url;
    if (!request.method)
        request.method = "GET";
    world->done = false;
    world->call = http_start(world->http, &request, done, world);
    assert_false(world->done);
}

static inline void run(struct world *world, struct http_request request, const char *path)
{
    start(world, request, path);
    assert_true(loopback_until(world->loop, &world->done, 5000));
}

#endif
