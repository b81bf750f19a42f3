#include "text/toml.h"
#include "text/show.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void reads_tables_in_the_order_they_were_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "{}" },
        { "# only a comment\n", "{}" },
        { "b = 1\na = 'x'\n", "{b@1:i1 a@2:\"x\"}" },
        { "concurrent = 10\n[[runners]]\n  name = \"one\"\n  [runners.kubernetes]\n    image = \"a\"\n[[runners]]\n  "
          "name = \"two\"\n",
          "{concurrent@1:i10 runners@2:[{name@3:\"one\" kubernetes@4:{image@5:\"a\"}} {name@7:\"two\"}]}" },
        { "a.b.c = true\na.b.d = false\n", "{a@1:{b@1:{c@1:yes d@2:no}}}" },
        { "f = 1.5\ni = 0x10\nl = [1, 'b', []]\nt = { k = 'v' }\n",
          "{f@1:f1.5 i@2:i16 l@3:[i1 \"b\" []] t@4:{k@4:\"v\"}}" },
        { "d = 1979-05-27\nt = 07:32:00\ndt = 1979-05-27T07:32:00Z\n",
          "{d@1:\"1979-05-27\" t@2:\"07:32:00\" dt@3:\"1979-05-27T07:32:00Z\"}" },
        { "s = \"\"\"\nline 1\nline 2\"\"\"\n", "{s@1:\"line 1\nline 2\"}" },
        { "\"job.name\" = 'x'\r\n", "{job.name@1:\"x\"}" },
        { "a = \"\"\"x\\\n  \xC9\x9D\"\"\" # \xC9\x9D\n", "{a@1:\"x\xC9\x9D\"}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        OWNED_TREE struct tree *tree = toml_parse(rows[i].text, strlen(rows[i].text), &error);
        if (!tree)
            fail_msg("row %zu: %s", i, error.text);
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        show_tree(tree, &out);
        assert_string_equal(strbuf_text(&out), rows[i].expected);
    }
}

static void scalars_have_their_text(void **state)
{
    (void)state;
    static const char text[] = "i = 1_000\nf = 2.50\nb = true\n";
    OWNED_TREE struct tree *tree = toml_parse(text, strlen(text), NULL);
    assert_string_equal(tree_get(tree, "i")->text, "1000");
    assert_string_equal(tree_get(tree, "f")->text, "2.5");
    assert_string_equal(tree_get(tree, "b")->text, "true");
}

static void errors_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *begin;
    } rows[] = {
        { "a = \n", "line 1: " },
        { "a = 1\nb = \n", "line 2: " },
        { "a = 1\na = 2\n", "line 2: " },
        { "[x]\n[x]\n", "line 2: " },
        { "a = 1\n[ = 2\n", "line 2: " },
        { "a = \"open\n", "line 1: " },
        { "ok = 1\ns = \"a\\u0000b\"\n", "line 2: a text holds a NUL" },
        { "\"a\\u0000b\" = 1\n", "line 1: a key holds a NUL" },
        { "x = 99999999999999999999\n", "line 1: " },
        { "\xFF = 1\n", "line 1: " },
        { "a = 1\n\xC9\x9D = 1\n", "line 2: " },
        { "a = 1 \xC9\x9D\n", "line 1: " },
        { "a = 1\ns = \"open\nb = 2\n", "line 2: " },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        assert_null(toml_parse(rows[i].text, strlen(rows[i].text), &error));
        assert_int_equal(error.blame, BLAME_CONFIG);
        if (strncmp(error.text, rows[i].begin, strlen(rows[i].begin)) != 0)
            fail_msg("row %zu: %s", i, error.text);
    }
}

static void size_and_depth_have_an_end(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    for (int i = 0; i < 150; i++)
        strbuf_add_text(&text, i ? ".a" : "a");
    strbuf_add_text(&text, " = 1\n");
    assert_null(toml_parse(text.bytes, text.length, &error));
    assert_non_null(strstr(error.text, "nested too deep"));
    strbuf_cut(&text, 0);
    for (int i = 0; i < 100000; i++)
        strbuf_add_text(&text, "a.");
    assert_null(toml_parse(text.bytes, text.length, &error));
    assert_non_null(strstr(error.text, "too many dots"));
    strbuf_cut(&text, 0);
    memset(strbuf_room(&text, 4 * MIB + 1), '#', 4 * MIB + 1);
    strbuf_wrote(&text, 4 * MIB + 1);
    assert_null(toml_parse(text.bytes, text.length, &error));
    assert_non_null(strstr(error.text, "4 MiB"));
    struct tree *tree = toml_parse(text.bytes, text.length - 1, &error);
    assert_non_null(tree);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tables_in_the_order_they_were_written),
        cmocka_unit_test(scalars_have_their_text),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(size_and_depth_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
