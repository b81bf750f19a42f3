/* A scripted HTTP/1.1, TLS and websocket server on 127.0.0.1, on the same loop as what is tested. A test gives one
 * function that is called for each whole request and answers with the loopback_ functions. */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include "base/list.h"
#include "base/strbuf.h"
#include "io/loop.h"
#include "text/digest.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct loopback;

struct loopback_conn {
    struct list node;
    struct loopback *server;
    int fd;
    SSL *ssl;
    struct watch *watch;
    struct strbuf in, out;
    bool websocket, close_when_sent, dead;
    /* of the request that is being answered */
    char method[16], target[2048];
    const char *head; /* all header lines */
    const char *body;
    size_t body_length;
    unsigned requests;
    unsigned pings, closes; /* websocket frames that came */
};

typedef void loopback_answer(void *owner, struct loopback_conn *conn);

struct loopback {
    struct loop *loop;
    struct watch *watch;
    int fd;
    unsigned port;
    struct list conns;
    SSL_CTX *tls;
    loopback_answer *answer;
    void *owner;
    unsigned accepted; /* connections */
    bool mute;         /* websocket pings are not answered */
    bool hold;         /* nothing is read */
};

static inline void loopback_free_conn(void *owner)
{
    struct loopback_conn *conn = owner;
    strbuf_clear(&conn->in);
    strbuf_clear(&conn->out);
    mem_free(conn);
}

static inline void loopback_drop(struct loopback_conn *conn)
{
    if (conn->dead)
        return;
    conn->dead = true;
    watch_stop(conn->watch);
    SSL_free(conn->ssl);
    close(conn->fd);
    list_remove(&conn->node);
    loop_later(conn->server->loop, loopback_free_conn, conn);
}

/* Ends the connection with a TCP reset. */
static inline void loopback_reset(struct loopback_conn *conn)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    loopback_drop(conn);
}

static inline void loopback_flush(struct loopback_conn *conn)
{
    while (!conn->dead && conn->out.length > 0) {
        ssize_t sent;
        if (conn->ssl) {
            int result = SSL_write(conn->ssl, conn->out.bytes, (int)conn->out.length);
            sent = result > 0 ? result : -1;
            if (result <= 0) {
                int why = SSL_get_error(conn->ssl, result);
                errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
            }
        } else {
            sent = send(conn->fd, conn->out.bytes, conn->out.length, MSG_NOSIGNAL);
        }
        if (sent < 0 && errno == EAGAIN) {
            watch_change(conn->watch, LOOP_READ | LOOP_WRITE);
            return;
        }
        if (sent < 0) {
            loopback_drop(conn);
            return;
        }
        strbuf_drop(&conn->out, (size_t)sent);
    }
    if (!conn->dead) {
        watch_change(conn->watch, LOOP_READ);
        if (conn->close_when_sent) {
            if (conn->ssl)
                SSL_shutdown(conn->ssl);
            loopback_drop(conn);
        }
    }
}

static inline void loopback_send(struct loopback_conn *conn, const void *bytes, size_t length)
{
    strbuf_add(&conn->out, bytes, length);
    loopback_flush(conn);
}

static inline void loopback_send_text(struct loopback_conn *conn, const char *text)
{
    loopback_send(conn, text, strlen(text));
}

static inline void loopback_close(struct loopback_conn *conn)
{
    conn->close_when_sent = true;
    loopback_flush(conn);
}

/* status: "200 OK"; headers: whole lines with CRLF or "". The connection stays open. */
static inline void loopback_reply(struct loopback_conn *conn, const char *status, const char *headers, const char *body)
{
    OWNED_TEXT char *text =
        mem_format("HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body), body);
    loopback_send_text(conn, text);
}

static inline void loopback_reply_json(struct loopback_conn *conn, const char *status, const char *body)
{
    loopback_reply(conn, status, "Content-Type: application/json\r\n", body);
}

/* Value of a request header into a static buffer; "" when missing. */
static inline const char *loopback_header(const struct loopback_conn *conn, const char *name)
{
    static char value[20000];
    size_t length = strlen(name);
    for (const char *line = conn->head; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *start = line + length + 1 + strspn(line + length + 1, " ");
            size_t size = strcspn(start, "\r\n");
            size = size < sizeof value ? size : sizeof value - 1;
            memcpy(value, start, size);
            value[size] = '\0';
            return value;
        }
    return "";
}

/* --- websocket --- */

static inline void loopback_accept(struct loopback_conn *conn)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    OWNED_STRBUF struct strbuf key = STRBUF_EMPTY;
    OWNED_STRBUF struct strbuf accept = STRBUF_EMPTY;
    strbuf_add_text(&key, loopback_header(conn, "Sec-WebSocket-Key"));
    strbuf_add_text(&key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    SHA1((const unsigned char *)key.bytes, key.length, digest);
    base64_encode(digest, sizeof digest, &accept);
    const char *protocol = loopback_header(conn, "Sec-WebSocket-Protocol");
    OWNED_TEXT char *line = *protocol ? mem_format("Sec-WebSocket-Protocol: %s\r\n", protocol) : mem_text("");
    OWNED_TEXT char *text =
        mem_format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                   strbuf_text(&accept), line);
    conn->websocket = true;
    loopback_send_text(conn, text);
}

/* opcode: 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
static inline void loopback_frame(struct loopback_conn *conn, unsigned opcode, const char *bytes, size_t length)
{
    unsigned char head[10] = { (unsigned char)(0x80u | opcode) };
    size_t size = 2;
    if (length < 126) {
        head[1] = (unsigned char)length;
    } else if (length < 65536) {
        head[1] = 126;
        head[2] = (unsigned char)(length >> 8);
        head[3] = (unsigned char)length;
        size = 4;
    } else {
        head[1] = 127;
        for (unsigned i = 0; i < 8; i++)
            head[2 + i] = (unsigned char)((uint64_t)length >> (56 - 8 * i));
        size = 10;
    }
    strbuf_add(&conn->out, head, size);
    loopback_send(conn, bytes, length);
}

static inline void loopback_text(struct loopback_conn *conn, const char *text)
{
    loopback_frame(conn, 1, text, strlen(text));
}

/* Close with this code, then the connection ends. */
static inline void loopback_goodbye(struct loopback_conn *conn, unsigned code)
{
    char bytes[2] = { (char)(code >> 8), (char)(code & 0xff) };
    conn->close_when_sent = true;
    loopback_frame(conn, 8, bytes, 2);
}

/* Eats whole client frames (all shorter than 126 bytes). */
static inline void loopback_frames(struct loopback_conn *conn)
{
    while (!conn->dead && conn->in.length >= 6) {
        const unsigned char *bytes = (const unsigned char *)conn->in.bytes;
        unsigned opcode = bytes[0] & 15u;
        size_t length = bytes[1] & 127u;
        if (length > 125 || conn->in.length < 6 + length)
            return;
        char payload[126] = "";
        for (size_t i = 0; i < length; i++)
            payload[i] = (char)(bytes[6 + i] ^ bytes[2 + i % 4]);
        strbuf_drop(&conn->in, 6 + length);
        if (opcode == 9) {
            conn->pings++;
            if (!conn->server->mute)
                loopback_frame(conn, 10, payload, length);
        } else if (opcode == 8) {
            conn->closes++;
            loopback_goodbye(conn, 1000);
        }
    }
}

/* --- requests --- */

/* Takes one whole request out of conn->in; false when more is needed. */
static inline bool loopback_request(struct loopback_conn *conn)
{
    if (conn->in.length == 0)
        return false;
    char *end = strstr(conn->in.bytes, "\r\n\r\n");
    if (!end)
        return false;
    size_t head_length = (size_t)(end - conn->in.bytes) + 4;
    OWNED_TEXT char *all = mem_copy(conn->in.bytes, conn->in.length);
    OWNED_TEXT char *head = mem_copy(all, head_length);
    OWNED_STRBUF struct strbuf body = STRBUF_EMPTY;
    size_t used = head_length;
    conn->head = head;
    if (strcasecmp(loopback_header(conn, "Transfer-Encoding"), "chunked") == 0) {
        for (;;) {
            const char *line_end = strstr(all + used, "\r\n");
            if (!line_end)
                return false;
            size_t size = strtoul(all + used, NULL, 16);
            size_t data = (size_t)(line_end - all) + 2;
            if (conn->in.length < data + size + 2)
                return false;
            strbuf_add(&body, all + data, size);
            used = data + size + 2;
            if (size == 0)
                break;
        }
    } else {
        size_t size = strtoul(loopback_header(conn, "Content-Length"), NULL, 10);
        if (conn->in.length < head_length + size)
            return false;
        strbuf_add(&body, all + head_length, size);
        used += size;
    }
    strbuf_drop(&conn->in, used);
    sscanf(head, "%15s %2047s", conn->method, conn->target);
    conn->body = strbuf_text(&body);
    conn->body_length = body.length;
    conn->requests++;
    conn->server->answer(conn->server->owner, conn);
    conn->head = conn->body = NULL;
    return true;
}

static inline ssize_t loopback_read(struct loopback_conn *conn, char *bytes, size_t size)
{
    if (!conn->ssl)
        return recv(conn->fd, bytes, size, 0);
    int length = SSL_read(conn->ssl, bytes, (int)size);
    if (length > 0)
        return length;
    int why = SSL_get_error(conn->ssl, length);
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static inline void loopback_ready(void *owner, unsigned ready)
{
    struct loopback_conn *conn = owner;
    if (ready & LOOP_WRITE)
        loopback_flush(conn);
    while (!conn->dead && !conn->server->hold) {
        char bytes[16384];
        ssize_t length = loopback_read(conn, bytes, sizeof bytes);
        if (length < 0 && errno == EAGAIN)
            break;
        if (length <= 0) {
            loopback_drop(conn);
            return;
        }
        strbuf_add(&conn->in, bytes, (size_t)length);
    }
    while (!conn->dead && !conn->websocket && loopback_request(conn))
        ;
    if (conn->websocket)
        loopback_frames(conn);
}

static inline void loopback_accepts(void *owner, unsigned ready)
{
    (void)ready;
    struct loopback *server = owner;
    int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct loopback_conn *conn = mem_new(sizeof *conn);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn->server = server;
    conn->fd = fd;
    if (server->tls) {
        conn->ssl = SSL_new(server->tls);
        SSL_set_mode(conn->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_set_fd(conn->ssl, fd);
        SSL_set_accept_state(conn->ssl);
    }
    conn->watch = loop_watch(server->loop, fd, LOOP_READ, loopback_ready, conn);
    list_append(&server->conns, &conn->node);
    server->accepted++;
}

/* tls: kept, or NULL for plain TCP. */
static inline void loopback_start(struct loopback *server, struct loop *loop, SSL_CTX *tls, loopback_answer *answer,
                                  void *owner)
{
    *server = (struct loopback){ .loop = loop, .tls = tls, .answer = answer, .owner = owner };
    list_init(&server->conns);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int failed = bind(server->fd, (struct sockaddr *)&address, size);
    failed |= listen(server->fd, 128);
    failed |= getsockname(server->fd, (struct sockaddr *)&address, &size);
    assert(failed == 0);
    server->port = ntohs(address.sin_port);
    server->watch = loop_watch(loop, server->fd, LOOP_READ, loopback_accepts, server);
}

static inline void loopback_stop(struct loopback *server)
{
    LIST_EACH_SAFE(node, &server->conns)
    {
        loopback_drop(list_of(node, struct loopback_conn, node));
    }
    watch_stop(server->watch);
    close(server->fd);
}

/* Turns the loop until *flag is set; false after most_ms. */
static inline bool loopback_until(struct loop *loop, const bool *flag, uint64_t most_ms)
{
    uint64_t until = loop_now_ms(loop) + most_ms;
    while (!*flag && loop_now_ms(loop) < until)
        loop_turn(loop, 20);
    return *flag;
}

#endif
