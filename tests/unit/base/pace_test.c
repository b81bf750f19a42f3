#include "base/pace.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define MINUTE_MS 60000u

/* How often something is asked for in a minute that lasts so long each time. */
static unsigned asked_in_a_minute(struct pace pace, uint64_t lasts_ms)
{
    uint64_t now_ms = 1000;
    unsigned count = 0;

    while (now_ms < 1000 + MINUTE_MS) {
        count++;
        now_ms += lasts_ms;
        now_ms += pace_next_ms(&pace, now_ms, count * 2654435761u);
    }
    return count;
}

static const struct pace usual = { .first_ms = 100, .most_ms = 5000, .calm_ms = 10000 };

static void what_ends_at_once_every_time_is_asked_for_ever_more_rarely(void **state)
{
    (void)state;
    assert_in_range(asked_in_a_minute(usual, 0), 10, 30);
    assert_in_range(asked_in_a_minute(usual, 1), 10, 30);
    assert_in_range(asked_in_a_minute(usual, 500), 10, 30);
}

static void what_lasts_as_long_as_it_should_is_asked_for_again_soon(void **state)
{
    struct pace pace = usual;
    uint64_t now_ms = 5;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t wait_ms = pace_next_ms(&pace, now_ms, 0xffffffff);
        assert_in_range(wait_ms, 50, 100);
        now_ms += wait_ms + usual.calm_ms;
    }
}

static void the_wait_itself_is_no_time_that_it_lasted(void **state)
{
    struct pace pace = { .first_ms = 20000, .most_ms = 40000, .calm_ms = 10000 };
    uint64_t first = pace_next_ms(&pace, 1, 0);

    (void)state;
    assert_int_equal(first, 10000);
    assert_int_equal(pace_next_ms(&pace, 1 + first, 0), 20000);
}

static void some_may_be_answered_at_once_but_not_more_of_them(void **state)
{
    struct pace pace = { .first_ms = 100, .most_ms = 5000, .calm_ms = 10000, .at_once = 2 };

    (void)state;
    assert_int_equal(pace_next_ms(&pace, 7, 0), 0);
    assert_int_equal(pace_next_ms(&pace, 8, 0), 0);
    assert_int_equal(pace_next_ms(&pace, 9, 0), 50);
    assert_int_equal(pace_next_ms(&pace, 100, 0), 100);
    assert_in_range(
        asked_in_a_minute((struct pace){ .first_ms = 100, .most_ms = 5000, .calm_ms = 10000, .at_once = 2 }, 0), 10,
        32);
}

static void only_time_or_the_caller_makes_the_waits_short_again(void **state)
{
    struct pace pace = { .first_ms = 100, .most_ms = 1000, .calm_ms = PACE_NEVER_CALM };

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        (void)pace_next_ms(&pace, 1000000u * (i + 1), 0);
    assert_int_equal(pace_next_ms(&pace, 1u << 30, 0), 500);
    pace_reset(&pace);
    assert_int_equal(pace_next_ms(&pace, 1u << 30, 0), 50);
}

static void many_early_ends_do_not_overflow(void **state)
{
    struct pace pace = { .first_ms = 100, .most_ms = 1000, .calm_ms = 10000, .early = UINT32_MAX };

    (void)state;
    assert_int_equal(pace_next_ms(&pace, 1, 0), 500);
    assert_int_equal(pace_next_ms(&pace, 2, 0), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_at_once_every_time_is_asked_for_ever_more_rarely),
        cmocka_unit_test(what_lasts_as_long_as_it_should_is_asked_for_again_soon),
        cmocka_unit_test(the_wait_itself_is_no_time_that_it_lasted),
        cmocka_unit_test(some_may_be_answered_at_once_but_not_more_of_them),
        cmocka_unit_test(only_time_or_the_caller_makes_the_waits_short_again),
        cmocka_unit_test(many_early_ends_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
