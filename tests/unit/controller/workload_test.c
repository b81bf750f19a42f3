/* What a job's Secret is made of: what the entry's keys say reaches courier. */
#include "stage.h"

#include "workload.h"

#include "job/plan.h"
#include "text/digest.h"
#include "text/gzip.h"
#include "text/json.h"

static const char payload[] =
    "{\"id\":7,\"token\":\"tok\",\"job_info\":{\"id\":7,\"name\":\"a job\",\"stage\":\"s\",\"project_id\":7},"
    "\"git_info\":{\"repo_url\":\"https://gitlab-ci-token:tok@host/g/p.git\",\"ref\":\"main\","
    "\"sha\":\"4f1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5\",\"refspecs\":[\"+a:b\"]},\"runner_info\":{\"timeout\":3600},"
    "\"steps\":[{\"name\":\"script\",\"script\":[\"make\"],\"timeout\":3600,\"when\":\"on_success\"}],"
    "\"image\":{\"name\":\"image:1\"}}";

#define CEILINGS                                                                                                       \
    "[runners.kubernetes]\nhelper_image = \"helper:1\"\nartifact_upload_limit = 5000\n"                                \
    "artifact_download_limit = 6000\nartifact_unpacked_limit = 7000\nartifact_memory_limit = 80000000\n"               \
    "artifact_entries_limit = 9\nartifact_ratio_limit = 10\n"
#define SECOND_ENTRY                                                                                                   \
    "[[runners]]\nname = \"other\"\nurl = \"https://stage\"\ntoken = \"glrt-AbCdEfGhIjKl\"\n"                          \
    "executor = \"kubernetes\"\n"

static struct plan *plan_of(const struct cJSON *secret)
{
    const char *text = json_text(json_get(secret, "data"), "plan", "");
    OWNED_STRBUF struct strbuf packed = STRBUF_EMPTY, json = STRBUF_UP_TO(PLAN_MOST);
    struct error error = ERROR_NONE;

    assert_int_equal(base64_decode(text, strlen(text), &packed), 0);
    assert_int_equal(gzip_unpack(packed.bytes, packed.length, &json, &error), 0);
    struct plan *plan = plan_parse(json.bytes, json.length, &error);
    if (plan == NULL)
        fail_msg("%s", error.text);
    return plan;
}

/* The plan that courier gets from this entry. */
static struct plan *plan_by(struct entry *entry)
{
    struct error error = ERROR_NONE;
    struct workload workload = { 0 };
    const struct workload_pod pod = { .name = "job-1", .attempt = 1 };
    uint64_t id = 0;
    char *token = NULL;
    struct job *job = job_parse(payload, strlen(payload), &id, &token, &error);

    mem_free(token);
    if (job == NULL || workload_init(&workload, entry, job, &error) < 0)
        fail_msg("%s", error.text);
    OWNED_JSON struct cJSON *secret = workload_render_secret(&workload, &pod, "uid-1", &error);
    workload_clear(&workload);
    if (secret == NULL)
        fail_msg("%s", error.text);
    return plan_of(secret);
}

static void the_ceilings_of_artifacts_reach_courier(void **state)
{
    struct plan *plan;

    (void)state;
    plan = plan_by(controller_entry(stage_start_with(NULL, CEILINGS SECOND_ENTRY), 0));
    assert_int_equal(plan->limits.upload_bytes, 5000);
    assert_int_equal(plan->limits.download_bytes, 6000);
    assert_int_equal(plan->limits.unpacked_bytes, 7000);
    assert_int_equal(plan->limits.memory_bytes, 80000000);
    assert_int_equal(plan->limits.entries, 9);
    assert_int_equal(plan->limits.ratio, 10);
    plan_free(plan);
}

static void every_setting_of_an_entry_that_courier_uses_is_in_its_plan(void **state)
{
    struct plan *plan;

    (void)state;
    plan = plan_by(controller_entry(stage_start_with(NULL, "shell = \"sh\"\n"
                                                           "output_limit = 3\n"
                                                           "builds_dir = \"/here\"\n"
                                                           "clone_url = \"https://mirror\"\n"),
                                    0));
    assert_string_equal(plan->shell, "sh");
    assert_int_equal(plan->output_limit_bytes, 3072);
    assert_string_equal(plan->builds_dir, "/here");
    assert_string_equal(plan->runner_name, "stage");
    assert_string_equal(plan->short_token, "AbCdEfGhI");
    assert_string_equal(plan->system_id, "s_0123456789ab");
    assert_string_equal(plan->image, "image:1");
    assert_string_equal(plan->pod_name, "job-1");
    assert_int_equal(plan->attempt, 1);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(the_ceilings_of_artifacts_reach_courier),
        STAGE_TEST(every_setting_of_an_entry_that_courier_uses_is_in_its_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
