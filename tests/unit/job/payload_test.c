#include "job/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

#include <cmocka.h>

#define HEAD   "\"id\":90210,\"token\":\"glcbt-64_q1w2\","
#define SCRIPT "\"steps\":[{\"name\":\"script\",\"script\":[\"make\"]}]"

static struct job *parse(const char *text, struct error *error)
{
    uint64_t id;
    char *token;
    struct job *job = job_parse(text, strlen(text), &id, &token, error);

    assert_true(!job || !token);
    mem_free(token);
    return job;
}

static struct job *parsed(const char *text)
{
    struct error error = ERROR_NONE;
    struct job *job = parse(text, &error);

    if (!job)
        fail_msg("%s", error.text);
    return job;
}

/* Refused, with words in the error, and the job can still be reported. */
static struct error refused(const char *text, size_t length, const char *words)
{
    struct error error = ERROR_NONE;
    uint64_t id;
    char *token;

    assert_null(job_parse(text, length, &id, &token, &error));
    assert_int_equal(error.blame, BLAME_INPUT);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
    assert_int_equal(id, 90210);
    assert_string_equal(token, "glcbt-64_q1w2");
    mem_free(token);
    return error;
}

static const char full[] =
    "{" HEAD "\"allow_git_fetch\":true,"
    "\"job_info\":{\"id\":90210,\"name\":\"build-model\",\"stage\":\"build\",\"pipeline_id\":5150,\"project_id\":77,"
    "\"project_name\":\"warehouse\",\"project_full_path\":\"acme/warehouse\",\"scoped_user_id\":null,"
    "\"project_jobs_running_on_instance_runners_count\":\"+Inf\"},"
    "\"git_info\":{\"repo_url\":\"https://gitlab-ci-token:glcbt-64_q1@git.example.com/acme/warehouse.git\","
    "\"repo_object_format\":\"sha1\",\"ref\":\"main\",\"ref_type\":\"branch\",\"sha\":"
    "\"4f1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5\","
    "\"before_sha\":\"0000000000000000000000000000000000000000\",\"depth\":20,\"protected\":true,"
    "\"refspecs\":[\"+refs/pipelines/5150:refs/pipelines/5150\",\"+refs/heads/main:refs/remotes/origin/main\"]},"
    "\"runner_info\":{\"uuid\":\"r-1\",\"timeout\":3600,\"runner_session_url\":null},"
    "\"variables\":[{\"key\":\"CI_JOB_ID\",\"value\":\"90210\",\"public\":true,\"masked\":false},"
    "{\"key\":\"KEY\",\"value\":\"-----BEGIN...\",\"public\":false,\"masked\":true,\"file\":true},"
    "{\"key\":\"PATTERN\",\"value\":\"a$b\",\"raw\":true},{\"key\":\"NOTHING\",\"value\":null},{\"key\":\"CI_JOB_ID\","
    "\"value\":\"2\"}],"
    "\"steps\":[{\"name\":\"script\",\"script\":[\"echo start\",\"make "
    "all\"],\"timeout\":3600,\"when\":\"on_success\"},"
    "{\"name\":\"after_script\",\"script\":[\"./tidy.sh\"],\"allow_failure\":true}],"
    "\"image\":{\"name\":\"registry.example.com/acme/"
    "ci:1.4\",\"entrypoint\":[\"\"],\"ports\":[],\"pull_policy\":[\"if-not-present\"],"
    "\"executor_opts\":{\"kubernetes\":{\"user\":\"1000:1000\"}}},\"services\":[],"
    "\"artifacts\":[{\"name\":\"dist\",\"untracked\":false,\"paths\":[\"out/**/*.csv\"],\"exclude\":[\"out/tmp/**\"],"
    "\"when\":\"always\",\"expire_in\":\"1 "
    "week\",\"artifact_type\":\"archive\",\"artifact_format\":\"zip\"},{\"paths\":[\"a\"]}],"
    "\"cache\":[{}],\"credentials\":[{\"type\":\"other\"},"
    "{\"type\":\"registry\",\"url\":\"registry.example.com\",\"username\":\"gitlab-ci-token\",\"password\":\"glcbt\"}],"
    "\"dependencies\":[{\"id\":90200,\"name\":\"fetch\",\"token\":\"glcbt-64_q1\",\"artifacts_file\":{\"filename\":"
    "\"artifacts.zip\",\"size\":1}}],"
    "\"hooks\":[{\"name\":\"pre_get_sources_script\",\"script\":[\"git config x y\"]}],"
    "\"features\":{\"trace_sections\":true,\"failure_reasons\":[\"unknown_failure\",\"script_failure\"],\"token_mask_"
    "prefixes\":[\"acme-\"]},"
    "\"policy_options\":{\"execution_policy_job\":false,\"policy_name\":\"\"}}";

static void a_whole_payload_is_read(void **state)
{
    struct job *job = parsed(full);

    (void)state;
    assert_int_equal(job->id, 90210);
    assert_string_equal(job->token, "glcbt-64_q1w2");
    assert_string_equal(job->name, "build-model");
    assert_string_equal(job->project_full_path, "acme/warehouse");
    assert_int_equal(job->project_id, 77);
    assert_true(job->allow_git_fetch && job->trace_sections);
    assert_int_equal(job->depth, 20);
    assert_int_equal(job->refspec_count, 2);
    assert_string_equal(job->refspecs[1], "+refs/heads/main:refs/remotes/origin/main");
    assert_int_equal(job->timeout_s, 3600);
    assert_int_equal(job->variable_count, 5);
    assert_true(job->variables[1].file && job->variables[1].masked && !job->variables[1].is_public);
    assert_true(job->variables[2].raw);
    assert_string_equal(job->variables[3].value, "");
    assert_string_equal(job_variable(job, "CI_JOB_ID"), "2");
    assert_null(job_variable(job, "OTHER"));
    assert_int_equal(job->step_count, 2);
    assert_string_equal(job->steps[0].lines[1], "make all");
    assert_string_equal(job->image.entrypoint[0], "");
    assert_string_equal(job->image.pull_policies[0], "if-not-present");
    assert_string_equal(job->image.user, "1000:1000");
    assert_string_equal(job->artifacts[0].excludes[0], "out/tmp/**");
    assert_string_equal(job->artifacts[1].when, "on_success");
    assert_string_equal(job->artifacts[1].type, "archive");
    assert_string_equal(job->artifacts[1].format, "zip");
    assert_int_equal(job->credential_count, 1);
    assert_string_equal(job->credentials[0].url, "registry.example.com");
    assert_string_equal(job->dependencies[0].filename, "artifacts.zip");
    assert_string_equal(job->pre_get_sources[0], "git config x y");
    assert_int_equal(job->failure_reason_count, 2);
    assert_string_equal(job->mask_prefixes[0], "acme-");
    assert_int_equal(job->cache_count, 0);
    assert_null(job->unsupported);
    job_free(job);
}

/* docs/reference/dataops.md, "The payload" */
static void unknown_keys_and_nulls_are_tolerated(void **state)
{
    struct job *job = parsed(
        "{" HEAD "\"brand_new\":{\"a\":[1,{}]},\"job_info\":null,\"git_info\":null,\"runner_info\":null,"
        "\"variables\":null,\"image\":null,\"services\":[null],\"artifacts\":[null],\"cache\":null,"
        "\"credentials\":null,\"dependencies\":null,\"hooks\":null,\"features\":null,\"secrets\":null,"
        "\"run\":null,\"inputs\":null,\"steps\":[{\"name\":\"script\",\"script\":[\"a\",null],\"new\":1},null]}");

    (void)state;
    assert_int_equal(job->timeout_s, 7200);
    assert_string_equal(job->repo_url, "");
    assert_int_equal(job->service_count, 0);
    assert_int_equal(job->step_count, 1);
    assert_int_equal(job->steps[0].line_count, 1);
    assert_null(job->unsupported);
    job_free(job);
}

static void a_time_limit_that_is_none_is_two_hours(void **state)
{
    struct job *job = parsed("{" HEAD SCRIPT ",\"runner_info\":{\"timeout\":-1}}");

    (void)state;
    assert_int_equal(job->timeout_s, 7200);
    job_free(job);
}

static void what_is_not_json_is_refused(void **state)
{
    struct error error = ERROR_NONE;

    (void)state;
    assert_null(parse("<html>sign in</html>", &error));
    assert_int_equal(error.blame, BLAME_INPUT);
    assert_null(parse("", &error));
    uint64_t id;
    char *token;
    assert_null(job_parse(NULL, 0, &id, &token, &error)); /* an answer without a body */
    assert_null(parse("[]", &error));
    assert_null(parse("null", &error));
    refused("{" HEAD SCRIPT "} trailing", strlen("{" HEAD SCRIPT "} trailing"), "job payload");
}

static void a_payload_that_is_cut_off_is_refused(void **state)
{
    size_t both = strlen("{" HEAD) - 1;

    (void)state;
    for (size_t length = both; length < sizeof(full) - 1; length += 7)
        refused(full, length, "job payload");
    for (size_t length = 0; length < both; length++) {
        struct error error = ERROR_NONE;
        uint64_t id;
        char *token;
        assert_null(job_parse(full, length, &id, &token, &error));
        assert_null(token);
    }
}

static void a_wrong_type_is_named(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "{" HEAD SCRIPT ",\"variables\":{}}", "variables: a list is expected" },
        { "{" HEAD SCRIPT ",\"variables\":[{\"key\":\"A\"},{\"key\":\"B\",\"value\":3}]}",
          "variables[1].value: a text is expected" },
        { "{" HEAD SCRIPT ",\"variables\":[5]}", "variables[0]" },
        { "{" HEAD SCRIPT ",\"variables\":[{\"value\":\"x\"}]}", "variables[0].key: is missing" },
        { "{" HEAD SCRIPT ",\"variables\":[{\"key\":\"A=B\",\"value\":\"x\"}]}", "variables[0].key" },
        { "{" HEAD SCRIPT ",\"variables\":[{\"key\":\"../x\",\"value\":\"x\",\"file\":true}]}", "variables[0].key" },
        { "{" HEAD SCRIPT ",\"variables\":[{\"key\":\"A\",\"masked\":\"yes\"}]}", "variables[0].masked" },
        { "{" HEAD "\"steps\":[{\"name\":\"script\",\"script\":\"make\"}]}", "steps[0].script: a list is expected" },
        { "{" HEAD "\"steps\":[{\"name\":\"script\",\"script\":[1]}]}", "steps[0].script" },
        { "{" HEAD "\"steps\":[]}", "steps: there is no step named script" },
        { "{" HEAD SCRIPT ",\"image\":\"alpine\"}", "image: an object is expected" },
        { "{" HEAD SCRIPT ",\"git_info\":{\"depth\":\"20\"}}", "git_info.depth" },
        { "{" HEAD SCRIPT ",\"git_info\":{\"sha\":\"--upload-pack=x\"}}", "git_info.sha" },
        { "{" HEAD SCRIPT ",\"git_info\":{\"refspecs\":[\"--exec=x\"]}}", "git_info.refspecs" },
        { "{" HEAD SCRIPT ",\"runner_info\":{\"timeout\":1.5}}", "runner_info.timeout" },
        { "{" HEAD SCRIPT ",\"artifacts\":[{\"when\":\"never\"}]}", "artifacts[0].when" },
        { "{" HEAD SCRIPT ",\"dependencies\":[{\"id\":5,\"artifacts_file\":{\"filename\":\"a.zip\"}}]}",
          "dependencies[0].token" },
        { "{" HEAD SCRIPT ",\"secrets\":[]}", "secrets: an object is expected" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        refused(cases[i].text, strlen(cases[i].text), cases[i].words);
}

static void without_id_or_token_there_is_nothing_to_report(void **state)
{
    static const char *const cases[] = {
        "{\"token\":\"t\"," SCRIPT "}",          "{\"id\":5," SCRIPT "}",
        "{\"id\":0,\"token\":\"t\"," SCRIPT "}", "{\"id\":\"5\",\"token\":\"t\"," SCRIPT "}",
        "{\"id\":5,\"token\":\"\"," SCRIPT "}",  "{\"id\":5,\"token\":\"a\\r\\nX-Evil: 1\"," SCRIPT "}",
        "{\"id\":5,\"token\":7," SCRIPT "}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error error = ERROR_NONE;
        uint64_t id;
        char *token;
        assert_null(job_parse(cases[i], strlen(cases[i]), &id, &token, &error));
        assert_int_equal(error.blame, BLAME_INPUT);
        assert_true(id == 0 || !token);
        mem_free(token);
    }
}

static void nul_bytes_are_refused(void **state)
{
    static const char raw[] = "{" HEAD SCRIPT ",\"x\":\"a\0b\"}", escaped[] = "{" HEAD SCRIPT ",\"x\":\"a\\u0000b\"}";

    (void)state;
    refused(raw, sizeof(raw) - 1, "job payload");
    refused(escaped, sizeof(escaped) - 1, "job payload");
}

static void over_the_ceiling_the_job_is_still_known(void **state)
{
    struct strbuf text = STRBUF_EMPTY;

    (void)state;
    strbuf_add_text(&text, "{" HEAD SCRIPT ",\"pad\":\"");
    while (text.length <= JOB_PAYLOAD_MOST)
        strbuf_add_text(&text, "0123456789012345678901234567890123456789012345678901234567890123");
    strbuf_add_text(&text, "\"}");
    refused(text.bytes, text.length, "16777216");
    strbuf_clear(&text);
}

static void ten_thousand_variables_are_fine(void **state)
{
    struct strbuf text = STRBUF_EMPTY;

    (void)state;
    strbuf_add_text(&text, "{" HEAD SCRIPT ",\"variables\":[");
    for (int i = 0; i < 10000; i++)
        strbuf_format(&text, "%s{\"key\":\"V%d\",\"value\":\"$V%d and more\"}", i ? "," : "", i, i);
    strbuf_add_text(&text, "]}");
    struct job *job = parsed(strbuf_text(&text));
    assert_int_equal(job->variable_count, 10000);
    assert_string_equal(job_variable(job, "V9999"), "$V9999 and more");
    job_free(job);
    strbuf_clear(&text);
}

/* docs/reference/dataops.md, "Accepting a job" */
static void an_unknown_key_in_executor_opts_fails_with_code_3(void **state)
{
    static const char *const cases[] = {
        "{" HEAD SCRIPT
        ",\"image\":{\"name\":\"a\",\"executor_opts\":{\"kubernetes\":{\"user\":1000,\"shell\":\"x\"}}}}",
        "{" HEAD SCRIPT ",\"image\":{\"name\":\"a\",\"executor_opts\":{\"podman\":{}}}}",
        "{" HEAD SCRIPT ",\"services\":[{\"name\":\"a\",\"executor_opts\":{\"docker\":{\"cpus\":1}}}]}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error error = refused(cases[i], strlen(cases[i]), "unknown key");
        assert_int_equal(error.code, 3);
    }
    struct job *job =
        parsed("{" HEAD SCRIPT ",\"image\":{\"executor_opts\":{\"docker\":{\"platform\":\"x\",\"user\":\"y\"},"
               "\"kubernetes\":{\"user\":1000}}}}");
    assert_string_equal(job->image.user, "1000");
    job_free(job);
}

static void check_unsupported(const char *text, const char *words)
{
    struct job *job = parsed(text);

    assert_non_null(job->unsupported);
    assert_string_equal(job->unsupported, words);
    job_free(job);
}

static void what_cannot_be_done_yet_is_named(void **state)
{
    (void)state;
    check_unsupported("{" HEAD SCRIPT
                      ",\"services\":[{\"name\":\"postgres:16\",\"alias\":\"db\"},{\"name\":\"redis\"}]}",
                      "services are not supported yet by this runner (job asks for postgres:16)");
    check_unsupported("{" HEAD SCRIPT ",\"cache\":[{},{\"key\":\"deps-main\",\"paths\":[\".venv/\"]}]}",
                      "cache is not supported yet by this runner (job asks for the key deps-main)");
    check_unsupported("{" HEAD "\"run\":\"[{\\\"step\\\":\\\"x\\\"}]\"}",
                      "native steps (run) are not supported yet by this runner (job has them)");
    check_unsupported("{" HEAD SCRIPT ",\"secrets\":{\"DB\":{\"vault\":{}}}}",
                      "secrets are not supported yet by this runner (job asks for DB)");
    check_unsupported(
        "{" HEAD "\"steps\":[{\"name\":\"script\",\"script\":[\"a\"]},{\"name\":\"release\",\"script\":[\"b\"]}]}",
        "steps besides script and after_script are not supported yet by this runner (job has the step release)");
    check_unsupported("{" HEAD "\"steps\":[{\"name\":\"script\",\"script\":[\"echo ${{ job.inputs.region }}\"]}],"
                      "\"inputs\":[{\"key\":\"region\",\"value\":{\"type\":\"string\",\"content\":\"eu\"}}]}",
                      "job inputs are not supported yet by this runner (job uses ${{ ... }})");
}

static void peeking_reads_only_the_top_level(void **state)
{
    static const char nested[] =
        "{\"job_info\":{\"id\":1,\"token\":\"inner\"},\"x\":[{\"id\":2}],\"s\":\"\\\"id\\\":3}\","
        "\"token\":\"outer\",\"id\":4,\"cut";
    static const char cut[] = "{\"token\":\"t\",\"id\":123";
    uint64_t id;
    char *token;

    (void)state;
    assert_true(job_peek(nested, sizeof(nested) - 1, &id, &token));
    assert_int_equal(id, 4);
    assert_string_equal(token, "outer");
    mem_free(token);
    assert_false(job_peek(cut, sizeof(cut) - 1, &id, &token)); /* may be the beginning of 1234 */
    mem_free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_payload_is_read),
        cmocka_unit_test(unknown_keys_and_nulls_are_tolerated),
        cmocka_unit_test(a_time_limit_that_is_none_is_two_hours),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(a_payload_that_is_cut_off_is_refused),
        cmocka_unit_test(a_wrong_type_is_named),
        cmocka_unit_test(without_id_or_token_there_is_nothing_to_report),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(over_the_ceiling_the_job_is_still_known),
        cmocka_unit_test(ten_thousand_variables_are_fine),
        cmocka_unit_test(an_unknown_key_in_executor_opts_fails_with_code_3),
        cmocka_unit_test(what_cannot_be_done_yet_is_named),
        cmocka_unit_test(peeking_reads_only_the_top_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
