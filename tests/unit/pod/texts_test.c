/* Texts of the operator: what a job's own variables say changes none of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "pod/render.h"
#include "pod/texts.h"
#include "text/json.h"

#define RUNNER                                                                                                         \
    "[[runners]]\nname = \"r\"\nid = 5\nurl = \"https://app.dataops.live\"\ntoken = \"t\"\n"                           \
    "environment = [\"COST=c-$CI_PROJECT_ID-$COMPANY\", \"COMPANY=dol\"]\n[runners.kubernetes]\nimage = \"i\"\n"

static struct config *configured(const char *lines)
{
    OWNED_TEXT char *text = mem_format(RUNNER "%s", lines);
    struct error error = ERROR_NONE;
    struct config *config = config_load(text, strlen(text), CONFIG_TOML, "f", &error);

    if (config == NULL)
        fail_msg("%s", error.text);
    return config;
}

/* Gives the pod of a job with these variables (the inside of a list) on this ref as a text, or NULL with why not. */
static char *rendered(const char *lines, const char *variables_list, const char *ref, struct error *error)
{
    OWNED_TEXT char *payload = mem_format(
        "{\"id\":7,\"token\":\"t\",\"job_info\":{\"name\":\"Build It\",\"stage\":\"test\",\"project_id\":77,"
        "\"project_name\":\"Ware House\",\"project_full_path\":\"acme/Sub/warehouse\",\"pipeline_id\":12},"
        "\"git_info\":{\"repo_url\":\"https://h/acme/Sub/warehouse.git\",\"ref\":\"%s\",\"ref_type\":\"branch\","
        "\"sha\":\"4f1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5\",\"before_sha\":\"0\"},"
        "\"steps\":[{\"name\":\"script\",\"script\":[\"a\"]}],\"variables\":[%s]}",
        ref, variables_list);
    struct config *config = configured(lines);
    struct job_facts facts = { 0 };
    struct variables variables = { 0 };
    struct cJSON *pod = NULL;
    uint64_t id;
    char *token = NULL, *text = NULL;
    struct job *job = job_parse(payload, strlen(payload), &id, &token, error);
    const struct pod_merge_input merge = {
        .job = job, .runner = &config->runners[0], .short_token = "st", .version = "1", .revision = "r"
    };
    const struct pod_input input = { .job = job,
                                     .facts = &facts,
                                     .variables = &variables,
                                     .runner = &config->runners[0],
                                     .ns = "jobs",
                                     .release = "site",
                                     .slot = "0",
                                     .short_token = "st",
                                     .version = "1",
                                     .attempt = 1 };

    if (job == NULL || pod_merge(&merge, &facts, &variables, error) < 0)
        fail_msg("%s", error->text);
    if (pod_render(&input, &pod, error) == 0)
        text = json_print(pod);
    json_free(pod);
    variables_clear(&variables);
    job_facts_clear(&facts);
    job_free(job);
    config_free(config);
    mem_free(token);
    return text;
}

static bool is_usable(enum fact fact)
{
    enum fact_owner owner = fact_owner_in_texts(fact_name(fact), NULL);

    return owner != FACT_OF_NOBODY;
}

/* Every name of the table, in every key that is expanded, once as it is and once with a job that says otherwise. */
static void a_job_changes_no_text_of_the_operator(void **state)
{
    struct strbuf lines = STRBUF_EMPTY, overriding = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    (void)state;
    strbuf_add_text(&lines, "helper_image = \"h:$CI_PROJECT_ID-$COST\"\n[runners.kubernetes.pod_labels]\n");
    for (size_t i = 0; i < FACTS; i++)
        strbuf_format(&lines, "l%zu = \"$%s\"\n", i, fact_name((enum fact)i));
    strbuf_add_text(&lines, "cost = \"$COST\"\n[runners.kubernetes.pod_annotations]\n");
    for (size_t i = 0; i < FACTS; i++) {
        strbuf_format(&lines, "a%zu = \"<${%s}>\"\n", i, fact_name((enum fact)i));
        strbuf_format(&overriding, "{\"key\":\"%s\",\"value\":\"hostile\",\"public\":true},", fact_name((enum fact)i));
    }
    strbuf_add_text(&overriding, "{\"key\":\"COST\",\"value\":\"hostile\"},{\"key\":\"COMPANY\",\"value\":\"hostile\"},"
                                 "{\"key\":\"MINE\",\"value\":\"hostile\"}");
    strbuf_add_text(&lines,
                    "mine = \"[$MINE]\"\n[[runners.kubernetes.volumes.pvc]]\nname = \"c-$CI_PROJECT_ID-$COST\"\n"
                    "mount_path = \"/m/$CI_PROJECT_ID\"\nsub_path = \"$CI_PROJECT_PATH/$COST/$CI_COMMIT_REF_NAME\"\n"
                    "[[runners.kubernetes.volumes.host_path]]\nname = \"b\"\nmount_path = \"$CI_BUILDS_DIR/\"\n");
    OWNED_TEXT char *plain = rendered(strbuf_text(&lines), "", "feature/x", &error);
    OWNED_TEXT char *attacked = rendered(strbuf_text(&lines), strbuf_text(&overriding), "feature/x", &error);
    if (plain == NULL || attacked == NULL)
        fail_msg("%s", error.text);
    assert_string_equal(plain, attacked);
    static const char *const shown[] = {
        "\"h:77-c-77-dol\"", "\"claimName\":\"c-77-c-77-dol\"",
        "\"mountPath\":\"/m/77\",\"subPath\":\"acme/Sub/warehouse/c-77-dol/feature/x\"", "\"cost\":\"c-77-dol\"",
        "\"mine\":\"[]\""
    };
    for (size_t i = 0; i < COUNT_OF(shown); i++)
        if (strstr(plain, shown[i]) == NULL)
            fail_msg("%s is not in %s", shown[i], plain);
    strbuf_clear(&lines);
    strbuf_clear(&overriding);
}

static void each_name_has_the_value_that_it_has_at_dataops(void **state)
{
    static const char *const pairs[][2] = {
        { "CI_JOB_ID", "7" },
        { "CI_JOB_URL", "https://app.dataops.live/acme/Sub/warehouse/-/jobs/7" },
        { "CI_PIPELINE_ID", "12" },
        { "CI_PROJECT_ID", "77" },
        { "CI_PROJECT_NAME", "warehouse" },
        { "CI_PROJECT_TITLE", "Ware House" },
        { "CI_PROJECT_PATH", "acme/Sub/warehouse" },
        { "CI_PROJECT_PATH_SLUG", "acme-sub-warehouse" },
        { "CI_PROJECT_NAMESPACE", "acme/Sub" },
        { "CI_PROJECT_ROOT_NAMESPACE", "acme" },
        { "CI_PROJECT_URL", "https://app.dataops.live/acme/Sub/warehouse" },
        { "CI_SERVER_URL", "https://app.dataops.live" },
        { "CI_SERVER_HOST", "app.dataops.live" },
        { "CI_RUNNER_ID", "5" },
        { "CI_RUNNER_DESCRIPTION", "r" },
        { "CI_JOB_NAME", "Build It" },
        { "CI_COMMIT_REF_SLUG", "feature-x" },
        { "CI_COMMIT_BRANCH", "feature/x" },
        { "CI_COMMIT_TAG", "" },
        { "CI_COMMIT_SHORT_SHA", "4f1d2c3b" },
        { "CI_PROJECT_DIR", "/builds/acme/Sub/warehouse" },
        { "CI_SERVER_TLS_CA_FILE", "" },
        { "GITLAB_ENV", "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct error error = ERROR_NONE;
        OWNED_TEXT char *lines = mem_format("[runners.kubernetes.pod_annotations]\nit = \"<$%s>\"\n", pairs[i][0]);
        OWNED_TEXT char *pod = rendered(lines, "", "feature/x", &error);
        OWNED_TEXT char *wanted = mem_format("\"it\":\"<%s>\"", pairs[i][1]);
        if (pod == NULL || strstr(pod, wanted) == NULL)
            fail_msg("%s is not in %s", wanted, pod ? pod : error.text);
    }
}

#define PVC(name, path, more)                                                                                          \
    "[[runners.kubernetes.volumes.pvc]]\nname = \"" name "\"\nmount_path = \"" path "\"\n" more

static void a_text_that_would_name_another_place_fails_the_job(void **state)
{
    static const struct {
        const char *lines, *ref, *says;
    } rows[] = {
        { PVC("c", "/t", "sub_path = \"$TENANT\"\n"), "m",
          "sub_path of the pvc volume c \"$TENANT\": $TENANT has no value" },
        { PVC("c", "/t", "sub_path = \"a/$CI_COMMIT_TAG\"\n"), "m", "$CI_COMMIT_TAG has no value for this job" },
        { PVC("c", "/t", "sub_path = \"a/$CI_COMMIT_REF_NAME\"\n"), "../b",
          "sub_path of the pvc volume c \"a/$CI_COMMIT_REF_NAME\" is \"a/../b\" for this job, which is not a path "
          "below" },
        { PVC("c", "/t", "sub_path = \"..\"\n"), "m", "which is not a path below the volume" },
        { PVC("c", "/t", "sub_path = \"/a\"\n"), "m", "which is not a path below the volume" },
        { PVC("c", "/t", "sub_path = \"a//b\"\n"), "m", "which is not a path below the volume" },
        { PVC("c", "/t", "sub_path = \"./a\"\n"), "m", "which is not a path below the volume" },
        { PVC("c", "/$TENANT", ""), "m", "mount_path of the pvc volume c \"/$TENANT\": $TENANT has no value" },
        { PVC("c", "/t/$CI_COMMIT_REF_NAME", ""), "..", "\"/t/..\" for this job, which is not an absolute path" },
        { PVC("c", "/t:ro", ""), "m", "which is not an absolute path" },
        { PVC("c-$TENANT", "/t", ""), "m", "name of the pvc volume c-$TENANT" },
        { PVC("c-$CI_COMMIT_REF_NAME", "/t", ""), "feature/x",
          "is \"c-feature/x\" for this job, which is not a name of" },
        { PVC("c-$CI_JOB_NAME", "/t", ""), "m", "is \"c-Build It\" for this job, which is not a name of" },
        { "helper_image = \"h:$TAG\"\n", "m", "helper_image \"h:$TAG\": $TAG has no value" },
        { PVC("c", "/builds/", "") PVC("d", "$CI_BUILDS_DIR", ""), "m", "two volumes are mounted at /builds" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        OWNED_TEXT char *pod =
            rendered(rows[i].lines, "{\"key\":\"TENANT\",\"value\":\"victim\"},{\"key\":\"TAG\",\"value\":\"1\"}",
                     rows[i].ref, &error);
        if (pod != NULL || error.blame != BLAME_CONFIG || strstr(error.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, pod != NULL ? pod : error.text);
    }
}

static void check_warning(const char *lines, const char *says)
{
    struct config *config = configured(lines);
    struct strbuf warnings = STRBUF_EMPTY;

    pod_texts_check(&config->runners[0], "f", &warnings);
    if (says == NULL ? warnings.length > 0 : strstr(strbuf_text(&warnings), says) == NULL)
        fail_msg("%s: \"%s\"", lines, strbuf_text(&warnings));
    if (says != NULL && strncmp(strbuf_text(&warnings), "f:1: ", 5) != 0)
        fail_msg("no place in \"%s\"", strbuf_text(&warnings));
    strbuf_clear(&warnings);
    config_free(config);
}

static void what_does_not_do_what_it_seems_to_is_warned_of(void **state)
{
    (void)state;
    check_warning(PVC("c-$CI_PROJECT_ID", "/t", "sub_path = \"$COST/$$x\"\n"), NULL);
    check_warning(
        PVC("build-pvc-$CI_CONCURRENT_ID", "/t", ""),
        "name of the pvc volume build-pvc-$CI_CONCURRENT_ID \"build-pvc-$CI_CONCURRENT_ID\": $CI_CONCURRENT_ID "
        "is 0 for every job: jobs that run at the same time share what it names");
    check_warning(PVC("c", "/t", "sub_path = \"${TENANT}\"\n"),
                  "$TENANT has no value here, and each job fails: a job's own "
                  "variables do not count; use one that DataOps or the runner "
                  "defines, or set it in environment of [[runners]]");
    check_warning(PVC("c", "/t", "sub_path = \"$CI_COMMIT_REF_SLUG\"\n"),
                  "is chosen by each project itself: put $CI_PROJECT_ID");
    check_warning("[runners.kubernetes.pod_labels]\nteam = \"$GITLAB_USER_LOGIN\"\n",
                  "pod_labels.team \"$GITLAB_USER_LOGIN\": $GITLAB_USER_LOGIN has no value here and stays empty");
    check_warning("[runners.kubernetes.pod_labels]\njob = \"$CI_JOB_NAME\"\n", NULL);
    check_warning("[runners.kubernetes.pod_annotations]\na = \"$GITLAB_ENV\"\n", "pod_annotations.a");
    check_warning("namespace = \"ns-$CI_PROJECT_ID\"\n",
                  "namespace \"ns-$CI_PROJECT_ID\": $CI_PROJECT_ID is not expanded");
    check_warning("service_account = \"$A\"\n", "$A is not expanded in this key: write the value itself");
    check_warning("image_pull_secrets = [\"$A\"]\n", "image_pull_secrets");
    check_warning("[runners.kubernetes.node_selector]\npool = \"$A\"\n", "node_selector.pool");
    check_warning("[[runners.kubernetes.volumes.secret]]\nname = \"s-$CI_PROJECT_ID\"\nmount_path = \"/s\"\n",
                  "name of the secret volume");
    check_warning(
        "[[runners.kubernetes.volumes.host_path]]\nname = \"s\"\nmount_path = \"/s\"\nhost_path = \"/h/$A\"\n",
        "host_path of the host_path volume s");
}

/* docs/configuration.md lists the names that count; a new one has to stand there, too. */
static void the_documentation_lists_every_name(void **state)
{
    struct strbuf page = STRBUF_EMPTY;
    FILE *file = fopen("../docs/configuration.md", "rb");
    char piece[4096];
    size_t length, names = 0;

    (void)state;
    assert_non_null(file);
    while ((length = fread(piece, 1, sizeof(piece), file)) > 0)
        strbuf_add(&page, piece, length);
    fclose(file);
    const char *section = strstr(strbuf_text(&page), "## What is expanded"),
               *end = section ? strstr(section + 1, "\n## ") : NULL;
    assert_non_null(end);
    OWNED_TEXT char *text = mem_copy(section, (size_t)(end - section));
    for (size_t i = 0; i < FACTS; i++) {
        OWNED_TEXT char *quoted = mem_format("`%s`", fact_name((enum fact)i));
        if ((strstr(text, quoted) != NULL) != is_usable((enum fact)i))
            fail_msg("%s", quoted);
        names += is_usable((enum fact)i);
    }
    assert_int_equal(names, FACTS - 4);
    strbuf_clear(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_changes_no_text_of_the_operator),
        cmocka_unit_test(each_name_has_the_value_that_it_has_at_dataops),
        cmocka_unit_test(a_text_that_would_name_another_place_fails_the_job),
        cmocka_unit_test(what_does_not_do_what_it_seems_to_is_warned_of),
        cmocka_unit_test(the_documentation_lists_every_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
