#include "text/glob.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

static void matches_like_doublestar(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {
        { "abc", "abc", true },
        { "abc", "ab", false },
        { "abc", "abcd", false },
        { "*", "abc", true },
        { "*", "a/b", false },
        { "*", ".hidden", true },
        { "*c", "abc", true },
        { "a*", "a", true },
        { "a*/b", "abc/b", true },
        { "a*/b", "a/c/b", false },
        { "a*b*c*d*e*/f", "axbxcxdxe/f", true },
        { "a*b?c*x", "abxbbxdbxebxczzx", true },
        { "a*b?c*x", "abxbbxdbxebxczzy", false },
        { "*.o", "x.o.o", true },
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "?", "", false },
        { "a?b",
          "a\xE2\x98\xBA"
          "b",
          true },
        { "a??b",
          "a\xE2\x98\xBA"
          "b",
          false },
        { "?", "/", false },
        { "a[!a]b",
          "a\xE2\x98\xBA"
          "b",
          true },
        { "ab[c]", "abc", true },
        { "ab[b-d]", "abc", true },
        { "ab[e-g]", "abc", false },
        { "ab[^c]", "abc", false },
        { "ab[!b-d]", "abe", true },
        { "[\\]a]", "]", true },
        { "[\\-]", "-", true },
        { "[x\\-]", "x", true },
        { "[-x]", "-", true },
        { "[x-]", "-", true },
        { "[a-b-d]", "c", false },
        { "[]a]", "]", false },
        { "[a", "a", false },
        { "[!", "a", false },
        { "[]", "a", false },
        { "a[", "a", false },
        { "a\\*b", "a*b", true },
        { "a\\*b", "axb", false },
        { "a\\", "a", false },
        { "a/**", "a", true },
        { "a/**", "a/b/c", true },
        { "a/**", "ab", false },
        { "**", "a/b", true },
        { "**/c", "c", true },
        { "**/c", "a/b/c", true },
        { "**/c", "a/bc", false },
        { "a/**/d", "a/d", true },
        { "a/**/d", "a/b/c/d", true },
        { "a/**/d", "a/b/c", false },
        { "a/**/*", "a", false },
        { "a/**/b/**/c", "a/x/b/y/b/z/c", true },
        { "**/*.log", "a/b/x.log", true },
        { "a**b", "axxb", true },
        { "a**b", "a/b", false },
        { "**c", "a/c", false },
        { "a/***", "a/b", true },
        { "**/b/c/**/c/d", "b/c/d", false },
        { "{a,b}", "b", true },
        { "{a,b}", "c", false },
        { "{a,b}*", "bcd", true },
        { "x{,y}z", "xz", true },
        { "x{,y}z", "xyz", true },
        { "{a/b,c}/d", "a/b/d", true },
        { "{a,{b,c}d}e", "cde", true },
        { "{a,{b,c}d}e", "ce", false },
        { "{**/x,y}", "a/b/x", true },
        { "a{b", "ab", false },
        { "a}b", "a}b", false },
        { "{a,b", "a", false },
        { "\\{a,b\\}", "{a,b}", true },
        { "{\\,,b}", ",", true },
        { "[{]", "{", true },
        { "{[,],b}", ",", true },
        { "{}", "", true },
        { "a,b", "a,b", true },
        { "out/", "out", false },
        { "out/", "out/", true },
        { "*.{tar.gz,zip}", "x.tar.gz", true },
        { "\xFF", "\xFF", true },
        { "?", "\xFF", true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (glob_match(rows[i].pattern, rows[i].path) != rows[i].matches)
            fail_msg("%s on %s", rows[i].pattern, rows[i].path);
    }
}

static void a_walk_may_skip_what_cannot_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *folder;
        bool may;
    } rows[] = {
        { "a/b/c", "", true },       { "a/b/c", "a", true },  { "a/b/c", "a/b", true }, { "a/b/c", "a/b/c", false },
        { "a/b/c", "b", false },     { "*.o", "", true },     { "*.o", "src", false },  { "src/*.o", "src", true },
        { "**/x", "deep/er", true }, { "a/**", "a", true },   { "a/**", "b", false },   { "{a,b}/c", "b", true },
        { "{a,b}/c", "c", false },   { "a*/b", "axx", true }, { "a[", "a", false },     { "a{", "a", false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (glob_may_match_below(rows[i].pattern, rows[i].folder) != rows[i].may)
            fail_msg("%s below %s", rows[i].pattern, rows[i].folder);
    }
}

static void plain_paths_are_known(void **state)
{
    (void)state;
    assert_true(glob_is_plain("a/b-c.d"));
    assert_true(glob_is_plain(""));
    assert_false(glob_is_plain("a*"));
    assert_false(glob_is_plain("a?"));
    assert_false(glob_is_plain("[a]"));
    assert_false(glob_is_plain("{a}"));
    assert_false(glob_is_plain("a\\b"));
}

static void evil_patterns_cost_little(void **state)
{
    (void)state;
    static char pattern[4000], path[4000];
    clock_t begin = clock();
    for (size_t i = 0; i < 400; i++)
        memcpy(pattern + 5 * i, "{a,b}", 6);
    memset(path, 'a', 400);
    assert_false(glob_match(pattern, path)); /* too many braces */
    assert_true(glob_may_match_below(pattern, "x"));
    pattern[5 * 30] = '\0';
    path[30] = 'c';
    assert_false(glob_match(pattern, path)); /* 2^30 alternatives */
    for (size_t i = 0; i < 1000; i++)
        memcpy(pattern + 2 * i, "a*c", 4);
    memset(path, 'a', 3999);
    path[3998] = 'b';
    assert_false(glob_match(pattern, path));
    for (size_t i = 0; i < 500; i++)
        memcpy(pattern + 5 * i, "**/a/", 6);
    for (size_t i = 0; i < 3998; i++)
        path[i] = i % 2 ? '/' : 'a';
    assert_false(glob_match(pattern, path));
    memset(pattern, '{', 3999);
    assert_false(glob_match(pattern, "a"));
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0);
}

/* Whatever matches lies in folders that a walk would have entered. */
static void no_match_is_ever_skipped(void **state)
{
    (void)state;
    uint32_t seed = 9;
    unsigned matches = 0;
    for (int round = 0; round < 300000; round++) {
        char pattern[12] = "", path[10] = "";
        for (size_t i = 0; i < sizeof(pattern) - 1; i++)
            pattern[i] = "ab/**?{,}a/"[((seed = seed * 1664525u + 1013904223u) >> 24) % 11];
        for (size_t i = 0; i < sizeof(path) - 1; i++)
            path[i] = "ab/a"[((seed = seed * 1664525u + 1013904223u) >> 24) % 4];
        if (!glob_match(pattern, path))
            continue;
        matches++;
        for (size_t i = 0; path[i]; i++) {
            OWNED_TEXT char *folder = mem_copy(path, i);
            if (path[i] == '/' && !glob_may_match_below(pattern, folder))
                fail_msg("%s matches %s but not below %s", pattern, path, folder);
        }
    }
    assert_true(matches > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_like_doublestar),  cmocka_unit_test(a_walk_may_skip_what_cannot_match),
        cmocka_unit_test(plain_paths_are_known),    cmocka_unit_test(evil_patterns_cost_little),
        cmocka_unit_test(no_match_is_ever_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
