/* What a mounted Secret holds is not shown, whichever of its parts a job prints. */
#include "secrets.h"

#include "base/strbuf.h"
#include "text/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void expect_masked(const char *content, const char *printed)
{
    struct mask *mask = mask_new();
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    secrets_add_content(mask, content, strlen(content));
    mask_feed(mask, printed, strlen(printed), &out);
    mask_flush(mask, &out);
    mask_free(mask);
    assert_string_equal(strbuf_text(&out), "[MASKED]");
}

static void the_content_its_lines_and_its_scalars_are_masked(void **state)
{
    (void)state;
    expect_masked("correct horse battery\n", "correct horse battery");
    expect_masked("first=line-one\nsecond=line-two\n", "second=line-two");
    expect_masked("db:\n  password: hunter2hunter2\n", "hunter2hunter2");
    expect_masked("key: |\n  first-line\n  second-line\n", "second-line");
    expect_masked("{\"a\":[{\"password\":\"hunter2hunter2\"}]}", "hunter2hunter2");
    expect_masked("{\"p\":\"with \\\"quotes\\\" inside\"}", "with \"quotes\" inside");
}

/* YAML reads most of JSON, not all: these are JSON and no YAML. */
static void scalars_of_json_that_is_no_yaml_are_masked_too(void **state)
{
    (void)state;
    expect_masked("{\"p\":\"smile\\ud83d\\ude00smile\"}", "smile\xf0\x9f\x98\x80smile");
    expect_masked("{\"a\":\"first-secret\",\"a\":\"second-secret\"}", "first-secret");
    expect_masked("{\"a\":\"first-secret\",\"a\":\"second-secret\"}", "second-secret");
    expect_masked("{\"p\":\"first-line\nsecond-line\"}", "first-line\nsecond-line");
    expect_masked("{\"list\":[\"line-one-long\\nline-two-long\"],\"p\":\"\\ud83d\\ude00\"}", "line-two-long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_content_its_lines_and_its_scalars_are_masked),
        cmocka_unit_test(scalars_of_json_that_is_no_yaml_are_masked_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
