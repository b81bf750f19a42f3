#include "pod/refusal.h"

#include "base/mem.h"

#include <stddef.h>
#include <string.h>

/* The first row whose words are all there counts. */
static const struct {
    const char *said, *also, *advice;
} advices[] = {
    { "violates PodSecurity", "restricted",
      "set pod_security = \"restricted\" in [runners.kubernetes], or let the namespace enforce \"baseline\"" },
    { "violates PodSecurity", "",
      "the namespace's Pod Security level is too strict for a volume or setting of [runners.kubernetes]" },
    { "must specify", "cpu",
      "set cpu_request, cpu_limit, helper_cpu_request and helper_cpu_limit in [runners.kubernetes]" },
    { "must specify", "memory",
      "set memory_request, memory_limit, helper_memory_request and helper_memory_limit in [runners.kubernetes]" },
    { "cpu usage per", "",
      "a LimitRange of the namespace says so: change cpu_request, cpu_limit, helper_cpu_request or helper_cpu_limit in "
      "[runners.kubernetes]" },
    { "memory usage per", "",
      "a LimitRange of the namespace says so: change memory_request, memory_limit, helper_memory_request or "
      "helper_memory_limit in [runners.kubernetes]" },
    { "cpu max limit to request ratio", "",
      "a LimitRange of the namespace says so: bring cpu_request and cpu_limit (helper_cpu_request, helper_cpu_limit) "
      "closer" },
    { "memory max limit to request ratio", "",
      "a LimitRange of the namespace says so: bring memory_request and memory_limit (helper_memory_request, "
      "helper_memory_limit) closer" },
    { "must be less than or equal to cpu limit", "",
      "cpu_request is above cpu_limit (or helper_cpu_request above helper_cpu_limit) in [runners.kubernetes]" },
    { "must be less than or equal to memory limit", "",
      "memory_request is above memory_limit (or helper_memory_request above helper_memory_limit) in "
      "[runners.kubernetes]" },
    { "error looking up service account", "",
      "create that account, or correct service_account in [runners.kubernetes]" },
    { "cannot", "in API group", "give the runner's account the Role of the chart, in this namespace" },
    { "namespaces \"", "not found", "create the namespace, or correct namespace in [runners.kubernetes]" },
};

const char *pod_refusal_advice(const char *message)
{
    for (size_t i = 0; i < COUNT_OF(advices); i++)
        if (strstr(message, advices[i].said) && strstr(message, advices[i].also))
            return advices[i].advice;
    return NULL;
}
