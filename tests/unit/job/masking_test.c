#include "job/masking.h"

#include "text/json.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define M "[MASKED]"

static void check_masked(const struct masking *masking, const char *text, const char *expected)
{
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    struct mask *mask = masking_open(masking);

    mask_whole(mask, text, &out);
    assert_string_equal(strbuf_text(&out), expected);
    mask_free(mask);
}

static struct job *job_with(struct job_variable *variables, size_t count)
{
    static struct job job;

    memset(&job, 0, sizeof(job));
    job.token = (char *)(uintptr_t) "job-token-1";
    job.variables = variables;
    job.variable_count = count;
    return &job;
}

#define TEXT(text) ((char *)(uintptr_t)(text))

static void the_payload_counts_as_it_stands_until_it_is_merged(void **state)
{
    struct job_variable given[] = { { .key = TEXT("A"), .value = TEXT("s3cr3t-$B"), .masked = true },
                                    { .key = TEXT("B"), .value = TEXT("shown") } };
    struct variable merged[] = { { .key = TEXT("A"), .value = TEXT("s3cr3t-shown"), .masked = true } };
    struct variables variables = { .items = merged, .count = 1 };
    struct masking *masking;

    (void)state;
    masking = masking_of(job_with(given, 2), NULL);
    check_masked(masking, "s3cr3t-$B shown job-token-1 glpat-abc", M " shown " M " glpat-" M);
    masking_free(masking);
    masking = masking_of(job_with(given, 2), &variables);
    check_masked(masking, "s3cr3t-shown and shown", M " and shown");
    masking_free(masking);
    masking = masking_of(NULL, NULL);
    check_masked(masking, "glpat-abc x", "glpat-" M " x");
    masking_free(masking);
}

static void it_is_the_same_when_it_was_written_down(void **state)
{
    struct job_variable given[] = { { .key = TEXT("A"), .value = TEXT("say \"x\" \\ \xC3\xBC"), .masked = true } };
    OWNED_JSON struct cJSON *sealed = json_object(), *other = json_object();
    struct masking *first = masking_of(job_with(given, 1), NULL), *second, *third;

    (void)state;
    assert_true(masking_write(first, sealed));
    second = masking_read(sealed);
    third = masking_copy(second);
    check_masked(third, "a say \"x\" \\ \xC3\xBC b", "a " M " b");
    assert_null(masking_read(other));
    json_set_text(other, "mask", "{\"values\":[]}");
    assert_null(masking_read(other));
    masking_free(first);
    masking_free(second);
    masking_free(third);
    assert_null(masking_copy(NULL));
}

static void of_a_long_value_the_beginning_is_kept(void **state)
{
    char value[3000];
    struct job_variable given[] = { { .key = TEXT("A"), .value = value, .masked = true } };
    OWNED_TEXT char *text = NULL;

    (void)state;
    memset(value, ' ', sizeof(value));
    for (size_t i = 600; i < sizeof(value); i++)
        value[i] = (char)('a' + i % 23);
    value[sizeof(value) - 1] = '\0';
    struct masking *masking = masking_of(job_with(given, 1), NULL);
    text = mem_format("x %.400s...", value + 600);
    check_masked(masking, text, "x " M "...");
    masking_free(masking);
}

static void what_is_too_long_to_be_sealed_is_not_sealed_in_part(void **state)
{
    static char values[60][600];
    static struct job_variable given[60];
    OWNED_JSON struct cJSON *sealed = json_object();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(given); i++) {
        memset(values[i], 'a' + (int)(i % 26), sizeof(values[i]) - 1);
        given[i] = (struct job_variable){ .key = TEXT("A"), .value = values[i], .masked = true };
    }
    struct masking *masking = masking_of(job_with(given, COUNT_OF(given)), NULL);
    assert_false(masking_write(masking, sealed));
    assert_null(json_get(sealed, "mask"));
    masking_free(masking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_payload_counts_as_it_stands_until_it_is_merged),
        cmocka_unit_test(it_is_the_same_when_it_was_written_down),
        cmocka_unit_test(of_a_long_value_the_beginning_is_kept),
        cmocka_unit_test(what_is_too_long_to_be_sealed_is_not_sealed_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
