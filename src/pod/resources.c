#include "parts.h"

#include "text/json.h"

static void add_pair(struct cJSON *resources, const char *kind, const char *cpu, const char *memory)
{
    struct cJSON *object;

    if (cpu == NULL && memory == NULL)
        return;
    object = json_set_object(resources, kind);
    if (cpu != NULL)
        json_set_text(object, "cpu", cpu);
    if (memory != NULL)
        json_set_text(object, "memory", memory);
}

void pod_add_resources(struct cJSON *container, const struct config_resources *wish, const char *cpu_request,
                       const char *memory_request)
{
    struct cJSON *resources = json_object();

    add_pair(resources, "requests", wish->cpu_request != NULL ? wish->cpu_request : cpu_request,
             wish->memory_request != NULL ? wish->memory_request : memory_request);
    add_pair(resources, "limits", wish->cpu_limit, wish->memory_limit);
    if (json_count(resources) > 0)
        json_set(container, "resources", resources);
    else
        json_free(resources);
}
