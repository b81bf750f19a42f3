#include "text/yaml.h"
#include "text/json.h"
#include "text/show.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void reads_one_document(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "{}" },
        { "# a comment\n", "{}" },
        { "---\nb: 1\na: x\n...\n", "{b@2:i1 a@3:\"x\"}" },
        { "runners:\n  - name: one\n    kubernetes:\n      image: a\n  - name: two\n",
          "{runners@1:[{name@2:\"one\" kubernetes@3:{image@4:\"a\"}} {name@5:\"two\"}]}" },
        { "{\"json\": [1, true, null, \"x\"]}", "{json@1:[i1 yes null \"x\"]}" },
        { "a: &x {k: v}\nb: *x\nc: [*x, *x]\n", "{a@1:{k@1:\"v\"} b@2:{k@1:\"v\"} c@3:[{k@1:\"v\"} {k@1:\"v\"}]}" },
        { "s: |\n  one\n  two\nf: >-\n  one\n  two\n", "{s@1:\"one\ntwo\n\" f@4:\"one two\"}" },
        { "text", "\"text\"" },
        { "null", "null" },
        { "a:\nb: ''\n", "{a@1:null b@2:\"\"}" },
        { "1: x\n", "{1@1:\"x\"}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        OWNED_TREE struct tree *tree = yaml_parse(rows[i].text, strlen(rows[i].text), &error);
        if (!tree)
            fail_msg("row %zu: %s", i, error.text);
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        show_tree(tree, &out);
        assert_string_equal(strbuf_text(&out), rows[i].expected);
    }
}

static void plain_scalars_are_typed_by_the_core_schema(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "no", "\"no\"" },       { "yes", "\"yes\"" },
        { "on", "\"on\"" },       { "true", "yes" },
        { "FALSE", "no" },        { "tRue", "\"tRue\"" },
        { "~", "null" },          { "Null", "null" },
        { "12", "i12" },          { "-7", "i-7" },
        { "+7", "i7" },           { "0o17", "i15" },
        { "0xFf", "i255" },       { "012", "i12" },
        { "0b1", "\"0b1\"" },     { "1_000", "\"1_000\"" },
        { "1.5", "f1.5" },        { "1.", "f1" },
        { ".5", "f0.5" },         { "1e3", "f1000" },
        { "-.inf", "f-inf" },     { ".nan", "fnan" },
        { ".", "\".\"" },         { "1e", "\"1e\"" },
        { "1:30", "\"1:30\"" },   { "-", "[null]" },
        { "1.2.3", "\"1.2.3\"" }, { "2026-08-01", "\"2026-08-01\"" },
        { "'12'", "\"12\"" },     { "\"true\"", "\"true\"" },
        { "!!str 12", "\"12\"" }, { "! 12", "\"12\"" },
        { "!!int 12", "i12" },    { "99999999999999999999", "f1e+20" },
        { "0x", "\"0x\"" },       { "9223372036854775807", "i9223372036854775807" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        OWNED_TREE struct tree *tree = yaml_parse(rows[i].text, strlen(rows[i].text), &error);
        if (!tree)
            fail_msg("%s: %s", rows[i].text, error.text);
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        show_tree(tree, &out);
        assert_string_equal(strbuf_text(&out), rows[i].expected);
    }
}

static void errors_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "a: 1\nb: [\n", "line 3: " },
        { "a: 1\n b: 2\n", "line 2: " },
        { "a: 1\na: 2\n", "line 2: the key \"a\" is there twice" },
        { "a: *x\n", "line 1: an alias without an anchor before it" },
        { "a: &x [*x]\n", "line 1: an alias without an anchor before it" },
        { "? [a]\n: b\n", "line 1: a key has to be a plain text" },
        { "a: !thing x\n", "line 1: tags are not supported" },
        { "a: 1\n---\nb: 2\n", "line 2: more than one document" },
        { "a: \"x\\0y\"\n", "line 1: a NUL character" },
        { "\"x\\0y\": 1\n", "line 1: a NUL character" },
        { "a: \xFF\n", "line 1: " },
        { "a: 'open\n", "line " },
        { "\t- x", "line 1: " },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        assert_null(yaml_parse(rows[i].text, strlen(rows[i].text), &error));
        assert_int_equal(error.blame, BLAME_CONFIG);
        if (strncmp(error.text, rows[i].expected, strlen(rows[i].expected)) != 0)
            fail_msg("row %zu: %s", i, error.text);
    }
}

/* Copies of one long text: few values, many bytes. */
static struct tree *repeat(size_t length, unsigned times, bool as_name, struct error *error)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    strbuf_add_text(&text, as_name ? "a: &a {" : "a: &a ");
    for (size_t i = 0; i < length; i++)
        strbuf_add_char(&text, 'x');
    strbuf_add_text(&text, as_name ? ": 1}\nb: [" : "\nb: [");
    for (unsigned i = 0; i < times; i++)
        strbuf_add_text(&text, i == 0 ? "*a" : ",*a");
    strbuf_add_text(&text, "]\n");
    return yaml_parse(text.bytes, text.length, error);
}

static void aliases_cost_what_they_repeat(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_null(repeat(100000, 5000, false, &error)); /* 115 KB that took 479 MiB */
    assert_string_equal(error.text, "line 2: aliases repeat more than 16 MiB");
    assert_null(repeat(1000, 20000, true, &error));
    assert_string_equal(error.text, "line 2: aliases repeat more than 16 MiB");
    OWNED_TREE struct tree *tree = repeat(100000, 160, false, &error);
    assert_non_null(tree);
}

static void bombs_do_not_go_off(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    strbuf_add_text(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++)
        strbuf_format(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1,
                      i - 1);
    assert_null(yaml_parse(text.bytes, text.length, &error));
    assert_non_null(strstr(error.text, "more than 100000 values"));
    strbuf_cut(&text, 0);
    for (int i = 0; i < 100000; i++)
        strbuf_add_char(&text, '[');
    assert_null(yaml_parse(text.bytes, text.length, &error));
    assert_non_null(strstr(error.text, "nested deeper than 100"));
    strbuf_cut(&text, 0);
    memset(strbuf_room(&text, 4 * MIB + 1), '#', 4 * MIB + 1);
    strbuf_wrote(&text, 4 * MIB + 1);
    assert_null(yaml_parse(text.bytes, text.length, &error));
    assert_non_null(strstr(error.text, "4 MiB"));
}

static void prints_blocks(void **state)
{
    (void)state;
    static const char text[] =
        "{\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"job-1\",\"labels\":{\"a/"
        "b\":\"1\"},\"empty\":{}},\"list\":[\"x\",[1,2],"
        "{\"k\":\"v\",\"l\":[{\"m\":null}]},[],{}],\"n1\":1000000000000000,\"f\":0.5,\"b\":true}";
    OWNED_JSON struct cJSON *tree = json_parse(text, strlen(text), NULL);
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    yaml_print(tree, &out);
    assert_string_equal(strbuf_text(&out), "apiVersion: v1\n"
                                           "metadata:\n"
                                           "  name: job-1\n"
                                           "  labels:\n"
                                           "    a/b: \"1\"\n"
                                           "  empty: {}\n"
                                           "list:\n"
                                           "  - x\n"
                                           "  -\n"
                                           "    - 1\n"
                                           "    - 2\n"
                                           "  - k: v\n"
                                           "    l:\n"
                                           "      - m: null\n"
                                           "  - []\n"
                                           "  - {}\n"
                                           "n1: 1000000000000000\n"
                                           "f: 0.5\n"
                                           "b: true\n");
}

static void what_was_printed_is_read_as_the_same_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "plain",
        "no",
        "Off",
        "y",
        "null",
        "~",
        "true",
        "12",
        "1.5",
        "1e3",
        ".inf",
        "0x1",
        "1:30",
        "2026-08-01",
        "-",
        "- x",
        "a: b",
        "a:b",
        "a:",
        ":",
        "#x",
        "a #b",
        "[x]",
        "{x",
        "*x",
        "&x",
        "!x",
        "%x",
        "@x",
        "`x",
        "'x'",
        "\"x\"",
        "\\",
        " x",
        "x ",
        "x\ny\n",
        "\t",
        "\r\n",
        "\x01\x7f",
        "gr\xC3\xBC\xC3\x9F",
        "\xC2\x85\xE2\x80\xA8\xEF\xBB\xBF",
        "\xF0\x9F\x98\x80",
        "=",
        "<<",
        "?",
        "/usr/bin:/bin",
        "registry.example.com/group/image:1.0@sha256:ab",
        "---",
        "...",
        "key=value",
        ",",
        "|",
        ">",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        OWNED_JSON struct cJSON *tree = json_object();
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        json_set_text(tree, texts[i], texts[i]);
        yaml_print(tree, &out);
        struct error error = ERROR_NONE;
        OWNED_TREE struct tree *read = yaml_parse(out.bytes, out.length, &error);
        if (!read)
            fail_msg("%s: %s", out.bytes, error.text);
        assert_string_equal(read->first->key, texts[i]);
        assert_int_equal(read->first->kind, TREE_TEXT);
        assert_string_equal(read->first->text, texts[i]);
        strbuf_cut(&out, 0);
        yaml_print(json_first(tree), &out);
        OWNED_TREE struct tree *alone = yaml_parse(out.bytes, out.length, &error);
        assert_non_null(alone);
        assert_string_equal(alone->text, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one_document),
        cmocka_unit_test(plain_scalars_are_typed_by_the_core_schema),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(bombs_do_not_go_off),
        cmocka_unit_test(aliases_cost_what_they_repeat),
        cmocka_unit_test(prints_blocks),
        cmocka_unit_test(what_was_printed_is_read_as_the_same_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
