#include "answer.h"

#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

struct row {
    int status;
    const char *reason, *message;
    enum kube_class kind;
    enum blame blame;
};

static const struct row rows[] = {
    { 200, "", "", KUBE_OK, BLAME_NONE },
    { 201, "", "", KUBE_OK, BLAME_NONE },
    { 400, "BadRequest", "bad", KUBE_REFUSED, BLAME_INPUT },
    { 401, "Unauthorized", "Unauthorized", KUBE_UNAUTHORIZED, BLAME_DENIED },
    { 403, "Forbidden",
      "pods \"x\" is forbidden: User \"system:serviceaccount:a:b\" cannot create resource \"pods\" in API group \"\"",
      KUBE_FORBIDDEN, BLAME_DENIED },
    { 403, "Forbidden", "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5",
      KUBE_QUOTA, BLAME_REMOTE },
    { 403, "Forbidden", "pods \"x\" is forbidden: failed quota: q: must specify limits.cpu for: c", KUBE_REFUSED,
      BLAME_INPUT },
    { 403, "Forbidden", "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation",
      KUBE_REFUSED, BLAME_INPUT },
    { 403, "Forbidden", "pods \"x\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi",
      KUBE_REFUSED, BLAME_INPUT },
    { 403, "Forbidden", "pods \"x\" is forbidden: no PriorityClass with name p was found", KUBE_REFUSED, BLAME_INPUT },
    { 403, "", "", KUBE_FORBIDDEN, BLAME_DENIED },
    { 404, "NotFound", "pods \"x\" not found", KUBE_MISSING, BLAME_REMOTE },
    { 409, "AlreadyExists", "pods \"x\" already exists", KUBE_EXISTS, BLAME_REMOTE },
    { 409, "Conflict", "the UID in the precondition does not match", KUBE_CONFLICT, BLAME_REMOTE },
    { 409, "Conflict", "admission webhook \"w\" denied the request: no", KUBE_REFUSED, BLAME_INPUT },
    { 410, "Expired", "too old", KUBE_EXPIRED, BLAME_REMOTE },
    { 410, "Gone", "too old", KUBE_EXPIRED, BLAME_REMOTE },
    { 413, "RequestEntityTooLarge", "limit is 3145728", KUBE_REFUSED, BLAME_INPUT },
    { 415, "UnsupportedMediaType", "no", KUBE_REFUSED, BLAME_INPUT },
    { 418, "", "admission webhook \"w\" denied the request: tea", KUBE_REFUSED, BLAME_INPUT },
    { 422, "Invalid", "Pod \"x\" is invalid: spec", KUBE_REFUSED, BLAME_INPUT },
    { 429, "TooManyRequests", "later", KUBE_BUSY, BLAME_REMOTE },
    { 500, "InternalError", "failed calling webhook \"w\"", KUBE_FAILED, BLAME_REMOTE },
    { 500, "", "etcdserver: request is too large", KUBE_REFUSED, BLAME_INPUT },
    { 500, "", "etcdserver: leader changed", KUBE_REFUSED, BLAME_INPUT },
    { 500, "ServerTimeout", "later", KUBE_FAILED, BLAME_REMOTE },
    { 502, "", "", KUBE_FAILED, BLAME_REMOTE },
    { 503, "ServiceUnavailable", "no", KUBE_FAILED, BLAME_REMOTE },
    { 504, "Timeout", "no", KUBE_FAILED, BLAME_REMOTE },
    { 302, "", "", KUBE_REFUSED, BLAME_INPUT },
};

static void read_text(struct kube_answer *answer, int status, const char *text, unsigned retry_after_s)
{
    OWNED_STRBUF struct strbuf body = STRBUF_EMPTY;
    strbuf_add_text(&body, text);
    answer_read(answer, status, &body, retry_after_s, false);
}

static void each_status_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        OWNED_JSON struct cJSON *status = json_object();
        if (row->reason[0])
            json_set_text(status, "reason", row->reason);
        if (row->message[0])
            json_set_text(status, "message", row->message);
        OWNED_TEXT char *text = json_print(status);
        struct kube_answer answer;
        bool empty = !row->reason[0] && !row->message[0] && row->status >= 300;
        read_text(&answer, row->status, empty ? "" : text, 0);
        answer_tell(&answer, "create pod x", NULL);
        if (answer.kind != row->kind || answer.error.blame != row->blame)
            print_error("row %zu: %d %s\n", i, row->status, row->message);
        assert_int_equal(answer.kind, row->kind);
        assert_int_equal(answer.error.blame, row->blame);
        if (row->blame != BLAME_NONE)
            assert_int_equal(answer.error.code, row->status);
        json_free(answer.object);
    }
}

static const char *explained(int status, const char *body)
{
    static struct kube_answer answer;
    read_text(&answer, status, body, 0);
    answer_tell(&answer, "create pod x", body);
    json_free(answer.object);
    return answer.error.text;
}

static void the_text_says_what_was_wanted_and_why_not(void **state)
{
    (void)state;
    assert_string_equal(explained(404, "{\"reason\":\"NotFound\",\"message\":\"pods \\\"x\\\" not found\"}"),
                        "create pod x: 404 NotFound: pods \"x\" not found");
    assert_string_equal(explained(429, "Too many requests, please try again later.\n"),
                        "create pod x: 429: Too many requests, please try again later.");
    assert_string_equal(explained(503, "<html><body>bad gateway</body></html>"), "create pod x: 503");
    assert_string_equal(explained(403, ""), "create pod x: 403");
    assert_non_null(strstr(explained(200, "<html>login</html>"), "no JSON"));
    assert_non_null(strstr(explained(302, ""), "redirected"));
}

static void the_server_says_how_long_to_wait(void **state)
{
    (void)state;
    struct kube_answer answer;
    read_text(&answer, 429, "x", 7);
    assert_int_equal(answer.retry_after_ms, 7000);
    const char *body = "{\"code\":429,\"details\":{\"retryAfterSeconds\":3}}";
    read_text(&answer, 429, body, 0);
    assert_int_equal(answer.retry_after_ms, 3000);
    json_free(answer.object);
    read_text(&answer, 429, "x", 86400);
    assert_int_equal(answer.retry_after_ms, 60000);
}

static void causes_are_found(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    const char *body = "{\"details\":{\"causes\":[{\"reason\":\"X\"},{\"reason\":\"ResourceVersionTooLarge\"}]}}";
    OWNED_JSON struct cJSON *status = json_parse(body, strlen(body), &error);
    assert_true(answer_has_cause(status, "ResourceVersionTooLarge"));
    assert_false(answer_has_cause(status, "Y"));
    assert_false(answer_has_cause(NULL, "Y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_class),
        cmocka_unit_test(the_text_says_what_was_wanted_and_why_not),
        cmocka_unit_test(the_server_says_how_long_to_wait),
        cmocka_unit_test(causes_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
