#include "text/gzip.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void checksums_agree_with_the_standard_and_join(void **state)
{
    (void)state;
    assert_int_equal(crc32_of(0, "123456789", 9), 0xCBF43926u);
    assert_int_equal(crc32_of(0, NULL, 0), 0);
    uint32_t first = crc32_of(0, "1234", 4), second = crc32_of(0, "56789", 5);
    assert_int_equal(crc32_of(first, "56789", 5), 0xCBF43926u);
    assert_int_equal(crc32_joined(first, second, 5), 0xCBF43926u);
    assert_int_equal(crc32_joined(first, 0, 0), first);
}

static void what_was_packed_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 100, 16384, 16385, 500000 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        OWNED_STRBUF struct strbuf in = STRBUF_EMPTY, packed = STRBUF_EMPTY, again = STRBUF_EMPTY, back = STRBUF_EMPTY;
        uint32_t seed = 5;
        for (size_t n = 0; n < sizes[i]; n++) {
            seed = seed * 1664525u + 1013904223u;
            strbuf_add_char(&in, n % 2 ? 'x' : (char)(seed >> 24));
        }
        gzip_pack(in.bytes, in.length, 6, &packed);
        gzip_pack(in.bytes, in.length, 6, &again);
        assert_int_equal(packed.length, again.length);
        assert_memory_equal(packed.bytes, again.bytes, packed.length);
        struct error error = ERROR_NONE;
        assert_int_equal(gzip_unpack(packed.bytes, packed.length, &back, &error), 0);
        assert_int_equal(back.length, in.length);
        assert_memory_equal(strbuf_text(&back), strbuf_text(&in), in.length);
    }
}

static void all_members_are_unpacked(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf packed = STRBUF_EMPTY, back = STRBUF_EMPTY;
    gzip_pack("one ", 4, 1, &packed);
    gzip_pack("", 0, 9, &packed);
    gzip_pack("two", 3, 9, &packed);
    struct error error = ERROR_NONE;
    assert_int_equal(gzip_unpack(packed.bytes, packed.length, &back, &error), 0);
    assert_string_equal(strbuf_text(&back), "one two");
}

static void damage_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf packed = STRBUF_EMPTY, back = STRBUF_EMPTY;
    gzip_pack("hello hello hello hello", 23, 9, &packed);
    strbuf_add_text(&back, "kept");
    for (size_t i = 0; i < packed.length; i++) {
        struct error error = ERROR_NONE;
        assert_int_equal(gzip_unpack(packed.bytes, i, &back, &error), -1);
        assert_int_equal(error.blame, BLAME_INPUT);
        assert_string_equal(strbuf_text(&back), "kept");
    }
    packed.bytes[packed.length - 6] ^= 1; /* a bit of the checksum */
    assert_int_equal(gzip_unpack(packed.bytes, packed.length, &back, NULL), -1);
    packed.bytes[packed.length - 6] ^= 1;
    strbuf_add_text(&packed, "garbage");
    assert_int_equal(gzip_unpack(packed.bytes, packed.length, &back, NULL), -1);
    assert_string_equal(strbuf_text(&back), "kept");
}

static void a_bomb_stops_at_the_ceiling(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf zeros = STRBUF_EMPTY, packed = STRBUF_EMPTY;
    memset(strbuf_room(&zeros, 4 * MIB), 0, 4 * MIB);
    strbuf_wrote(&zeros, 4 * MIB);
    gzip_pack(zeros.bytes, zeros.length, 9, &packed);
    assert_true(packed.length < 10000);
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf small = STRBUF_UP_TO(4 * MIB - 1), exact = STRBUF_UP_TO(4 * MIB);
    assert_int_equal(gzip_unpack(packed.bytes, packed.length, &small, &error), -1);
    assert_non_null(strstr(error.text, "more than allowed"));
    assert_true(small.overflowed);
    assert_int_equal(gzip_unpack(packed.bytes, packed.length, &exact, &error), 0);
    assert_int_equal(exact.length, 4 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_agree_with_the_standard_and_join),
        cmocka_unit_test(what_was_packed_comes_back),
        cmocka_unit_test(all_members_are_unpacked),
        cmocka_unit_test(damage_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_bomb_stops_at_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
