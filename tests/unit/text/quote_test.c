#include "text/quote.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void shell_words_survive_the_shell(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "''" },
        { "plain", "'plain'" },
        { "two words", "'two words'" },
        { "it's", "'it'\\''s'" },
        { "'", "''\\'''" },
        { "$(rm -rf /) `x` \\ \"q\" \n!", "'$(rm -rf /) `x` \\ \"q\" \n!'" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        quote_shell(rows[i].text, &out);
        assert_string_equal(strbuf_text(&out), rows[i].expected);
        OWNED_TEXT char *command = mem_format("printf %%s %s", strbuf_text(&out));
        char printed[64] = "";
        FILE *shell = popen(command, "r");
        assert_non_null(shell);
        printed[fread(printed, 1, sizeof(printed) - 1, shell)] = '\0';
        pclose(shell);
        assert_string_equal(printed, rows[i].text);
    }
}

static void foreign_text_is_cleaned(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t most;
        const char *expected;
    } rows[] = {
        { "pull access denied", 100, "pull access denied" },
        { "a\nb\033[31m\x7f", 100, "a?b?[31m?" },
        { "gr\xC3\xBC\xC3\x9F \xFF\xC3", 100, "gr\xC3\xBC\xC3\x9F ??" },
        { "8-bit \xC2\x9B"
          "31m",
          100, "8-bit ?31m" },
        { "GET https://u:pw@host/p?sig=abc&x=1: 403", 100, "GET https://host/p 403" },
        { "get \"https://h/p?sig=abc\" and \"https://h/q?a=b\" why?", 100,
          "get \"https://h/p\" and \"https://h/q\" why?" },
        { "is it? yes", 100, "is it? yes" },
        { "mail a@b.c", 100, "mail a@b.c" },
        { "0123456789", 10, "0123456789" },
        { "0123456789a", 10, "0123456..." },
        { "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC", 7, "\xC3\xBC\xC3\xBC..." },
        { "0123", 2, ".." },
        { "0123", 0, "" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        strbuf_add_text(&out, "> ");
        quote_for_people(rows[i].text, rows[i].most, &out);
        assert_string_equal(strbuf_text(&out) + 2, rows[i].expected);
    }
}

static void the_nearest_name_is_near(void **state)
{
    (void)state;
    static const char *const names[] = { "concurrent", "check_interval", "image", "namespace", "pull_policy" };
    static const struct {
        const char *name, *expected;
    } rows[] = {
        { "concurent", "concurrent" },        { "namespaces", "namespace" }, { "imgae", "image" }, { "image", "image" },
        { "pulpolicy", "pull_policy" },       { "privileged", NULL },        { "imxxx", NULL },    { "", NULL },
        { "chekinterval", "check_interval" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *nearest = quote_nearest(rows[i].name, names, COUNT_OF(names));
        if (!rows[i].expected)
            assert_null(nearest);
        else
            assert_string_equal(nearest, rows[i].expected);
    }
    char longer[200];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(quote_nearest(longer, names, COUNT_OF(names)));
    const char *const long_names[] = { longer };
    assert_null(quote_nearest("xxxxx", long_names, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shell_words_survive_the_shell),
        cmocka_unit_test(foreign_text_is_cleaned),
        cmocka_unit_test(the_nearest_name_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
