/* The messages are those of a real API server (1.34). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "pod/refusal.h"

static void names(const char *message, const char *key)
{
    const char *advice = pod_refusal_advice(message);
    if (!advice || !strstr(advice, key))
        fail_msg("no %s in the advice for \"%s\": %s", key, message, advice ? advice : "none");
}

static void limit_ranges_name_the_keys(void **state)
{
    (void)state;
    names("pods \"x\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi",
          "helper_memory_limit");
    names("pods \"x\" is forbidden: minimum cpu usage per Container is 100m, but request is 50m", "helper_cpu_request");
    names("pods \"x\" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 10.0",
          "cpu_request");
    names("pods \"x\" is forbidden: memory max limit to request ratio per Container is 2, but provided ratio is 4.0",
          "memory_limit");
}

static void quotas_that_want_limits_name_the_keys(void **state)
{
    (void)state;
    names("pods \"x\" is forbidden: failed quota: q: must specify limits.cpu for: courier", "helper_cpu_limit");
    names("pods \"x\" is forbidden: failed quota: q: must specify requests.memory for: build", "memory_request");
}

static void pod_security_names_its_key(void **state)
{
    (void)state;
    names("pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true", "pod_security");
    names("pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": hostPath volumes (volume \"v\")",
          "volume");
}

static void a_request_above_its_limit_names_both(void **state)
{
    (void)state;
    names(
        "Pod \"x\" is invalid: spec.containers[1].resources.requests: Invalid value: \"2\": must be less than or equal "
        "to cpu limit of 1",
        "cpu_request is above cpu_limit");
    names("Pod \"x\" is invalid: spec.containers[0].resources.requests: Invalid value: \"2Gi\": must be less than or "
          "equal "
          "to memory limit of 1Gi",
          "helper_memory_request");
}

static void missing_things_are_named_with_their_key(void **state)
{
    (void)state;
    names("pods \"x\" is forbidden: error looking up service account jobs/robot: serviceaccount \"robot\" not found",
          "service_account");
    names("namespaces \"jobs\" not found", "namespace");
    names("pods is forbidden: User \"u\" cannot create resource \"pods\" in API group \"\" in the namespace \"jobs\"",
          "Role");
}

static void other_words_stand_for_themselves(void **state)
{
    (void)state;
    assert_null(pod_refusal_advice("admission webhook \"policy\" denied the request: images come from our registry"));
    assert_null(pod_refusal_advice(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_ranges_name_the_keys),
        cmocka_unit_test(quotas_that_want_limits_name_the_keys),
        cmocka_unit_test(pod_security_names_its_key),
        cmocka_unit_test(a_request_above_its_limit_names_both),
        cmocka_unit_test(missing_things_are_named_with_their_key),
        cmocka_unit_test(other_words_stand_for_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
