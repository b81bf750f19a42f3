#include "text/json.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct cJSON *parsed(const char *text)
{
    struct error error = ERROR_NONE;
    struct cJSON *tree = json_parse(text, strlen(text), &error);
    if (!tree)
        fail_msg("%s: %s", text, error.text);
    return tree;
}

static void refuses_what_is_not_one_json_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
        size_t length;
    } rows[] = {
        { "", "empty", 0 },
        { "{} x", "more text after the end at byte 3", 0 },
        { "{}{}", "more text", 0 },
        { "{\"a\":}", "wrong syntax at byte 5", 0 },
        { "{\"a\":1", "wrong syntax", 0 },
        { "[1,]", "wrong syntax", 0 },
        { "nul", "wrong syntax", 0 },
        { "{\"a\":\"x\\u0000y\"}", "\\u0000", 0 },
        { "{\"a\\u0000\":1}", "\\u0000", 0 },
        { "[\"a\0b\"]", "NUL at byte 3", 7 },
        { "[\"a\\\0b\"]", "NUL at byte 4", 8 },
        { "[]\0", "NUL at byte 2", 3 },
        { "\"\\", "wrong syntax", 0 },
        { "\"", "wrong syntax", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        size_t length = rows[i].length ? rows[i].length : strlen(rows[i].text);
        char *exact = mem_grow(NULL, length); /* no NUL behind it: the sanitizer sees reading past the end */
        memcpy(exact, rows[i].text, length);
        assert_null(json_parse(exact, length, &error));
        mem_free(exact);
        assert_int_equal(error.blame, BLAME_INPUT);
        if (!strstr(error.text, rows[i].why))
            fail_msg("%s: got %s", rows[i].text, error.text);
    }
}

static void accepts_white_space_and_escaped_backslashes(void **state)
{
    (void)state;
    OWNED_JSON struct cJSON *tree = parsed(" {\"a\": \"\\\\u0000\"} \r\n\t");
    assert_string_equal(json_text(tree, "a", ""), "\\u0000");
}

static void leaves_out_what_nobody_looks_at(void **state)
{
    (void)state;
    static const char *const names[] = { "big", "huge", NULL };
    static const struct {
        const char *text, *left;
    } rows[] = {
        { "{\"a\":1}", "{\"a\":1}" },
        { "{\"big\":[1,{\"x\":\"]\\\"}\"}],\"a\":[2]}", "{\"big\":null,\"a\":[2]}" },
        { "{\"huge\":[{\"big\":[1,2]}],\"big\":[1,\"[{\"],\"a\":3}", "{\"huge\":null,\"big\":null,\"a\":3}" },
        { "{\"m\":{\"big\":{}},\"n\":{\"big\":[[]],\"z\":0}}", "{\"m\":{\"big\":{}},\"n\":{\"big\":null,\"z\":0}}" },
        { "{\"big\":5,\"a\":\"big\"}", "{\"big\":5,\"a\":\"big\"}" },
        { "{\"a\":\"\\\"big\\\":[1]\"}", "{\"a\":\"\\\"big\\\":[1]\"}" },
        { "{\"x\\\"big\":[1]}", "{\"x\\\"big\":[1]}" },
        { "{\"big\":[\"", NULL },
        { "{\"big\":[]", NULL },
        { "{\"big\":", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        size_t length = strlen(rows[i].text);
        char *exact = mem_copy(rows[i].text, length);
        OWNED_JSON struct cJSON *tree = json_parse_without(exact, length, names, &error);
        mem_free(exact);
        OWNED_TEXT char *printed = tree ? json_print(tree) : NULL;
        if (!printed || !rows[i].left)
            assert_ptr_equal(printed, rows[i].left);
        else
            assert_string_equal(printed, rows[i].left);
        assert_int_equal(error.blame, printed ? BLAME_NONE : BLAME_INPUT);
    }
}

static void depth_has_an_end(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    char text[802];
    memset(text, '[', 400);
    memset(text + 400, ']', 400);
    assert_null(json_parse(text, 800, &error));
    assert_non_null(strstr(error.text, "deeper than 200"));
    struct cJSON *tree = json_parse(text + 200, 400, &error);
    assert_non_null(tree);
    json_free(tree);
    assert_null(json_parse(text + 199, 402, &error));
}

static void lookups_are_exact_and_forgiving(void **state)
{
    (void)state;
    OWNED_JSON struct cJSON *tree =
        parsed("{\"id\":7,\"ID\":8,\"dup\":1,\"dup\":2,\"none\":null,\"t\":\"x\",\"b\":true,"
               "\"meta\":{\"name\":\"pod\",\"deep\":{\"er\":[1]}}}");
    assert_int_equal(json_int(tree, "id", 0), 7);
    assert_int_equal(json_int(tree, "ID", 0), 8);
    assert_int_equal(json_int(tree, "Id", -1), -1);
    assert_int_equal(json_int(tree, "dup", 0), 1);
    assert_null(json_get(tree, "none"));
    assert_null(json_get(NULL, "id"));
    assert_null(json_get(json_get(tree, "t"), "id"));
    assert_string_equal(json_text(tree, "id", "no text"), "no text");
    assert_string_equal(json_text(NULL, "id", "nothing"), "nothing");
    assert_true(json_bool(tree, "b", false));
    assert_true(json_bool(tree, "t", true));
    assert_string_equal(json_text_at(tree, "meta.name", ""), "pod");
    assert_string_equal(json_text_at(tree, "meta.name.x", "no"), "no");
    assert_string_equal(json_text_at(tree, "meta.", "no"), "no");
    assert_int_equal(json_count(json_at(tree, "meta.deep.er")), 1);
    assert_string_equal(json_item_name(json_first(tree)), "id");
    assert_null(json_first(json_get(tree, "t")));
    assert_true(json_number(tree, "id", 0) > 6.9);
}

static void integers_are_exact_or_the_default(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t expected;
    } rows[] = {
        { "{\"n\":9007199254740992}", 9007199254740992 },
        { "{\"n\":-9007199254740992}", -9007199254740992 },
        { "{\"n\":18014398509481984}", -1 },
        { "{\"n\":1e300}", -1 },
        { "{\"n\":1e999}", -1 },
        { "{\"n\":1.5}", -1 },
        { "{\"n\":1e3}", 1000 },
        { "{\"n\":\"3\"}", 3 },
        { "{\"n\":\"-3\"}", -3 },
        { "{\"n\":\"\"}", -1 },
        { "{\"n\":\"3x\"}", -1 },
        { "{\"n\":\"-\"}", -1 },
        { "{\"n\":\"9999999999999999\"}", -1 },
        { "{\"n\":\"99999999999999999999\"}", -1 },
        { "{\"n\":3000000000}", 3000000000 },
        { "{\"n\":true}", -1 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_JSON struct cJSON *tree = parsed(rows[i].text);
        assert_int_equal(json_int(tree, "n", -1), rows[i].expected);
    }
}

static void builds_and_prints(void **state)
{
    (void)state;
    OWNED_JSON struct cJSON *tree = json_object();
    json_set_text(tree, "text", "a\"b\\c\n\t\x01\x7f/\xC3\xBC");
    json_set_int(tree, "big", 1000000000000000);
    json_set_int(tree, "minus", -90210);
    json_set_number(tree, "third", 1.0 / 3);
    json_set_number(tree, "tenth", 0.1);
    json_set_bool(tree, "yes", true);
    json_set_null(tree, "none");
    struct cJSON *list = json_set_array(tree, "list");
    json_add_text(list, "x");
    json_add_int(list, 1);
    json_set_text(json_add_object(list), "k", "v");
    json_set_object(tree, "empty");
    OWNED_TEXT char *text = json_print(tree);
    assert_string_equal(text,
                        "{\"text\":\"a\\\"b\\\\c\\n\\t\\u0001\x7f/\xC3\xBC\",\"big\":1000000000000000,\"minus\":-90210,"
                        "\"third\":0.33333333333333331,\"tenth\":0.1,\"yes\":true,\"none\":null,"
                        "\"list\":[\"x\",1,{\"k\":\"v\"}],\"empty\":{}}");
    OWNED_JSON struct cJSON *again = parsed(text);
    OWNED_TEXT char *second = json_print(again);
    assert_string_equal(second, text);
    OWNED_JSON struct cJSON *copy = json_copy(tree);
    OWNED_TEXT char *third = json_print(copy);
    assert_string_equal(third, text);
}

static void setting_again_replaces_in_place(void **state)
{
    (void)state;
    OWNED_JSON struct cJSON *tree = parsed("{\"a\":1,\"b\":2,\"c\":3}");
    json_set_text(tree, "b", "new");
    json_set_text(tree, "d", NULL);
    json_remove(tree, "a");
    json_remove(tree, "zz");
    OWNED_TEXT char *text = json_print(tree);
    assert_string_equal(text, "{\"b\":\"new\",\"c\":3,\"d\":null}");
    OWNED_TEXT char *pretty = json_print_pretty(tree);
    assert_string_equal(pretty, "{\n  \"b\": \"new\",\n  \"c\": 3,\n  \"d\": null\n}\n");
    assert_null(json_set(tree, "x", NULL));
    assert_null(json_add(tree, json_object())); /* no array: freed, not lost */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_one_json_text),
        cmocka_unit_test(accepts_white_space_and_escaped_backslashes),
        cmocka_unit_test(leaves_out_what_nobody_looks_at),
        cmocka_unit_test(depth_has_an_end),
        cmocka_unit_test(lookups_are_exact_and_forgiving),
        cmocka_unit_test(integers_are_exact_or_the_default),
        cmocka_unit_test(builds_and_prints),
        cmocka_unit_test(setting_again_replaces_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
