#include "base/strmap.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void finds_what_was_set(void **state)
{
    (void)state;
    struct strmap map = STRMAP_EMPTY;
    int one = 1, two = 2;
    assert_null(strmap_get(&map, "a"));
    assert_false(strmap_remove(&map, "a"));
    strmap_set(&map, "a", &one);
    strmap_set(&map, "", &two);
    strmap_set(&map, "null", NULL);
    assert_ptr_equal(strmap_get(&map, "a"), &one);
    assert_ptr_equal(strmap_get(&map, ""), &two);
    assert_null(strmap_get(&map, "null"));
    assert_true(strmap_has(&map, "null"));
    assert_false(strmap_has(&map, "A"));
    strmap_set(&map, "a", &two);
    assert_ptr_equal(strmap_get(&map, "a"), &two);
    assert_int_equal(map.live, 3);
    strmap_clear(&map);
    assert_false(strmap_has(&map, "a"));
    strmap_clear(&map);
}

static void walks_in_order_of_first_insertion(void **state)
{
    (void)state;
    struct strmap map = STRMAP_EMPTY;
    static const char *const keys[] = { "zeta", "alpha", "mid", "beta" };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        strmap_set(&map, keys[i], NULL);
    strmap_set(&map, "alpha", &map);
    strmap_remove(&map, "mid");
    strmap_set(&map, "mid", NULL);
    char seen[64] = "";
    size_t position = 0;
    for (struct strmap_entry *entry; (entry = strmap_next(&map, &position));)
        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ", entry->key);
    assert_string_equal(seen, "zeta alpha beta mid ");
    strmap_clear(&map);
}

static void the_current_entry_may_go_while_walking(void **state)
{
    (void)state;
    struct strmap map = STRMAP_EMPTY;
    char key[16];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        strmap_set(&map, key, NULL);
    }
    size_t position = 0, seen = 0;
    for (struct strmap_entry *entry; (entry = strmap_next(&map, &position)); seen++) {
        if (seen % 2 == 0)
            assert_true(strmap_remove(&map, entry->key));
    }
    assert_int_equal(seen, 100);
    assert_int_equal(map.live, 50);
    assert_false(strmap_has(&map, "key0"));
    assert_true(strmap_has(&map, "key99"));
    strmap_clear(&map);
}

static void values_are_freed_when_asked_for(void **state)
{
    (void)state;
    struct strmap map = { .free_value = mem_free };
    strmap_set(&map, "a", mem_text("first"));
    strmap_set(&map, "a", mem_text("second"));
    strmap_set(&map, "b", mem_text("third"));
    strmap_set(&map, "c", mem_text("fourth"));
    assert_true(strmap_remove(&map, "b"));
    assert_string_equal(strmap_get(&map, "a"), "second");
    strmap_clear(&map); /* the leak checker sees the rest */
}

static void survives_many_keys_and_much_coming_and_going(void **state)
{
    (void)state;
    struct strmap map = STRMAP_EMPTY;
    static char there[5000];
    char key[16];
    uint32_t seed = 7;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t number = (seed >> 8) % sizeof(there);
        snprintf(key, sizeof(key), "k%zu", number);
        assert_int_equal(strmap_has(&map, key), there[number]);
        if (seed >> 31) {
            strmap_set(&map, key, &there[number]);
            there[number] = 1;
            assert_ptr_equal(strmap_get(&map, key), &there[number]);
        } else {
            assert_int_equal(strmap_remove(&map, key), there[number]);
            there[number] = 0;
        }
    }
    size_t live = 0;
    for (size_t i = 0; i < sizeof(there); i++)
        live += (size_t)there[i];
    assert_int_equal(map.live, live);
    assert_true(map.slot_count <= 65536);
    strmap_clear(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_set),
        cmocka_unit_test(walks_in_order_of_first_insertion),
        cmocka_unit_test(the_current_entry_may_go_while_walking),
        cmocka_unit_test(values_are_freed_when_asked_for),
        cmocka_unit_test(survives_many_keys_and_much_coming_and_going),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
