#include "trie.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void finds_the_longest_phrase_that_ends_here(void **state)
{
    (void)state;
    struct trie trie;
    static const char *const phrases[] = { "he", "she", "hers", "his", "he", "" };
    trie_init(&trie);
    for (size_t i = 0; i < COUNT_OF(phrases); i++)
        trie_add(&trie, phrases[i], strlen(phrases[i]));
    trie_finish(&trie);
    static const char text[] = "ushershis";
    static const unsigned matches[] = { 0, 0, 0, 3, 0, 4, 0, 0, 3 };
    static const unsigned opens[] = { 0, 1, 2, 2, 3, 1, 2, 2, 1 };
    uint32_t at = TRIE_ROOT;
    for (size_t i = 0; i < strlen(text); i++) {
        at = trie_step(&trie, at, text[i]);
        assert_int_equal(trie_match(&trie, at), matches[i]);
        assert_int_equal(trie_open(&trie, at), opens[i]);
    }
    assert_int_equal(trie_skip(&trie, "abc s", 5), 4);
    assert_int_equal(trie_skip(&trie, "abc", 3), 3);
    trie_clear(&trie);
    trie_clear(&trie);
}

static void an_empty_trie_finds_nothing(void **state)
{
    (void)state;
    struct trie trie;
    trie_init(&trie);
    trie_finish(&trie);
    assert_int_equal(trie_step(&trie, TRIE_ROOT, 'x'), TRIE_ROOT);
    assert_int_equal(trie_match(&trie, TRIE_ROOT), 0);
    assert_int_equal(trie_skip(&trie, "anything", 8), 8);
    trie_clear(&trie);
}

static void bytes_are_bytes(void **state)
{
    (void)state;
    struct trie trie;
    trie_init(&trie);
    trie_add(&trie, "\0\xFF\x80", 3);
    trie_finish(&trie);
    uint32_t at = trie_step(&trie, trie_step(&trie, trie_step(&trie, TRIE_ROOT, '\0'), '\xFF'), '\x80');
    assert_int_equal(trie_match(&trie, at), 3);
    trie_clear(&trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_longest_phrase_that_ends_here),
        cmocka_unit_test(an_empty_trie_finds_nothing),
        cmocka_unit_test(bytes_are_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
