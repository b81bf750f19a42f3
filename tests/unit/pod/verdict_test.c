#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "pod/status.h"
#include "text/json.h"

static void read_pod(const char *text, struct pod_status *status)
{
    struct error error = ERROR_NONE;
    struct cJSON *pod = json_parse(text, strlen(text), &error);

    assert_string_equal(error.text, "");
    assert_non_null(pod);
    pod_status_read(pod, status);
    json_free(pod);
}

#define CONTAINERS(courier, build)                                                                                     \
    "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},\"status\":{\"phase\":\"Running\",\"containerStatuses\":["           \
    "{\"name\":\"build\",\"state\":" build "},{\"name\":\"courier\",\"state\":" courier "}]}}"
#define RUNNING             "{\"running\":{}}"
#define CREATING            "{\"waiting\":{\"reason\":\"ContainerCreating\"}}"
#define PULL_FAILS          "{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"not found\"}}"
#define ENDED(code, reason) "{\"terminated\":{\"exitCode\":" #code ",\"reason\":\"" reason "\"}}"

static void containers_are_found_by_name_not_by_place(void **state)
{
    struct pod_status status;

    (void)state;
    read_pod(CONTAINERS(RUNNING, ENDED(42, "Error")), &status);
    assert_int_equal(status.courier.state, CONTAINER_RUNNING);
    assert_int_equal(status.build.state, CONTAINER_TERMINATED);
    assert_int_equal(status.build.exit_code, 42);
}

static void a_build_without_courier_never_began(void **state)
{
    static const struct {
        const char *pod;
        bool spoke, never;
    } rows[] = {
        /* courier's image cannot be pulled: the kubelet starts build all the same */
        { CONTAINERS(PULL_FAILS, ENDED(128, "StartError")), false, true },
        /* the hook failed, courier is gone, step found nobody */
        { CONTAINERS(ENDED(137, "Error"), ENDED(98, "Error")), false, true },
        { CONTAINERS(ENDED(1, "Error"), ENDED(128, "StartError")), false, true },
        { CONTAINERS(ENDED(1, "Error"), CREATING), false, true },
        /* courier has spoken: what it did cannot be undone */
        { CONTAINERS(ENDED(137, "Error"), ENDED(98, "Error")), true, false },
        { CONTAINERS(RUNNING, RUNNING), false, false },
        { CONTAINERS(RUNNING, CREATING), false, false },
        { CONTAINERS(CREATING, CREATING), false, false },
        /* still being tried by the kubelet, build not started yet */
        { CONTAINERS(PULL_FAILS, CREATING), false, false },
        /* the kubelet did not admit it; one that shows containers had begun */
        { "{\"status\":{\"phase\":\"Failed\",\"reason\":\"OutOfpods\"}}", false, true },
        { "{\"status\":{\"phase\":\"Failed\",\"reason\":\"NodeAffinity\"}}", false, true },
        { "{\"status\":{\"phase\":\"Failed\",\"reason\":\"OutOfpods\"}}", true, false },
        { "{\"status\":{\"phase\":\"Pending\",\"reason\":\"OutOfpods\"}}", false, false },
        { "{\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\"}}", false, false },
    };
    struct pod_status status;
    char why[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        read_pod(rows[i].pod, &status);
        if (pod_never_began(&status, rows[i].spoke, why) != rows[i].never)
            fail_msg("row %zu", i);
    }
}

static void a_hopeless_image_name_ends_the_start_at_once(void **state)
{
    struct pod_status status;
    enum reason reason;
    char why[512];

    (void)state;
    read_pod(CONTAINERS(RUNNING, "{\"waiting\":{\"reason\":\"InvalidImageName\",\"message\":\"bad\"}}"), &status);
    assert_true(pod_cannot_start(&status, &reason, why));
    assert_int_equal(reason, REASON_CONFIGURATION);
    read_pod(CONTAINERS(RUNNING, PULL_FAILS), &status);
    assert_false(pod_cannot_start(&status, &reason, why));
    read_pod(CONTAINERS(RUNNING, "{\"waiting\":{\"reason\":\"CreateContainerConfigError\",\"message\":\"container has "
                                 "runAsNonRoot and image will run as root\"}}"),
             &status);
    assert_true(pod_cannot_start(&status, &reason, why));
    assert_non_null(strstr(why, "pod_security"));
}

static void without_an_end_record_nothing_is_a_success(void **state)
{
    static const struct {
        const char *pod;
        enum reason reason;
        const char *says;
    } rows[] = {
        { CONTAINERS(ENDED(0, "Completed"), ENDED(0, "Completed")), REASON_SYSTEM, "without an end record" },
        { CONTAINERS(ENDED(137, "OOMKilled"), ENDED(98, "Error")), REASON_SYSTEM, "helper_memory_limit" },
        { CONTAINERS(ENDED(255, "Unknown"), RUNNING), REASON_SYSTEM, "lost the container" },
        { CONTAINERS(ENDED(137, "ContainerStatusUnknown"), RUNNING), REASON_SYSTEM, "lost the container" },
        { CONTAINERS(RUNNING, ENDED(128, "StartError")), REASON_CONFIGURATION, "could not be started" },
        { "{\"metadata\":{\"uid\":\"u\"},\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"low on "
          "memory\"}}",
          REASON_SYSTEM, "evicted" },
        { "{\"metadata\":{\"uid\":\"u\"},\"status\":{\"phase\":\"Failed\",\"reason\":\"DeadlineExceeded\"}}",
          REASON_TIMEOUT, "activeDeadlineSeconds" },
        { "{\"metadata\":{\"uid\":\"u\"},\"status\":{\"phase\":\"Failed\",\"reason\":\"OutOfcpu\"}}", REASON_SYSTEM,
          "CPU" },
        { "{\"metadata\":{\"uid\":\"u\"},\"status\":{\"phase\":\"Failed\",\"reason\":\"NodeShutdown\"}}", REASON_SYSTEM,
          "shutting down" },
        /* DisruptionTarget comes before any exit code */
        { "{\"metadata\":{\"uid\":\"u\"},\"status\":{\"phase\":\"Failed\",\"conditions\":[{\"type\":"
          "\"DisruptionTarget\",\"status\":\"True\",\"reason\":\"PreemptionByScheduler\"}],"
          "\"containerStatuses\":[{\"name\":\"build\",\"state\":{\"terminated\":{\"exitCode\":143,\"reason\":\"Error\"}"
          "}}]}}",
          REASON_SYSTEM, "PreemptionByScheduler" },
        { "{\"metadata\":{\"uid\":\"u\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},\"status\":{\"phase\":"
          "\"Running\"}}",
          REASON_SYSTEM, "deleted from outside" },
    };
    struct pod_status status;
    enum reason reason;
    int exit_code;
    char why[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        read_pod(rows[i].pod, &status);
        pod_ruling(&status, &reason, &exit_code, why);
        if (reason != rows[i].reason || strstr(why, rows[i].says) == NULL)
            fail_msg("row %zu: %s: %s", i, reason_name(reason), why);
    }
}

static void what_a_pod_waits_for_is_said_in_words(void **state)
{
    struct pod_status status;
    char waits[512];

    (void)state;
    read_pod("{\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"message\":\"0/3 nodes are "
             "available\"}]}}",
             &status);
    pod_waits_for(&status, waits);
    assert_non_null(strstr(waits, "0/3 nodes"));
    read_pod(CONTAINERS(RUNNING, PULL_FAILS), &status);
    status.scheduled = true;
    pod_waits_for(&status, waits);
    assert_non_null(strstr(waits, "the image cannot be pulled yet: not found"));
    read_pod(CONTAINERS(PULL_FAILS, CREATING), &status);
    status.scheduled = true;
    pod_waits_for(&status, waits);
    assert_non_null(strstr(waits, "the helper image"));
}

static void the_termination_message_is_kept_whole_up_to_its_limit(void **state)
{
    struct pod_status status;

    (void)state;
    read_pod(
        CONTAINERS("{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\",\"message\":\"{\\\"v\\\":1}\"}}", RUNNING),
        &status);
    assert_string_equal(status.courier.termination, "{\"v\":1}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_are_found_by_name_not_by_place),
        cmocka_unit_test(a_build_without_courier_never_began),
        cmocka_unit_test(a_hopeless_image_name_ends_the_start_at_once),
        cmocka_unit_test(without_an_end_record_nothing_is_a_success),
        cmocka_unit_test(what_a_pod_waits_for_is_said_in_words),
        cmocka_unit_test(the_termination_message_is_kept_whole_up_to_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
