#include "text/mask.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#define M "[MASKED]"

static void masked(struct mask *mask, const char *text, size_t chunk, struct strbuf *out)
{
    for (size_t at = 0, length = strlen(text); at < length; at += chunk)
        mask_feed(mask, text + at, length - at < chunk ? length - at : chunk, out);
    mask_flush(mask, out);
}

/* phrases: separated by "|". */
static struct mask *mask_of(const char *phrases, const char *prefixes)
{
    struct mask *mask = mask_new();
    for (size_t length; *phrases; phrases += length + (phrases[length] == '|')) {
        length = strcspn(phrases, "|");
        mask_add_phrase(mask, phrases, length);
    }
    OWNED_TEXT char *each = mem_text(prefixes);
    for (char *save = NULL, *prefix = strtok_r(each, "|", &save); prefix; prefix = strtok_r(NULL, "|", &save))
        mask_add_prefix(mask, prefix);
    return mask;
}

static void expect(const char *phrases, const char *prefixes, const char *text, const char *expected)
{
    for (size_t chunk = 1; chunk<30; chunk += chunk> 8 ? 10 : 1) {
        struct mask *mask = mask_of(phrases, prefixes);
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        masked(mask, text, chunk, &out);
        assert_string_equal(strbuf_text(&out), expected);
        assert_int_equal(mask_held(mask), 0);
        mask_free(mask);
    }
}

static void phrases_vanish(void **state)
{
    (void)state;
    static const struct {
        const char *phrases, *text, *expected;
    } rows[] = {
        { "", "nothing to hide", "nothing to hide" },
        { "secret", "a secret b", "a " M " b" },
        { "secret", "secretsecret", M M },
        { "secret", "Secret SECRET", "Secret SECRET" },
        { "secret", "secre", "secre" },
        { "secret", "secsecret", "sec" M },
        { "aab", "aaab", "a" M },                       /* the stock runner lets this one slip */
        { "abc|abcdef", "abcdef abcde", M " " M "de" }, /* longest first */
        { "abcd|cdef", "abcdef", M },                   /* overlapping: nothing of the second stays */
        { "abcd|cdef", "abcdcdef", M M },
        { "ab|cd|abcdX", "abcd abcdX", M M " " M },
        { "bc|abcd", "abcx abcd", "a" M "x " M },
        { "aa", "aaaaa", M },
        { "a", "aaa", M M M },
        { "  padded \n|\n|  ", "padded  padded ", M "  " M " " },
        { "line1\nline2", "x line1\nline2 y", "x " M " y" },
        { "x|x|x", "axb", "a" M "b" },
        { "[MASKED]|MASK", "[MASKED] MASK", M " " M },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(rows[i].phrases, "", rows[i].text, rows[i].expected);
}

static void tokens_keep_their_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *prefixes, *text, *expected;
    } rows[] = {
        { "glpat-", "token glpat-abc_DEF-1.2= end", "token glpat-" M " end" },
        { "glpat-", "glpat-", "glpat-" },
        { "glpat-", "glpat- x glpat-/y", "glpat- x glpat-/y" },
        { "glpat-", "glpat-a,glpat-b\nglpat-c", "glpat-" M ",glpat-" M "\nglpat-" M },
        { "glpat-", "glpat-aglpat-b", "glpat-" M },
        { "glpat-", "glglpat-x", "glglpat-" M },
        { "glpat-|_gitlab_session=", "_gitlab_session=0a; x", "_gitlab_session=" M "; x" },
        { "gl|glpat-", "glpat-x", "gl" M },
        { "", "glpat-abc", "glpat-abc" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect("", rows[i].prefixes, rows[i].text, rows[i].expected);
}

static void url_parameters_lose_their_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "https://h/p?private_token=abc&x=1", "https://h/p?private_token=" M "&x=1" },
        { "?x=1&X-Amz-Signature=ab/c+d end", "?x=1&X-Amz-Signature=" M " end" },
        { "?rss_token=a?rss_token=b&rss_token=c\n", "?rss_token=" M "?rss_token=" M "&rss_token=" M "\n" },
        { "&authenticity_token=", "&authenticity_token=" M },
        { "?X-AMZ-SECURITY-TOKEN=a\"b\x7f"
          "c",
          "?X-AMZ-SECURITY-TOKEN=" M "\x7f"
          "c" },
        { "?x-amz-credential=a%2Fb&x-amz-date=1", "?x-amz-credential=" M "&x-amz-date=1" },
        { "private_token=abc", "private_token=abc" },
        { "?private_tokens=abc", "?private_tokens=abc" },
        { "?my_private_token=abc", "?my_private_token=abc" },
        { "?a_very_long_name_that_goes_on=x&private_token=y", "?a_very_long_name_that_goes_on=x&private_token=" M },
        { "??&?private_token=y", "??&?private_token=" M },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect("", "", rows[i].text, rows[i].expected);
}

static void the_three_work_together(void **state)
{
    (void)state;
    expect("hunter2", "glpat-", "glpat-hunter2 glpat-xhunter2y ?private_token=hunter2&a=hunter2 glpat-z",
           "glpat-" M " glpat-" M M "y ?private_token=" M "&a=" M " glpat-" M);
    expect("pat-", "glpat-", "glpat-abc", "gl" M "abc"); /* the phrase went first */
}

static void only_a_possible_match_is_held_back(void **state)
{
    (void)state;
    struct mask *mask = mask_of("secret|secretive", "glpat-");
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    mask_feed(mask, "line\nglpat-ab ?private_token=x", 30, &out);
    assert_int_equal(mask_held(mask), 0);
    mask_feed(mask, " secr", 5, &out);
    assert_int_equal(mask_held(mask), 4);
    mask_feed(mask, "et", 2, &out);
    assert_string_equal(strbuf_text(&out),
                        "line\nglpat-" M " ?private_token=" M " " M); /* sure already, however long it gets */
    assert_int_equal(mask_held(mask), 0);
    mask_feed(mask, "ive", 3, &out);
    mask_feed(mask, " secret", 7, &out);
    mask_feed(mask, "s se", 4, &out);
    assert_int_equal(mask_held(mask), 2);
    mask_flush(mask, &out);
    assert_string_equal(strbuf_text(&out), "line\nglpat-" M " ?private_token=" M " " M " " M "s se");
    mask_free(mask);
}

static void endless_overlaps_need_no_memory(void **state)
{
    (void)state;
    struct mask *mask = mask_of("aaaa", "");
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    for (int i = 0; i < 100000; i++) {
        mask_feed(mask, "a", 1, &out);
        assert_true(mask_held(mask) < 4);
    }
    mask_flush(mask, &out);
    assert_string_equal(strbuf_text(&out), M);
    mask_free(mask);
    mask_free(NULL);
}

/* The same by brute force, over the whole text. */
static void mask_phrases_slowly(const char *const *phrases, size_t count, const char *text, struct strbuf *out)
{
    size_t length = strlen(text), end = 0; /* end of the stretch that is masked now */
    bool open = false;
    for (size_t i = 0; i < length; i++) {
        size_t longest = 0;
        for (size_t p = 0; p < count; p++) {
            size_t size = strlen(phrases[p]);
            if (size > longest && strncmp(text + i, phrases[p], size) == 0)
                longest = size;
        }
        if (longest > 0 && (!open || i >= end)) {
            strbuf_add_text(out, M);
            open = true;
            end = i;
        }
        if (longest > 0 && i + longest > end)
            end = i + longest;
        if (!open || i >= end)
            strbuf_add_char(out, text[i]);
    }
}

static void agrees_with_brute_force(void **state)
{
    (void)state;
    uint32_t seed = 3;
    for (int round = 0; round < 4000; round++) {
        char phrases[6][8] = { "" }, text[64] = "";
        const char *list[6];
        size_t count = 1 + (seed >> 20) % 6;
        struct mask *mask = mask_new();
        for (size_t p = 0; p < count; p++) {
            seed = seed * 1664525u + 1013904223u;
            size_t length = 1 + (seed >> 16) % 6;
            for (size_t i = 0; i < length; i++)
                phrases[p][i] = (char)('a' + ((seed = seed * 1664525u + 1013904223u) >> 24) % 3);
            list[p] = phrases[p];
            mask_add_phrase(mask, phrases[p], length);
        }
        for (size_t i = 0; i < sizeof(text) - 1; i++)
            text[i] = (char)('a' + ((seed = seed * 1664525u + 1013904223u) >> 24) % 4);
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY, expected = STRBUF_EMPTY;
        mask_phrases_slowly(list, count, text, &expected);
        masked(mask, text, 1 + (seed >> 16) % 70, &out);
        assert_string_equal(strbuf_text(&out), strbuf_text(&expected));
        mask_free(mask);
    }
}

static void many_long_phrases_are_no_trouble(void **state)
{
    (void)state;
    struct mask *mask = mask_new();
    static char phrase[1000];
    for (int i = 0; i < 200; i++) {
        memset(phrase, 'a', sizeof(phrase));
        memcpy(phrase + 500 + i, "xyz", 3);
        mask_add_phrase(mask, phrase, sizeof(phrase));
    }
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    clock_t begin = clock();
    static char text[8192];
    memset(text, 'a', sizeof(text));
    for (int i = 0; i < 256; i++)
        mask_feed(mask, text, sizeof(text), &out);
    mask_flush(mask, &out);
    assert_int_equal(out.length, 256 * sizeof(text));
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 10.0);
    mask_free(mask);
}

static void phrases_vanish_from_urls_and_json(void **state)
{
    (void)state;
    static const struct {
        const char *phrase, *text, *expected;
    } rows[] = {
        { "pa/ss+w=rd:1", "https://u:pa%2Fss%2Bw%3Drd%3A1@host", "https://u:" M "@host" }, /* curl */
        { "pa/ss+w=rd:1", "https://u:pa%2fss%2bw%3drd%3a1@host", "https://u:" M "@host" }, /* git */
        { "pa/ss+w=rd:1", "?q=pa/ss%2Bw%3Drd%3A1&b", "?q=" M "&b" },                       /* Python */
        { "it's(a)b/c", "x it's(a)b%2Fc y", "x " M " y" },                                 /* JavaScript */
        { "pa/ss+w=rd:1", "https://u:pa%2Fss+w=rd%3A1@host", "https://u:" M "@host" },     /* Go, user and password */
        { "gr\xC3\xBC\xC3\x9F e", "gr%C3%BC%C3%9F%20e gr%c3%bc%c3%9f%20e", M " " M },
        { "say \"hi\" c:\\d", "{\"a\":\"say \\\"hi\\\" c:\\\\d\"}", "{\"a\":\"" M "\"}" },
        { "line1\nline2\t\x01", "\"line1\\nline2\\t\\u0001\"", "\"" M "\"" },
        { "plain-value_1.2~", "plain-value_1.2~ plain%2Dvalue_1.2~", M " plain%2Dvalue_1.2~" }, /* nobody writes so */
        { "a%2Fb", "a%2Fb a%252Fb a/b", M " " M " a/b" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(rows[i].phrase, "", rows[i].text, rows[i].expected);
}

static void a_long_phrase_is_found_as_it_is_only(void **state)
{
    (void)state;
    char phrase[1200];
    struct mask *mask = mask_new();
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;

    memset(phrase, '/', sizeof(phrase));
    mask_add_phrase(mask, phrase, sizeof(phrase));
    mask_feed(mask, phrase, sizeof(phrase), &out);
    mask_feed(mask, "%2F%2F", 6, &out);
    mask_flush(mask, &out);
    assert_string_equal(strbuf_text(&out), M "%2F%2F");
    mask_free(mask);
}

static void what_was_cut_from_a_whole_text_vanishes_too(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "image a/hunter2-very-secret:1: it says hunter2-v", "image a/" M ":1: it says " M },
        { "it says hunter2-v...", "it says " M "..." },
        { "it says hunter2-very-secret", "it says " M },
        { "a short one: hun", "a short one: hun" }, /* less than 4 bytes tell nothing */
        { "a short one: hunt", "a short one: " M },
        { "hunter2-v in the middle", "hunter2-v in the middle" },
        { "...", "..." },
        { "", "" },
    };
    struct mask *mask = mask_of("hunter2-very-secret", "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
        mask_whole(mask, rows[i].text, &out);
        assert_string_equal(strbuf_text(&out), rows[i].expected);
    }
    mask_free(mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phrases_vanish),
        cmocka_unit_test(tokens_keep_their_prefix),
        cmocka_unit_test(url_parameters_lose_their_value),
        cmocka_unit_test(the_three_work_together),
        cmocka_unit_test(only_a_possible_match_is_held_back),
        cmocka_unit_test(endless_overlaps_need_no_memory),
        cmocka_unit_test(agrees_with_brute_force),
        cmocka_unit_test(many_long_phrases_are_no_trouble),
        cmocka_unit_test(phrases_vanish_from_urls_and_json),
        cmocka_unit_test(a_long_phrase_is_found_as_it_is_only),
        cmocka_unit_test(what_was_cut_from_a_whole_text_vanishes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
