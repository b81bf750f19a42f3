/*
 * What must not bring step down, or must bring it down with a sentence: attacks by the job, a courier that talks
 * nonsense, containers that lack what a script needs.
 */
#include "step/container.h"

#include <sys/syscall.h>

static const struct place plain = { .name = "plain process", .uid = 12345 };
static const struct place as_root = { .name = "PID 1, root without capabilities", .first = true };
static const struct place as_user = { .name = "PID 1, uid 1000", .first = true, .uid = 1000 };
static const struct place empty = { .name = "no shell at all", .first = true, .uid = 1000, .shell = "" };

/* Opens a container, or skips the test where there are none. */
static void open_in(struct container *container, const struct place *place)
{
    if (place->first && !bubblewrap_works())
        skip();
    container_open(container, place);
    expect_hello(container);
}

/* -- the job against step -- */

/*
 * `TEST attack PID`: tries to look into step, and to take what it holds. Prints what came of it, one line.
 * pidfd_getfd is how the control socket was taken, and a success forged, before step was made not dumpable.
 */
static int inside_attack(char **words)
{
    const pid_t victim = (pid_t)strtol(words[0], NULL, 10);
    const int pidfd = (int)syscall(SYS_pidfd_open, victim, 0);
    unsigned taken = 0;
    unsigned refused = 0;
    for (int fd = 0; pidfd >= 0 && fd < 20; fd++) {
        if (syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0)
            taken++;
        else if (errno == EPERM)
            refused++;
    }
    unsigned opened = 0;
    static const char *const files[] = { "environ", "fd/3", "mem", "maps", "cwd/" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", (int)victim, files[i]);
        const int fd = open(path, O_RDONLY);
        if (fd >= 0)
            opened++;
    }
    printf("taken %u, refused %u, opened %u\n", taken, refused, opened);
    return 0;
}

static void assert_attack_fails(const struct place *place)
{
    struct container container;
    char script[640];
    open_in(&container, place);
    snprintf(script, sizeof script, "exec '%s' attack $PPID", test_program);
    run_prints(&container, script, "taken 0, refused 20, opened 0\n");
    container_close(&container);
}

static void the_control_socket_cannot_be_taken(void **state)
{
    (void)state;
    assert_attack_fails(&plain);
    assert_attack_fails(&as_user);
    assert_attack_fails(&as_root);
}

static void no_signal_from_inside_ends_step(void **state)
{
    (void)state;
    static const struct place *const both[] = { &as_user, &as_root };
    for (size_t i = 0; i < 2; i++) {
        struct container container;
        open_in(&container, both[i]);
        run_prints(&container,
                   "for s in KILL TERM STOP INT HUP QUIT SEGV CHLD USR1 ALRM 34 64; do kill -$s 1; done; sleep 0.1\n"
                   "echo here",
                   "here\n");
        run_prints(&container, "kill -9 -1 2> /dev/null; echo here", "here\n");
        run_prints(&container, "echo still here", "still here\n");
        container_close(&container);
    }
}

static void term_from_outside_does_not_end_step(void **state)
{
    (void)state;
    struct container container;
    open_in(&container, &plain);
    kill(container.pid, SIGTERM);
    kill(container.pid, SIGINT);
    run_prints(&container, "echo after_script", "after_script\n");
    send_bye(&container);
    assert_int_equal(container_wait(&container), STEP_EXIT_BYE);
    container_close(&container);
}

static void the_end_of_the_grace_reaches_what_changed_its_session(void **state)
{
    (void)state;
    struct container container;
    struct step_started started;
    size_t bytes;
    open_in(&container, &as_user);
    send_run(
        &container, 1,
        &(struct wish){ .grace_ms = 200, .script = "trap '' TERM; setsid sh -c 'echo free; exec sleep 1000' & wait" });
    const int fd = expect_started(&container, 1, &started);
    output_expect(fd, "free\n");
    send_stop(&container, 1);
    assert_int_equal(expect_exited(&container, 1), SIGKILL);
    free(output_read(fd, 0, &bytes)); /* EOF: nobody has the pipe any more */
    close(fd);
    run_prints(&container, "echo next", "next\n");
    container_close(&container);
}

static void limits_set_on_step_do_not_reach_the_next_script(void **state)
{
    (void)state;
    struct container container;
    char script[640];
    open_in(&container, &as_user);
    struct outcome before = run_wish(&container, 1, &(struct wish){ .script = "ulimit -Sa" });
    snprintf(script, sizeof script, "exec '%s' soften $PPID", test_program);
    run_prints(&container, script, "");
    struct outcome after = run_wish(&container, 1, &(struct wish){ .script = "ulimit -Sa" });
    assert_string_equal(after.output, before.output);
    free(before.output);
    free(after.output);
    container_close(&container);
}

static void a_limit_that_cannot_be_undone_ends_step(void **state)
{
    (void)state;
    struct container container;
    struct step_started started;
    char script[640];
    open_in(&container, &as_user);
    snprintf(script, sizeof script, "exec '%s' harden $PPID", test_program);
    send_run(&container, 1, &(struct wish){ .script = script });
    const int fd = expect_started(&container, 1, &started);
    assert_int_equal(container_wait(&container), STEP_EXIT_LOST);
    assert_true(container_said(&container, "dataops-step: cannot wait for courier\n"));
    close(fd);
    container_close(&container);
}

/* `TEST soften PID`, `TEST harden PID`: lowers limits of another process so far that it can hardly do anything. */
static int inside_lower(char **words)
{
    static const int which[] = { RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_STACK, RLIMIT_NPROC, RLIMIT_DATA };
    const bool hard = strcmp(words[0], "harden") == 0;
    const pid_t victim = (pid_t)strtol(words[1], NULL, 10);
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        struct rlimit limit;
        if (hard && which[i] == RLIMIT_FSIZE) /* step's stderr is a file here */
            continue;
        if (prlimit(victim, (__rlimit_resource_t)which[i], NULL, &limit) < 0)
            return 1;
        limit.rlim_cur = 0;
        limit.rlim_max = hard ? 0 : limit.rlim_max;
        if (prlimit(victim, (__rlimit_resource_t)which[i], &limit, NULL) < 0)
            return 1;
    }
    return 0;
}

/*
 * `TEST bomb KIND`: takes every process that it can get, and ends. "full": they sleep, so that the place this process
 * leaves is enough for one shell only. "busy": they end and fork for ever, and take every place that becomes free.
 */
static int inside_bomb(char **words)
{
    const bool busy = strcmp(words[0], "busy") == 0;
    const pid_t first = getpid();
    for (;;) {
        const pid_t pid = fork();
        if (pid < 0 && getpid() == first)
            _exit(0); /* no exit-time checks: they need a process more */
        if (pid == 0 && !busy)
            for (;;)
                pause();
        if (busy && getpid() != first) {
            usleep(1000);
            if (pid > 0 && pid % 3 == 0)
                _exit(0);
        }
    }
}

static void after_script_finds_room_after_a_fork_bomb(void **state)
{
    (void)state;
    static const char *const kinds[] = { "full", "busy" };
    /* the limit counts all processes of a user: one for this test alone */
    const struct place crowded = {
        .name = "40 processes", .first = true, .processes = 40, .uid = 100000 + (unsigned)getpid()
    };
    for (size_t i = 0; i < 2; i++) {
        struct container container;
        struct step_started started;
        char bomb[640];
        open_in(&container, &crowded);
        snprintf(bomb, sizeof bomb, "exec '%s' bomb %s", test_program, kinds[i]);
        send_run(&container, 1, &(struct wish){ .script = bomb });
        const int fd = expect_started(&container, 1, &started);
        assert_int_equal(started.cleaned, 0);
        assert_int_equal(expect_exited(&container, 1), 0);
        struct outcome outcome =
            run_wish(&container, 2,
                     &(struct wish){ .script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait; echo tidy" });
        assert_string_equal(outcome.output, "tidy\n");
        assert_int_equal(outcome.cleaned, 1);
        free(outcome.output);
        close(fd);
        container_close(&container);
    }
}

/* -- containers that lack something -- */

static void no_shell_is_reported(void **state)
{
    (void)state;
    struct container container;
    open_in(&container, &empty);
    send_run(&container, 1, &(struct wish){ .script = "echo wrong" });
    expect_failed(&container, 1, ENOENT, STEP_CALL_EXEC);
    send_run(&container, 2, &(struct wish){ .script = "echo wrong", .shell = STEP_SHELL_SH });
    expect_failed(&container, 2, ENOENT, STEP_CALL_EXEC);
    container_close(&container);
}

static void a_shell_that_may_not_be_executed_is_told_from_none(void **state)
{
    (void)state;
    static const struct place useless = {
        .name = "no usable shell", .first = true, .uid = 1000, .shell = "/etc/passwd"
    };
    struct container container;
    open_in(&container, &useless);
    send_run(&container, 1, &(struct wish){ .script = "echo wrong" });
    expect_failed(&container, 1, EACCES, STEP_CALL_EXEC);
    container_close(&container);
}

/* Runs a script with the one shell as /busybox/sh, which gets its script as a user that owns nothing. */
static void assert_shell_works(const char *shell)
{
    const struct place only = { .name = shell, .first = true, .uid = 12345, .shell = shell };
    struct container container;
    if (access(shell, X_OK) < 0)
        skip();
    open_in(&container, &only);
    run_prints(&container, "x=1\nread y || echo $x $0\nf() { echo \"$1\"; }\nf two >&2", "1 /proc/self/fd/9\ntwo\n");
    char *script = malloc(300001);
    size_t bytes = 0;
    while (bytes < 262144)
        bytes += (size_t)snprintf(script + bytes, 300001 - bytes, "N=%zu # longer than a shell reads at once\n", bytes);
    snprintf(script + bytes, 300001 - bytes, "exit 9");
    struct outcome outcome = run_wish(&container, 2, &(struct wish){ .script = script });
    assert_int_equal(outcome.status, 9 << 8);
    free(outcome.output);
    free(script);
    container_close(&container);
}

static void dash_takes_its_script(void **state)
{
    (void)state;
    assert_shell_works("/usr/bin/dash");
}

static void busybox_takes_its_script(void **state)
{
    (void)state;
    const char *busybox = getenv("DATAOPS_BUSYBOX");
    assert_shell_works(busybox ? busybox : "/usr/bin/busybox");
}

static void sh_is_taken_when_sh_is_wished(void **state)
{
    (void)state;
    struct container container;
    open_in(&container, &plain);
    struct outcome outcome =
        run_wish(&container, 1, &(struct wish){ .shell = STEP_SHELL_SH, .script = "cat /proc/$$/comm" });
    assert_string_equal(outcome.output, "sh\n");
    free(outcome.output);
    outcome = run_wish(&container, 2, &(struct wish){ .shell = STEP_SHELL_BASH, .script = "cat /proc/$$/comm" });
    assert_string_equal(outcome.output, "bash\n");
    free(outcome.output);
    container_close(&container);
}

/* -- courier talking nonsense -- */

static void an_order_that_is_not_sealed_or_too_big_is_refused(void **state)
{
    (void)state;
    struct container container;
    const struct step_run run = { STEP_RUN, 1, STEP_SHELL_BASH, 0, 0 };
    size_t size;
    open_in(&container, &plain);
    char *block = block_write(&container, &(struct wish){ .script = "echo wrong" }, &size);
    static const int seals[] = { 0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW };
    for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
        const int fd = file_with(block, size, seals[i]);
        send_packet(&container, &run, sizeof run, fd);
        expect_failed(&container, 1, EPERM, STEP_CALL_ORDER);
        close(fd);
    }
    block[0] = 'd';
    int fd = file_with(block, size, F_SEAL_WRITE | F_SEAL_SHRINK);
    send_packet(&container, &run, sizeof run, fd);
    expect_failed(&container, 1, EBADMSG, STEP_CALL_ORDER);
    close(fd);
    fd = file_with("", 0, F_SEAL_WRITE | F_SEAL_SHRINK);
    send_packet(&container, &run, sizeof run, fd);
    expect_failed(&container, 1, EBADMSG, STEP_CALL_ORDER);
    close(fd);
    fd = memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, STEP_ORDER_MAX_BYTES + 1), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
    send_packet(&container, &run, sizeof run, fd);
    expect_failed(&container, 1, EFBIG, STEP_CALL_ORDER);
    close(fd);
    send_packet(&container, &run, sizeof run, STDERR_FILENO);
    struct step_failed failed;
    expect(&container, STEP_FAILED, &failed, sizeof failed, NULL);
    assert_int_equal(failed.call, STEP_CALL_ORDER);
    free(block);
    run_prints(&container, "echo right", "right\n");
    container_close(&container);
}

static void the_largest_order_is_taken(void **state)
{
    (void)state;
    struct container container;
    size_t size;
    open_in(&container, &plain);
    char *script = malloc(STEP_ORDER_MAX_BYTES);
    free(block_write(&container, &(struct wish){ .script = "" }, &size));
    const size_t bytes = STEP_ORDER_MAX_BYTES - size;
    memset(script, '\n', bytes);
    memcpy(script + bytes - 6, "exit 6", 7);
    struct outcome outcome = run_wish(&container, 1, &(struct wish){ .script = script });
    assert_int_equal(outcome.status, 6 << 8);
    free(outcome.output);
    free(script);
    container_close(&container);
}

/* A packet that step must not put up with. */
struct nonsense {
    uint32_t words[16];
    size_t size;
    bool with_fd;
    const char *why;
};

static void nonsense_ends_step_with_a_sentence(void **state)
{
    (void)state;
    static const char unknown[] = "courier sent a message of unknown kind or size\n";
    static const char descriptors[] = "courier sent a message with the wrong number of descriptors\n";
    static const char wish[] = "courier sent a RUN with a number, shell, grace or flag that does not exist\n";
    static const struct nonsense all[] = {
        { { 0 }, 4, false, unknown },
        { { 99, 1 }, 8, false, unknown },
        { { STEP_BYE }, 3, false, unknown },
        { { STEP_BYE }, 8, false, unknown },
        { { STEP_STOP, 1 }, 4, false, unknown },
        { { STEP_HELLO, 1 }, 16, false, unknown },
        { { STEP_EXITED, 1 }, 24, false, unknown },
        { { STEP_RUN, 1, 1 }, 64, true, unknown },
        { { STEP_RUN, 1, 1 }, 20, false, descriptors },
        { { STEP_STOP, 1 }, 8, true, descriptors },
        { { STEP_RUN, 0, STEP_SHELL_BASH, 0, 0 }, 20, true, wish },
        { { STEP_RUN, 1, 3, 0, 0 }, 20, true, wish },
        { { STEP_RUN, 1, STEP_SHELL_BASH, STEP_GRACE_MAX_MS + 1, 0 }, 20, true, wish },
        { { STEP_RUN, 1, STEP_SHELL_BASH, 0, 2 }, 20, true, wish },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct container container;
        open_in(&container, &plain);
        send_packet(&container, all[i].words, all[i].size, all[i].with_fd ? STDERR_FILENO : -1);
        assert_int_equal(container_wait(&container), STEP_EXIT_LOST);
        assert_true(container_said(&container, all[i].why));
        container_close(&container);
    }
}

static void two_descriptors_end_step(void **state)
{
    (void)state;
    struct container container;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = { 0 };
    const int fds[] = { STDERR_FILENO, STDERR_FILENO };
    struct step_run run = { STEP_RUN, 1, STEP_SHELL_BASH, 0, 0 };
    struct iovec part = { &run, sizeof run };
    const struct msghdr packet = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    control.head = (struct cmsghdr){ CMSG_LEN(sizeof fds), SOL_SOCKET, SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.head), fds, sizeof fds);
    open_in(&container, &plain);
    assert_int_equal(sendmsg(container.courier, &packet, 0), sizeof run);
    assert_int_equal(container_wait(&container), STEP_EXIT_LOST);
    assert_true(container_said(&container, "wrong number of descriptors"));
    container_close(&container);
}

/* -- no courier, and the other commands -- */

/* Runs the program with a socket and an argument or two. Its exit code; *output (free) is what it wrote. */
static int program_run(const char *socket_path, const char *first, const char *second, char **output)
{
    int ends[2];
    size_t bytes;
    int status;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        setenv(STEP_SOCKET_VARIABLE, socket_path, 1);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execl(step_program, "step", first, second, NULL);
        _exit(110);
    }
    close(ends[1]);
    *output = output_read(ends[0], 0, &bytes);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void without_courier_step_ends_after_two_seconds(void **state)
{
    (void)state;
    char *output;
    const uint64_t start_ms = now_ms();
    assert_int_equal(program_run("/no/socket", NULL, NULL, &output), STEP_EXIT_LOST);
    assert_in_range(now_ms() - start_ms, STEP_CONNECT_LIMIT_MS, STEP_CONNECT_LIMIT_MS + 1000);
    assert_string_equal(output, "dataops-step: no courier at /no/socket within 2 s: No such file or directory\n");
    free(output);
}

static void the_version_names_the_protocol(void **state)
{
    (void)state;
    char *output;
    assert_int_equal(program_run("", "--version", NULL, &output), 0);
    assert_string_equal(output, "dataops-step " DATAOPS_VERSION ", protocol 1\n");
    free(output);
    assert_int_equal(program_run("", "--other", NULL, &output), STEP_EXIT_USAGE);
    free(output);
}

static void mark_makes_a_file_and_never_fails(void **state)
{
    (void)state;
    char folder[] = "/tmp/step-XXXXXX";
    char path[64];
    char *output;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/marker", folder);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(program_run("", "mark", path, &output), 0);
        assert_string_equal(output, "");
        assert_int_equal(access(path, F_OK), 0);
        free(output);
    }
    assert_int_equal(program_run("", "mark", "/no/such/marker", &output), 0);
    assert_string_equal(output, "dataops-step: mark /no/such/marker: No such file or directory\n");
    free(output);
    assert_int_equal(program_run("", "mark", NULL, &output), 0);
    free(output);
    unlink(path);
    rmdir(folder);
}

int main(int count, char **words)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_control_socket_cannot_be_taken),
        cmocka_unit_test(no_signal_from_inside_ends_step),
        cmocka_unit_test(term_from_outside_does_not_end_step),
        cmocka_unit_test(the_end_of_the_grace_reaches_what_changed_its_session),
        cmocka_unit_test(limits_set_on_step_do_not_reach_the_next_script),
        cmocka_unit_test(a_limit_that_cannot_be_undone_ends_step),
        cmocka_unit_test(after_script_finds_room_after_a_fork_bomb),
        cmocka_unit_test(no_shell_is_reported),
        cmocka_unit_test(a_shell_that_may_not_be_executed_is_told_from_none),
        cmocka_unit_test(dash_takes_its_script),
        cmocka_unit_test(busybox_takes_its_script),
        cmocka_unit_test(sh_is_taken_when_sh_is_wished),
        cmocka_unit_test(an_order_that_is_not_sealed_or_too_big_is_refused),
        cmocka_unit_test(the_largest_order_is_taken),
        cmocka_unit_test(nonsense_ends_step_with_a_sentence),
        cmocka_unit_test(two_descriptors_end_step),
        cmocka_unit_test(without_courier_step_ends_after_two_seconds),
        cmocka_unit_test(the_version_names_the_protocol),
        cmocka_unit_test(mark_makes_a_file_and_never_fails),
    };
    if (count > 4 && strcmp(words[1], "as") == 0)
        return inside_as(words + 2);
    if (count > 2 && strcmp(words[1], "attack") == 0)
        return inside_attack(words + 2);
    if (count > 2 && strcmp(words[1], "bomb") == 0)
        return inside_bomb(words + 2);
    if (count > 2 && (strcmp(words[1], "soften") == 0 || strcmp(words[1], "harden") == 0))
        return inside_lower(words + 1);
    programs_find();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
