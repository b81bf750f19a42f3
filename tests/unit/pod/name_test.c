#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "pod/name.h"

static void a_name_is_fixed_by_url_runner_job_and_attempt(void **state)
{
    OWNED_TEXT char *one = pod_name("https://a", "tok", 42, 1), *again = pod_name("https://a", "tok", 42, 1);
    OWNED_TEXT char *next = pod_name("https://a", "tok", 42, 2), *other = pod_name("https://b", "tok", 42, 1);

    (void)state;
    assert_string_equal(one, again);
    assert_string_not_equal(one, next);
    assert_string_not_equal(one, other);
    assert_int_equal(strncmp(one, "job-", 4), 0);
    assert_string_equal(one + 10, "-42-1");
}

static void the_key_tells_our_pod_from_a_clash(void **state)
{
    OWNED_TEXT char *one = pod_key("https://a", "tok", 42), *again = pod_key("https://a", "tok", 42),
                    *other = pod_key("https://a", "tok", 43);

    (void)state;
    assert_int_equal(strlen(one), 64);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
}

static void any_text_becomes_a_label_value(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {
        { "plain", "plain" },
        { "two words", "two-words" },
        { "-edge-", "edge" },
        { "", "" },
        { "///", "" },
        { "\xc3\xa4x", "x" },
        { "0123456789012345678901234567890123456789012345678901234567890123456789",
          "012345678901234567890123456789012345678901234567890123456789012" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_TEXT char *value = pod_label_value(rows[i].text);
        assert_string_equal(value, rows[i].value);
    }
}

static void the_short_token_hides_prefix_and_rest(void **state)
{
    static const char *const rows[][2] = {
        { "glrt-AbCdEfGhIjKlMn", "AbCdEfGhI" },
        { "glrt-t3_AbCdEfGhIjKlMn", "AbCdEfGhI" },
        { "t1_AbCdEfGhIjKlMn", "AbCdEfGhI" },
        { "glrtr-Zy8Xw7Vu6Ts5Rq", "Zy8Xw7Vu6" },
        { "GR1348941kLmNoPqRsTu", "kLmNoPqRs" },
        { "short", "short" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_TEXT char *token = pod_short_token(rows[i][0]);
        assert_string_equal(token, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_fixed_by_url_runner_job_and_attempt),
        cmocka_unit_test(the_key_tells_our_pod_from_a_clash),
        cmocka_unit_test(any_text_becomes_a_label_value),
        cmocka_unit_test(the_short_token_hides_prefix_and_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
