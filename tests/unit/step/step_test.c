/* What courier sees of a running step: every test in every kind of container. Attacks are in siege_test.c. */
#include "step/container.h"

static const struct place places[] = {
    { .name = "plain process", .uid = 12345 },
    { .name = "PID 1, root without capabilities", .first = true, .uid = 0 },
    { .name = "PID 1, uid 1000", .first = true, .uid = 1000 },
    { .name = "PID 1, uid without a name", .first = true, .uid = 12345 },
};
static const struct place *place = &places[0];

static int open_container(void **state)
{
    struct container *container = calloc(1, sizeof *container);
    container_open(container, place);
    expect_hello(container);
    *state = container;
    return 0;
}

static int close_container(void **state)
{
    container_close(*state);
    free(*state);
    return 0;
}

/* Asserts on the status of a script, which must print nothing. */
static void assert_status(const struct container *container, const char *script, int status)
{
    struct outcome outcome = run_wish(container, 7, &(struct wish){ .script = script });
    assert_string_equal(outcome.output, "");
    assert_int_equal(outcome.status, status);
    free(outcome.output);
}

static void the_exit_code_of_the_script_is_reported(void **state)
{
    assert_status(*state, "", 0);
    assert_status(*state, "exit 0", 0);
    assert_status(*state, "exit 42", 42 << 8);
    assert_status(*state, "exit 255", 255 << 8);
    assert_status(*state, "set -e; false; exit 0", 1 << 8);
}

static void the_signal_that_ended_the_script_is_reported(void **state)
{
    assert_status(*state, "kill -9 $$", SIGKILL);
    assert_status(*state, "kill -TERM $$", SIGTERM);
}

static void output_arrives_byte_for_byte(void **state)
{
    struct container *container = *state;
    static unsigned char sent[300000];
    char path[128];
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (unsigned char)(i ^ (i >> 8) * 7);
    snprintf(path, sizeof path, "%s/bytes", container->folder);
    FILE *file = fopen(path, "we");
    fwrite(sent, sizeof sent, 1, file);
    fclose(file);
    struct outcome outcome = run_wish(container, 1, &(struct wish){ .script = "cat bytes; cat bytes >&2" });
    assert_int_equal(outcome.bytes, 2 * sizeof sent);
    assert_memory_equal(outcome.output, sent, sizeof sent);
    assert_memory_equal(outcome.output + sizeof sent, sent, sizeof sent);
    free(outcome.output);
}

static void stdout_and_stderr_are_one_pipe_that_the_user_may_open(void **state)
{
    run_prints(*state, "echo 1; echo 2 >&2; echo 3 > /dev/stderr; echo 4 > /dev/stdout; echo 5 > /proc/self/fd/1",
               "1\n2\n3\n4\n5\n");
}

static void the_environment_is_passed_byte_for_byte(void **state)
{
    static const char *const entries[] = {
        "PATH=/usr/bin:/bin", "DATAOPS_VAULT(A.B)=x", "EMPTY=", "LINES=a\nb\n", "EQUALS=a=b=",
        "RAW=\xff\x01 '\"$`", "OF_BOTH=of the job",   NULL
    };
    struct outcome outcome =
        run_wish(*state, 1, &(struct wish){ .entries = entries, .script = "cat /proc/$$/environ" });
    const char *next = outcome.output;
    for (unsigned i = 0; entries[i]; i++) {
        assert_memory_equal(next, entries[i], strlen(entries[i]) + 1);
        next += strlen(entries[i]) + 1;
    }
    bool of_image = false;
    for (; next < outcome.output + outcome.bytes; next += strlen(next) + 1) {
        assert_true(strncmp(next, "OF_BOTH=", 8) != 0);
        of_image = of_image || strcmp(next, "OF_IMAGE=kept") == 0;
    }
    assert_true(of_image);
    free(outcome.output);
}

static void names_that_no_shell_knows_reach_programs(void **state)
{
    static const char *const entries[] = { "PATH=/usr/bin:/bin", "DATAOPS_VAULT(A.B)=x", NULL };
    struct outcome outcome =
        run_wish(*state, 1, &(struct wish){ .entries = entries, .script = "printenv 'DATAOPS_VAULT(A.B)'" });
    assert_string_equal(outcome.output, "x\n");
    free(outcome.output);
}

static void a_script_of_a_mebibyte_runs_to_its_last_line(void **state)
{
    char *script = malloc(1100001);
    size_t bytes = 0;
    while (bytes < 1048576)
        bytes += (size_t)snprintf(script + bytes, 1100001 - bytes, "N=%zu # a line of a long script\n", bytes);
    snprintf(script + bytes, 1100001 - bytes, "printf %%s \"$N\"; exit 7"); /* no LF at the end */
    struct outcome outcome = run_wish(*state, 1, &(struct wish){ .script = script });
    assert_int_equal(outcome.status, 7 << 8);
    assert_true(strtoul(outcome.output, NULL, 10) > 1048000);
    free(outcome.output);
    free(script);
}

static void stdin_is_at_its_end(void **state)
{
    run_prints(*state, "read x; echo $?; cat; readlink /proc/self/fd/0", "1\n/dev/null\n");
}

static void the_script_has_its_folder_session_and_group(void **state)
{
    struct container *container = *state;
    char words[128];
    snprintf(words, sizeof words, "%s\nalone\n", container->folder);
    run_prints(container,
               "pwd -P; read -r _ _ _ _ group session _ < /proc/$$/stat\n"
               "[ \"$group\" = $$ ] && [ \"$session\" = $$ ] && echo alone",
               words);
}

static void the_script_starts_without_blocked_or_ignored_signals(void **state)
{
    run_prints(*state, "grep -E 'Sig(Blk|Ign)' /proc/self/status",
               "SigBlk:\t0000000000000000\n"
               "SigIgn:\t0000000000000000\n");
}

static void the_script_inherits_its_own_descriptors_only(void **state)
{
    run_prints(*state, "ls /proc/self/fd", "0\n1\n2\n3\n9\n"); /* 3: the folder that ls reads */
    run_prints(*state, "cat /proc/self/fd/9; : > /proc/self/fd/9; echo $?",
               "cat /proc/self/fd/9; : > /proc/self/fd/9; echo $?"
               "/proc/self/fd/9: line 1: /proc/self/fd/9: Operation not permitted\n1\n");
    run_prints(*state, "exec 9<&-\nls /proc/self/fd", "0\n1\n2\n3\n");
}

static void a_low_limit_of_descriptors_is_enough(void **state)
{
    struct container *container = *state;
    char script[640];
    snprintf(script, sizeof script, "'%s' prlimit $PPID 20", test_program);
    run_prints(container, script, "");
    /* the soft limit was restored, though the hard one is 20 now */
    run_prints(container, "ulimit -n; echo ${0%?}", "20\n/proc/self/fd/\n");
}

static void a_background_process_keeps_the_pipe_after_the_exit(void **state)
{
    struct container *container = *state;
    struct step_started started;
    size_t bytes;
    send_run(container, 1, &(struct wish){ .script = "sleep 1000 & echo done" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "done\n");
    assert_int_equal(expect_exited(container, 1), 0);
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&ready, 1, 100), 0);
    send_bye(container);
    free(output_read(fd, 0, &bytes));
    assert_int_equal(bytes, 0);
    assert_int_equal(container_wait(container), STEP_EXIT_BYE);
    close(fd);
}

static void what_a_script_left_behind_lives_on_in_the_next(void **state)
{
    struct container *container = *state;
    struct step_started started;
    send_run(container, 1, &(struct wish){ .script = "sleep 1000 & echo $! > left" });
    close(expect_started(container, 1, &started));
    assert_int_equal(expect_exited(container, 1), 0);
    struct outcome outcome = run_wish(container, 2, &(struct wish){ .script = "kill -0 $(cat left) && echo alive" });
    assert_string_equal(outcome.output, "alive\n");
    assert_int_equal(outcome.cleaned, 0);
    free(outcome.output);
}

static void stop_sends_term_to_the_whole_group(void **state)
{
    struct container *container = *state;
    struct step_started started;
    size_t bytes;
    send_run(container, 5,
             &(struct wish){ .grace_ms = PATIENCE_MS * 2,
                             .script = "(trap 'echo inner; exit' TERM; echo ready\n"
                                       "while :; do sleep 0.02; done) 2> /dev/null &\n"
                                       "trap 'wait; echo outer; exit 3' TERM; wait" });
    const int fd = expect_started(container, 5, &started);
    output_expect(fd, "ready\n");
    usleep(50000); /* the outer trap is set */
    send_stop(container, 4);
    send_stop(container, 5);
    char *output = output_read(fd, 0, &bytes);
    assert_string_equal(output, "inner\nouter\n");
    assert_int_equal(expect_exited(container, 5), 3 << 8);
    free(output);
    close(fd);
}

/* Starts a script that TERM does not end. Its output pipe. */
static int start_stubborn(const struct container *container, uint32_t grace_ms)
{
    struct step_started started;
    send_run(
        container, 1,
        &(struct wish){ .grace_ms = grace_ms, .script = "trap '' TERM; echo ready; while :; do sleep 0.02; done" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "ready\n");
    return fd;
}

static void kill_follows_term_after_the_grace(void **state)
{
    struct container *container = *state;
    const int fd = start_stubborn(container, 300);
    const uint64_t stopped_ms = now_ms();
    send_stop(container, 1);
    assert_int_equal(expect_exited(container, 1), SIGKILL);
    assert_in_range(now_ms() - stopped_ms, 300, 3000);
    close(fd);
    run_prints(container, "echo next", "next\n");
}

static void a_second_stop_kills_at_once(void **state)
{
    struct container *container = *state;
    const int fd = start_stubborn(container, STEP_GRACE_MAX_MS);
    send_stop(container, 1);
    send_stop(container, 1);
    assert_int_equal(expect_exited(container, 1), SIGKILL);
    close(fd);
}

static void the_grace_goes_on_for_the_group_when_the_script_ended(void **state)
{
    struct container *container = *state;
    struct step_started started;
    size_t bytes;
    send_run(container, 1,
             &(struct wish){ .grace_ms = 300, .script = "(trap '' TERM; echo ready; exec sleep 1000) & wait" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "ready\n");
    const uint64_t stopped_ms = now_ms();
    send_stop(container, 1);
    assert_int_equal(expect_exited(container, 1), SIGTERM);
    free(output_read(fd, 0, &bytes));
    assert_in_range(now_ms() - stopped_ms, 300, 3000);
    close(fd);
}

static void a_second_stop_ends_the_grace_of_what_the_script_left(void **state)
{
    struct container *container = *state;
    struct step_started started;
    size_t bytes;
    send_run(container, 1,
             &(struct wish){ .grace_ms = STEP_GRACE_MAX_MS,
                             .script = "(trap '' TERM; echo ready; exec sleep 1000) & wait" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "ready\n");
    send_stop(container, 1);
    assert_int_equal(expect_exited(container, 1), SIGTERM);
    send_stop(container, 1);
    free(output_read(fd, 0, &bytes));
    close(fd);
}

static void a_run_that_is_alone_leaves_nothing_behind(void **state)
{
    struct container *container = *state;
    struct step_started started;
    size_t bytes;
    send_run(container, 1,
             &(struct wish){ .flags = STEP_RUN_ALONE,
                             .script =
                                 "setsid sh -c 'trap \"\" TERM HUP; exec sleep 1000' & sleep 1000 & echo $!; exit 4" });
    const int fd = expect_started(container, 1, &started);
    assert_int_equal(expect_exited(container, 1), 4 << 8);
    free(output_read(fd, 0, &bytes)); /* at its end: nobody holds it */
    close(fd);
    run_prints(container, "echo next", "next\n");
}

static void the_next_run_ends_the_grace(void **state)
{
    struct container *container = *state;
    struct step_started started;
    send_run(container, 1,
             &(struct wish){ .grace_ms = STEP_GRACE_MAX_MS,
                             .script = "(trap '' TERM; echo $BASHPID > left; echo ready; exec sleep 1000) & wait" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "ready\n");
    send_stop(container, 1);
    assert_int_equal(expect_exited(container, 1), SIGTERM);
    struct outcome outcome =
        run_wish(container, 2, &(struct wish){ .script = "kill -0 $(cat left) 2> /dev/null || echo gone" });
    assert_string_equal(outcome.output, "gone\n");
    assert_int_equal(outcome.cleaned, STEP_CLEANED_STOPPED);
    free(outcome.output);
    close(fd);
}

static void stop_for_an_ended_run_does_nothing(void **state)
{
    struct container *container = *state;
    struct step_started started;
    send_run(container, 1, &(struct wish){ .script = "sleep 1000 & echo $! > left" });
    close(expect_started(container, 1, &started));
    assert_int_equal(expect_exited(container, 1), 0);
    send_stop(container, 1);
    send_stop(container, 1);
    struct outcome outcome = run_wish(container, 2, &(struct wish){ .script = "kill -0 $(cat left) && echo alive" });
    assert_string_equal(outcome.output, "alive\n");
    free(outcome.output);
}

/* Runs a script that leaves a process in a session of its own, ends step by the given function, and sees it gone. */
static void assert_escapee_dies(struct container *container, void (*end)(const struct container *), int code)
{
    struct step_started started;
    size_t bytes;
    send_run(container, 1, &(struct wish){ .script = "setsid sh -c 'trap \"\" TERM; echo free; sleep 1000' & wait" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "free\n");
    end(container);
    free(output_read(fd, 0, &bytes)); /* EOF: nobody has the pipe any more */
    assert_int_equal(container_wait(container), code);
    close(fd);
}

static void lose(const struct container *container)
{
    shutdown(container->courier, SHUT_RDWR);
}

static void bye_ends_what_changed_its_session(void **state)
{
    assert_escapee_dies(*state, send_bye, STEP_EXIT_BYE);
}

static void losing_courier_ends_what_changed_its_session(void **state)
{
    struct container *container = *state;
    assert_escapee_dies(container, lose, STEP_EXIT_LOST);
    assert_true(container_said(container, "dataops-step: courier is gone\n"));
}

static void a_missing_folder_fails_the_run_only(void **state)
{
    struct container *container = *state;
    send_run(container, 3, &(struct wish){ .folder = "/no/such/folder", .script = "echo wrong" });
    expect_failed(container, 3, ENOENT, STEP_CALL_CHDIR);
    send_run(container, 4, &(struct wish){ .folder = "/etc/passwd", .script = "echo wrong" });
    expect_failed(container, 4, ENOTDIR, STEP_CALL_CHDIR);
    run_prints(container, "echo right", "right\n");
}

static void an_environment_that_is_too_big_is_reported_as_such(void **state)
{
    struct container *container = *state;
    char *entry = malloc(200001);
    const char *entries[] = { entry, NULL };
    memset(entry, 'x', 200000);
    memcpy(entry, "BIG=", 4);
    entry[200000] = '\0';
    send_run(container, 3, &(struct wish){ .entries = entries, .script = "echo wrong" });
    expect_failed(container, 3, E2BIG, STEP_CALL_EXEC);
    free(entry);
    run_prints(container, "echo right", "right\n");
}

static void a_second_script_has_to_wait(void **state)
{
    struct container *container = *state;
    struct step_started started;
    send_run(container, 1, &(struct wish){ .script = "echo ready; while [ ! -e go ]; do sleep 0.02; done; exit 5" });
    const int fd = expect_started(container, 1, &started);
    output_expect(fd, "ready\n");
    send_run(container, 2, &(struct wish){ .script = "echo wrong" });
    expect_failed(container, 2, EBUSY, STEP_CALL_RUN);
    char path[128];
    snprintf(path, sizeof path, "%s/go", container->folder);
    close(open(path, O_CREAT | O_WRONLY, 0666));
    assert_int_equal(expect_exited(container, 1), 5 << 8);
    close(fd);
}

static void orphans_are_reaped(void **state)
{
    /* dead children of step may be seen for a moment, but not for ever */
    run_prints(*state,
               "(sleep 0.01 & sleep 0.01 & setsid sleep 0.01 &); sleep 0.1\n"
               "dead() { grep -l '^State:.Z' /proc/[0-9]*/status 2> /dev/null |\n"
               "xargs -r grep -l \"^PPid:.$PPID\\$\" 2> /dev/null; }\n"
               "for i in 1 2 3 4 5 6 7 8 9 10; do\n"
               "[ -z \"$(dead)\" ] && echo none && exit; sleep 0.2; done; dead",
               "none\n");
}

/* `TEST prlimit PID NUMBER`: sets both limits of descriptors of another process. */
static int inside_prlimit(char **words)
{
    const rlim_t number = strtoul(words[1], NULL, 10);
    const struct rlimit limit = { number / 2, number };
    return prlimit((pid_t)strtol(words[0], NULL, 10), RLIMIT_NOFILE, &limit, NULL) < 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_container, close_container)

int main(int count, char **words)
{
    static const struct CMUnitTest tests[] = {
        CASE(the_exit_code_of_the_script_is_reported),
        CASE(the_signal_that_ended_the_script_is_reported),
        CASE(output_arrives_byte_for_byte),
        CASE(stdout_and_stderr_are_one_pipe_that_the_user_may_open),
        CASE(the_environment_is_passed_byte_for_byte),
        CASE(names_that_no_shell_knows_reach_programs),
        CASE(a_script_of_a_mebibyte_runs_to_its_last_line),
        CASE(stdin_is_at_its_end),
        CASE(the_script_has_its_folder_session_and_group),
        CASE(the_script_starts_without_blocked_or_ignored_signals),
        CASE(the_script_inherits_its_own_descriptors_only),
        CASE(a_low_limit_of_descriptors_is_enough),
        CASE(a_background_process_keeps_the_pipe_after_the_exit),
        CASE(what_a_script_left_behind_lives_on_in_the_next),
        CASE(stop_sends_term_to_the_whole_group),
        CASE(kill_follows_term_after_the_grace),
        CASE(a_second_stop_kills_at_once),
        CASE(the_grace_goes_on_for_the_group_when_the_script_ended),
        CASE(a_second_stop_ends_the_grace_of_what_the_script_left),
        CASE(a_run_that_is_alone_leaves_nothing_behind),
        CASE(the_next_run_ends_the_grace),
        CASE(stop_for_an_ended_run_does_nothing),
        CASE(bye_ends_what_changed_its_session),
        CASE(losing_courier_ends_what_changed_its_session),
        CASE(a_missing_folder_fails_the_run_only),
        CASE(an_environment_that_is_too_big_is_reported_as_such),
        CASE(a_second_script_has_to_wait),
        CASE(orphans_are_reaped),
    };
    if (count > 4 && strcmp(words[1], "as") == 0)
        return inside_as(words + 2);
    if (count > 3 && strcmp(words[1], "prlimit") == 0)
        return inside_prlimit(words + 2);
    programs_find();
    int failures = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        place = &places[i];
        if (place->first && !bubblewrap_works()) {
            print_message("bubblewrap does not work here: %s left out\n", place->name);
            continue;
        }
        failures += cmocka_run_group_tests_name(place->name, tests, NULL, NULL);
    }
    return failures;
}
