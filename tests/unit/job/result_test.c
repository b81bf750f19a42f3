#include "job/result.h"

#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct result example(void)
{
    struct result result = { .outcome = OUTCOME_FAILED,
                             .exit_code = 42,
                             .reason = REASON_SCRIPT,
                             .bytes = 48213,
                             .crc = 0x0a1b2c3d,
                             .oom = true };

    snprintf(result.message, sizeof(result.message), "command terminated with exit code 42");
    result.phases.script_s = 2.5;
    result.phases.upload_s = 0.125;
    return result;
}

static void what_was_printed_is_read(void **state)
{
    struct result result = example(), read;
    struct strbuf out = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    (void)state;
    result_print(&result, &out);
    assert_int_equal(result_parse(out.bytes, out.length, &read, &error), 0);
    assert_int_equal(read.outcome, OUTCOME_FAILED);
    assert_int_equal(read.exit_code, 42);
    assert_int_equal(read.reason, REASON_SCRIPT);
    assert_string_equal(read.message, "command terminated with exit code 42");
    assert_int_equal(read.bytes, 48213);
    assert_int_equal(read.crc, 0x0a1b2c3d);
    assert_true(read.oom);
    assert_true(read.phases.script_s == 2.5 && read.phases.upload_s == 0.125);
    strbuf_clear(&out);
}

static void the_kernels_landlock_is_read_where_it_is_said(void **state)
{
    static const struct {
        const char *field;
        bool is_said;
        int abi;
    } records[] = {
        { "", false, 0 },
        { "\"landlock\":0,", true, 0 },
        { "\"landlock\":6,", true, 6 },
        { "\"landlock\":-3,", false, 0 },
        { "\"landlock\":4294967296,", false, 0 },
        { "\"landlock\":\"much\",", false, 0 },
    };
    struct error error = ERROR_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct result read;
        struct strbuf text = STRBUF_EMPTY;
        strbuf_format(&text,
                      "{\"v\":1,\"result\":\"success\",\"exit_code\":0,\"reason\":\"\",\"message\":\"\","
                      "\"bytes\":1,\"crc\":\"0a1b2c3d\",%s\"oom\":false}",
                      records[i].field);
        assert_int_equal(result_parse(text.bytes, text.length, &read, &error), 0);
        assert_int_equal(read.says_landlock, records[i].is_said);
        assert_int_equal(read.landlock_abi, records[i].abi);
        strbuf_clear(&text);
    }
    for (int abi = 0; abi <= 6; abi += 6) {
        struct result result = example(), read;
        struct strbuf out = STRBUF_EMPTY;
        result.says_landlock = true;
        result.landlock_abi = abi;
        result_print(&result, &out);
        assert_int_equal(result_parse(out.bytes, out.length, &read, &error), 0);
        assert_true(read.says_landlock);
        assert_int_equal(read.landlock_abi, abi);
        strbuf_clear(&out);
    }
}

static void every_outcome_survives(void **state)
{
    struct error error = ERROR_NONE;

    (void)state;
    for (int i = OUTCOME_SUCCESS; i <= OUTCOME_NEVER_BEGAN; i++) {
        struct result result = { .outcome = (enum outcome)i }, read;
        struct strbuf out = STRBUF_EMPTY;
        result_print(&result, &out);
        assert_int_equal(result_parse(out.bytes, out.length, &read, &error), 0);
        assert_int_equal(read.outcome, i);
        strbuf_clear(&out);
    }
}

static void any_message_stays_within_one_kib_and_one_line(void **state)
{
    static const char fillings[] = { '"', '\\', '\n', '\033', '\377', 'x' };
    struct error error = ERROR_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof(fillings); i++) {
        struct result result = example(), read;
        struct strbuf out = STRBUF_EMPTY;
        result.reason = REASON_DEPENDENCY;
        result.says_landlock = true;
        result.landlock_abi = 2147483647;
        result.bytes = 1ull << 52;
        memset(result.message, fillings[i], sizeof(result.message) - 1);
        result_print(&result, &out);
        assert_true(out.length <= 1024);
        assert_null(memchr(out.bytes, '\n', out.length));
        assert_null(memchr(out.bytes, '\033', out.length));
        assert_int_equal(result_parse(out.bytes, out.length, &read, &error), 0);
        strbuf_clear(&out);
    }
}

static void a_message_is_cut_between_characters(void **state)
{
    struct result result = example(), read;
    struct strbuf out = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(result.message); i += 2)
        memcpy(result.message + i, "\xC3\xA9", 3);
    result.message[399] = '\0'; /* half a character at the end */
    result_print(&result, &out);
    assert_int_equal(result_parse(out.bytes, out.length, &read, &error), 0);
    assert_int_equal(strlen(read.message), 399);
    assert_string_equal(read.message + 398, "?");
    strbuf_clear(&out);
}

static void check_refused(const char *text)
{
    struct result result = { .exit_code = 99 };
    struct error error = ERROR_NONE;

    assert_int_equal(result_parse(text, strlen(text), &result, &error), -1);
    assert_int_equal(error.blame, BLAME_INPUT);
    assert_int_equal(result.exit_code, 99);
}

static void what_is_no_end_record_is_refused(void **state)
{
    (void)state;
    check_refused("");
    check_refused("[]");
    check_refused("{\"v\":1}");
    check_refused("{\"v\":2,\"result\":\"success\",\"bytes\":1,\"crc\":\"00000000\"}");
    check_refused("{\"v\":1,\"result\":\"fine\",\"bytes\":1,\"crc\":\"00000000\"}");
    check_refused("{\"v\":1,\"result\":\"success\",\"bytes\":-1,\"crc\":\"00000000\"}");
    check_refused("{\"v\":1,\"result\":\"success\",\"bytes\":1,\"crc\":\"0000000\"}");
    check_refused("{\"v\":1,\"result\":\"success\",\"bytes\":1,\"crc\":\"0000000G\"}");
    check_refused("{\"v\":1,\"result\":\"success\",\"bytes\":1,\"crc\":\"00000000\",\"exit_code\":4294967296}");
}

static void a_reason_of_a_newer_version_is_unknown(void **state)
{
    const char *text =
        "{\"v\":1,\"result\":\"failed\",\"bytes\":0,\"crc\":\"00000000\",\"reason\":\"solar_flare\",\"new\":{}}";
    struct result result;
    struct error error = ERROR_NONE;

    (void)state;
    assert_int_equal(result_parse(text, strlen(text), &result, &error), 0);
    assert_int_equal(result.reason, REASON_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_printed_is_read),
        cmocka_unit_test(the_kernels_landlock_is_read_where_it_is_said),
        cmocka_unit_test(every_outcome_survives),
        cmocka_unit_test(any_message_stays_within_one_kib_and_one_line),
        cmocka_unit_test(a_message_is_cut_between_characters),
        cmocka_unit_test(what_is_no_end_record_is_refused),
        cmocka_unit_test(a_reason_of_a_newer_version_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
