#include "text/section.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define AT_US INT64_C(1785576615123456) /* 2026-08-01T09:30:15.123456Z */

static void sections_look_like_the_stock_runners(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    section_start(&out, "get_sources", 1760000000, "Getting source from Git repository");
    assert_string_equal(strbuf_text(&out), "section_start:1760000000:get_sources\r\033[0K"
                                           "\033[0K\033[36;1mGetting source from Git repository\033[0;m\033[0;m\n");
    strbuf_cut(&out, 0);
    section_start(&out, "x", 1, NULL);
    section_end(&out, "x", 2);
    assert_string_equal(strbuf_text(&out), "section_start:1:x\r\033[0Ksection_end:2:x\r\033[0K");
}

static void expect(const char *const *writes, size_t count, const char *expected)
{
    struct stamper stamper;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    stamper_init(&stamper, 1);
    for (size_t i = 0; i < count; i++)
        stamper_write(&stamper, writes[i], strlen(writes[i]), AT_US + (int64_t)i, &out);
    stamper_finish(&stamper, AT_US + 9, &out);
    assert_string_equal(strbuf_text(&out), expected);
    stamper_clear(&stamper);
}

#define WRITES(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)
#define T0          "2026-08-01T09:30:15.123456Z 01O"
#define T1          "2026-08-01T09:30:15.123457Z 01O"
#define T2          "2026-08-01T09:30:15.123458Z 01O"

static void lines_carry_the_time_they_began(void **state)
{
    (void)state;
    expect(WRITES("a\nb\n"), T0 " a\n" T0 " b\n");
    expect(WRITES("one ", "two", "\nthree\n"), T0 " one two\n" T2 " three\n");
    expect(WRITES("\n\n"), T0 " \n" T0 " \n");
    expect(WRITES("no end"), T0 " no end\n");
    expect(WRITES("", ""), "");
}

static void a_carriage_return_is_shown_at_once_and_goes_on_with_plus(void **state)
{
    (void)state;
    expect(WRITES("section_start:1:x\r\033[0K", "title\n", "next\n"),
           T0 " section_start:1:x\r\033[0K\n" T1 "+title\n" T2 " next\n");
    expect(WRITES("held ", "10%\r", "20%\r"), T0 " held 10%\r\n" T2 "+20%\r\n");
    expect(WRITES("a\r\nb\r\n"), T0 " a\r\n" T0 " b\r\n");
    expect(WRITES("done\n50%\r", "x"), T0 " done\n" T0 " 50%\r\n" T1 "+x\n");
}

static void a_long_partial_line_is_cut_at_8192(void **state)
{
    (void)state;
    struct stamper stamper;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    static char text[20000];
    memset(text, 'x', sizeof(text));
    stamper_init(&stamper, 0x0f);
    stamper_write(&stamper, text, 8192, AT_US, &out);
    assert_int_equal(out.length, 0);
    stamper_write(&stamper, text, 1, AT_US + 1, &out);
    assert_int_equal(out.length, 32 + 8192 + 1);
    stamper_finish(&stamper, AT_US + 2, &out);
    assert_string_equal(strbuf_text(&out) + 32 + 8192 + 1, "2026-08-01T09:30:15.123457Z 0fO+x\n");
    strbuf_cut(&out, 0);
    stamper_write(&stamper, text, sizeof(text), AT_US, &out);
    assert_int_equal(out.length, 2 * (32 + 8192 + 1));
    stamper_clear(&stamper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_look_like_the_stock_runners),
        cmocka_unit_test(lines_carry_the_time_they_began),
        cmocka_unit_test(a_carriage_return_is_shown_at_once_and_goes_on_with_plus),
        cmocka_unit_test(a_long_partial_line_is_cut_at_8192),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
