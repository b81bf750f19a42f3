#include "job/variables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const *flags; /* of the runner, "KEY=value" */

/* Merges the variables of a payload written as the inside of its list. */
static struct variables merge(const char *list, const char *const *runner_environment)
{
    OWNED_TEXT char *text = mem_format("{\"id\":1,\"token\":\"t\",\"runner_info\":{\"timeout\":3600},"
                                       "\"git_info\":{\"repo_url\":\"https://h/acme/warehouse.git\"},"
                                       "\"steps\":[{\"name\":\"script\",\"script\":[\"a\"]}],\"variables\":[%s]}",
                                       list);
    struct error error = ERROR_NONE;
    struct variables variables;
    uint64_t id;
    char *token;
    struct job *job = job_parse(text, strlen(text), &id, &token, &error);

    if (!job)
        fail_msg("%s", error.text);
    const struct job_facts_input asked = {
        .job = job,
        .builds_dir = "/builds",
        .short_token = "AbCdEfGhI",
        .version = "0.1.0",
        .revision = "abc",
        .ca_pem = "-----BEGIN $CA",
    };
    struct job_facts facts;
    if (job_facts_find(&asked, &facts, &error) < 0)
        fail_msg("%s", error.text);
    const struct variables_input input = {
        .job = job,
        .facts = &facts,
        .runner_environment = runner_environment,
        .runner_flags = flags,
        .image = "alpine:${TAG}",
        .files_dir = "/.dataops/files",
    };
    variables_merge(&input, &variables);
    job_facts_clear(&facts);
    job_free(job);
    return variables;
}

/* As the script sees it, NULL when it is not there. */
static const struct variable *seen(const struct variables *variables, const char *key)
{
    for (size_t i = 0; i < variables->count; i++) {
        if (strcmp(variables->items[i].key, key) == 0)
            return &variables->items[i];
    }
    return NULL;
}

static const struct variable *item(const struct variables *variables, const char *key)
{
    const struct variable *found = seen(variables, key);

    if (!found)
        fail_msg("%s is missing", key);
    return found;
}

static void check(const struct variables *variables, const char *key, const char *value)
{
    assert_string_equal(item(variables, key)->value, value);
}

/* docs/reference/dataops.md, "Variables" */
static void the_runner_adds_its_own(void **state)
{
    struct variables variables = merge("", NULL);

    (void)state;
    check(&variables, "CI_JOB_IMAGE", "alpine:");
    check(&variables, "CI_RUNNER_SHORT_TOKEN", "AbCdEfGhI");
    check(&variables, "CI_BUILDS_DIR", "/builds");
    check(&variables, "CI_PROJECT_DIR", "/builds/acme/warehouse");
    check(&variables, "CI_CONCURRENT_ID", "0");
    check(&variables, "CI_CONCURRENT_PROJECT_ID", "0");
    check(&variables, "CI_SERVER", "yes");
    check(&variables, "CI_JOB_STATUS", "running");
    check(&variables, "CI_JOB_TIMEOUT", "3600");
    check(&variables, "CI_DISPOSABLE_ENVIRONMENT", "true");
    check(&variables, "CI_RUNNER_VERSION", "0.1.0");
    check(&variables, "CI_RUNNER_REVISION", "abc");
    check(&variables, "CI_RUNNER_EXECUTABLE_ARCH", "linux/amd64");
    check(&variables, "RUNNER_TEMP_PROJECT_DIR", "/builds/acme/warehouse.tmp");
    check(&variables, "CI_SERVER_TLS_CA_FILE", "/.dataops/files/CI_SERVER_TLS_CA_FILE");
    assert_string_equal(item(&variables, "CI_SERVER_TLS_CA_FILE")->file_content, "-----BEGIN $CA");
    assert_null(seen(&variables, "CI_SHARED_ENVIRONMENT"));
    variables_clear(&variables);
}

static void later_definitions_win_and_keep_the_place(void **state)
{
    static const char *const environment[] = {
        "A=runner", "B=runner $A", "CI_RUNNER_VERSION=x", "=bad", "worse", NULL
    };
    struct variables variables = merge(
        "{\"key\":\"A\",\"value\":\"first\"},{\"key\":\"C\",\"value\":\"c\"},{\"key\":\"TAG\",\"value\":\"3\"},{"
        "\"key\":\"A\",\"value\":\"last\"},"
        "{\"key\":\"CI_PROJECT_DIR\",\"value\":\"mine\"},{\"key\":\"CI_DISPOSABLE_ENVIRONMENT\",\"value\":\"no\"}",
        environment);

    (void)state;
    check(&variables, "A", "last");
    check(&variables, "CI_JOB_IMAGE", "alpine:3");
    check(&variables, "B", "runner last");
    check(&variables, "CI_RUNNER_VERSION", "0.1.0");
    check(&variables, "CI_PROJECT_DIR", "/builds/acme/warehouse");
    check(&variables, "CI_DISPOSABLE_ENVIRONMENT", "true");
    assert_true(item(&variables, "A") < item(&variables, "C"));
    variables_clear(&variables);
}

/* Whatever a payload, the operator or a feature flag says under a name that the runner defines: the script sees what is
 * so, and nothing reads such a name as a wish. Walks the table of names. */
static void no_name_of_the_runner_can_be_overridden(void **state)
{
    struct variables plain = merge("", NULL);
    unsigned walked = 0;

    (void)state;
    for (size_t i = 0; i < FACTS; i++) {
        const char *name = fact_name((enum fact)i);
        OWNED_TEXT char *list = mem_format(
            "{\"key\":\"%s\",\"value\":\"job $X\"},{\"key\":\"%s\",\"value\":\"again\",\"file\":true,\"masked\":true},"
            "{\"key\":\"USES\",\"value\":\"<$%s>\"}",
            name, name, name);
        OWNED_TEXT char *pair = mem_format("%s=operator", name);
        const char *const environment[] = { pair, NULL };

        if (!fact_is_runners(name))
            continue;
        flags = environment;
        struct variables variables = merge(list, environment);
        flags = NULL;
        const struct variable *own = seen(&plain, name), *given = seen(&variables, name);
        assert_null(variables_get(&variables, name));
        assert_int_equal(own != NULL, fact_owner((enum fact)i) == FACT_OF_RUNNER);
        assert_int_equal(given != NULL, own != NULL);
        if (own != NULL) {
            assert_string_equal(given->value, own->value);
            assert_false(given->masked);
            assert_int_equal(given->file_content != NULL, own->file_content != NULL);
            OWNED_TEXT char *used = mem_format("<%s>", own->value);
            check(&variables, "USES", used);
        }
        variables_clear(&variables);
        walked++;
    }
    assert_int_equal(walked, FACT_GCM_INTERACTIVE + 1);
    variables_clear(&plain);
}

/* docs/reference/dataops.md, "Variables" */
static void values_are_expanded_once_against_the_unexpanded_list(void **state)
{
    struct variables variables =
        merge("{\"key\":\"A\",\"value\":\"$B\"},{\"key\":\"B\",\"value\":\"${C}!\"},{\"key\":\"C\",\"value\":\"c\"},"
              "{\"key\":\"RAW\",\"value\":\"$C$$\",\"raw\":true},{\"key\":\"USES_RAW\",\"value\":\"<$RAW>\"},"
              "{\"key\":\"UNKNOWN\",\"value\":\"[$NOPE|${NOPE}]\"},{\"key\":\"DOLLAR\",\"value\":\"$$C $$\"},"
              "{\"key\":\"SELF\",\"value\":\"$SELF:x\"}",
              NULL);

    (void)state;
    check(&variables, "A", "${C}!");
    check(&variables, "B", "c!");
    check(&variables, "RAW", "$C$$");
    check(&variables, "USES_RAW", "<$C$$>");
    check(&variables, "UNKNOWN", "[|]");
    check(&variables, "DOLLAR", "$C $");
    check(&variables, "SELF", "$SELF:x:x");
    variables_clear(&variables);
}

static void check_expanded(const struct variables *variables, const char *text, const char *value)
{
    OWNED_TEXT char *given = variables_expand(variables, text);

    assert_string_equal(given, value);
}

static void references_are_read_as_the_stock_runner_reads_them(void **state)
{
    struct variables variables = merge("{\"key\":\"A\",\"value\":\"a\"},{\"key\":\"A_B\",\"value\":\"ab\"}", NULL);

    (void)state;
    check_expanded(&variables, "$A_B-$A-${A}B", "ab-a-aB");
    check_expanded(&variables, "$1A $? $* $@ $# $! $- ${?}", "A       ");
    check_expanded(&variables, "a$", "a$");
    check_expanded(&variables, "a$ b$.c", "a$ b$.c");
    check_expanded(&variables, "${}x", "x");
    check_expanded(&variables, "${A", "A");
    check_expanded(&variables, "${A:-y}", "");
    check_expanded(&variables, "", "");
    variables_clear(&variables);
}

/* docs/reference/dataops.md, "Variables" */
static void a_file_variable_is_a_path_with_exact_content(void **state)
{
    struct variables variables = merge("{\"key\":\"CONF\",\"value\":\"a: $A\\r\\n$$\",\"file\":true,\"masked\":true},"
                                       "{\"key\":\"USES\",\"value\":\"--file=$CONF\"},{\"key\":\"A\",\"value\":\"x\"}",
                                       NULL);

    (void)state;
    check(&variables, "CONF", "/.dataops/files/CONF");
    assert_string_equal(item(&variables, "CONF")->file_content, "a: $A\r\n$$");
    assert_true(item(&variables, "CONF")->masked);
    check(&variables, "USES", "--file=/.dataops/files/CONF");
    variables_clear(&variables);
}

static void booleans_are_read_like_gitlab(void **state)
{
    struct variables variables = merge(
        "{\"key\":\"T\",\"value\":\"TRUE\"},{\"key\":\"F\",\"value\":\"0\"},{\"key\":\"X\",\"value\":\"maybe\"}", NULL);

    (void)state;
    assert_true(variables_bool(&variables, "T", false));
    assert_false(variables_bool(&variables, "F", true));
    assert_true(variables_bool(&variables, "X", true));
    assert_false(variables_bool(&variables, "UNSET", false));
    variables_clear(&variables);
}

/* Appends {"key":"KEY","value":"xxx..."}. */
static void add_long(struct strbuf *list, const char *key, size_t length, const char *more)
{
    strbuf_format(list, "%s{\"key\":\"%s\",\"value\":\"", list->length ? "," : "", key);
    for (size_t i = 0; i < length; i++)
        strbuf_add_char(list, 'x');
    strbuf_format(list, "\"%s}", more);
}

static void a_variable_that_no_process_can_have_is_named(void **state)
{
    struct strbuf list = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    (void)state;
    add_long(&list, "FITS", 128 * KIB - strlen("FITS=") - 1, "");
    add_long(&list, "AS_FILE", 300 * KIB, ",\"file\":true");
    struct variables variables = merge(strbuf_text(&list), NULL);
    assert_int_equal(variables_check(&variables, &error), 0);
    variables_clear(&variables);
    add_long(&list, "TOO_LONG", 128 * KIB - strlen("TOO_LONG="), "");
    variables = merge(strbuf_text(&list), NULL);
    assert_int_equal(variables_check(&variables, &error), -1);
    assert_int_equal(error.blame, BLAME_INPUT);
    assert_non_null(strstr(error.text, "TOO_LONG"));
    assert_non_null(strstr(error.text, "make it a file variable"));
    variables_clear(&variables);
    strbuf_clear(&list);
}

static void too_many_bytes_together_are_refused(void **state)
{
    struct strbuf list = STRBUF_EMPTY;
    struct error error = ERROR_NONE;
    char key[16];

    (void)state;
    add_long(&list, "LARGEST", 110 * KIB, "");
    for (int i = 0; i < 19; i++) {
        snprintf(key, sizeof(key), "V%d", i);
        add_long(&list, key, 100 * KIB, "");
    }
    struct variables variables = merge(strbuf_text(&list), NULL);
    assert_int_equal(variables_check(&variables, &error), -1);
    assert_non_null(strstr(error.text, "LARGEST"));
    variables_clear(&variables);
    strbuf_clear(&list);
}

static void values_that_grow_without_end_are_refused(void **state)
{
    struct strbuf list = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    (void)state;
    add_long(&list, "A", 100 * KIB, "");
    strbuf_add_text(&list, ",{\"key\":\"BOMB\",\"value\":\"");
    for (int i = 0; i < 100000; i++)
        strbuf_add_text(&list, "$A");
    strbuf_add_text(&list, "\"}");
    struct variables variables = merge(strbuf_text(&list), NULL);
    assert_int_equal(variables_check(&variables, &error), -1);
    assert_non_null(strstr(error.text, "BOMB"));
    variables_clear(&variables);
    strbuf_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_runner_adds_its_own),
        cmocka_unit_test(later_definitions_win_and_keep_the_place),
        cmocka_unit_test(no_name_of_the_runner_can_be_overridden),
        cmocka_unit_test(values_are_expanded_once_against_the_unexpanded_list),
        cmocka_unit_test(references_are_read_as_the_stock_runner_reads_them),
        cmocka_unit_test(a_file_variable_is_a_path_with_exact_content),
        cmocka_unit_test(booleans_are_read_like_gitlab),
        cmocka_unit_test(a_variable_that_no_process_can_have_is_named),
        cmocka_unit_test(too_many_bytes_together_are_refused),
        cmocka_unit_test(values_that_grow_without_end_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
