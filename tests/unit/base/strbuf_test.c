#include "base/strbuf.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

static void grows_and_stays_terminated(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf buffer = STRBUF_EMPTY;
    assert_string_equal(strbuf_text(&buffer), "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(strbuf_format(&buffer, "%d,", i % 10), 0);
    assert_int_equal(buffer.length, 2000);
    assert_int_equal(strlen(strbuf_text(&buffer)), 2000);
    strbuf_cut(&buffer, 4);
    assert_string_equal(strbuf_text(&buffer), "0,1,");
    strbuf_cut(&buffer, 400);
    assert_int_equal(buffer.length, 4);
    strbuf_add_char(&buffer, '\0');
    strbuf_add_text(&buffer, "x");
    assert_memory_equal(buffer.bytes, "0,1,\0x", 7);
}

static void past_the_ceiling_nothing_is_added(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf buffer = STRBUF_UP_TO(5);
    assert_int_equal(strbuf_add(&buffer, "abc", 3), 0);
    assert_int_equal(strbuf_add(&buffer, "def", 3), -1);
    assert_int_equal(strbuf_format(&buffer, "%d", 123), -1);
    assert_null(strbuf_room(&buffer, 3));
    assert_true(buffer.overflowed);
    assert_string_equal(strbuf_text(&buffer), "abc");
    assert_int_equal(strbuf_add(&buffer, "de", 2), 0);
    assert_int_equal(strbuf_add_char(&buffer, 'f'), -1);
    assert_string_equal(strbuf_text(&buffer), "abcde");
    strbuf_drop(&buffer, 2);
    assert_int_equal(strbuf_add(&buffer, "fg", 2), 0);
    assert_string_equal(strbuf_text(&buffer), "cdefg");
    strbuf_clear(&buffer);
    assert_int_equal(buffer.ceiling, 5);
    assert_false(buffer.overflowed);
}

static void sizes_near_the_end_of_the_world_do_not_wrap(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf buffer = STRBUF_EMPTY;
    assert_int_equal(strbuf_add_text(&buffer, "x"), 0);
    assert_null(strbuf_room(&buffer, SIZE_MAX));
    assert_null(strbuf_room(&buffer, SIZE_MAX - 1));
    assert_string_equal(strbuf_text(&buffer), "x");
}

static void drops_from_the_front(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf buffer = STRBUF_EMPTY;
    strbuf_drop(&buffer, 3);
    strbuf_add_text(&buffer, "hello world");
    strbuf_drop(&buffer, 6);
    assert_string_equal(strbuf_text(&buffer), "world");
    assert_string_equal(buffer.bytes, "world");
    strbuf_drop(&buffer, 0);
    strbuf_drop(&buffer, 99);
    assert_int_equal(buffer.length, 0);
    assert_string_equal(strbuf_text(&buffer), "");
    strbuf_add_text(&buffer, "again");
    assert_string_equal(strbuf_text(&buffer), "again");
}

static void takes_whole_even_after_a_drop(void **state)
{
    (void)state;
    struct strbuf buffer = STRBUF_UP_TO(100);
    size_t length = 0;
    strbuf_add_text(&buffer, "0123456789");
    strbuf_drop(&buffer, 4);
    char *bytes = strbuf_take(&buffer, &length);
    assert_string_equal(bytes, "456789");
    assert_int_equal(length, 6);
    mem_free(bytes);
    assert_int_equal(buffer.length, 0);
    assert_int_equal(buffer.ceiling, 100);
    bytes = strbuf_take(&buffer, NULL);
    assert_string_equal(bytes, "");
    mem_free(bytes);
    strbuf_clear(&buffer);
    strbuf_clear(&buffer);
    strbuf_wipe(&buffer);
}

static void room_is_written_by_the_caller(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf buffer = STRBUF_EMPTY;
    char *room = strbuf_room(&buffer, 3);
    memcpy(room, "abc", 3);
    strbuf_wrote(&buffer, 2);
    assert_string_equal(strbuf_text(&buffer), "ab");
}

/* A model with plain arrays, driven by a fixed random sequence. */
static void agrees_with_a_simple_model(void **state)
{
    (void)state;
    static char model[200000];
    size_t length = 0;
    uint32_t seed = 1;
    struct strbuf buffer = STRBUF_EMPTY;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t count = (seed >> 16) % 200;
        if (seed >> 31 && length + count < sizeof(model)) {
            memset(model + length, 'a' + i % 26, count);
            strbuf_add(&buffer, model + length, count);
            length += count;
        } else {
            count = count < length ? count : length;
            memmove(model, model + count, length - count);
            length -= count;
            strbuf_drop(&buffer, count);
        }
        assert_int_equal(buffer.length, length);
        assert_memory_equal(strbuf_text(&buffer), model, length);
        assert_int_equal(strbuf_text(&buffer)[length], '\0');
        assert_true(buffer.capacity + buffer.dropped < 1 << 19);
    }
    strbuf_wipe(&buffer);
}

static void dropping_byte_by_byte_is_not_quadratic(void **state)
{
    (void)state;
    struct strbuf buffer = STRBUF_EMPTY;
    char *room = strbuf_room(&buffer, 8 * MIB);
    memset(room, 'x', 8 * MIB);
    strbuf_wrote(&buffer, 8 * MIB);
    clock_t begin = clock();
    for (size_t i = 0; i < 2 * MIB; i++) {
        strbuf_drop(&buffer, 1);
        strbuf_add_char(&buffer, 'y');
    }
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0); /* 2 Mi moves of 8 MiB would take an hour */
    assert_int_equal(buffer.length, 8 * MIB);
    strbuf_clear(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(past_the_ceiling_nothing_is_added),
        cmocka_unit_test(sizes_near_the_end_of_the_world_do_not_wrap),
        cmocka_unit_test(drops_from_the_front),
        cmocka_unit_test(takes_whole_even_after_a_drop),
        cmocka_unit_test(room_is_written_by_the_caller),
        cmocka_unit_test(agrees_with_a_simple_model),
        cmocka_unit_test(dropping_byte_by_byte_is_not_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
