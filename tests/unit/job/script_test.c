/* What a rendered script does in each shell that a job's image may have. It is started as the program in the container
 * does it: as a file descriptor of its own. */
#include "job/script.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DESCRIPTOR  5
#define GREEN(text) "\033[32;1m" text "\033[0;m\n"

static char folder[] = "/tmp/script_test.XXXXXX";
static const struct shell {
    const char *path, *name, *argument;
} shells[] = {
    { "/bin/bash", "bash", NULL },      { "/bin/bash", "bash", "--posix" }, { "/bin/dash", "dash", NULL },
    { "/usr/bin/busybox", "sh", NULL }, { "/bin/busybox", "sh", NULL },
};

struct run {
    int status;
    struct strbuf output;
};

static int script_descriptor(const struct strbuf *text)
{
    int fd = memfd_create("script", 0);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text->bytes, text->length), text->length);
    return fd;
}

static void become(const struct shell *shell, int script, int output, const char *input)
{
    int in[2];
    char *arguments[4] = { (char *)(uintptr_t)shell->name };
    int count = 1;

    if (shell->argument)
        arguments[count++] = (char *)(uintptr_t)shell->argument;
    arguments[count] = (char *)(uintptr_t) "/proc/self/fd/5";
    if (pipe(in) < 0 || write(in[1], input, strlen(input)) < 0)
        _exit(120);
    close(in[1]);
    setpgid(0, 0);
    dup2(in[0], 0);
    dup2(output, 1);
    dup2(output, 2);
    dup2(script, DESCRIPTOR);
    for (int i = 3; i < 40; i++) {
        if (i != DESCRIPTOR)
            close(i);
    }
    execv(shell->path, arguments);
    _exit(121);
}

static void collect(int fd, pid_t pid, const char *kill_at, struct strbuf *output)
{
    char bytes[4096];

    for (;;) {
        ssize_t count = read(fd, bytes, sizeof(bytes));
        if (count <= 0)
            return;
        strbuf_add(output, bytes, (size_t)count);
        if (kill_at && strstr(strbuf_text(output), kill_at)) {
            usleep(300000); /* a shell that is just starting a child would lose the signal */
            kill(-pid, SIGTERM);
            kill_at = NULL;
        }
    }
}

/* Runs text; sends TERM to its group once kill_at was printed. */
static struct run run_text(const struct shell *shell, const struct strbuf *text, const char *input, const char *kill_at)
{
    struct run run = { .output = STRBUF_EMPTY };
    int out[2], script = script_descriptor(text);

    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become(shell, script, out[1], input);
    close(out[1]);
    close(script);
    collect(out[0], pid, kill_at, &run.output);
    close(out[0]);
    assert_int_equal(waitpid(pid, &run.status, 0), pid);
    strbuf_add(&run.output, "", 0);
    return run;
}

static struct run run_lines(const struct shell *shell, const char *const *lines, const char *input)
{
    struct strbuf text = STRBUF_EMPTY;
    struct job_step step = { .lines = (char **)(uintptr_t)lines };

    while (lines[step.line_count])
        step.line_count++;
    script_render(&step, DESCRIPTOR, &text);
    struct run run = run_text(shell, &text, input, NULL);
    strbuf_clear(&text);
    return run;
}

#define EACH_SHELL(shell)                                                                                              \
    for (const struct shell *shell = shells; shell < shells + sizeof(shells) / sizeof(*shells); shell++)               \
        if (access(shell->path, X_OK) == 0)

static void check(const struct shell *shell, const char *const *lines, int code, const char *output)
{
    struct run run = run_lines(shell, lines, "");

    print_message("[          ] %s %s\n", shell->path, shell->argument ? shell->argument : "");
    assert_string_equal(strbuf_text(&run.output), output);
    assert_true(WIFEXITED(run.status));
    assert_int_equal(WEXITSTATUS(run.status), code);
    strbuf_clear(&run.output);
}

static void each_line_is_echoed_in_green_and_run(void **state)
{
    static const char *const lines[] = { "echo one; echo two >&2", "printf 'no newline'", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 0, GREEN("$ echo one; echo two >&2") "one\ntwo\n" GREEN("$ printf 'no newline'") "no newline");
}

static void of_many_lines_the_first_is_echoed(void **state)
{
    static const char *const lines[] = { "\n  if true\nthen echo yes\nfi \n", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 0, GREEN("$ if true # collapsed multi-line command") "yes\n");
}

static void an_empty_entry_is_an_empty_line(void **state)
{
    static const char *const lines[] = { " \t\n", "", "echo end", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 0, "\n\n" GREEN("$ echo end") "end\n");
}

static void the_echo_is_raw(void **state)
{
    static const char *const lines[] = { ": 'a\\nb' \"$HOME\" `true` \\\\ \xC3\xA9 \033[31m %s !x", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 0, GREEN("$ : 'a\\nb' \"$HOME\" `true` \\\\ \xC3\xA9 \033[31m %s !x"));
}

static void a_failing_line_ends_the_script(void **state)
{
    static const char *const lines[] = { "(exit 7)", "echo never", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 7, GREEN("$ (exit 7)"));
}

static void the_exit_code_arrives(void **state)
{
    static const char *const lines[] = { "exit 42", "echo never", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 42, GREEN("$ exit 42"));
}

static void a_last_condition_that_is_false_fails_like_the_stock_runner(void **state)
{
    static const char *const lines[] = { "false && true", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 1, GREEN("$ false && true"));
}

static void a_failure_in_a_pipe_counts_where_the_shell_can_tell(void **state)
{
    static const char *const lines[] = { "false | true", "echo on", NULL };
    static const char *const asks[] = { "(set -o pipefail) 2>/dev/null", NULL };

    (void)state;
    EACH_SHELL(shell)
    {
        struct run run = run_lines(shell, asks, "");
        bool can_tell = run.status == 0;
        strbuf_clear(&run.output);
        if (strcmp(shell->name, "bash") == 0)
            assert_true(can_tell);
        if (can_tell)
            check(shell, lines, 1, GREEN("$ false | true"));
        else
            check(shell, lines, 0, GREEN("$ false | true") GREEN("$ echo on") "on\n");
    }
}

static void a_syntax_error_stops_everything(void **state)
{
    static const char *const lines[] = { "echo one", "if", "echo never", NULL };

    (void)state;
    EACH_SHELL(shell)
    {
        struct run run = run_lines(shell, lines, "");
        assert_true(WIFEXITED(run.status) && WEXITSTATUS(run.status) != 0);
        assert_null(strstr(strbuf_text(&run.output), "never\n"));
        strbuf_clear(&run.output);
    }
}

static void stdin_is_what_the_caller_gave(void **state)
{
    static const char *const lines[] = { "read -r word; echo \"got $word\"", "cat", NULL };

    (void)state;
    EACH_SHELL(shell)
    {
        struct run run = run_lines(shell, lines, "one\nrest\n");
        assert_string_equal(strbuf_text(&run.output),
                            GREEN("$ read -r word; echo \"got $word\"") "got one\n" GREEN("$ cat") "rest\n");
        strbuf_clear(&run.output);
    }
}

static void the_script_s_descriptor_is_closed(void **state)
{
    static const char *const lines[] = { "if [ -e /proc/self/fd/5 ]; then echo open; else echo closed; fi", NULL };

    (void)state;
    EACH_SHELL(shell)
    check(shell, lines, 0, GREEN("$ if [ -e /proc/self/fd/5 ]; then echo open; else echo closed; fi") "closed\n");
}

static void a_number_that_not_every_shell_can_close_is_left_alone(void **state)
{
    struct strbuf text = STRBUF_EMPTY;
    struct job_step step = { 0 };

    (void)state;
    script_render(&step, 200, &text);
    assert_null(strstr(strbuf_text(&text), "exec "));
    strbuf_clear(&text);
}

static void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void variables_are_handed_on(void **state)
{
    static const char *const lines[] = { "printf '%s\\n' \"$NAME|$EMPTY|${PLAIN-}|$LAST\"", "printenv NAME", NULL };
    OWNED_TEXT char *path = mem_format("%s/env", folder);

    (void)state;
    write_file(path, "NAME=a \"b\" $HOME \\n = c\nEMPTY=\nPLAIN\n1BAD=x\nB-AD=x\n=x\n\nLAST=no newline");
    setenv("GITLAB_ENV", path, 1);
    EACH_SHELL(shell)
    check(shell, lines, 0,
          GREEN("$ printf '%s\\n' \"$NAME|$EMPTY|${PLAIN-}|$LAST\"") "a \"b\" $HOME \\n = c|||no newline\n" GREEN(
              "$ printenv NAME") "a \"b\" $HOME \\n = c\n");
    unsetenv("GITLAB_ENV");
}

static void a_name_that_cannot_be_set_does_not_end_the_script(void **state)
{
    static const char *const lines[] = { "echo \"$AFTER\"", NULL };
    OWNED_TEXT char *path = mem_format("%s/env", folder);

    (void)state;
    write_file(path, "UID=7\nPPID=7\nAFTER=set\n");
    setenv("GITLAB_ENV", path, 1);
    EACH_SHELL(shell)
    {
        struct run run = run_lines(shell, lines, "");
        assert_int_equal(run.status, 0);
        assert_non_null(strstr(strbuf_text(&run.output), GREEN("$ echo \"$AFTER\"") "set\n"));
        strbuf_clear(&run.output);
    }
    unsetenv("GITLAB_ENV");
}

static void the_file_is_made_when_it_can_be(void **state)
{
    static const char *const lines[] = { "echo A=1 >>$GITLAB_ENV", NULL }, *const nothing[] = { "true", NULL };
    OWNED_TEXT char *path = mem_format("%s/new", folder);

    (void)state;
    EACH_SHELL(shell)
    {
        unlink(path);
        setenv("GITLAB_ENV", path, 1);
        check(shell, nothing, 0, GREEN("$ true"));
        assert_int_equal(access(path, R_OK), 0);
        check(shell, lines, 0, GREEN("$ echo A=1 >>$GITLAB_ENV"));
        setenv("GITLAB_ENV", "/nonexistent/folder/env", 1);
        check(shell, nothing, 0, GREEN("$ true"));
    }
    unsetenv("GITLAB_ENV");
}

static void asked_to_end_it_runs_its_exit_trap(void **state)
{
    static const char *const lines[] = { "trap 'echo bye' EXIT", "echo ready; sleep 60", "echo never", NULL };
    struct job_step step = { .lines = (char **)(uintptr_t)lines, .line_count = 3 };
    struct strbuf text = STRBUF_EMPTY;

    (void)state;
    script_render(&step, DESCRIPTOR, &text);
    EACH_SHELL(shell)
    {
        struct run run = run_text(shell, &text, "", "ready\n");
        assert_non_null(strstr(strbuf_text(&run.output), "bye\n"));
        assert_null(strstr(strbuf_text(&run.output), "never"));
        assert_true(WIFEXITED(run.status));
        assert_int_equal(WEXITSTATUS(run.status), 1);
        strbuf_clear(&run.output);
    }
    strbuf_clear(&text);
}

static void after_script_begins_with_a_notice(void **state)
{
    static const char *const lines[] = { "echo status $CI_JOB_STATUS", NULL };
    struct job_step step = { .lines = (char **)(uintptr_t)lines, .line_count = 1 };
    struct strbuf text = STRBUF_EMPTY;

    (void)state;
    setenv("CI_JOB_STATUS", "failed", 1);
    script_render_after(&step, DESCRIPTOR, &text);
    EACH_SHELL(shell)
    {
        struct run run = run_text(shell, &text, "", NULL);
        assert_string_equal(strbuf_text(&run.output),
                            GREEN("Running after script...") GREEN("$ echo status $CI_JOB_STATUS") "status failed\n");
        strbuf_clear(&run.output);
    }
    strbuf_clear(&text);
}

static void debug_trace_shows_commands(void **state)
{
    static const char *const lines[] = { "echo seen", NULL };

    (void)state;
    setenv("CI_DEBUG_TRACE", "True", 1);
    EACH_SHELL(shell)
    {
        struct run run = run_lines(shell, lines, "");
        assert_non_null(strstr(strbuf_text(&run.output), "+ echo seen\nseen\n"));
        strbuf_clear(&run.output);
    }
    unsetenv("CI_DEBUG_TRACE");
}

static int make_folder(void **state)
{
    (void)state;
    unsetenv("GITLAB_ENV");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    OWNED_TEXT char *env = mem_format("%s/env", folder), *made = mem_format("%s/new", folder);

    (void)state;
    unlink(env);
    unlink(made);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_echoed_in_green_and_run),
        cmocka_unit_test(of_many_lines_the_first_is_echoed),
        cmocka_unit_test(an_empty_entry_is_an_empty_line),
        cmocka_unit_test(the_echo_is_raw),
        cmocka_unit_test(a_failing_line_ends_the_script),
        cmocka_unit_test(the_exit_code_arrives),
        cmocka_unit_test(a_last_condition_that_is_false_fails_like_the_stock_runner),
        cmocka_unit_test(a_failure_in_a_pipe_counts_where_the_shell_can_tell),
        cmocka_unit_test(a_syntax_error_stops_everything),
        cmocka_unit_test(stdin_is_what_the_caller_gave),
        cmocka_unit_test(the_script_s_descriptor_is_closed),
        cmocka_unit_test(a_number_that_not_every_shell_can_close_is_left_alone),
        cmocka_unit_test(variables_are_handed_on),
        cmocka_unit_test(a_name_that_cannot_be_set_does_not_end_the_script),
        cmocka_unit_test(the_file_is_made_when_it_can_be),
        cmocka_unit_test(asked_to_end_it_runs_its_exit_trap),
        cmocka_unit_test(after_script_begins_with_a_notice),
        cmocka_unit_test(debug_trace_shows_commands),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
