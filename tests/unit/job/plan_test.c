#include "job/plan.h"

#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHA "4f1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5"
#define GIT                                                                                                            \
    "\"git_info\":{\"repo_url\":\"https://gitlab-ci-token:t%2Fok@git.example.com/acme/"                                \
    "warehouse.git\",\"ref\":\"main\","                                                                                \
    "\"sha\":\"" SHA "\",\"depth\":20,\"refspecs\":[\"+refs/heads/main:refs/remotes/origin/main\"]}"

static const char *const folders[] = { "/.dataops-mask/vault", NULL };
static char builds_dir[] = "/builds", project_dir[] = "/builds/acme/warehouse",
            tmp_dir[] = "/builds/acme/warehouse.tmp", env_file[] = "/builds/acme/warehouse.tmp/gitlab_runner_env",
            prompt[] = "0", interactive[] = "Never";
static const struct job_facts facts = { .values = { [FACT_BUILDS_DIR] = builds_dir,
                                                    [FACT_PROJECT_DIR] = project_dir,
                                                    [FACT_TMP_DIR] = tmp_dir,
                                                    [FACT_ENV_FILE] = env_file,
                                                    [FACT_TERMINAL_PROMPT] = prompt,
                                                    [FACT_GCM_INTERACTIVE] = interactive } };
static const struct plan_settings settings = {
    .server_url = "https://host/",
    .api_root = "https://host/api/v4",
    .ca_pem = "CA",
    .runner_name = "site-a",
    .short_token = "AbCdEfGhI",
    .system_id = "s_0123456789ab",
    .version = "0.1.0",
    .revision = "abc",
    .pod_name = "job-1",
    .ns = "ns",
    .image = "alpine:3",
    .attempt = 2,
    .shell = "bash",
    .facts = &facts,
    .output_limit_bytes = 4194304,
    .limits = { .upload_bytes = 7, .ratio = 3 },
    .mask_folders = folders,
};

/* Renders a payload whose other members are `rest`, each with a comma in front. */
static int render(const char *variables_list, const char *rest, const struct plan_settings *with, struct strbuf *out,
                  struct error *error)
{
    OWNED_TEXT char *text = mem_format(
        "{\"id\":90210,\"token\":\"glcbt-1\",\"allow_git_fetch\":true,\"runner_info\":{\"timeout\":3600},"
        "\"job_info\":{\"name\":\"build\",\"stage\":\"test\",\"project_id\":77},"
        "\"steps\":[{\"name\":\"script\",\"script\":[\"make \\u00e9\"]},{\"name\":\"after_script\",\"script\":[]}],"
        "\"variables\":[%s]%s}",
        variables_list, rest);
    uint64_t id;
    char *token;
    struct variables variables;
    struct job *job = job_parse(text, strlen(text), &id, &token, error);

    if (!job)
        fail_msg("%s", error->text);
    const struct variables_input input = { .job = job, .facts = &facts, .files_dir = "/.dataops/files" };
    variables_merge(&input, &variables);
    int result = plan_render(job, &variables, with, out, error);
    variables_clear(&variables);
    job_free(job);
    return result;
}

static struct plan *planned(const char *variables_list, const char *rest)
{
    struct strbuf out = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    if (render(variables_list, rest, &settings, &out, &error) < 0)
        fail_msg("%s", error.text);
    struct plan *plan = plan_parse(out.bytes, out.length, &error);
    if (!plan)
        fail_msg("%s", error.text);
    strbuf_clear(&out);
    return plan;
}

static const char *value_of(const struct plan_pair *pairs, size_t count, const char *key)
{
    const char *value = NULL;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            value = pairs[i].value;
    }
    return value;
}

static bool is_in(const char *text, char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0)
            return true;
    }
    return false;
}

static void a_plan_survives_the_way_to_courier(void **state)
{
    struct plan *plan = planned(
        "{\"key\":\"A\",\"value\":\"$B\"},{\"key\":\"B\",\"value\":\"\\u0001b\"},{\"key\":\"CONF\",\"value\":\"a: "
        "1\\n\",\"file\":true}",
        "," GIT
        ",\"features\":{\"trace_sections\":true},\"hooks\":[{\"name\":\"pre_get_sources_script\",\"script\":[\"p\"]},"
        "{\"name\":\"post_get_sources_script\",\"script\":[\"q\"]}],"
        "\"artifacts\":[{\"name\":\"dist\",\"paths\":[\"out/"
        "\"],\"exclude\":[\"x\"],\"untracked\":true,\"when\":\"always\","
        "\"expire_in\":\"1 week\",\"artifact_type\":\"archive\",\"artifact_format\":\"zip\"}],"
        "\"dependencies\":[{\"id\":90200,\"name\":\"fetch\",\"token\":\"dep\",\"artifacts_file\":{\"filename\":"
        "\"artifacts.zip\"}},"
        "{\"id\":90201,\"name\":\"empty\",\"token\":\"dep\"}]");

    (void)state;
    assert_int_equal(plan->job_id, 90210);
    assert_int_equal(plan->project_id, 77);
    assert_string_equal(plan->job_name, "build");
    assert_string_equal(plan->job_token, "glcbt-1");
    assert_string_equal(plan->api_root, "https://host/api/v4");
    assert_string_equal(plan->ca_pem, "CA");
    assert_null(plan->cert_pem);
    assert_string_equal(plan->system_id, "s_0123456789ab");
    assert_string_equal(plan->ns, "ns");
    assert_int_equal(plan->attempt, 2);
    assert_string_equal(plan->tmp_dir, "/builds/acme/warehouse.tmp");
    assert_int_equal(plan->timeout_s, 3600);
    assert_int_equal(plan->script_timeout_s, 0);
    assert_int_equal(plan->after_script_timeout_s, 300);
    assert_true(plan->after_script_ignore_errors && plan->trace_sections && !plan->timestamps);
    assert_int_equal(plan->output_limit_bytes, 4194304);
    assert_int_equal(plan->limits.upload_bytes, 7);
    assert_int_equal(plan->limits.ratio, 3);
    assert_int_equal(plan->limits.memory_bytes, PLAN_LIMITS_DEFAULT.memory_bytes); /* 0 is the default */
    assert_string_equal(plan->git_url, "https://gitlab-ci-token:t%2Fok@git.example.com/acme/warehouse.git");
    assert_string_equal(plan->sha, SHA);
    assert_string_equal(plan->object_format, "sha1");
    assert_int_equal(plan->strategy, PLAN_FETCH);
    assert_int_equal(plan->depth, 20);
    assert_int_equal(plan->refspec_count, 1);
    assert_int_equal(plan->clean_flag_count, 1);
    assert_string_equal(plan->clean_flags[0], "-ffdx");
    assert_int_equal(plan->fetch_flag_count, 2);
    assert_string_equal(plan->fetch_flags[1], "--quiet");
    assert_true(plan->checkout && plan->lfs && plan->direct_download);
    assert_int_equal(plan->get_sources_attempts, 1);
    assert_string_equal(plan->pre_get_sources[0], "p");
    assert_string_equal(plan->post_get_sources[0], "q");
    assert_string_equal(value_of(plan->environment, plan->environment_count, "A"), "\001b");
    assert_string_equal(value_of(plan->environment, plan->environment_count, "CONF"), "/.dataops/files/CONF");
    assert_string_equal(value_of(plan->environment, plan->environment_count, "GITLAB_ENV"),
                        "/builds/acme/warehouse.tmp/gitlab_runner_env");
    assert_string_equal(value_of(plan->environment, plan->environment_count, "GIT_TERMINAL_PROMPT"), "0");
    assert_int_equal(plan->file_count, 1);
    assert_string_equal(plan->files[0].value, "a: 1\n");
    assert_string_equal(plan_step(plan, "script")->lines[0], "make \xC3\xA9");
    assert_null(plan_step(plan, "after_script"));
    assert_null(plan_step(plan, "release"));
    assert_int_equal(plan->artifact_count, 1);
    assert_string_equal(plan->artifacts[0].excludes[0], "x");
    assert_string_equal(plan->artifacts[0].level, "default");
    assert_true(plan->artifacts[0].untracked);
    assert_int_equal(plan->dependency_count, 1);
    assert_string_equal(plan->dependencies[0].filename, "artifacts.zip");
    plan_free(plan);
}

static void settings_come_from_variables(void **state)
{
    struct plan *plan = planned(
        "{\"key\":\"GIT_STRATEGY\",\"value\":\"clone\"},{\"key\":\"GIT_CHECKOUT\",\"value\":\"false\"},"
        "{\"key\":\"GIT_CLEAN_FLAGS\",\"value\":\"none\"},{\"key\":\"GIT_FETCH_EXTRA_FLAGS\",\"value\":\" --prune  "
        "--tags \"},"
        "{\"key\":\"GIT_LFS_SKIP_SMUDGE\",\"value\":\"1\"},{\"key\":\"GIT_DEPTH\",\"value\":\"5\"},"
        "{\"key\":\"GET_SOURCES_ATTEMPTS\",\"value\":\"3\"},{\"key\":\"ARTIFACT_DOWNLOAD_ATTEMPTS\",\"value\":\"99\"},"
        "{\"key\":\"RUNNER_SCRIPT_TIMEOUT\",\"value\":\"1m30s\"},{\"key\":\"RUNNER_AFTER_SCRIPT_TIMEOUT\",\"value\":"
        "\"1500ms\"},"
        "{\"key\":\"AFTER_SCRIPT_IGNORE_ERRORS\",\"value\":\"false\"},{\"key\":\"FF_TIMESTAMPS\",\"value\":\"true\"},"
        "{\"key\":\"FF_USE_DIRECT_DOWNLOAD\",\"value\":\"false\"},{\"key\":\"ARTIFACT_COMPRESSION_LEVEL\",\"value\":"
        "\"fastest\"}",
        "," GIT ",\"artifacts\":[{\"paths\":[\"a\"]}]");

    (void)state;
    assert_int_equal(plan->strategy, PLAN_CLONE);
    assert_int_equal(plan->depth, 20); /* GIT_DEPTH alone changes nothing */
    assert_false(plan->checkout || plan->lfs || plan->after_script_ignore_errors || plan->direct_download);
    assert_int_equal(plan->clean_flag_count, 0);
    assert_int_equal(plan->fetch_flag_count, 2);
    assert_string_equal(plan->fetch_flags[1], "--tags");
    assert_int_equal(plan->get_sources_attempts, 3);
    assert_int_equal(plan->download_attempts, 10);
    assert_int_equal(plan->script_timeout_s, 90);
    assert_int_equal(plan->after_script_timeout_s, 2);
    assert_true(plan->timestamps);
    assert_string_equal(plan->artifacts[0].level, "fastest");
    plan_free(plan);
}

static void wrong_settings_keep_the_default(void **state)
{
    struct plan *plan = planned(
        "{\"key\":\"GIT_STRATEGY\",\"value\":\"teleport\"},{\"key\":\"GET_SOURCES_ATTEMPTS\",\"value\":\"many\"},"
        "{\"key\":\"ARTIFACT_DOWNLOAD_ATTEMPTS\",\"value\":\"0\"},{\"key\":\"RUNNER_SCRIPT_TIMEOUT\",\"value\":\"2h\"},"
        "{\"key\":\"RUNNER_AFTER_SCRIPT_TIMEOUT\",\"value\":\"soon\"},{\"key\":\"ARTIFACT_COMPRESSION_LEVEL\","
        "\"value\":\"11\"}",
        "," GIT);

    (void)state;
    assert_int_equal(plan->strategy, PLAN_FETCH);
    assert_int_equal(plan->get_sources_attempts, 1);
    assert_int_equal(plan->download_attempts, 1);
    assert_int_equal(plan->script_timeout_s, 0); /* longer than the job may take */
    assert_int_equal(plan->after_script_timeout_s, 300);
    plan_free(plan);
}

static void what_must_not_be_shown_is_listed(void **state)
{
    struct plan *plan =
        planned("{\"key\":\"WORD\",\"value\":\"tuna $B\",\"masked\":true},{\"key\":\"B\",\"value\":\"fish\"},"
                "{\"key\":\"KEY\",\"value\":\"-----BEGIN\",\"masked\":true,\"file\":true},"
                "{\"key\":\"EMPTY\",\"value\":\"\",\"masked\":true}",
                "," GIT ",\"features\":{\"token_mask_prefixes\":[\"acme-\"]}");

    (void)state;
    assert_true(is_in("tuna fish", plan->mask_values, plan->mask_value_count));
    assert_true(is_in("-----BEGIN", plan->mask_values, plan->mask_value_count));
    assert_true(is_in("glcbt-1", plan->mask_values, plan->mask_value_count));
    assert_false(is_in("", plan->mask_values, plan->mask_value_count));
    assert_false(is_in("fish", plan->mask_values, plan->mask_value_count));
    assert_true(is_in("glpat-", plan->mask_prefixes, plan->mask_prefix_count));
    assert_true(is_in("glrt-", plan->mask_prefixes, plan->mask_prefix_count));
    assert_true(is_in("acme-", plan->mask_prefixes, plan->mask_prefix_count));
    assert_string_equal(plan->mask_folders[0], "/.dataops-mask/vault");
    plan_free(plan);
    plan = planned("{\"key\":\"FF_MASK_ALL_DEFAULT_TOKENS\",\"value\":\"false\"}", "," GIT);
    assert_int_equal(plan->mask_prefix_count, 1);
    plan_free(plan);
}

static void another_host_to_clone_from_keeps_path_and_credentials(void **state)
{
    struct plan_settings with = settings;
    struct strbuf out = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    (void)state;
    with.clone_url = "http://inside.example.com:8080/";
    assert_int_equal(render("", "," GIT, &with, &out, &error), 0);
    struct plan *plan = plan_parse(out.bytes, out.length, &error);
    assert_string_equal(plan->git_url, "http://gitlab-ci-token:t%2Fok@inside.example.com:8080/acme/warehouse.git");
    plan_free(plan);
    strbuf_clear(&out);
}

static void check_refused(const char *variables_list, const char *rest, const char *words)
{
    struct strbuf out = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    assert_int_equal(render(variables_list, rest, &settings, &out, &error), -1);
    assert_int_equal(error.blame, BLAME_INPUT);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
    assert_int_equal(out.length, 0);
    strbuf_clear(&out);
}

static void what_cannot_be_done_is_no_plan(void **state)
{
    (void)state;
    check_refused("", "", "repo_url");
    check_refused("", ",\"git_info\":{\"repo_url\":\"ext::sh -c x\"}", "repo_url");
    check_refused("", ",\"git_info\":{\"repo_url\":\"https://h/a/b\"}", "sha: is missing");
    check_refused("", "," GIT ",\"services\":[{\"name\":\"redis\"}]", "services are not supported yet");
    check_refused("{\"key\":\"GIT_SUBMODULE_STRATEGY\",\"value\":\"recursive\"}", "," GIT, "submodules");
}

/* docs/reference/dataops.md, "Settings variables" */
static void without_sources_no_repository_is_needed(void **state)
{
    struct plan *plan = planned(
        "{\"key\":\"GIT_STRATEGY\",\"value\":\"none\"},{\"key\":\"GIT_SUBMODULE_STRATEGY\",\"value\":\"normal\"}", "");

    (void)state;
    assert_int_equal(plan->strategy, PLAN_NONE);
    plan_free(plan);
    plan = planned("{\"key\":\"GIT_STRATEGY\",\"value\":\"empty\"}", "," GIT);
    assert_int_equal(plan->strategy, PLAN_EMPTY);
    plan_free(plan);
}

static void check_unreadable(const char *text, const char *words)
{
    struct error error = ERROR_NONE;

    assert_null(plan_parse(text, strlen(text), &error));
    assert_int_equal(error.blame, BLAME_INPUT);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
}

static void what_is_no_plan_is_refused(void **state)
{
    (void)state;
    check_unreadable("", "plan");
    check_unreadable("{}", "version 0");
    check_unreadable("{\"version\":2}", "version 2");
    check_unreadable("{\"version\":1}", "job.id: is missing");
    check_unreadable("{\"version\":1,\"job\":{\"id\":1,\"token\":\"t\"},\"server\":{\"api\":\"a\"}}",
                     "project_dir: is missing");
    check_unreadable("{\"version\":1,\"job\":{\"id\":1,\"token\":\"t\"},\"server\":{\"api\":\"a\"},\"project_dir\":"
                     "\"p\",\"tmp_dir\":\"t\","
                     "\"builds_dir\":\"b\",\"git\":{\"strategy\":\"none\"},\"environment\":[[\"A\"]]}",
                     "environment: a list of pairs");
    check_unreadable("{\"version\":1,\"job\":{\"id\":1,\"token\":\"t\"},\"server\":{\"api\":\"a\"},\"project_dir\":"
                     "\"p\",\"tmp_dir\":\"t\","
                     "\"builds_dir\":\"b\"}",
                     "git.strategy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_survives_the_way_to_courier),
        cmocka_unit_test(settings_come_from_variables),
        cmocka_unit_test(wrong_settings_keep_the_default),
        cmocka_unit_test(what_must_not_be_shown_is_listed),
        cmocka_unit_test(another_host_to_clone_from_keeps_path_and_credentials),
        cmocka_unit_test(what_cannot_be_done_is_no_plan),
        cmocka_unit_test(without_sources_no_repository_is_needed),
        cmocka_unit_test(what_is_no_plan_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
