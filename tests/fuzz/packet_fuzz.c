/* Any packets, with any number of descriptors, on step's socket. What step accepts has a known kind and exactly that
 * kind's size; RUN brings one descriptor and nothing else brings any; whatever came, no descriptor is left behind by a
 * packet that was refused, save one that could not be counted (step ends then, and takes it along).
 *
 * Input: packets, each of them one byte (the number of descriptors in its low two bits, the length in the others) and
 * then its bytes. */
#include "fuzz.h"

#include "step/protocol.h"

#include "connect.h"
#include "packets.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS_MOST = 64 };

static size_t size_of(uint32_t kind)
{
    return kind == STEP_RUN    ? sizeof(struct step_run)
           : kind == STEP_STOP ? sizeof(struct step_stop)
           : kind == STEP_BYE  ? sizeof(struct step_bye)
                               : 0;
}

/* False when step would end: it takes no further packet. */
static int packet_receive(int socket, const uint8_t *bytes, size_t size, unsigned fd_count)
{
    struct packet packet;
    const char *why = NULL;
    const int got = courier_receive(socket, &packet, &why);

    if (got < 0) {
        EXPECT(why != NULL && *why != '\0');
        return 0;
    }
    EXPECT(got == 1);
    EXPECT(size == size_of(packet.kind) && memcmp(&packet, bytes, size) == 0);
    EXPECT((packet.kind == STEP_RUN) == (packet.fd >= 0));
    EXPECT(fd_count == (packet.kind == STEP_RUN ? 1 : 0));
    if (packet.fd >= 0) {
        EXPECT((fcntl(packet.fd, F_GETFD) & FD_CLOEXEC) != 0);
        close(packet.fd);
    }
    return 1;
}

/* A packet that was refused may have brought descriptors: step ends, so here they are closed for it. */
static void descriptors_close(int first)
{
    for (int fd = first; fd < first + 8; fd++)
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int fds[FDS_MOST] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };
    int pair[2];
    EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const int next = dup(pair[1]);
    close(next);
    int goes_on = 1;
    for (unsigned i = 0; goes_on && size > 0 && i < PACKETS_MOST; i++) {
        const unsigned fd_count = data[0] & FDS_MOST;
        size_t length = data[0] >> 2;
        data++;
        size--;
        if (length > size)
            length = size;
        EXPECT(packet_send(pair[0], data, length, fd_count, fds) == (ssize_t)length);
        goes_on = packet_receive(pair[1], data, length, fd_count);
        data += length;
        size -= length;
    }
    if (!goes_on)
        descriptors_close(next);
    close(pair[0]);
    close(pair[1]);
    return 0;
}
