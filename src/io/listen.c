#include "io/listen.h"

#include "base/list.h"
#include "io/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REQUEST_MOST = 8 * 1024,
    BODY_MOST = 4 * 1024 * 1024,
    HEAD_MS = 1000,      /* for the whole head of the request */
    ANSWER_MS = 5000,    /* for taking the answer */
    VISITS_MOST = 256,   /* at once */
    VISITS_OF_ONE = 128, /* of one address: behind the kubelet's stand its own probes, and jobs on its node's network */
    ACCEPTS_MOST = 64,   /* in one turn of the loop */
    PAUSE_FIRST_MS = 20, /* after an accept that failed, doubled each time */
    PAUSE_MOST_MS = 1000,
    BACKLOG = 1024,
};

struct listen_server {
    struct loop *loop;
    int fd;
    struct watch *watch;
    listen_answer *answer;
    void *owner;
    struct list visits; /* oldest first */
    unsigned count;
    struct timer *pause;
    unsigned pause_ms;
    bool stopped;
};

struct visit {
    struct list node;
    struct listen_server *server;
    int fd;
    struct in6_addr from;
    struct watch *watch;
    struct timer *deadline;
    struct strbuf in, out;
    bool answered, over;
};

/* --- the end of a visit --- */

static void visit_free(void *owner)
{
    struct visit *visit = owner;
    strbuf_clear(&visit->in);
    strbuf_clear(&visit->out);
    mem_free(visit);
}

static void visit_end(void *owner)
{
    struct visit *visit = owner;
    if (visit->over)
        return;
    visit->over = true;
    visit->server->count--;
    timer_stop(&visit->deadline);
    watch_stop(visit->watch);
    close(visit->fd);
    list_remove(&visit->node);
    loop_later(visit->server->loop, visit_free, visit);
}

/* --- the answer --- */

static void visit_send(struct visit *visit)
{
    while (visit->out.length > 0) {
        ssize_t sent = send(visit->fd, visit->out.bytes, visit->out.length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch_change(visit->watch, LOOP_WRITE);
            return;
        }
        if (sent <= 0)
            break;
        strbuf_drop(&visit->out, (size_t)sent);
    }
    visit_end(visit);
}

static const char *words_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 503:
        return "Service Unavailable";
    default:
        return "Answer";
    }
}

static void visit_reply(struct visit *visit, int status, const struct strbuf *body, const char *content_type, bool head)
{
    strbuf_format(&visit->out,
                  "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n"
                  "Connection: close\r\n\r\n",
                  status, words_of(status), content_type, body->length);
    if (!head && body->length > 0)
        strbuf_add(&visit->out, body->bytes, body->length);
    visit->answered = true;
    loop_after(visit->server->loop, &visit->deadline, ANSWER_MS, visit_end, visit);
    visit_send(visit);
}

/* Cuts "GET /path?query HTTP/1.1" down to the path; NULL when the line is something else. */
static char *path_in(char *line)
{
    char *path = strchr(line, ' ');
    char *version = path ? strchr(path + 1, ' ') : NULL;
    if (!version || strncmp(version + 1, "HTTP/1.", 7) != 0 || path[1] != '/')
        return NULL;
    *version = '\0';
    path[1 + strcspn(path + 1, "?")] = '\0';
    return path + 1;
}

static void visit_answer(struct visit *visit)
{
    struct listen_server *server = visit->server;
    OWNED_STRBUF struct strbuf body = STRBUF_UP_TO(BODY_MOST);
    const char *content_type = "text/plain; charset=utf-8";
    char *line = visit->in.bytes;
    bool head = strncmp(line, "HEAD ", 5) == 0;
    int status;
    line[strcspn(line, "\r\n")] = '\0';
    char *path = path_in(line);
    if (!path)
        status = 400;
    else if (!head && strncmp(line, "GET ", 4) != 0)
        status = 405;
    else
        status = server->answer(server->owner, path, &body, &content_type); /* may stop the server */
    if (!visit->over)
        visit_reply(visit, status, &body, content_type, head);
}

/* --- the request --- */

static void visit_ready(void *owner, unsigned ready)
{
    struct visit *visit = owner;
    if (visit->answered) {
        if (ready & LOOP_WRITE)
            visit_send(visit);
        return;
    }
    char bytes[4096];
    ssize_t length = recv(visit->fd, bytes, sizeof bytes, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0 || memchr(bytes, '\0', (size_t)length) || strbuf_add(&visit->in, bytes, (size_t)length) < 0) {
        visit_end(visit);
        return;
    }
    if (strstr(visit->in.bytes, "\r\n\r\n") || strstr(visit->in.bytes, "\n\n"))
        visit_answer(visit);
}

/* --- who may come in --- */

/* IPv4 as IPv6 writes it, whatever the socket speaks. */
static struct in6_addr address_of(const struct sockaddr_storage *name)
{
    struct in6_addr from = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
    if (name->ss_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)name)->sin6_addr;
    memcpy(&from.s6_addr[12], &((const struct sockaddr_in *)(const void *)name)->sin_addr, 4);
    return from;
}

/* Ends the visit that waited longest for its own request, of this address (NULL: of any); when all have spoken, the one
 * that waited longest to be read. So a newcomer, which may be a probe, is always heard: who says nothing goes. */
static bool end_oldest(struct listen_server *server, const struct in6_addr *from)
{
    struct visit *oldest = NULL;
    LIST_EACH(node, &server->visits)
    {
        struct visit *visit = list_of(node, struct visit, node);
        if (from && !IN6_ARE_ADDR_EQUAL(&visit->from, from))
            continue;
        if (!visit->answered) {
            oldest = visit;
            break;
        }
        oldest = oldest ? oldest : visit;
    }
    if (oldest)
        visit_end(oldest);
    return oldest != NULL;
}

static unsigned count_of(const struct listen_server *server, const struct in6_addr *from)
{
    unsigned count = 0;
    LIST_EACH(node, &server->visits)
    {
        const struct visit *visit = list_of(node, struct visit, node);
        count += IN6_ARE_ADDR_EQUAL(&visit->from, from) != 0;
    }
    return count;
}

static void visit_begin(struct listen_server *server, int fd, const struct in6_addr *from)
{
    struct visit *visit = mem_new(sizeof *visit);
    if (count_of(server, from) >= VISITS_OF_ONE)
        end_oldest(server, from);
    if (server->count >= VISITS_MOST)
        end_oldest(server, NULL);
    visit->server = server;
    visit->fd = fd;
    visit->from = *from;
    visit->in = STRBUF_UP_TO(REQUEST_MOST);
    visit->watch = loop_watch(server->loop, fd, LOOP_READ, visit_ready, visit);
    list_append(&server->visits, &visit->node);
    server->count++;
    loop_after(server->loop, &visit->deadline, HEAD_MS, visit_end, visit);
    visit_ready(visit, LOOP_READ); /* who spoke at once is answered before anybody else comes in */
}

static void visitor_came(void *owner, unsigned ready);

static void pause_over(void *owner)
{
    struct listen_server *server = owner;
    server->watch = loop_watch(server->loop, server->fd, LOOP_READ, visitor_came, server);
}

/* No descriptor or no memory is left. The visitor still waits, so the socket would be readable again at once. */
static void pause_visits(struct listen_server *server)
{
    watch_stop(server->watch);
    server->watch = NULL;
    server->pause_ms = server->pause_ms == 0 ? PAUSE_FIRST_MS : server->pause_ms * 2;
    if (server->pause_ms > PAUSE_MOST_MS)
        server->pause_ms = PAUSE_MOST_MS;
    loop_after(server->loop, &server->pause, server->pause_ms, pause_over, server);
}

static void visitor_came(void *owner, unsigned ready)
{
    (void)ready;
    struct listen_server *server = owner;
    for (int i = 0; i < ACCEPTS_MOST && !server->stopped; i++) {
        struct sockaddr_storage name = { 0 };
        socklen_t size = sizeof name;
        int fd = accept4(server->fd, (struct sockaddr *)&name, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct in6_addr from = address_of(&name);
            server->pause_ms = 0;
            visit_begin(server, fd, &from);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED && !end_oldest(server, NULL)) {
            pause_visits(server);
            return;
        }
    }
}

/* --- the server --- */

/* "host:port" with brackets around an IPv6 host; an empty host is every address. */
static int split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    if (!colon)
        return -1;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    if (length >= host_size || strlen(colon + 1) >= port_size || colon[1] == '\0')
        return -1;
    memcpy(host, address, length);
    host[length] = '\0';
    snprintf(port, port_size, "%s", colon + 1);
    return 0;
}

static int open_socket(const struct addrinfo *info)
{
    int one = 1, zero = 0;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int number = errno;
    close(fd);
    errno = number;
    return -1;
}

/* IPv6 first: without a host it takes IPv4 visitors as well. */
static int open_any(struct addrinfo *found)
{
    int fd = -1;
    for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next)
        if (info->ai_family == AF_INET6)
            fd = open_socket(info);
    for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next)
        if (info->ai_family != AF_INET6)
            fd = open_socket(info);
    return fd;
}

struct listen_server *listen_start(struct loop *loop, const char *address, listen_answer *answer, void *owner,
                                   struct error *error)
{
    char host[256], port[16];
    if (split(address, host, sizeof host, port, sizeof port) < 0) {
        error_set(error, BLAME_CONFIG, 0, "listen_address %s: host:port is needed, such as \":9252\"", address);
        return NULL;
    }
    /* AI_NUMERICSERV and a host that is an address or local: this does not wait for a name server */
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (failed) {
        error_set(error, BLAME_CONFIG, 0, "listen_address %s: %s", address, gai_strerror(failed));
        return NULL;
    }
    int fd = open_any(found);
    freeaddrinfo(found);
    if (fd < 0) {
        error_errno(error, "listen_address %s", address);
        return NULL;
    }
    struct listen_server *server = mem_new(sizeof *server);
    *server = (struct listen_server){ .loop = loop, .fd = fd, .answer = answer, .owner = owner };
    list_init(&server->visits);
    server->watch = loop_watch(loop, fd, LOOP_READ, visitor_came, server);
    return server;
}

unsigned listen_port(const struct listen_server *server)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    if (getsockname(server->fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
}

static void server_free(void *owner)
{
    mem_free(owner);
}

void listen_stop(struct listen_server *server)
{
    if (server == NULL || server->stopped)
        return;
    server->stopped = true;
    LIST_EACH_SAFE(node, &server->visits)
    {
        visit_end(list_of(node, struct visit, node));
    }
    timer_stop(&server->pause);
    watch_stop(server->watch);
    close(server->fd);
    loop_later(server->loop, server_free, server);
}
