/* Any JSON as a Pod that the API server shows, and what is concluded from it: every text is ended and short enough, the
 * conclusions agree with each other, and a ruling is never success. */
#include "fuzz.h"

#include "pod/status.h"
#include "text/json.h"

#include <string.h>

static void expect_ended(const char *text, size_t size)
{
    EXPECT(memchr(text, '\0', size) != NULL);
}

static void container(const struct container_status *status)
{
    expect_ended(status->reason, sizeof status->reason);
    expect_ended(status->message, sizeof status->message);
    expect_ended(status->id, sizeof status->id);
    expect_ended(status->termination, sizeof status->termination);
    pod_image_fails(status);
}

static void conclude(const struct pod_status *status)
{
    char why[512] = "x", waits[512] = "x";
    enum reason reason = REASON_NONE;
    int exit_code = 0;

    if (pod_never_began(status, false, why))
        expect_ended(why, 256);
    EXPECT(!pod_never_began(status, true, why)); /* what spoke, began */
    if (pod_cannot_start(status, &reason, why)) {
        expect_ended(why, sizeof why);
        EXPECT(reason != REASON_NONE);
    }
    pod_waits_for(status, waits);
    expect_ended(waits, sizeof waits);
    pod_ruling(status, &reason, &exit_code, why);
    expect_ended(why, sizeof why);
    EXPECT(reason != REASON_NONE && *why != '\0');
    pod_is_over(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_NONE;
    struct pod_status status;
    struct cJSON *pod = json_parse((const char *)data, size, &error);

    if (pod == NULL)
        return 0;
    pod_status_read(pod, &status);
    json_free(pod);
    expect_ended(status.name, sizeof status.name);
    expect_ended(status.uid, sizeof status.uid);
    expect_ended(status.node, sizeof status.node);
    expect_ended(status.phase, sizeof status.phase);
    expect_ended(status.reason, sizeof status.reason);
    expect_ended(status.message, sizeof status.message);
    expect_ended(status.unschedulable, sizeof status.unschedulable);
    expect_ended(status.disruption, sizeof status.disruption);
    container(&status.courier);
    container(&status.build);
    conclude(&status);
    return 0;
}
