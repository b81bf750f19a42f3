#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

static void gains_context_on_the_way_up(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_int_equal(error_set(&error, BLAME_DENIED, 403, "%d forbidden", 403), -1);
    assert_int_equal(error_within(&error, "create %s", "pod"), -1);
    assert_int_equal(error_within(&error, "job %d", 42), -1);
    assert_string_equal(error.text, "job 42: create pod: 403 forbidden");
    assert_int_equal(error.blame, BLAME_DENIED);
    assert_int_equal(error.code, 403);
}

static void long_text_is_cut_with_dots(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    error_set(&error, BLAME_INPUT, 0, "%s", longer);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    assert_string_equal(error.text + sizeof(error.text) - 4, "...");
    error_within(&error, "first");
    assert_int_equal(strncmp(error.text, "first: xxx", 10), 0);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    assert_string_equal(error.text + sizeof(error.text) - 4, "...");
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        struct error error = ERROR_NONE;
        char longer[1001] = "";
        for (size_t i = (size_t)shift; i + 3 < sizeof(longer); i += 3)
            memcpy(longer + i, "\xE2\x82\xAC", 4);
        memset(longer, 'a', (size_t)shift);
        error_set(&error, BLAME_INPUT, 0, "%s", longer);
        const char *dots = strstr(error.text, "...");
        assert_non_null(dots);
        assert_int_equal((dots - error.text - shift) % 3, 0);
    }
}

static void the_old_text_may_be_an_argument(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    error_set(&error, BLAME_INPUT, 0, "inner");
    error_set(&error, BLAME_REMOTE, 1, "outer (%s)", error.text);
    assert_string_equal(error.text, "outer (inner)");
}

static void errno_is_named_and_kept(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    errno = ENOENT;
    assert_int_equal(error_errno(&error, "open %s", "/x"), -1);
    assert_string_equal(error.text, "open /x: No such file or directory");
    assert_int_equal(error.blame, BLAME_SYSTEM);
    assert_int_equal(error.code, ENOENT);
    assert_int_equal(errno, ENOENT);
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, BLAME_INPUT, 0, "x"), -1);
    assert_int_equal(error_within(NULL, "x"), -1);
    assert_int_equal(error_errno(NULL, "x"), -1);
}

static void every_blame_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(blame_name(BLAME_NONE), "none");
    assert_string_equal(blame_name(BLAME_REMOTE), "remote");
    assert_string_equal(blame_name(BLAME_TIMEOUT), "timeout");
    assert_string_equal(blame_name((enum blame)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gains_context_on_the_way_up),    cmocka_unit_test(long_text_is_cut_with_dots),
        cmocka_unit_test(a_cut_never_splits_a_character), cmocka_unit_test(the_old_text_may_be_an_argument),
        cmocka_unit_test(errno_is_named_and_kept),        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(every_blame_has_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
