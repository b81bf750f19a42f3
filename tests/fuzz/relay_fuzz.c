/* Any packets, with any number of descriptors, from what claims to be step. Whatever comes, courier's end tells its
 * owner one story that holds together: connected once and first, started and ended once for the run that was asked for,
 * lost once and last. No descriptor that came is kept.
 *
 * Input: packets, each of them one byte (the number of descriptors in its low two bits, the length in the others) and
 * then its bytes. The run's number in the packets is right when they say 1: one script is asked for after the first
 * packet. */
#include "fuzz.h"

#include "courier/entry_path.h"
#include "io/loop.h"
#include "step/protocol.h"

#include "packets.h"
#include "relay.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PACKETS_MOST = 24 };

struct story {
    unsigned connected, started, ended, lost;
    bool asked;
};

static void on_connected(void *owner, uid_t uid, gid_t gid)
{
    struct story *story = owner;
    EXPECT(story->connected == 0 && story->lost == 0);
    EXPECT(uid == getuid() && gid == getgid());
    story->connected++;
}

static void on_started(void *owner, enum step_cleaned cleaned UNUSED)
{
    struct story *story = owner;
    EXPECT(story->asked && story->started == 0 && story->ended == 0);
    story->started++;
}

static void on_output(void *owner, const char *bytes UNUSED, size_t length)
{
    struct story *story = owner;
    EXPECT(story->started == 1 && story->ended == 0 && length > 0);
}

static void on_ended(void *owner, const struct relay_end *end)
{
    struct story *story = owner;
    EXPECT(story->asked && story->ended == 0);
    EXPECT(end->how != RELAY_EXITED || story->started == 1);
    story->ended++;
}

static void on_lost(void *owner, const char *why)
{
    struct story *story = owner;
    EXPECT(story->lost == 0 && why != NULL);
    story->lost++;
}

static const struct relay_events events = { on_connected, on_started, on_output, on_ended, on_lost };

static int step_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT(fd >= 0);
    memcpy(address.sun_path, path, strlen(path));
    EXPECT(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void script_ask(struct relay *relay, struct story *story)
{
    struct error error = ERROR_NONE;
    const int block = memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    EXPECT(block >= 0);
    const struct relay_wish wish = { .order_fd = block, .shell = STEP_SHELL_SH, .grace_ms = 1 };
    story->asked = true;
    if (relay_run(relay, &wish, &error) < 0)
        story->asked = false;
}

static void play(struct loop *loop, struct relay *relay, struct story *story, int step, const uint8_t *data,
                 size_t size)
{
    int pipe_ends[2];
    EXPECT(pipe2(pipe_ends, O_CLOEXEC) == 0);
    EXPECT(write(pipe_ends[1], "out\n", 4) == 4);
    close(pipe_ends[1]);
    const int fds[FDS_MOST] = { pipe_ends[0], pipe_ends[0], pipe_ends[0] };
    for (unsigned i = 0; size > 0 && i < PACKETS_MOST && story->lost == 0; i++) {
        const unsigned fd_count = data[0] & FDS_MOST;
        size_t length = data[0] >> 2;
        data++;
        size--;
        if (length > size)
            length = size;
        const ssize_t ignored = packet_send(step, data, length, fd_count, fds); /* courier may have hung up */
        (void)ignored;
        loop_turn(loop, 0);
        loop_turn(loop, 0);
        if (relay_is_connected(relay) && !story->asked && story->lost == 0)
            script_ask(relay, story);
        data += length;
        size -= length;
    }
    close(pipe_ends[0]);
}

static int descriptors(void)
{
    const int next = dup(STDERR_FILENO);
    close(next);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    struct error error = ERROR_NONE;
    struct story story = { 0 };

    if (path[0] == '\0')
        snprintf(path, sizeof path, "/tmp/relay-fuzz-%d", (int)getpid());
    const int first = descriptors();
    struct loop *loop = loop_new();
    struct relay *relay = relay_new(loop, path, &events, &story, &error);
    EXPECT(relay != NULL);
    const int step = step_connect(path);
    loop_turn(loop, 0);
    play(loop, relay, &story, step, data, size);
    close(step);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    relay_free(relay);
    loop_free(loop);
    unlink(path);
    EXPECT(descriptors() == first);
    return 0;
}
