#include "text/pattern.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void searches_like_re2(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool found;
    } rows[] = {
        { "ci-.*", "my-ci-7", true },
        { "^ci-", "my-ci-7", false },
        { "^dev$", "dev", true },
        { "^dev$", "dev\n", false },
        { "", "anything", true },
        { "(?i)DEV", "dev", true },
        { "^(?P<team>\\w+)-[0-9]{2}$", "blue-07", true },
        { "^\\d+$", "\xD9\xA3", false }, /* digits are ASCII */
        { "^.$", "\xC3\xBC", true },
        { "a", "\xFF a", true },
        { "a|b|", "x", true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        struct pattern *pattern = pattern_new(rows[i].pattern, &error);
        if (!pattern)
            fail_msg("%s: %s", rows[i].pattern, error.text);
        assert_int_equal(pattern_search(pattern, rows[i].text), rows[i].found);
        pattern_free(pattern);
    }
    pattern_free(NULL);
}

static void refuses_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *why;
    } rows[] = {
        { "a(b", "at character" }, { "[z-a]", "at character" },
        { "*", "at character" },   { "(a)\\1", "back references" },
        { "\\C", "\\C" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        assert_null(pattern_new(rows[i].pattern, &error));
        assert_int_equal(error.blame, BLAME_CONFIG);
        assert_non_null(strstr(error.text, rows[i].why));
    }
    char longer[5000];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(pattern_new(longer, NULL));
}

static void work_has_a_limit(void **state)
{
    (void)state;
    struct pattern *pattern = pattern_new("^(a+)+$", NULL);
    assert_true(pattern_search(pattern, "aaaaaaaaaaaaaaaa"));
    assert_false(pattern_search(pattern, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    pattern_free(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_like_re2),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(work_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
