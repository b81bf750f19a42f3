#include "relay.h"

#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define START_LIMIT_MS 30000u /* step answers RUN within this */
#define HELD_LIMIT_MS  1000u  /* after the exit, for the output's end */
#define READ_PIECE     (64u * KIB)
#define KIN_STEPS_MOST 64u

enum run_state { RUN_NONE, RUN_ASKED, RUN_STARTED, RUN_EXITED };

struct relay {
    struct loop *loop;
    char *socket_path;
    const struct relay_events *events;
    void *owner;
    int listener, peer, pipe;
    struct watch *listen_watch, *peer_watch, *pipe_watch;
    uid_t uid;
    gid_t gid;
    bool greeted, gone, paused;
    uint32_t run, grace_ms;
    uint64_t stopped_until_ms; /* the grace of a stopped run is over then; 0: it was not stopped */
    enum run_state state;
    struct relay_end end;
    int64_t oom_kills;
    struct timer *limit;
};

/* What a packet from step may be: any of its messages. */
union relay_packet {
    uint32_t kind;
    struct step_hello hello;
    struct step_started started;
    struct step_failed failed;
    struct step_exited exited;
    char bytes[STEP_MESSAGE_MAX_BYTES + 1];
};

static void relay_fail(struct relay *relay, const char *why);

/* --- the pipe --- */

static void pipe_close(struct relay *relay)
{
    if (relay->pipe_watch)
        watch_stop(relay->pipe_watch);
    if (relay->pipe >= 0)
        close(relay->pipe);
    relay->pipe_watch = NULL;
    relay->pipe = -1;
}

static void relay_finish(struct relay *relay)
{
    const struct relay_end end = relay->end;
    pipe_close(relay);
    timer_stop(&relay->limit);
    relay->state = RUN_NONE;
    relay->paused = false;
    relay->events->ended(relay->owner, &end);
}

/* Hands over one piece. 1: there may be more; 0: nothing there now; -1: the end. */
static int pipe_read(struct relay *relay)
{
    static char piece[READ_PIECE];
    const ssize_t got = read(relay->pipe, piece, sizeof piece);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got > 0)
        relay->events->output(relay->owner, piece, (size_t)got);
    return got > 0 ? 1 : -1;
}

static void pipe_ready(void *owner, unsigned ready UNUSED)
{
    struct relay *relay = owner;
    if (pipe_read(relay) >= 0)
        return;
    pipe_close(relay);
    if (relay->state == RUN_EXITED)
        relay_finish(relay);
}

static void pipe_held(void *owner);

/* Waits for the output's end: a second, or until what a stopped script left had its grace and was killed. */
static void pipe_wait(struct relay *relay)
{
    const uint64_t now_ms = loop_now_ms(relay->loop);
    const uint64_t grace_ms = relay->stopped_until_ms > now_ms && !relay->gone ? relay->stopped_until_ms - now_ms : 0;
    loop_after(relay->loop, &relay->limit, grace_ms + HELD_LIMIT_MS, pipe_held, relay);
}

/* The script is over but its pipe is not: what lies in it now is still the script's, the rest is not waited for. */
static void pipe_held(void *owner)
{
    struct relay *relay = owner;
    if (relay->paused) {
        loop_after(relay->loop, &relay->limit, HELD_LIMIT_MS, pipe_held, relay);
        return;
    }
    int unread_pieces = 16; /* a pipe holds no more */
    int more = 1;
    while (more == 1 && unread_pieces-- > 0)
        more = pipe_read(relay);
    relay->end.held_open = more >= 0;
    relay_finish(relay);
}

static void relay_exited(struct relay *relay)
{
    relay->state = RUN_EXITED;
    if (relay->pipe < 0)
        relay_finish(relay);
    else
        pipe_wait(relay);
}

/* --- messages --- */

static const char *call_words(uint32_t call, int error)
{
    switch (call) {
    case STEP_CALL_EXEC:
        return error == ENOENT  ? "the image has no shell (looked for bash and sh)"
               : error == E2BIG ? "the job's variables are too large to start a process with; use file variables"
                                : "the image's shell cannot be started";
    case STEP_CALL_CHDIR:
        return "the project folder cannot be entered";
    case STEP_CALL_FORK:
        return "no process can be started in the build container";
    case STEP_CALL_SCRIPT:
        return "the script does not fit into the build container's memory";
    default:
        return "the script cannot be started";
    }
}

static void relay_started(struct relay *relay, int fd, enum step_cleaned cleaned)
{
    if (relay->state != RUN_ASKED || fd < 0) {
        relay_fail(relay, "step announced a script that nobody asked for");
        return;
    }
    timer_stop(&relay->limit);
    relay->pipe = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (relay->pipe < 0) {
        relay_fail(relay, "no descriptor is left for the script's output");
        return;
    }
    const int flags = fcntl(relay->pipe, F_GETFL);
    fcntl(relay->pipe, F_SETFL, flags | O_NONBLOCK);
    relay->state = RUN_STARTED;
    relay->pipe_watch = loop_watch(relay->loop, relay->pipe, LOOP_READ, pipe_ready, relay);
    if (!relay->pipe_watch) {
        pipe_close(relay);
        relay_fail(relay, "step sent something that is no pipe");
        return;
    }
    if (relay->paused)
        watch_change(relay->pipe_watch, 0);
    relay->events->started(relay->owner, cleaned);
}

static void relay_oom(struct relay *relay, int64_t oom_kills)
{
    relay->end.oom = relay->oom_kills >= 0 && oom_kills > relay->oom_kills;
    relay->oom_kills = oom_kills;
}

static void relay_handle(struct relay *relay, const union relay_packet *packet, int fd)
{
    switch (packet->kind) {
    case STEP_HELLO:
        if (relay->greeted || packet->hello.version != STEP_PROTOCOL_VERSION)
            break;
        relay->greeted = true;
        relay->oom_kills = packet->hello.oom_kills;
        timer_stop(&relay->limit);
        relay->events->connected(relay->owner, relay->uid, relay->gid);
        return;
    case STEP_STARTED:
        if (packet->started.run != relay->run)
            break;
        relay_started(relay, fd, (enum step_cleaned)packet->started.cleaned);
        return;
    case STEP_FAILED:
        if (packet->failed.run != relay->run || relay->state != RUN_ASKED)
            break;
        relay->end =
            (struct relay_end){ .how = RELAY_REFUSED, .why = call_words(packet->failed.call, packet->failed.error) };
        relay_finish(relay);
        return;
    case STEP_EXITED:
        if (packet->exited.run != relay->run || relay->state != RUN_STARTED)
            break;
        relay->end = (struct relay_end){ .how = RELAY_EXITED, .status = packet->exited.status };
        relay_oom(relay, packet->exited.oom_kills);
        relay_exited(relay);
        return;
    default:
        break;
    }
    relay_fail(relay, "step said something that this courier does not know");
}

static size_t packet_size(uint32_t kind)
{
    switch (kind) {
    case STEP_HELLO:
        return sizeof(struct step_hello);
    case STEP_STARTED:
        return sizeof(struct step_started);
    case STEP_FAILED:
        return sizeof(struct step_failed);
    case STEP_EXITED:
        return sizeof(struct step_exited);
    default:
        return 0;
    }
}

/* Takes the first descriptor that came and closes all others: only STARTED carries one. */
static int packet_descriptor(struct msghdr *raw)
{
    int kept = -1;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(raw); head; head = CMSG_NXTHDR(raw, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            if (kept < 0)
                kept = fd;
            else
                close(fd);
        }
    }
    return kept;
}

static void peer_ready(void *owner, unsigned ready UNUSED)
{
    struct relay *relay = owner;
    union relay_packet packet = { .bytes = { 0 } };
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec part = { .iov_base = &packet, .iov_len = sizeof packet };
    struct msghdr raw = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    const ssize_t size = recvmsg(relay->peer, &raw, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        relay_fail(relay, "the build container ended");
        return;
    }
    const int fd = packet_descriptor(&raw);
    if ((size_t)size < sizeof packet.kind || (size_t)size != packet_size(packet.kind))
        relay_fail(relay, "step sent a message of unknown kind or size");
    else
        relay_handle(relay, &packet, fd);
    if (fd >= 0)
        close(fd);
}

/* --- the connection --- */

static void peer_close(struct relay *relay)
{
    if (relay->peer_watch)
        watch_stop(relay->peer_watch);
    if (relay->peer >= 0)
        close(relay->peer);
    relay->peer_watch = NULL;
    relay->peer = -1;
}

static void relay_fail(struct relay *relay, const char *why)
{
    peer_close(relay);
    relay->gone = true;
    timer_stop(&relay->limit);
    if (relay->state == RUN_NONE) {
        relay->events->lost(relay->owner, why);
    } else if (relay->state != RUN_EXITED) {
        relay->end = (struct relay_end){ .how = RELAY_LOST, .why = why };
        relay_exited(relay);
    } else if (relay->pipe >= 0) {
        pipe_wait(relay);
    }
}

static void relay_silent(void *owner)
{
    relay_fail(owner, "step did not answer");
}

static void listen_close(struct relay *relay)
{
    if (relay->listen_watch)
        watch_stop(relay->listen_watch);
    if (relay->listener >= 0) {
        unlink(relay->socket_path);
        close(relay->listener);
    }
    relay->listen_watch = NULL;
    relay->listener = -1;
}

/* The process that started this one, 0 when that is not in sight, -1 when the process itself is gone. */
static pid_t parent_of(pid_t pid)
{
    char path[48], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    /* "7 (name) S 1 ...": the name may hold anything */
    const char *after = got > 0 ? strrchr(text, ')') : NULL;
    int parent = 0;
    return after && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

/* Step lives in another container, so its process is not in sight. What stems from this process, or is gone already,
 * may be a child that was led to run something: it is not to be taken for the build container. */
static bool is_own_child(pid_t pid)
{
    for (unsigned steps = 0; steps < KIN_STEPS_MOST; steps++) {
        if (pid == getpid() || pid < 0)
            return true;
        if (pid == 0)
            return false;
        pid = parent_of(pid);
    }
    return true;
}

static void listen_ready(void *owner, unsigned ready UNUSED)
{
    struct relay *relay = owner;
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    const int peer = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0)
        return;
    const bool is_known = getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    if (is_known && is_own_child(credentials.pid)) {
        close(peer);
        return;
    }
    listen_close(relay);
    relay->peer = peer;
    if (!is_known) {
        relay_fail(relay, "the user of the build container cannot be told");
        return;
    }
    relay->uid = credentials.uid;
    relay->gid = credentials.gid;
    relay->peer_watch = loop_watch(relay->loop, peer, LOOP_READ, peer_ready, relay);
    loop_after(relay->loop, &relay->limit, START_LIMIT_MS, relay_silent, relay);
}

static int listen_open(struct relay *relay, struct error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(relay->socket_path) >= sizeof address.sun_path)
        return error_set(error, BLAME_CONFIG, ENAMETOOLONG, "socket path %s is too long", relay->socket_path);
    memcpy(address.sun_path, relay->socket_path, strlen(relay->socket_path));
    relay->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->listener < 0)
        return error_errno(error, "make the socket for step");
    unlink(relay->socket_path);
    if (bind(relay->listener, (struct sockaddr *)&address, sizeof address) < 0)
        return error_errno(error, "bind %s", relay->socket_path);
    if (chmod(relay->socket_path, 0666) < 0 || listen(relay->listener, 1) < 0)
        return error_errno(error, "listen on %s", relay->socket_path);
    return 0;
}

/* --- what the rest of courier calls --- */

static int relay_send(struct relay *relay, const void *message, size_t size, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char copy[STEP_MESSAGE_MAX_BYTES];
    memcpy(copy, message, size);
    struct iovec part = { .iov_base = copy, .iov_len = size };
    struct msghdr raw = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        raw.msg_control = control.bytes;
        raw.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){ CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    return relay->peer >= 0 && sendmsg(relay->peer, &raw, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

int relay_run(struct relay *relay, const struct relay_wish *wish, struct error *error)
{
    const struct step_run run = { .kind = STEP_RUN,
                                  .run = ++relay->run,
                                  .shell = wish->shell,
                                  .grace_ms = wish->grace_ms,
                                  .flags = wish->alone ? STEP_RUN_ALONE : 0 };
    const bool may = relay->state == RUN_NONE && relay->greeted;
    const int sent = may ? relay_send(relay, &run, sizeof run, wish->order_fd) : -1;
    close(wish->order_fd);
    if (sent < 0)
        return error_set(error, BLAME_SYSTEM, 0, "the build container is gone");
    relay->state = RUN_ASKED;
    relay->grace_ms = wish->grace_ms;
    relay->stopped_until_ms = 0;
    relay->end = (struct relay_end){ .how = RELAY_LOST };
    loop_after(relay->loop, &relay->limit, START_LIMIT_MS, relay_silent, relay);
    return 0;
}

bool relay_stop(struct relay *relay, bool now)
{
    const struct step_stop stop = { .kind = STEP_STOP, .run = relay->run };
    const bool runs = relay->state == RUN_ASKED || relay->state == RUN_STARTED;
    const bool was_stopped = relay->stopped_until_ms > 0;
    if (!runs && !(relay->state == RUN_EXITED && was_stopped && now))
        return false;
    if (now || !was_stopped)
        relay->stopped_until_ms = loop_now_ms(relay->loop) + (now ? 0 : relay->grace_ms);
    if (!was_stopped)
        relay_send(relay, &stop, sizeof stop, -1);
    if (now)
        relay_send(relay, &stop, sizeof stop, -1);
    if (!runs)
        pipe_wait(relay);
    return runs;
}

void relay_pause(struct relay *relay, bool paused)
{
    if (relay->paused == paused)
        return;
    relay->paused = paused;
    if (relay->pipe_watch)
        watch_change(relay->pipe_watch, paused ? 0 : LOOP_READ);
}

void relay_bye(struct relay *relay)
{
    const struct step_bye bye = { .kind = STEP_BYE };
    timer_stop(&relay->limit);
    relay_send(relay, &bye, sizeof bye, -1);
    pipe_close(relay);
    peer_close(relay);
    listen_close(relay);
    relay->state = RUN_NONE;
    relay->gone = true;
}

bool relay_is_connected(const struct relay *relay)
{
    return relay->greeted && !relay->gone;
}

struct relay *relay_new(struct loop *loop, const char *socket_path, const struct relay_events *events, void *owner,
                        struct error *error)
{
    struct relay *relay = mem_new(sizeof *relay);
    *relay = (struct relay){ .loop = loop, .events = events, .owner = owner, .listener = -1, .peer = -1, .pipe = -1 };
    relay->socket_path = mem_text(socket_path);
    if (listen_open(relay, error) < 0) {
        relay_free(relay);
        return NULL;
    }
    relay->listen_watch = loop_watch(loop, relay->listener, LOOP_READ, listen_ready, relay);
    return relay;
}

void relay_free(struct relay *relay)
{
    if (!relay)
        return;
    timer_stop(&relay->limit);
    pipe_close(relay);
    peer_close(relay);
    listen_close(relay);
    mem_free(relay->socket_path);
    mem_free(relay);
}
