/* What a script prints arrives byte for byte and masked; the output limit; line times. */
#include "courier/pod.h"

/* What the script printed: the bytes between its echoed command and the end of its section. Borrows. */
static const char *printed(const struct pod *pod, size_t *length)
{
    const char *trace = strbuf_text(&pod->trace);
    const char *start = strstr(trace, "section_start");
    const char *title = memmem(trace, pod->trace.length, "\"step_script\"", 13);
    assert_non_null(start);
    assert_non_null(title);
    const char *echo = strstr(title, "\033[32;1m$ ");
    const char *begin = strchr(strstr(echo, "\033[0;m\n"), '\n') + 1;
    const char *end = trace + pod->trace.length;
    static const char marker[] = "section_end:";
    while (memcmp(end, marker, sizeof marker - 1) != 0 || !memmem(end, 40, "step_script", 11))
        end--;
    *length = (size_t)(end - begin);
    return begin;
}

static void expect_printed(const char *line, const void *bytes, size_t length)
{
    struct pod pod;
    size_t got;
    pod_init(&pod);
    plan_step_line(&pod, "script", line);
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    const char *text = printed(&pod, &got);
    assert_int_equal(got, length);
    assert_memory_equal(text, bytes, length);
    pod_clear(&pod);
}

static void output_without_a_newline_is_followed_by_the_marker(void **state)
{
    (void)state;
    expect_printed("printf 'no newline'", "no newline", 10);
}

static void carriage_returns_survive(void **state)
{
    (void)state;
    expect_printed("printf 'a\\r\\nb\\r\\r\\n\\rc\\r'", "a\r\nb\r\r\n\rc\r", 10);
}

static void text_that_looks_like_a_record_stays_text(void **state)
{
    static const char text[] = "\033_Dm0,00000000\033\\\n\033E\033_De{\"v\":1,\"result\":\"success\"}\033\\\n\033";
    (void)state;
    expect_printed(
        "printf '\\033_Dm0,00000000\\033\\\\\\n\\033E\\033_De{\"v\":1,\"result\":\"success\"}\\033\\\\\\n\\033'", text,
        sizeof text - 1);
}

static void every_byte_value_survives(void **state)
{
    char all[256];
    (void)state;
    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    expect_printed("i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done", all, sizeof all);
}

static void a_line_of_a_mebibyte_arrives_whole(void **state)
{
    char *line = mem_new(MIB);
    (void)state;
    memset(line, 'x', MIB);
    expect_printed("head -c 1048576 /dev/zero | tr '\\0' x", line, MIB);
    mem_free(line);
}

/* make prints what the script will print. */
static void expect_small_file(const char *make)
{
    struct pod pod;
    size_t got;
    char command[256];
    pod_init(&pod);
    snprintf(command, sizeof command, "%s > %s/wanted", make, pod.root);
    assert_int_equal(system(command), 0);
    plan_step_line(&pod, "script", "cat $FOLDER/wanted");
    plan_variable(&pod, "FOLDER", pod.root);
    pod_run(&pod, geteuid());
    char *wanted = file_text(pod_path(&pod, "/wanted"));
    struct stat status;
    assert_int_equal(stat(pod_path(&pod, "/wanted"), &status), 0);
    const char *text = printed(&pod, &got);
    assert_int_equal(got, status.st_size);
    assert_memory_equal(text, wanted, got);
    size_t lines = 0;
    for (size_t i = 0; i < pod.raw.length; i++)
        lines += strbuf_text(&pod.raw)[i] == '\n';
    assert_true(pod.raw.length + lines * RECORD_PREFIX < 8 * MIB);
    mem_free(wanted);
    pod_clear(&pod);
}

static void much_output_stays_within_the_budget_of_the_nodes_file(void **state)
{
    (void)state;
    expect_small_file("seq 1 400000");
    expect_small_file("head -c 3145728 /dev/urandom");
    expect_small_file("head -c 3145728 /dev/zero | tr '\\0' '\\n'");
}

static void a_log_that_is_not_read_for_a_while_loses_nothing(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_step_line(&pod, "script", "seq 1 400000");
    plan_store(&pod);
    pod_start_courier(&pod);
    pod_start_step(&pod, geteuid());
    usleep(1500000);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "\n399999\n400000\nsection_end:");
    trace_has_no(&pod, "background process");
    pod_clear(&pod);
}

static void a_cancel_works_while_the_log_is_not_read(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "output_limit_bytes", 64 * 1024 * 1024);
    plan_step_line(&pod, "script", "yes");
    plan_store(&pod);
    pod_start_courier(&pod);
    pod_start_step(&pod, geteuid());
    usleep(1000000);
    file_put_text(pod_path(&pod, "/.dataops-order/order"), "cancel");
    usleep(1000000);
    pod_finish(&pod);
    assert_int_equal(pod.result.outcome, OUTCOME_CANCELED);
    assert_true(pod.trace.length < 4 * MIB);
    pod_clear(&pod);
}

static void a_masked_value_never_shows_whatever_the_chunks(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_mask(&pod, "hunter2-secret");
    plan_mask(&pod, "hunter2");
    plan_variable(&pod, "WORD", "hunter2-secret");
    plan_step_line(&pod, "script",
                   "for c in h u n t e r 2 - s e c r e t; do printf $c; sleep 0.03; done; echo; echo "
                   "\"<$WORD> <glpat-abcDEF.12> hunt\"; printf hunte");
    plan_step_line(&pod, "after_script", "printf 'r2-secret $WORD\\n'; echo $WORD");
    pod_run(&pod, geteuid());
    trace_has_no(&pod, "hunter2");
    trace_has(&pod, "\n[MASKED]\n<[MASKED]> <glpat-[MASKED]> hunt\nhuntesection_end:");
    trace_has(&pod, "\n[MASKED]\n");
    pod_clear(&pod);
}

static void a_secret_at_the_very_end_takes_nothing_of_the_marker_with_it(void **state)
{
    static const struct {
        const char *line, *shown;
    } ends[] = {
        { "printf glpat-abcdef", "\nglpat-[MASKED]section_end:" },
        { "printf glpat-", "\nglpat-section_end:" },
        { "printf 'https://h/?private_token=abcdef'", "\nhttps://h/?private_token=[MASKED]section_end:" },
        { "printf 'https://h/?private_token'", "\nhttps://h/?private_tokensection_end:" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct pod pod;
        pod_init(&pod);
        plan_step_line(&pod, "script", ends[i].line);
        pod_run(&pod, geteuid());
        trace_has(&pod, ends[i].shown);
        trace_has(&pod, ":step_script\r");
        pod_clear(&pod);
    }
}

/* The end record stands in the log and in the pod's status, and the controller shows its message. */
static void a_masked_value_stands_in_no_end_record(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    plan_mask(&pod, "terminated with"); /* words of the message */
    plan_step_line(&pod, "script", "exit 3");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.exit_code, 3);
    assert_string_equal(pod.result.message, "command [MASKED] exit code 3");
    pod_clear(&pod);
}

static void values_of_mounted_secrets_are_masked(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    assert_int_equal(mkdir(pod_path(&pod, "/.dataops-mask"), 0755), 0);
    assert_int_equal(mkdir(pod_path(&pod, "/.dataops-mask/vault"), 0755), 0);
    assert_int_equal(mkdir(pod_path(&pod, "/.dataops-mask/vault/..2026"), 0755), 0);
    assert_int_equal(symlink("..2026", pod_path(&pod, "/.dataops-mask/vault/..data")), 0);
    file_put_text(pod_path(&pod, "/.dataops-mask/vault/..2026/vault.yml"),
                  "db:\n  password: \"pa\\u0073sword-of-db\"\n  user: short\n  many: |\n    first line of it\n    "
                  "second line of it\n");
    assert_int_equal(symlink("..data/vault.yml", pod_path(&pod, "/.dataops-mask/vault/vault.yml")), 0);
    file_put_text(pod_path(&pod, "/.dataops-mask/vault/vault.salt"), "salt-of-the-vault\n");
    json_add_text(json_get(json_get(pod.plan, "mask"), "folders"), "/.dataops-mask/vault");
    plan_step_line(&pod, "script", "printf 'password-of''-db short salt-of''-the-vault\\nsecond line'; echo ' of it.'");
    pod_run(&pod, geteuid());
    trace_has(&pod, "\n[MASKED] short [MASKED]\n[MASKED].\n");
    trace_has_no(&pod, "password-of-db");
    trace_has_no(&pod, "salt-of-the-vault");
    pod_clear(&pod);
}

static void past_the_output_limit_only_the_notice_follows(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "output_limit_bytes", 2000);
    plan_step_line(&pod, "script", "echo start; head -c 3000000 /dev/zero | tr '\\0' y; echo end");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    const char *trace = strbuf_text(&pod.trace);
    const char *notice = "\n\033[33;1mJob's log exceeded limit of 2000 bytes.\n"
                         "Job execution will continue but no more output will be collected.\033[0;m\n";
    assert_int_equal(pod.trace.length, 2000 + strlen(notice));
    assert_string_equal(trace + 2000, notice);
    trace_has_no(&pod, "Job succeeded");
    pod_clear(&pod);
}

static void the_limit_never_cuts_a_character(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_int(pod.plan, "output_limit_bytes", 2001);
    plan_step_line(&pod, "script", "i=0; while [ $i -lt 1000 ]; do printf '\\342\\202\\254'; i=$((i+1)); done");
    pod_run(&pod, geteuid());
    trace_has(&pod, "\xe2\x82\xac\n\033[33;1mJob's log exceeded");
    pod_clear(&pod);
}

static void line_times_stand_before_each_line(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_bool(pod.plan, "timestamps", true);
    plan_step_line(&pod, "script", "echo one; printf two");
    pod_run(&pod, geteuid());
    trace_has(&pod, "Z 01O one\n");
    trace_has(&pod, "Z 01O two\n");
    trace_has(&pod, "Z 00O section_start:");
    trace_has(&pod, "Z 00O+\033[0K\033[36;1mExecuting \"step_script\"");
    pod_clear(&pod);
}

static void without_trace_sections_there_are_no_markers(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    json_set_bool(pod.plan, "trace_sections", false);
    plan_step_line(&pod, "script", "echo one");
    pod_run(&pod, geteuid());
    trace_has_no(&pod, "section_");
    trace_has(&pod, "\033[36;1mExecuting \"step_script\" stage of the job script");
    pod_clear(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_without_a_newline_is_followed_by_the_marker),
        cmocka_unit_test(carriage_returns_survive),
        cmocka_unit_test(text_that_looks_like_a_record_stays_text),
        cmocka_unit_test(every_byte_value_survives),
        cmocka_unit_test(a_line_of_a_mebibyte_arrives_whole),
        cmocka_unit_test(much_output_stays_within_the_budget_of_the_nodes_file),
        cmocka_unit_test(a_log_that_is_not_read_for_a_while_loses_nothing),
        cmocka_unit_test(a_cancel_works_while_the_log_is_not_read),
        cmocka_unit_test(a_masked_value_never_shows_whatever_the_chunks),
        cmocka_unit_test(a_secret_at_the_very_end_takes_nothing_of_the_marker_with_it),
        cmocka_unit_test(a_masked_value_stands_in_no_end_record),
        cmocka_unit_test(values_of_mounted_secrets_are_masked),
        cmocka_unit_test(past_the_output_limit_only_the_notice_follows),
        cmocka_unit_test(the_limit_never_cuts_a_character),
        cmocka_unit_test(line_times_stand_before_each_line),
        cmocka_unit_test(without_trace_sections_there_are_no_markers),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
