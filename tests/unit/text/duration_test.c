#include "text/duration.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void reads_go_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        { "90s", 90000 },
        { "1h30m", 5400000 },
        { "250ms", 250 },
        { "1.5h", 5400000 },
        { "0", 0 },
        { "0s", 0 },
        { "+5s", 5000 },
        { ".5s", 500 },
        { "5.s", 5000 },
        { "1m0.25s", 60250 },
        { "1ns", 0 },
        { "1500us", 1 },
        { "1500\xC2\xB5s", 1 },
        { "1500\xCE\xBCs", 1 },
        { "999999ns", 0 },
        { "500us500us", 1 },
        { "87600h", 315360000000 },
        { "3h2m1s", 10921000 },
        { "0.3s", 300 },
        { "", -1 },
        { "+", -1 },
        { "-5s", -1 },
        { "5", -1 },
        { "1.5", -1 },
        { "s", -1 },
        { ".s", -1 },
        { "5 s", -1 },
        { "5x", -1 },
        { "1h 2m", -1 },
        { "87601h", -1 },
        { "87600h1ns", -1 },
        { "1d", -1 },
        { "1h-2m", -1 },
        { "5sx", -1 },
        { "99999999999999999999999h", -1 },
        { "18446744073709551616ns", -1 },
        { "00", -1 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t ms = 77;
        int result = duration_parse_ms(rows[i].text, &ms);
        if (result != (rows[i].ms < 0 ? -1 : 0) || ms != (rows[i].ms < 0 ? 77 : (uint64_t)rows[i].ms))
            fail_msg("%s: %d, %llu", rows[i].text, result, (unsigned long long)ms);
    }
}

static void prints_like_go(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {
        { 0, "0s" }, { 59, "59s" }, { 60, "1m0s" }, { 90, "1m30s" }, { 3600, "1h0m0s" }, { 90061, "25h1m1s" }
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[32];
        duration_print(rows[i].seconds, out);
        assert_string_equal(out, rows[i].text);
    }
}

static void reads_gitlabs_booleans(void **state)
{
    (void)state;
    static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
    static const char *const no[] = { "0", "f", "F", "false", "False" };
    static const char *const wrong[] = { "", "yes", "no", "on", "2", "tru", " true" };
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        bool value = false;
        assert_int_equal(boolean_parse(yes[i], &value), 0);
        assert_true(value);
    }
    for (size_t i = 0; i < COUNT_OF(no); i++) {
        bool value = true;
        assert_int_equal(boolean_parse(no[i], &value), 0);
        assert_false(value);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        bool value = true;
        assert_int_equal(boolean_parse(wrong[i], &value), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_go_durations),
        cmocka_unit_test(prints_like_go),
        cmocka_unit_test(reads_gitlabs_booleans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
