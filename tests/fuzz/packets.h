/* Packets with descriptors, as a fuzz target sends them to either end of the socket between courier and step. */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { FDS_MOST = 3, PACKET_MOST = 63 };

/* Sends size bytes, at most PACKET_MOST, and the first fd_count of FDS_MOST descriptors; gives what sendmsg gave. */
static inline ssize_t packet_send(int socket, const uint8_t *bytes, size_t size, unsigned fd_count,
                                  const int fds[FDS_MOST])
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(FDS_MOST * sizeof(int))];
    } control = { 0 };
    char copy[PACKET_MOST + 1];
    struct iovec part = { .iov_base = copy, .iov_len = size };
    struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };

    memcpy(copy, bytes, size);
    if (fd_count > 0) {
        packet.msg_control = control.bytes;
        packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.head = (struct cmsghdr){ CMSG_LEN(fd_count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
    }
    return sendmsg(socket, &packet, MSG_NOSIGNAL);
}

#endif
