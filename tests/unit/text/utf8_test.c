#include "text/utf8.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void only_valid_characters_have_a_length(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t code;
    } rows[] = {
        { "a", 1, 'a' },
        { "\xC3\xBC", 2, 0xFC },
        { "\xE2\x82\xAC", 3, 0x20AC },
        { "\xF0\x9F\x98\x80", 4, 0x1F600 },
        { "\xF4\x8F\xBF\xBF", 4, 0x10FFFF },
        { "\x80", 0, 0x80 },     /* continuation alone */
        { "\xC3", 0, 0xC3 },     /* cut off */
        { "\xC3\x28", 0, 0xC3 }, /* no continuation */
        { "\xC0\x80", 0, 0xC0 }, /* longer than needed */
        { "\xE0\x80\x80", 0, 0xE0 },
        { "\xED\xA0\x80", 0, 0xED },     /* surrogate */
        { "\xF4\x90\x80\x80", 0, 0xF4 }, /* past the last code point */
        { "\xFF", 0, 0xFF },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t length = 0, left = strlen(rows[i].bytes);
        assert_int_equal(utf8_length(rows[i].bytes, left), rows[i].length);
        assert_int_equal(utf8_code(rows[i].bytes, left, &length), rows[i].code);
        assert_int_equal(length, rows[i].length > 0 ? rows[i].length : 1);
    }
    assert_int_equal(utf8_length("a", 0), 0);
    assert_int_equal(utf8_length("\xC3\xBC", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(only_valid_characters_have_a_length) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
