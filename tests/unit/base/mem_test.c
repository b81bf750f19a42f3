#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void new_memory_is_zero(void **state)
{
    (void)state;
    unsigned char *block = mem_new(100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(block[i], 0);
    mem_free(block);
    mem_free(mem_new(0));
    mem_free(mem_new_array(0, 8));
    mem_free(NULL);
}

static void copies_end_in_nul_and_keep_nul_bytes(void **state)
{
    (void)state;
    OWNED_TEXT char *copy = mem_copy("a\0b", 3);
    assert_memory_equal(copy, "a\0b\0", 4);
    OWNED_TEXT char *none = mem_copy(NULL, 0);
    assert_string_equal(none, "");
    assert_null(mem_text(NULL));
    OWNED_TEXT char *text = mem_text("job");
    assert_string_equal(text, "job");
}

static void formats_and_grows(void **state)
{
    (void)state;
    OWNED_TEXT char *text = mem_format("job-%d-%s", 42, "1");
    assert_string_equal(text, "job-42-1");
    char *grown = mem_grow(NULL, 2);
    memcpy(grown, "x", 2);
    grown = mem_grow(grown, 4000);
    assert_string_equal(grown, "x");
    mem_wipe_free(grown, 4000);
    mem_wipe_free(NULL, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zero),
        cmocka_unit_test(copies_end_in_nul_and_keep_nul_bytes),
        cmocka_unit_test(formats_and_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
