#include "base/backoff.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void waits_double_up_to_the_ceiling(void **state)
{
    (void)state;
    static const uint64_t most[] = { 100, 200, 400, 800, 1000, 1000, 1000 };
    struct backoff low = { .first_ms = 100, .most_ms = 1000 };
    for (size_t i = 0; i < COUNT_OF(most); i++) {
        assert_int_equal(backoff_next_ms(&low, 0), most[i] / 2);
        struct backoff high = { .first_ms = 100, .most_ms = 1000, .tries = (unsigned)i };
        assert_int_equal(backoff_next_ms(&high, (uint32_t)(most[i] - most[i] / 2)), most[i]);
    }
}

static void every_random_number_stays_between_half_and_all(void **state)
{
    (void)state;
    for (uint32_t random = 0; random < 4000000000u; random += 99999989u) {
        struct backoff backoff = { .first_ms = 7, .most_ms = 1000 };
        uint64_t wait = backoff_next_ms(&backoff, random);
        assert_in_range(wait, 3, 7);
    }
}

static void tries_end_and_start_again(void **state)
{
    (void)state;
    struct backoff backoff = { .first_ms = 10, .most_ms = 100, .tries_most = 2 };
    assert_false(backoff_is_over(&backoff));
    (void)backoff_next_ms(&backoff, 1);
    assert_false(backoff_is_over(&backoff));
    (void)backoff_next_ms(&backoff, 1);
    assert_true(backoff_is_over(&backoff));
    backoff_reset(&backoff);
    assert_false(backoff_is_over(&backoff));
    assert_int_equal(backoff_next_ms(&backoff, 0), 5);
}

static void huge_numbers_do_not_overflow(void **state)
{
    (void)state;
    struct backoff backoff = { .first_ms = UINT64_MAX / 2 + 5, .most_ms = UINT64_MAX - 1, .tries = 4000000000u };
    assert_true(backoff_next_ms(&backoff, UINT32_MAX) >= (UINT64_MAX - 1) / 2);
    assert_false(backoff_is_over(&backoff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_ceiling),
        cmocka_unit_test(every_random_number_stays_between_half_and_all),
        cmocka_unit_test(tries_end_and_start_again),
        cmocka_unit_test(huge_numbers_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
