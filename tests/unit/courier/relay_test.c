/* A build container that does not hold to the protocol: it can falsify its own result, and nothing else. */
#include "courier/pod.h"

#include "step/protocol.h"

#include <sys/socket.h>
#include <sys/un.h>

/* The test itself is step. */
static int connect_as_step(const struct pod *pod)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const struct timeval patience = { .tv_sec = 10 };
    pod_wait_for_file(pod, "/.dataops/step");
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.dataops/socket", pod->root);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void say(int step, const void *message, size_t size, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = { 0 };
    struct iovec part = { (void *)(uintptr_t)message, size };
    struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd_count > 0) {
        packet.msg_control = control.bytes;
        packet.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
        control.head = (struct cmsghdr){ CMSG_LEN(fd_count * sizeof *fds), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof *fds);
    }
    assert_int_equal(sendmsg(step, &packet, MSG_NOSIGNAL), size);
}

static void say_hello(int step)
{
    const struct step_hello hello = { STEP_HELLO, STEP_PROTOCOL_VERSION, -1 };
    say(step, &hello, sizeof hello, NULL, 0);
}

/* Waits for RUN; its number. */
static uint32_t hear_run(int step)
{
    struct step_run run;
    assert_int_equal(recv(step, &run, sizeof run, 0), sizeof run);
    assert_int_equal(run.kind, STEP_RUN);
    return run.run;
}

static void say_started(int step, uint32_t run, int fd)
{
    const struct step_started started = { STEP_STARTED, run, 2, STEP_CLEANED_NOT };
    say(step, &started, sizeof started, &fd, fd >= 0);
}

static void say_exited(int step, uint32_t run, int status)
{
    const struct step_exited exited = { STEP_EXITED, run, status, 0, -1 };
    say(step, &exited, sizeof exited, NULL, 0);
}

static int begin(struct pod *pod)
{
    pod_init(pod);
    plan_step_line(pod, "script", "true");
    plan_store(pod);
    pod_start_courier(pod);
    return connect_as_step(pod);
}

/* The job ends as a failure of the system, soon, and courier with it. */
static void expect_system_failure(struct pod *pod, int step, enum outcome outcome)
{
    pod_finish(pod);
    assert_true(now_ms() - pod->began_ms < 10000);
    assert_int_equal(pod->result.outcome, outcome);
    assert_int_equal(pod->result.reason, REASON_SYSTEM);
    close(step);
    pod_clear(pod);
}

static void nonsense_before_the_first_script_is_a_job_that_never_began(void **state)
{
    static const struct {
        uint32_t words[16];
        size_t size;
    } all[] = {
        { { 0 }, 4 },
        { { 99, 1, 2, 3 }, 16 },
        { { STEP_HELLO, 2, 0, 0 }, 16 },
        { { STEP_HELLO, 1 }, 8 },
        { { STEP_HELLO, 1 }, 60 },
        { { STEP_RUN, 1, 1, 1, 0 }, 20 },
        { { STEP_STARTED, 1, 2, 0 }, 16 },
        { { STEP_EXITED, 1, 0, 0, 0, 0 }, 24 },
        { { STEP_FAILED, 1, 2, 3 }, 16 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct pod pod;
        const int step = begin(&pod);
        say(step, all[i].words, all[i].size, NULL, 0);
        expect_system_failure(&pod, step, OUTCOME_NEVER_BEGAN);
    }
}

static void a_packet_over_the_ceiling_is_nonsense(void **state)
{
    struct pod pod;
    static char big[60000] = { STEP_HELLO };
    const int step = begin(&pod);
    (void)state;
    say(step, big, sizeof big, NULL, 0);
    expect_system_failure(&pod, step, OUTCOME_NEVER_BEGAN);
}

static void an_answer_to_another_run_is_nonsense(void **state)
{
    struct pod pod;
    const int step = begin(&pod);
    (void)state;
    say_hello(step);
    const uint32_t run = hear_run(step);
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    say_started(step, run + 1, null_fd);
    close(null_fd);
    expect_system_failure(&pod, step, OUTCOME_FAILED);
}

static void an_output_that_is_no_pipe_or_none_is_nonsense(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pod pod;
        const int step = begin(&pod);
        say_hello(step);
        const int fd = i ? -1 : open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        say_started(step, hear_run(step), fd);
        if (fd >= 0)
            close(fd);
        expect_system_failure(&pod, step, OUTCOME_FAILED);
    }
}

static void superfluous_descriptors_are_closed(void **state)
{
    struct pod pod;
    int ends[2], extra[2];
    struct pollfd closed;
    const int step = begin(&pod);
    (void)state;
    say_hello(step);
    const uint32_t run = hear_run(step);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pipe2(extra, O_CLOEXEC), 0);
    const struct step_started started = { STEP_STARTED, run, 2, STEP_CLEANED_NOT };
    say(step, &started, sizeof started, (int[]){ ends[0], extra[1], extra[1], extra[1] }, 4);
    close(ends[0]);
    close(extra[1]);
    assert_int_equal(write(ends[1], "hello\n", 6), 6);
    closed = (struct pollfd){ .fd = extra[0], .events = POLLIN };
    assert_int_equal(poll(&closed, 1, 5000), 1); /* at its end: courier holds none */
    say_exited(step, run, 7 << 8);
    close(ends[1]);
    pod_finish(&pod);
    trace_has(&pod, "\nhello\n");
    assert_int_equal(pod.result.exit_code, 7);
    close(extra[0]);
    close(step);
    pod_clear(&pod);
}

static void an_exit_before_the_start_is_nonsense(void **state)
{
    struct pod pod;
    const int step = begin(&pod);
    (void)state;
    say_hello(step);
    say_exited(step, hear_run(step), 0);
    expect_system_failure(&pod, step, OUTCOME_FAILED);
}

static void output_after_the_exit_is_taken_to_its_end(void **state)
{
    struct pod pod;
    int ends[2];
    const int step = begin(&pod);
    (void)state;
    say_hello(step);
    const uint32_t run = hear_run(step);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    say_started(step, run, ends[0]);
    say_exited(step, run, 0);
    usleep(300000);
    assert_int_equal(write(ends[1], "late\n", 5), 5);
    close(ends[0]);
    close(ends[1]);
    pod_finish(&pod);
    trace_has(&pod, "late\n");
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    close(step);
    pod_clear(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_before_the_first_script_is_a_job_that_never_began),
        cmocka_unit_test(a_packet_over_the_ceiling_is_nonsense),
        cmocka_unit_test(an_answer_to_another_run_is_nonsense),
        cmocka_unit_test(an_output_that_is_no_pipe_or_none_is_nonsense),
        cmocka_unit_test(superfluous_descriptors_are_closed),
        cmocka_unit_test(an_exit_before_the_start_is_nonsense),
        cmocka_unit_test(output_after_the_exit_is_taken_to_its_end),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
