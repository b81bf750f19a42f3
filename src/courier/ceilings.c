#include "ceilings.h"

#include "text/json.h"

#include <inttypes.h>

void ceilings_write(const struct plan_limits *limits, struct cJSON *request)
{
    struct cJSON *object = json_set_object(request, "limits");
    json_set_int(object, "unpacked_bytes", limits->unpacked_bytes);
    json_set_int(object, "memory_bytes", limits->memory_bytes);
    json_set_int(object, "entries", limits->entries);
    json_set_int(object, "ratio", limits->ratio);
}

void ceilings_read(const struct cJSON *request, struct plan_limits *limits)
{
    const struct cJSON *object = json_get(request, "limits");
    *limits = PLAN_LIMITS_DEFAULT;
    limits->unpacked_bytes = json_int(object, "unpacked_bytes", limits->unpacked_bytes);
    limits->memory_bytes = json_int(object, "memory_bytes", limits->memory_bytes);
    limits->entries = json_int(object, "entries", limits->entries);
    limits->ratio = json_int(object, "ratio", limits->ratio);
}

size_t ceilings_name_bytes(const struct plan_limits *limits)
{
    return (size_t)(limits->memory_bytes / 4);
}

char *ceilings_size_text(int64_t bytes)
{
    static const struct {
        int64_t size;
        const char *name;
    } units[] = { { INT64_C(1) << 30, "GiB" }, { INT64_C(1) << 20, "MiB" }, { INT64_C(1) << 10, "KiB" } };
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (bytes >= units[i].size && bytes % units[i].size == 0)
            return mem_format("%" PRId64 " %s", bytes / units[i].size, units[i].name);
    return mem_format("%" PRId64 " bytes", bytes);
}

int ceilings_exceeded(struct error *error, const char *what, int64_t most_bytes, const char *key)
{
    OWNED_TEXT char *size = ceilings_size_text(most_bytes);
    return error_set(error, BLAME_INPUT, 0, "%s more than %s: raise %s in [runners.kubernetes] if that is right", what,
                     size, key);
}
