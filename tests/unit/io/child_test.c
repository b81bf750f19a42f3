#include "io/child.h"

#include "base/strbuf.h"
#include "io/confine.h"
#include "io/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

static const char *const environment[] = { "PATH=/usr/bin:/bin", "ANSWER=42", NULL };

struct run {
    struct loop *loop;
    struct child *child;
    struct strbuf output;
    struct error error;
    int status;
    unsigned ended;
    bool timed_out, cancel_in_output, start_again;
    char words[512];
};

static void took(void *owner, const char *bytes, size_t length)
{
    struct run *run = owner;
    strbuf_add(&run->output, bytes, length);
    if (run->cancel_in_output)
        child_cancel(run->child);
}

static void ended(void *owner, int status, bool timed_out)
{
    struct run *run = owner;
    run->status = status;
    run->timed_out = timed_out;
    run->ended++;
    snprintf(run->words, sizeof run->words, "%s", child_last_words(run->child));
}

static const struct child_events events = { took, ended };

static int set_up(void **state)
{
    static struct run run;
    run = (struct run){ .loop = loop_new() };
    *state = &run;
    return 0;
}

static int tear_down(void **state)
{
    struct run *run = *state;
    strbuf_clear(&run->output);
    loop_free(run->loop);
    return 0;
}

static void begin(struct run *run, const struct child_start *start)
{
    run->child = child_start(run->loop, start, &events, run, &run->error);
}

static void until_end(struct run *run, uint64_t most_ms)
{
    uint64_t until = loop_now_ms(run->loop) + most_ms;
    while (!run->ended && loop_now_ms(run->loop) < until)
        loop_turn(run->loop, 20);
}

/* What these cases look at themselves through. */
static const struct confinement sees_proc = { .places = { { "/proc", CONFINE_LIST | CONFINE_READ } } };

static struct child_start shell(const char *const *argv)
{
    return (struct child_start){
        .argv = argv, .env = environment, .confinement = &sees_proc, .output_fd = -1, .pass_fd = -1
    };
}

#define SHELL(text) ((const char *const[]){ "sh", "-c", (text), NULL })

static void run_shell(struct run *run, const char *text)
{
    struct child_start start = shell(SHELL(text));
    begin(run, &start);
    assert_non_null(run->child);
    until_end(run, 10000);
    assert_int_equal(run->ended, 1);
}

static void output_and_exit_code_arrive(void **state)
{
    struct run *run = *state;
    run_shell(run, "echo out; echo err >&2; echo $ANSWER; exit 7");
    assert_string_equal(strbuf_text(&run->output), "out\nerr\n42\n");
    assert_true(WIFEXITED(run->status));
    assert_int_equal(WEXITSTATUS(run->status), 7);
    assert_false(run->timed_out);
    assert_string_equal(run->words, "out\nerr\n42\n");
}

static void only_the_last_400_bytes_are_its_last_words(void **state)
{
    struct run *run = *state;
    run_shell(run, "i=0; while [ $i -lt 300 ]; do echo line$i; i=$((i+1)); done; echo the end");
    assert_int_equal(strlen(run->words), 400);
    assert_string_equal(run->words + 400 - strlen("line299\nthe end\n"), "line299\nthe end\n");
}

static void a_missing_program_is_an_error_of_the_start(void **state)
{
    struct run *run = *state;
    const char *const argv[] = { "no-such-program", NULL };
    struct child_start start = shell(argv);
    begin(run, &start);
    assert_null(run->child);
    assert_string_equal(run->error.text, "start no-such-program: exec: No such file or directory");
}

static void a_missing_folder_is_named(void **state)
{
    struct run *run = *state;
    struct child_start start = shell(SHELL("true"));
    start.folder = "/no/such/folder";
    begin(run, &start);
    assert_null(run->child);
    assert_string_equal(run->error.text, "start sh: chdir: No such file or directory");
}

static void input_of_any_length_reaches_stdin(void **state)
{
    struct run *run = *state;
    struct child_start start = shell(SHELL("wc -c"));
    size_t length = 300000;
    char *text = mem_new(length);
    memset(text, 'x', length);
    start.input = text;
    start.input_length = length;
    begin(run, &start);
    until_end(run, 10000);
    mem_free(text);
    assert_string_equal(strbuf_text(&run->output), "300000\n");
}

static void a_child_that_ignores_its_input_ends_all_the_same(void **state)
{
    struct run *run = *state;
    struct child_start start = shell(SHELL("exit 3"));
    char text[70000];
    memset(text, 'x', sizeof text);
    start.input = text;
    start.input_length = sizeof text;
    begin(run, &start);
    until_end(run, 10000);
    assert_int_equal(WEXITSTATUS(run->status), 3);
}

static void stdout_can_go_to_a_descriptor_and_3_is_passed(void **state)
{
    struct run *run = *state;
    int out[2], in[2];
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(write(in[1], "passed", 6), 6);
    close(in[1]);
    struct child_start start = shell(SHELL("cat <&3; echo oops >&2"));
    start.output_fd = out[1];
    start.pass_fd = in[0];
    begin(run, &start);
    until_end(run, 10000);
    close(out[1]);
    char text[16] = "";
    assert_int_equal(read(out[0], text, sizeof text - 1), 6);
    assert_string_equal(text, "passed");
    assert_string_equal(strbuf_text(&run->output), "oops\n");
    close(out[0]);
    close(in[0]);
}

static void no_other_descriptor_is_inherited(void **state)
{
    struct run *run = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    run_shell(run, "ls /proc/self/fd | wc -l"); /* 0 1 2 and the one that ls opened */
    assert_string_equal(strbuf_text(&run->output), "4\n");
    close(ends[0]);
    close(ends[1]);
}

static void an_overdue_child_gets_term_and_says_so(void **state)
{
    struct run *run = *state;
    struct child_start start = shell(SHELL("trap 'echo bye; exit 5' TERM; echo here; sleep 30 & wait"));
    start.timeout_ms = 200;
    begin(run, &start);
    until_end(run, 4000);
    assert_int_equal(run->ended, 1);
    assert_true(run->timed_out);
    assert_int_equal(WEXITSTATUS(run->status), 5);
    assert_string_equal(strbuf_text(&run->output), "here\nbye\n");
}

static void a_signal_reaches_the_whole_group(void **state)
{
    struct run *run = *state;
    struct child_start start = shell(SHELL("sleep 30; true"));
    begin(run, &start);
    loop_turn(run->loop, 50);
    child_signal(run->child, SIGTERM);
    until_end(run, 5000);
    assert_true(WIFSIGNALED(run->status));
    assert_int_equal(WTERMSIG(run->status), SIGTERM);
}

static void a_process_left_behind_does_not_hold_the_end_for_more_than_a_second(void **state)
{
    struct run *run = *state;
    uint64_t begun = loop_now_ms(run->loop);
    run_shell(run, "sleep 3 & echo done");
    uint64_t took_ms = loop_now_ms(run->loop) - begun;
    assert_in_range(took_ms, 900, 2500);
    assert_string_equal(strbuf_text(&run->output), "done\n");
}

static void cancel_inside_output_is_silent(void **state)
{
    struct run *run = *state;
    run->cancel_in_output = true;
    struct child_start start = shell(SHELL("while echo again; do sleep 0.01; done"));
    begin(run, &start);
    until_end(run, 300);
    assert_int_equal(run->ended, 0);
    assert_string_equal(strbuf_text(&run->output), "again\n");
    child_cancel(NULL);
    child_signal(NULL, SIGTERM);
}

static void ids_and_capabilities_are_gone_after_a_change_of_user(void **state)
{
    struct run *run = *state;
    if (geteuid() != 0)
        skip();
    struct child_start start =
        shell(SHELL("id -u; id -g; id -G; grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status | cut -f2"));
    start.change_user = true;
    start.uid = 1234;
    start.gid = 4321;
    begin(run, &start);
    until_end(run, 10000);
    assert_string_equal(strbuf_text(&run->output), "1234\n4321\n4321\n0000000000000000\n0000000000000000\n"
                                                   "0000000000000000\n0000000000000000\n1\n");
}

static void root_without_capabilities_cannot_override_permissions(void **state)
{
    struct run *run = *state;
    if (geteuid() != 0)
        skip();
    struct child_start start =
        shell(SHELL("grep CapEff /proc/self/status | cut -f2; chown 1 /proc/self/fd/0 || echo refused"));
    start.no_capabilities = true;
    begin(run, &start);
    until_end(run, 10000);
    assert_non_null(strstr(strbuf_text(&run->output), "0000000000000000\n"));
    assert_non_null(strstr(strbuf_text(&run->output), "refused\n"));
}

static void heavy_work_offers_itself_to_the_oom_killer(void **state)
{
    struct run *run = *state;
    struct child_start start = shell(SHELL("cat /proc/self/oom_score_adj"));
    start.oom_score_adj = 500;
    begin(run, &start);
    until_end(run, 10000);
    assert_string_equal(strbuf_text(&run->output), "500\n");
}

/* --- what is started, and what it reaches --- */

static void copy_of(const char *program, const char *path)
{
    char command[256];
    snprintf(command, sizeof command, "cp %s %s.new && mv %s.new %s", program, path, path, path);
    assert_int_equal(system(command), 0);
}

static void a_program_behind_a_descriptor_is_not_what_stands_at_its_path_by_then(void **state)
{
    struct run *run = *state;
    char folder[] = "/tmp/child-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/program", folder);
    copy_of("/bin/echo", path);
    const int program = open(path, O_PATH | O_CLOEXEC);
    copy_of("/bin/false", path);
    const char *const argv[] = { path, "the first one", NULL };
    struct child_start start = shell(argv);
    start.program_fd = &program;
    begin(run, &start);
    assert_non_null(run->child);
    until_end(run, 10000);
    close(program);
    unlink(path);
    rmdir(folder);
    assert_string_equal(strbuf_text(&run->output), "the first one\n");
    assert_int_equal(run->status, 0);
}

static void a_program_is_not_looked_for_in_a_path_that_somebody_set(void **state)
{
    struct run *run = *state;
    char folder[] = "/tmp/child-test-XXXXXX", path[64], *before = mem_text(getenv("PATH"));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/echo", folder);
    copy_of("/bin/false", path);
    setenv("PATH", folder, 1);
    const char *const argv[] = { "echo", "ours", NULL };
    struct child_start start = shell(argv);
    begin(run, &start);
    setenv("PATH", before, 1);
    mem_free(before);
    assert_non_null(run->child);
    until_end(run, 10000);
    unlink(path);
    rmdir(folder);
    assert_string_equal(strbuf_text(&run->output), "ours\n");
}

/* What a child reads of a file that anybody may read. */
static void reads(struct run *run, const struct confinement *confinement, const char *unconfined_because,
                  const char *expected)
{
    char path[] = "/tmp/child-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_int_equal(write(fd, "content", 7), 7);
    assert_int_equal(fchmod(fd, 0644), 0);
    close(fd);
    const char *const argv[] = { "sh", "-c", "cat \"$0\" 2>/dev/null || echo refused", path, NULL };
    struct child_start start = shell(argv);
    start.confinement = confinement;
    start.unconfined_because = unconfined_because;
    begin(run, &start);
    assert_non_null(run->child);
    until_end(run, 10000);
    unlink(path);
    assert_string_equal(strbuf_text(&run->output), expected);
}

static void a_child_of_which_nothing_was_said_reaches_nothing(void **state)
{
    if (confine_abi() == 0)
        skip();
    reads(*state, NULL, NULL, "refused\n");
}

static void what_was_allowed_is_reached(void **state)
{
    static const struct confinement tmp = { .places = { { "/nowhere", CONFINE_READ }, { "/tmp", CONFINE_READ } } };
    reads(*state, &tmp, NULL, "content");
}

static void an_exception_has_a_reason(void **state)
{
    reads(*state, NULL, "this case shows that it is one", "content");
}

static void nothing_gains_rights_even_when_it_keeps_its_own(void **state)
{
    struct run *run = *state;
    run_shell(run, "grep NoNewPrivs /proc/self/status | cut -f2");
    assert_string_equal(strbuf_text(&run->output), "1\n");
}

static void memory_and_files_have_a_ceiling(void **state)
{
    struct run *run = *state;
    struct child_start start =
        shell(SHELL("ulimit -d; python3 -c 'bytearray(200 << 20)' 2>&1 | tail -n 1; cd \"$(mktemp -d)\"; "
                    "head -c 2000000 /dev/zero > f; wc -c < f; rm -r \"$PWD\""));
    start.unconfined_because = "it writes below /tmp";
    start.data_most = 100 * MIB;
    start.file_most = 1 * MIB;
    begin(run, &start);
    until_end(run, 10000);
    const char *said = strbuf_text(&run->output);
    if (!strstr(said, "102400\n") || !strstr(said, "MemoryError\n") || !strstr(said, "File too large") ||
        !strstr(said, "\n1048576\n"))
        fail_msg("%s", said);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(output_and_exit_code_arrive),
        CASE(only_the_last_400_bytes_are_its_last_words),
        CASE(a_missing_program_is_an_error_of_the_start),
        CASE(a_missing_folder_is_named),
        CASE(input_of_any_length_reaches_stdin),
        CASE(a_child_that_ignores_its_input_ends_all_the_same),
        CASE(stdout_can_go_to_a_descriptor_and_3_is_passed),
        CASE(no_other_descriptor_is_inherited),
        CASE(an_overdue_child_gets_term_and_says_so),
        CASE(a_signal_reaches_the_whole_group),
        CASE(a_process_left_behind_does_not_hold_the_end_for_more_than_a_second),
        CASE(cancel_inside_output_is_silent),
        CASE(ids_and_capabilities_are_gone_after_a_change_of_user),
        CASE(root_without_capabilities_cannot_override_permissions),
        CASE(heavy_work_offers_itself_to_the_oom_killer),
        CASE(a_program_behind_a_descriptor_is_not_what_stands_at_its_path_by_then),
        CASE(a_program_is_not_looked_for_in_a_path_that_somebody_set),
        CASE(a_child_of_which_nothing_was_said_reaches_nothing),
        CASE(what_was_allowed_is_reached),
        CASE(an_exception_has_a_reason),
        CASE(nothing_gains_rights_even_when_it_keeps_its_own),
        CASE(memory_and_files_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
