#include "text/lines.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

struct seen {
    struct strbuf text; /* each line in [], pieces in () */
    int stop_after;
};

static int note(void *owner, const char *bytes, size_t length, bool whole)
{
    struct seen *seen = owner;
    strbuf_add_char(&seen->text, whole ? '[' : '(');
    strbuf_add(&seen->text, bytes, length);
    strbuf_add_char(&seen->text, whole ? ']' : ')');
    return seen->stop_after > 0 && --seen->stop_after == 0 ? 7 : 0;
}

static void any_chunking_gives_the_same_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "" },
        { "a\nbc\n", "[a][bc]" },
        { "\n\n", "[][]" },
        { "cr\r\nopen", "[cr\r]" },
        { "12345678\n", "[12345678]" },
        { "123456789\n", "(12345678)(9)" },
        { "1234567890123456\nx\n", "(12345678)(90123456)[x]" },
        { "12345678901234567", "(12345678)(90123456)" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t chunk = 1; chunk < 20; chunk++) {
            struct lines lines;
            struct seen seen = { 0 };
            lines_init(&lines, 8);
            for (size_t at = 0; at < strlen(rows[i].text); at += chunk) {
                size_t left = strlen(rows[i].text) - at;
                assert_int_equal(lines_feed(&lines, rows[i].text + at, left < chunk ? left : chunk, note, &seen), 0);
            }
            assert_string_equal(strbuf_text(&seen.text), rows[i].expected);
            strbuf_clear(&seen.text);
            lines_clear(&lines);
        }
    }
}

static void stops_when_told_and_forgets_when_told(void **state)
{
    (void)state;
    struct lines lines;
    struct seen seen = { .stop_after = 2 };
    lines_init(&lines, 100);
    assert_int_equal(lines_feed(&lines, "a\nb\nc\n", 6, note, &seen), 7);
    assert_int_equal(lines_feed(&lines, "half", 4, note, &seen), 0);
    lines_reset(&lines);
    assert_int_equal(lines_feed(&lines, "d\n", 2, note, &seen), 0);
    assert_string_equal(strbuf_text(&seen.text), "[a][b][d]");
    strbuf_clear(&seen.text);
    lines_clear(&lines);
}

static int count(void *owner, const char *bytes, size_t length, bool whole)
{
    (void)bytes;
    (void)whole;
    *(size_t *)owner += length;
    return 0;
}

static void one_byte_at_a_time_is_linear(void **state)
{
    (void)state;
    struct lines lines;
    size_t total = 0;
    lines_init(&lines, 4 * MIB);
    clock_t begin = clock();
    for (size_t i = 0; i < 2 * MIB; i++)
        lines_feed(&lines, i % 100000 == 99999 ? "\n" : "x", 1, count, &total);
    assert_int_equal(total, 20 * 99999);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0);
    lines_clear(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_chunking_gives_the_same_lines),
        cmocka_unit_test(stops_when_told_and_forgets_when_told),
        cmocka_unit_test(one_byte_at_a_time_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
