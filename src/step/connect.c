#include "connect.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

enum { RETRY_MS = 5 };

int courier_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    const uint64_t last_ms = clock_ms() + STEP_CONNECT_LIMIT_MS;
    int courier = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (courier < 0)
        return -1;
    while (connect(courier, (struct sockaddr *)&address, sizeof address) < 0) {
        if (clock_ms() >= last_ms) {
            const int cause = errno;
            close(courier);
            errno = cause;
            return -1;
        }
        clock_nap(RETRY_MS);
    }
    return courier;
}

/* A few small packets a run never fill the socket: when it is full, courier does not read, which is as good as gone. */
int courier_send(int courier, const void *message, size_t size, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char copy[STEP_MESSAGE_MAX_BYTES]; /* an iovec wants bytes that are not const */
    if (size > sizeof copy)
        return -1;
    memcpy(copy, message, size);
    struct iovec part = { .iov_base = copy, .iov_len = size };
    struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        packet.msg_control = control.bytes;
        packet.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){ CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    return sendmsg(courier, &packet, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

/* Size of the message of that kind when courier may send it, else 0. */
static size_t packet_size(uint32_t kind)
{
    switch (kind) {
    case STEP_RUN:
        return sizeof(struct step_run);
    case STEP_STOP:
        return sizeof(struct step_stop);
    case STEP_BYE:
        return sizeof(struct step_bye);
    default:
        return 0;
    }
}

/* Takes the one descriptor that RUN carries. False when there is another number of them; then none stays open. */
static bool packet_take_fd(struct packet *packet, struct msghdr *raw)
{
    unsigned count = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(raw); head; head = CMSG_NXTHDR(raw, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
            return false; /* step is about to end, and with it whatever came */
        memcpy(&packet->fd, CMSG_DATA(head), sizeof(int));
        count++;
    }
    return !(raw->msg_flags & MSG_CTRUNC) && count == (packet->kind == STEP_RUN ? 1 : 0);
}

int courier_receive(int courier, struct packet *packet, const char **why)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { .iov_base = packet, .iov_len = offsetof(struct packet, fd) };
    struct msghdr raw = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };

    *packet = (struct packet){ .fd = -1 };
    const ssize_t size = recvmsg(courier, &raw, MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (size <= 0) {
        *why = "courier is gone";
        return -1;
    }
    if (raw.msg_flags & MSG_TRUNC || (size_t)size < sizeof packet->kind || (size_t)size != packet_size(packet->kind)) {
        *why = "courier sent a message of unknown kind or size";
        return -1;
    }
    if (!packet_take_fd(packet, &raw)) {
        *why = "courier sent a message with the wrong number of descriptors";
        return -1;
    }
    return 1;
}
