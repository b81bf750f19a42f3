/* Identity, polling and the retry layer on a virtual clock. */
#include "dataops/api.h"

#include "world.h"

struct stage {
    struct world *world;
    struct dataops_call *call;
    unsigned answers;
    int status;
    struct error error;
    char body[512];
    uint64_t at_ms;
};

static void on_answer(void *owner, const struct dataops_answer *answer)
{
    struct stage *stage = owner;

    stage->answers++;
    stage->call = NULL;
    stage->status = answer->status;
    stage->error = answer->error;
    stage->at_ms = stage->world->loop.now_ms;
    assert_int_equal(answer->reply != NULL, answer->status != 0);
    snprintf(stage->body, sizeof(stage->body), "%s", answer->reply ? strbuf_text(&answer->reply->body) : "");
}

static void set_stage(struct stage *stage, const char *url, const char *token)
{
    *stage = (struct stage){ .world = world_new(url, token) };
    assert_non_null(stage->world->dataops);
}

static void plan(struct stage *stage, int status, const char *headers, const char *body)
{
    struct answer *answer = &stage->world->put_next[stage->world->put_planned++];

    answer->status = status;
    snprintf(answer->headers, sizeof(answer->headers), "%s", headers);
    snprintf(answer->body, sizeof(answer->body), "%s", body);
}

static const struct asked *last(const struct stage *stage)
{
    assert_true(stage->world->count > 0);
    return &stage->world->history[stage->world->count - 1];
}

static void clear_stage(struct stage *stage)
{
    world_free(stage->world);
}

static struct cJSON *body_of(const struct asked *asked)
{
    struct error error;
    struct cJSON *body = json_parse(asked->body, asked->length, &error);

    assert_non_null(body);
    return body;
}

#define JSON "Content-Type: application/json\r\n"

static void poll_once(struct stage *stage)
{
    stage->call = dataops_request_job(stage->world->dataops, on_answer, stage);
    world_run(stage->world, 1);
}

/* docs/reference/dataops.md, "Calls in general" */
static void the_api_root_is_found(void **state)
{
    static const char *const urls[] = { "https://host", "https://host/", "https://host/ci", "https://host/ci/" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct stage stage;
        set_stage(&stage, urls[i], "glrt-1");
        assert_string_equal(dataops_api_root(stage.world->dataops), "https://host/api/v4");
        plan(&stage, 204, "", "");
        poll_once(&stage);
        assert_string_equal(last(&stage)->url, "https://host/api/v4/jobs/request");
        clear_stage(&stage);
    }
}

static void a_url_that_is_none_is_refused(void **state)
{
    struct error error = ERROR_NONE;
    const struct dataops_place place = { .url = "ftp://host", .token = "t" };

    (void)state;
    assert_null(dataops_new(NULL, NULL, &place, &error));
    assert_true(error.blame == BLAME_CONFIG || error.blame == BLAME_INPUT);
    assert_non_null(strstr(error.text, "url"));
}

static bool is_request_id(const char *id)
{
    return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

/* docs/reference/dataops.md, "Calls in general" */
static void every_request_has_an_id_and_the_token_in_its_body(void **state)
{
    struct stage stage;
    char first[64];

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 204, "", "");
    plan(&stage, 204, "", "");
    poll_once(&stage);
    snprintf(first, sizeof(first), "%s", asked_header(last(&stage), "X-Request-Id"));
    assert_true(is_request_id(first));
    poll_once(&stage);
    assert_true(is_request_id(asked_header(last(&stage), "X-Request-Id")));
    assert_string_not_equal(first, asked_header(last(&stage), "X-Request-Id"));
    OWNED_JSON struct cJSON *body = body_of(last(&stage));
    assert_string_equal(json_text(body, "token", ""), "glrt-1");
    assert_string_equal(json_text(body, "system_id", ""), "s_0123456789ab");
    assert_string_equal(asked_header(last(&stage), "Content-Type"), "application/json");
    assert_string_equal(asked_header(last(&stage), "Accept"), "application/json");
    clear_stage(&stage);
}

/* docs/reference/dataops.md, "Registering and verifying" */
static void a_glrt_token_is_verified_and_never_registered(void **state)
{
    static const char *const tokens[] = { "glrt-abc", "glrt-t3_abc", "acme-glrt-abc" };
    static const struct dataops_register wish = { .description = "x" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        struct stage stage;
        set_stage(&stage, "https://host", tokens[i]);
        plan(&stage, 200, JSON, "{\"id\":1}");
        stage.call = dataops_register(stage.world->dataops, &wish, on_answer, &stage);
        world_run(stage.world, 1);
        assert_string_equal(last(&stage)->url, "https://host/api/v4/runners/verify");
        assert_int_equal(stage.status, 200);
        assert_int_equal(stage.error.blame, BLAME_NONE);
        clear_stage(&stage);
    }
}

/* docs/reference/dataops.md, "Registering and verifying" */
static void registration_says_what_was_asked_for(void **state)
{
    static const struct dataops_register tagged = { .description = "site-a",
                                                    .tag_list = "k8s,dataops",
                                                    .access_level = "not_protected",
                                                    .locked = true,
                                                    .maximum_timeout_s = 7200 },
                                         untagged = { .tag_list = " , " };
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "GR1348941abc");
    plan(&stage, 201, JSON, "{\"id\":4711,\"token\":\"glrtr-x\"}");
    plan(&stage, 201, JSON, "{\"id\":4711,\"token\":\"glrtr-x\"}");
    dataops_register(stage.world->dataops, &tagged, on_answer, &stage);
    world_run(stage.world, 1);
    assert_string_equal(last(&stage)->method, "POST");
    assert_string_equal(last(&stage)->url, "https://host/api/v4/runners");
    OWNED_JSON struct cJSON *first = body_of(last(&stage));
    assert_string_equal(json_text(first, "token", ""), "GR1348941abc");
    assert_string_equal(json_text(first, "description", ""), "site-a");
    assert_string_equal(json_text(first, "tag_list", ""), "k8s,dataops");
    assert_false(json_bool(first, "run_untagged", true));
    assert_true(json_bool(first, "locked", false));
    assert_false(json_bool(first, "paused", true));
    assert_int_equal(json_int(first, "maximum_timeout", 0), 7200);
    assert_string_equal(stage.body, "{\"id\":4711,\"token\":\"glrtr-x\"}");
    dataops_register(stage.world->dataops, &untagged, on_answer, &stage);
    world_run(stage.world, 1);
    OWNED_JSON struct cJSON *second = body_of(last(&stage));
    assert_true(json_bool(second, "run_untagged", false));
    assert_null(json_get(second, "tag_list"));
    assert_null(json_get(second, "maximum_timeout"));
    clear_stage(&stage);
}

static void switched_off_registration_tokens_are_named_and_not_retried(void **state)
{
    static const struct dataops_register wish = { .description = "x" };
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "GR1348941abc");
    plan(&stage, 410, JSON, "{\"message\":\"410 Gone - runner registration disallowed\"}");
    dataops_register(stage.world->dataops, &wish, on_answer, &stage);
    world_run(stage.world, 600000);
    assert_int_equal(stage.world->count, 1);
    assert_int_equal(stage.status, 410);
    assert_int_equal(stage.error.blame, BLAME_DENIED);
    assert_non_null(strstr(stage.error.text, "registration tokens are disabled"));
    assert_non_null(strstr(stage.error.text, "runner registration disallowed"));
    clear_stage(&stage);
}

/* docs/reference/dataops.md, "Registering and verifying" */
static void unregistering_deletes_no_more_than_its_own(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 204, "", "");
    dataops_unregister(stage.world->dataops, on_answer, &stage);
    world_run(stage.world, 1);
    assert_string_equal(last(&stage)->method, "DELETE");
    assert_string_equal(last(&stage)->url, "https://host/api/v4/runners/managers");
    OWNED_JSON struct cJSON *body = body_of(last(&stage));
    assert_string_equal(json_text(body, "system_id", ""), "s_0123456789ab");
    assert_int_equal(stage.error.blame, BLAME_NONE);
    clear_stage(&stage);

    set_stage(&stage, "https://host", "glrtr-1");
    plan(&stage, 204, "", "");
    dataops_unregister(stage.world->dataops, on_answer, &stage);
    world_run(stage.world, 1);
    assert_string_equal(last(&stage)->url, "https://host/api/v4/runners");
    clear_stage(&stage);
}

/* docs/reference/dataops.md, "What a runner says about itself" */
static void every_request_says_what_this_runner_can_do(void **state)
{
    static const char *const can[] = { "variables",
                                       "image",
                                       "artifacts",
                                       "upload_multiple_artifacts",
                                       "upload_raw_artifacts",
                                       "refspecs",
                                       "masking",
                                       "raw_variables",
                                       "artifacts_exclude",
                                       "trace_reset",
                                       "trace_checksum",
                                       "trace_size",
                                       "cancelable",
                                       "cancel_gracefully",
                                       "return_exit_code",
                                       "two_phase_job_commit" };
    static const char *const cannot[] = { "services",      "cache", "session",           "terminal",
                                          "vault_secrets", "proxy", "multi_build_steps", "fallback_cache_keys",
                                          "job_inputs",    "shared" };
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 204, "", "");
    poll_once(&stage);
    OWNED_JSON struct cJSON *body = body_of(last(&stage));
    const struct cJSON *features = json_at(body, "info.features");
    for (const struct cJSON *item = json_first(features); item; item = json_next(item))
        assert_true(json_is_bool(item));
    for (size_t i = 0; i < COUNT_OF(can); i++)
        assert_true(json_bool(features, can[i], false));
    for (size_t i = 0; i < COUNT_OF(cannot); i++)
        assert_false(json_bool(features, cannot[i], true));
    assert_string_equal(json_text_at(body, "info.executor", ""), "kubernetes");
    assert_string_equal(json_text_at(body, "info.version", ""), "0.1.0");
    assert_string_equal(json_text_at(body, "info.platform", ""), "linux");
    assert_non_null(json_at(body, "info.config"));
    clear_stage(&stage);
}

static const char *last_update(const struct stage *stage)
{
    static char value[64];
    OWNED_JSON struct cJSON *body = body_of(last(stage));

    snprintf(value, sizeof(value), "%s", json_text(body, "last_update", "none"));
    return value;
}

/* docs/reference/dataops.md, "Asking for jobs" */
static void last_update_is_the_last_one_that_was_not_empty(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 204, "X-GitLab-Last-Update: one\r\n", "");
    plan(&stage, 204, "", "");
    plan(&stage, 204, "X-GitLab-Last-Update: \r\n", "");
    plan(&stage, 201, JSON, "{}");
    plan(&stage, 204, "x-gitlab-last-update: two\r\n", "");
    plan(&stage, 204, "", "");
    plan(&stage, 204, "", "");
    poll_once(&stage);
    assert_string_equal(last_update(&stage), "none");
    for (int i = 0; i < 4; i++) {
        poll_once(&stage);
        assert_string_equal(last_update(&stage), "one");
    }
    poll_once(&stage);
    assert_string_equal(last_update(&stage), "two");
    dataops_set_token(stage.world->dataops, "glrt-2"); /* another queue */
    poll_once(&stage);
    assert_string_equal(last_update(&stage), "none");
    clear_stage(&stage);
}

/* docs/reference/dataops.md, "Asking for jobs" */
static void a_held_poll_is_not_cut_within_a_minute(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 204, "", "");
    poll_once(&stage);
    assert_true(last(&stage)->answer_timeout_ms > 60000);
    assert_true(last(&stage)->timeout_ms > last(&stage)->answer_timeout_ms);
    assert_int_equal(last(&stage)->body_most, 16 * MIB);
    clear_stage(&stage);
}

/* docs/reference/dataops.md, "Repeated requests" */
static void retry_after_is_obeyed(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 429, "Retry-After: 7\r\n", "");
    plan(&stage, 503, "Retry-After: 0\r\n", "");
    plan(&stage, 503, "RateLimit-ResetTime: Sat, 01 Aug 2026 08:01:40 GMT\r\nRetry-After: 5\r\n", "");
    plan(&stage, 429, "Retry-After: 999999\r\n", "");
    plan(&stage, 204, "", "");
    poll_once(&stage);
    world_run(stage.world, 6998);
    assert_int_equal(stage.world->count, 1);
    world_run(stage.world, 60 * 60 * 1000);
    assert_int_equal(stage.answers, 1);
    assert_int_equal(stage.status, 204);
    const struct asked *asked = stage.world->history;
    assert_int_equal(asked[1].at_ms - asked[0].at_ms, 7000);
    assert_in_range(asked[2].at_ms - asked[1].at_ms, 50, 400);
    assert_int_equal(asked[3].at_ms, 100000); /* the clock began at 08:00:00 */
    assert_int_equal(asked[4].at_ms - asked[3].at_ms, 15 * 60 * 1000);
    clear_stage(&stage);
}

static void five_tries_then_the_last_answer_counts(void **state)
{
    static const int retried[] = { 408, 429, 500, 502, 503, 504, 512, 599 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(retried); i++) {
        struct stage stage;
        set_stage(&stage, "https://host", "glrt-1");
        for (int j = 0; j < 8; j++)
            plan(&stage, retried[i], "", "");
        poll_once(&stage);
        world_run(stage.world, 600000);
        assert_int_equal(stage.world->count, 5);
        assert_int_equal(stage.answers, 1);
        assert_int_equal(stage.status, retried[i]);
        assert_int_equal(stage.error.blame, BLAME_REMOTE);
        assert_int_equal(stage.error.code, retried[i]);
        clear_stage(&stage);
    }
}

static void other_answers_and_silence_are_not_retried(void **state)
{
    static const struct {
        int status;
        enum blame blame;
    } cases[] = { { 0, BLAME_REMOTE },   { 400, BLAME_INPUT },  { 403, BLAME_DENIED }, { 409, BLAME_REMOTE },
                  { 422, BLAME_DENIED }, { 501, BLAME_REMOTE }, { 505, BLAME_REMOTE } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct stage stage;
        set_stage(&stage, "https://host", "glrt-1");
        plan(&stage, cases[i].status, "", "");
        poll_once(&stage);
        world_run(stage.world, 600000);
        assert_int_equal(stage.world->count, 1);
        assert_int_equal(stage.status, cases[i].status);
        assert_int_equal(stage.error.blame, cases[i].blame);
        clear_stage(&stage);
    }
}

static void what_dataops_says_is_in_the_error(void **state)
{
    static const struct {
        const char *headers, *body, *words;
    } cases[] = {
        { JSON, "{\"message\":\"403 Forbidden - invalid token\"}", "invalid token" },
        { JSON, "{\"message\":{\"tags\":[\"is too long\",\"is empty\"]}}", "tags is too long is empty" },
        { "Content-Type: application/json; charset=utf-8\r\n", "{\"error\":\"token is missing\"}", "token is missing" },
        { JSON, "[1", "(forbidden)" },
        { "Content-Type: text/html\r\n", "<html>secret page</html>", "(forbidden)" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct stage stage;
        set_stage(&stage, "https://host", "glrt-1");
        plan(&stage, 403, cases[i].headers, cases[i].body);
        poll_once(&stage);
        if (!strstr(stage.error.text, cases[i].words))
            fail_msg("%s", stage.error.text);
        assert_null(strstr(stage.error.text, "secret page"));
        assert_null(strstr(stage.error.text, "glrt-1"));
        clear_stage(&stage);
    }
}

static void an_answer_that_sends_elsewhere_names_the_place(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "http://host", "glrt-1");
    plan(&stage, 301, "Location: https://me:hunter2@host/api/v4/jobs/request?x=hunter2\r\n", "");
    poll_once(&stage);
    assert_non_null(strstr(stage.error.text, "301 (moved): it sends to https://host/api/v4/jobs/request"));
    assert_non_null(strstr(stage.error.text, "set url"));
    assert_null(strstr(stage.error.text, "hunter2"));
    clear_stage(&stage);
}

static void a_page_instead_of_json_is_no_job(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 201, "Content-Type: text/html\r\n", "<html>sign in</html>");
    poll_once(&stage);
    assert_int_equal(stage.status, 201);
    assert_int_equal(stage.error.blame, BLAME_REMOTE);
    assert_non_null(strstr(stage.error.text, "no JSON"));
    clear_stage(&stage);
}

static void a_payload_that_broke_off_is_handed_on_with_the_error(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 201, JSON, "{\"id\":5,\"token\":\"t\",\"job");
    stage.world->put_next[0].cut = true;
    poll_once(&stage);
    assert_int_equal(stage.status, 201);
    assert_int_equal(stage.error.blame, BLAME_REMOTE);
    assert_string_equal(stage.body, "{\"id\":5,\"token\":\"t\",\"job");
    clear_stage(&stage);
}

static void old_servers_verify_with_a_bare_200(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 200, "Content-Type: text/plain\r\n", "200");
    dataops_verify(stage.world->dataops, on_answer, &stage);
    world_run(stage.world, 1);
    assert_int_equal(stage.error.blame, BLAME_NONE);
    clear_stage(&stage);
}

static void a_cancelled_call_never_answers(void **state)
{
    struct stage stage;

    (void)state;
    set_stage(&stage, "https://host", "glrt-1");
    plan(&stage, 429, "Retry-After: 7\r\n", "");
    poll_once(&stage);
    dataops_cancel(stage.call);
    dataops_cancel(dataops_request_job(stage.world->dataops, on_answer, &stage));
    dataops_cancel(NULL);
    dataops_request_job(stage.world->dataops, on_answer, &stage); /* left open for dataops_free */
    assert_int_equal(stage.answers, 0);
    clear_stage(&stage);
    assert_int_equal(stage.answers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_api_root_is_found),
        cmocka_unit_test(a_url_that_is_none_is_refused),
        cmocka_unit_test(every_request_has_an_id_and_the_token_in_its_body),
        cmocka_unit_test(a_glrt_token_is_verified_and_never_registered),
        cmocka_unit_test(registration_says_what_was_asked_for),
        cmocka_unit_test(switched_off_registration_tokens_are_named_and_not_retried),
        cmocka_unit_test(unregistering_deletes_no_more_than_its_own),
        cmocka_unit_test(every_request_says_what_this_runner_can_do),
        cmocka_unit_test(last_update_is_the_last_one_that_was_not_empty),
        cmocka_unit_test(a_held_poll_is_not_cut_within_a_minute),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(five_tries_then_the_last_answer_counts),
        cmocka_unit_test(other_answers_and_silence_are_not_retried),
        cmocka_unit_test(what_dataops_says_is_in_the_error),
        cmocka_unit_test(an_answer_that_sends_elsewhere_names_the_place),
        cmocka_unit_test(a_page_instead_of_json_is_no_job),
        cmocka_unit_test(a_payload_that_broke_off_is_handed_on_with_the_error),
        cmocka_unit_test(old_servers_verify_with_a_bare_200),
        cmocka_unit_test(a_cancelled_call_never_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
