/* The pure pieces of courier, row by row. */
#include "courier/entry_path.h"

#include "archive_file.h"
#include "block.h"
#include "expand.h"
#include "git.h"
#include "job/plan.h"
#include "order.h"
#include "select.h"
#include "step/protocol.h"
#include "transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void paths_of_archives_stay_inside(void **state)
{
    static const struct {
        const char *path, *clean; /* NULL: refused */
    } rows[] = {
        { "a/b", "a/b" },     { "./a//b/", "a/b" },     { "a/./b", "a/b" }, { "", "" },
        { "./", "" },         { "..", NULL },           { "a/../b", NULL }, { "/a", NULL },
        { "../a", NULL },     { "a/..", NULL },         { "..a", "..a" },   { "a..", "a.." },
        { ".../a", ".../a" }, { "a/..b/c", "a/..b/c" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        const int done = entry_path_clean(rows[i].path, &out);
        assert_int_equal(done, rows[i].clean ? 0 : -1);
        assert_string_equal(strbuf_text(&out), rows[i].clean ? rows[i].clean : "");
    }
    char longest[ENTRY_PATH_MOST + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    assert_int_equal(entry_path_clean(longest, &out), -1);
    assert_int_equal(entry_path_clean(longest + 1, &out), 0);
}

static void patterns_are_taken_relative_to_the_project(void **state)
{
    static const struct {
        const char *pattern, *clean;
    } rows[] = {
        { "out/", "out" },
        { "./out/*.txt", "out/*.txt" },
        { "/builds/g/p/out", "out" },
        { "/builds/g/p", "" },
        { ".", "" },
        { "a/../b", "b" },
        { "../p/x", NULL },
        { "/builds/g/pp/x", NULL },
        { "/etc/passwd", NULL },
        { "/builds/g/p/../q", NULL },
        { "a/../../x", NULL },
        { "**/x", "**/x" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        assert_int_equal(select_clean("/builds/g/p", rows[i].pattern, &out), rows[i].clean ? 0 : -1);
        assert_string_equal(strbuf_text(&out), rows[i].clean ? rows[i].clean : "");
    }
}

static const char *lookup(void *owner, const char *name)
{
    (void)owner;
    return strcmp(name, "A") == 0 ? "alpha" : strcmp(name, "EMPTY") == 0 ? "" : strcmp(name, "RAW") == 0 ? "$A" : NULL;
}

static void expressions_are_expanded_as_in_double_quotes(void **state)
{
    static const struct {
        const char *text, *expanded; /* NULL: not valid */
    } rows[] = {
        { "plain/*.txt", "plain/*.txt" },
        { "$A", "alpha" },
        { "${A}x", "alphax" },
        { "$NONE.x", ".x" },
        { "$Ax", "" },
        { "${NONE:-d}", "d" },
        { "${EMPTY:-d}", "d" },
        { "${EMPTY-d}", "" },
        { "${A:+set}", "set" },
        { "${NONE+set}", "" },
        { "${NONE:-$A/${A}}", "alpha/alpha" },
        { "\\$A", "$A" },
        { "$RAW", "$A" },
        { "100%$", "100%$" },
        { "a$/b", "a$/b" },
        { "${A", NULL },
        { "${}", NULL },
        { "${A!x}", NULL },
        { "$(id)", NULL },
        { "`id`", NULL },
        { "${A:}", NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        const int done = expand_text(rows[i].text, lookup, NULL, &out);
        if (done != (rows[i].expanded ? 0 : -1) ||
            strcmp(strbuf_text(&out), rows[i].expanded ? rows[i].expanded : "") != 0)
            fail_msg("%s became %s (%d)", rows[i].text, strbuf_text(&out), done);
    }
}

static void orders_are_read_from_the_annotation(void **state)
{
    (void)state;
    assert_int_equal(order_parse("cancel", 6), ORDER_CANCEL);
    assert_int_equal(order_parse("\"stop\"\n", 7), ORDER_STOP);
    assert_int_equal(order_parse("", 0), ORDER_NONE);
    assert_int_equal(order_parse("cancels", 7), ORDER_NONE);
    assert_int_equal(order_parse("\0cancel", 7), ORDER_NONE);
}

static void tries_depend_on_the_answer(void **state)
{
    static const struct {
        int status;
        unsigned tries;
    } rows[] = { { 503, 6 }, { 500, 3 }, { 0, 3 }, { 400, 3 }, { 413, 1 }, { 403, 1 }, { 401, 1 }, { 404, 1 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned failures = 0, asked = 0;
        uint64_t wait_ms = 0;
        do
            asked++;
        while (transfer_again(rows[i].status, &failures, 4000, &wait_ms) == AGAIN_YES);
        assert_int_equal(asked, rows[i].tries);
        assert_true(rows[i].status != 503 || (wait_ms >= 1000 && wait_ms <= 5000));
    }
}

static void the_words_of_git_are_explained(void **state)
{
    (void)state;
    assert_string_equal(git_explain("fatal: Authentication failed for 'https://h/g/p.git/'"),
                        "the server refused the job's credentials for the repository");
    assert_string_equal(git_explain("fatal: couldn't find remote ref refs/heads/gone"),
                        "the ref is not in the repository any more (deleted, or rewritten by a force push)");
    assert_string_equal(git_explain("Could not resolve host: nowhere"),
                        "the repository's host name is not known inside the pod");
    assert_null(git_explain("something else"));
    assert_true(git_is_object_name("0123456789abcdef0123456789abcdef01234567"));
    assert_false(git_is_object_name("--upload-pack=x"));
    assert_false(git_is_object_name("0123456789abcdef0123456789abcdef0123456"));
    assert_false(git_is_object_name(NULL));
}

/* Compares the words with one text, and clears them. */
static void words_are(struct words *words, const char *wanted)
{
    struct strbuf text = STRBUF_EMPTY;
    for (size_t i = 0; i < words->count; i++)
        strbuf_format(&text, "%s%s", i ? " " : "", words->items[i]);
    assert_string_equal(strbuf_text(&text), wanted);
    strbuf_clear(&text);
    words_clear(words);
}

static void a_fetch_names_the_plans_refspecs_behind_all_options(void **state)
{
    char refspec[] = "--upload-pack=evil", flag[] = "--prune", program[] = "--upload-pack=evil";
    char *refspecs[] = { refspec }, *flags[] = { flag, program };
    const struct plan plan = {
        .depth = 20, .refspecs = refspecs, .refspec_count = 1, .fetch_flags = flags, .fetch_flag_count = 2
    };
    struct words words = { 0 }, refused = { 0 };
    (void)state;
    git_fetch_words(&plan, &(struct git_kept){ 0 }, &words, &refused);
    words_are(&words, "git fetch --prune --depth=20 --no-recurse-submodules --no-auto-maintenance "
                      "--no-write-commit-graph -- origin --upload-pack=evil");
    words_are(&refused, "--upload-pack=evil");
}

static char *flags_split(const char *text, char **flags, size_t *count)
{
    char *copy = mem_text(text), *rest = copy;
    for (*count = 0; *count < 16 && (flags[*count] = strsep(&rest, " ")); ++*count)
        continue;
    return copy;
}

static void only_flags_of_a_list_reach_a_fetch(void **state)
{
    static const struct {
        const char *given, *passed, *refused;
    } cases[] = {
        { "--prune --quiet", "--prune --quiet", "" },
        { "-p -t -n -q -v -f -j 4 -j8", "-p -t -n -q -v -f --jobs=4 --jobs=8", "" },
        { "-pfj 4 -ftq", "-pf --jobs=4 -ftq", "" },
        { "--filter=blob:none --depth 5", "--filter=blob:none --depth=5", "" },
        { "--filter blob:limit=1m --shallow-since=2020-01-01", "--filter=blob:limit=1m --shallow-since=2020-01-01",
          "" },
        { "--no-recurse-submodules --prune-tags", "--no-recurse-submodules --prune-tags", "" },
        { "--recurse-submodules --recurse-submodules=yes --recurse --rec=on-demand", "",
          "--recurse-submodules --recurse-submodules=yes --recurse --rec=on-demand" },
        { "--upload-pack=x --upload-pack x --upl=x --up x", "", "--upload-pack=x --upload-pack x --upl=x --up x" },
        { "--submodule-prefix=x --recurse-submodules-default=yes --multiple --all --stdin", "",
          "--submodule-prefix=x --recurse-submodules-default=yes --multiple --all --stdin" },
        { "--filter --upload-pack=x", "", "--filter --upload-pack=x" },
        { "--jobs=x --depth=-1 --jobs", "", "--jobs=x --depth=-1 --jobs" },
        { "-o x -pz -u --prune=x --pru", "", "-o x -pz -u --prune=x --pru" },
        { "-- ext::x other -", "", "-- ext::x other -" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *flags[16];
        struct plan plan = { .fetch_flags = flags };
        char *copy = flags_split(cases[i].given, flags, &plan.fetch_flag_count);
        struct words words = { 0 }, refused = { 0 };
        char *wanted =
            mem_format("git fetch %s%s--no-recurse-submodules --no-auto-maintenance --no-write-commit-graph -- origin",
                       cases[i].passed, *cases[i].passed ? " " : "");
        git_fetch_words(&plan, &(struct git_kept){ 0 }, &words, &refused);
        words_are(&words, wanted);
        words_are(&refused, cases[i].refused);
        mem_free(wanted);
        mem_free(copy);
    }
}

static void only_flags_of_a_list_reach_a_clean(void **state)
{
    static const struct {
        const char *given, *passed, *refused;
    } cases[] = {
        { "-ffdx", "-ffdx --", "" },
        { "-f -d -x -X -q --force --quiet", "-f -d -x -X -q --force --quiet --", "" },
        { "-ffdx -e cache/ --exclude=*.o --exclude -x", "-ffdx --exclude=cache/ --exclude=*.o --exclude=-x --", "" },
        { "-ffdxe keep -ekeep", "-ffdx --exclude=keep --exclude=keep --", "" },
        { "-i --interactive -fi -e", "--", "-i --interactive -fi -e" },
        { "--pathspec-from-file=x /builds", "--", "--pathspec-from-file=x /builds" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *flags[16];
        struct plan plan = { .clean_flags = flags };
        char *copy = flags_split(cases[i].given, flags, &plan.clean_flag_count);
        struct words words = { 0 }, refused = { 0 };
        char *wanted = mem_format("git clean %s", cases[i].passed);
        git_clean_words(&plan, &words, &refused);
        words_are(&words, wanted);
        words_are(&refused, cases[i].refused);
        mem_free(wanted);
        mem_free(copy);
    }
}

static void an_order_block_is_sealed_and_holds_what_changed(void **state)
{
    char one[] = "ONE", two[] = "TWO", status[] = "CI_JOB_STATUS", bad[] = "A=B", value[] = "1", running[] = "running",
         failed[] = "failed";
    const struct plan_pair environment[] = { { one, value }, { status, running }, { bad, value }, { two, NULL } };
    const struct plan_pair changed[] = { { status, failed } };
    const struct block_input input = { .folder = "/b",
                                       .environment = environment,
                                       .environment_count = 4,
                                       .changed = changed,
                                       .changed_count = 1,
                                       .script = "true\n",
                                       .script_length = 5 };
    static const char behind[] = "/b\0ONE=1\0TWO=\0CI_JOB_STATUS=failed\0true\n";
    struct error error = ERROR_NONE;
    struct step_order head;
    OWNED_STRBUF struct strbuf block = STRBUF_EMPTY;
    (void)state;
    assert_int_equal(block_render(&input, &block, &error), 0);
    memcpy(&head, strbuf_text(&block), sizeof head);
    assert_memory_equal(head.magic, STEP_ORDER_MAGIC, 4);
    assert_int_equal(head.entries, 3);
    assert_int_equal(head.folder_bytes, 2);
    assert_int_equal(head.script_bytes, 5);
    assert_int_equal(block.length, sizeof head + sizeof behind - 1);
    assert_memory_equal(strbuf_text(&block) + sizeof head, behind, sizeof behind - 1);
    const int fd = block_seal(strbuf_text(&block), block.length, &error);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK), F_SEAL_WRITE | F_SEAL_SHRINK);
    assert_int_equal(write(fd, "x", 1), -1);
    close(fd);
}

static void a_script_that_does_not_fit_is_refused(void **state)
{
    struct error error = ERROR_NONE;
    char *script = mem_new(STEP_ORDER_MAX_BYTES);
    const struct block_input input = { .folder = "/b", .script = script, .script_length = STEP_ORDER_MAX_BYTES };
    OWNED_STRBUF struct strbuf block = STRBUF_EMPTY;
    (void)state;
    assert_int_equal(block_render(&input, &block, &error), -1);
    assert_int_equal(error.blame, BLAME_INPUT);
    mem_free(script);
}

static void formats_and_levels_have_names(void **state)
{
    enum archive_format format;
    enum archive_level level;
    (void)state;
    assert_int_equal(archive_format_parse(NULL, &format), 0);
    assert_int_equal(format, ARCHIVE_ZIP);
    assert_int_equal(archive_format_parse("gzip", &format), 0);
    assert_int_equal(format, ARCHIVE_GZIP);
    assert_int_equal(archive_format_parse("zipzstd", &format), -1);
    assert_int_equal(archive_level_parse("slowest", &level), 0);
    assert_int_equal(level, LEVEL_SLOWEST);
    assert_int_equal(archive_level_parse("best", &level), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_archives_stay_inside),
        cmocka_unit_test(patterns_are_taken_relative_to_the_project),
        cmocka_unit_test(expressions_are_expanded_as_in_double_quotes),
        cmocka_unit_test(orders_are_read_from_the_annotation),
        cmocka_unit_test(tries_depend_on_the_answer),
        cmocka_unit_test(the_words_of_git_are_explained),
        cmocka_unit_test(only_flags_of_a_list_reach_a_fetch),
        cmocka_unit_test(only_flags_of_a_list_reach_a_clean),
        cmocka_unit_test(a_fetch_names_the_plans_refspecs_behind_all_options),
        cmocka_unit_test(an_order_block_is_sealed_and_holds_what_changed),
        cmocka_unit_test(a_script_that_does_not_fit_is_refused),
        cmocka_unit_test(formats_and_levels_have_names),
    };
    return cmocka_run_group_tests_name("pure", tests, NULL, NULL);
}
