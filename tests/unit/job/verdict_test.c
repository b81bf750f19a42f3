/* How a job ended, in one value. */
#include "job/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void read_result(struct verdict *verdict, enum outcome outcome, enum reason reason, int exit_code)
{
    struct result result = { .outcome = outcome, .reason = reason, .exit_code = exit_code };
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    result_print(&result, &text);
    assert_int_equal(verdict_read(verdict, text.bytes, text.length, &error), 0);
}

static void a_success_needs_an_end_record_that_says_so(void **state)
{
    struct verdict verdict = { 0 };

    (void)state;
    assert_false(verdict_is_success(&verdict));
    read_result(&verdict, OUTCOME_SUCCESS, REASON_NONE, 0);
    assert_true(verdict_is_success(&verdict));
    assert_int_equal(verdict_reason(&verdict), REASON_NONE);
}

static void an_end_record_counts_more_than_a_cause(void **state)
{
    struct verdict verdict = { 0 };

    (void)state;
    verdict_set_cause(&verdict, REASON_SYSTEM, 137, "the pod vanished");
    read_result(&verdict, OUTCOME_FAILED, REASON_SCRIPT, 42);
    assert_int_equal(verdict_reason(&verdict), REASON_SCRIPT);
    assert_int_equal(verdict_exit_code(&verdict), 42);
    verdict_drop_result(&verdict);
    assert_false(verdict_is_success(&verdict));
    assert_int_equal(verdict_reason(&verdict), REASON_SYSTEM);
    assert_int_equal(verdict_exit_code(&verdict), 137);
}

static void what_is_no_end_record_changes_nothing(void **state)
{
    struct verdict verdict = { 0 };
    struct error error = ERROR_NONE;

    (void)state;
    read_result(&verdict, OUTCOME_FAILED, REASON_SCRIPT, 42);
    assert_int_equal(verdict_read(&verdict, "{\"v\":", 5, &error), -1);
    assert_true(verdict.has_result);
    assert_int_equal(verdict_exit_code(&verdict), 42);
}

static void an_end_without_a_reason_gets_one_by_its_outcome(void **state)
{
    struct verdict interrupted = { 0 }, never_began = { 0 };

    (void)state;
    read_result(&interrupted, OUTCOME_INTERRUPTED, REASON_NONE, 0);
    read_result(&never_began, OUTCOME_NEVER_BEGAN, REASON_NONE, 0);
    assert_int_equal(verdict_reason(&interrupted), REASON_INTERRUPTED);
    assert_int_equal(verdict_reason(&never_began), REASON_SYSTEM);
}

static void only_scripts_and_limits_are_the_jobs_own_doing(void **state)
{
    static const enum reason reasons[] = { REASON_SCRIPT, REASON_TIMEOUT, REASON_SYSTEM, REASON_IMAGE_PULL };
    static const bool are_system[] = { false, false, true, true };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        struct verdict verdict = { 0 };

        verdict_set_cause(&verdict, reasons[i], 0, "why");
        OWNED_TEXT char *line = verdict_line(&verdict);
        assert_int_equal(verdict_is_system(&verdict), are_system[i]);
        assert_int_equal(strstr(line, "ERROR: Job failed (system failure): why") != NULL, are_system[i]);
        assert_non_null(strstr(line, ": why"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_needs_an_end_record_that_says_so),
        cmocka_unit_test(an_end_record_counts_more_than_a_cause),
        cmocka_unit_test(what_is_no_end_record_changes_nothing),
        cmocka_unit_test(an_end_without_a_reason_gets_one_by_its_outcome),
        cmocka_unit_test(only_scripts_and_limits_are_the_jobs_own_doing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
