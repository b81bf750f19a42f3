#include "job/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char unknown[] = "unknown_failure", script[] = "script_failure", interrupted[] = "runner_interrupted";
static char *const offered[] = { unknown, script, interrupted };

static void check_sent(enum reason reason, const char *name)
{
    assert_string_equal(reason_sent(reason, offered, sizeof(offered) / sizeof(*offered)), name);
}

static void what_dataops_offers_is_sent_as_it_is(void **state)
{
    (void)state;
    check_sent(REASON_SCRIPT, "script_failure");
    check_sent(REASON_INTERRUPTED, "runner_interrupted");
    check_sent(REASON_UNKNOWN, "unknown_failure");
}

static void three_reasons_are_known_everywhere(void **state)
{
    (void)state;
    assert_string_equal(reason_sent(REASON_SCRIPT, NULL, 0), "script_failure");
    assert_string_equal(reason_sent(REASON_SYSTEM, NULL, 0), "runner_system_failure");
    assert_string_equal(reason_sent(REASON_TIMEOUT, NULL, 0), "job_execution_timeout");
}

/* docs/reference/dataops.md, "Failure reasons" */
static void a_reason_that_is_not_offered_is_mapped(void **state)
{
    (void)state;
    check_sent(REASON_NONE, "script_failure");
    check_sent(REASON_IMAGE_PULL, "runner_system_failure");
    check_sent(REASON_DEPENDENCY, "runner_system_failure");
    check_sent(REASON_CONFIGURATION, "script_failure");
    assert_string_equal(reason_sent(REASON_INTERRUPTED, NULL, 0), "unknown_failure");
    assert_string_equal(reason_sent(REASON_UNKNOWN, NULL, 0), "unknown_failure");
}

static void names_are_read_back(void **state)
{
    enum reason reason;

    (void)state;
    for (int i = REASON_NONE; i <= REASON_UNKNOWN; i++) {
        assert_int_equal(reason_parse(reason_name((enum reason)i), &reason), 0);
        assert_int_equal(reason, i);
    }
    assert_int_equal(reason_parse("solar_flare", &reason), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_dataops_offers_is_sent_as_it_is),
        cmocka_unit_test(three_reasons_are_known_everywhere),
        cmocka_unit_test(a_reason_that_is_not_offered_is_mapped),
        cmocka_unit_test(names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
