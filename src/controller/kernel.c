#include "kernel.h"

#include "kube/client.h"
#include "say.h"

#define NEWER "use nodes with that kernel or a later one"

/* By Landlock's ABI (io/confine.h), the first row that fits. docs/design.md section 1 has what holds all the same. */
static const struct {
    int below_abi;
    enum log_level level;
    const char *missing, *effect, *todo;
} lacks[] = {
    { 1, LOG_WARN, "Landlock (Linux 5.13)",
      "should a job get a program started by git or while artifacts are packed, it can write courier's termination "
      "message; where the job is uid 0, or pod_security is restricted, it can also read the job's plan",
      "boot nodes with lsm=landlock,... and a kernel that has it, and let seccomp profiles pass landlock_*" },
    { 2, LOG_WARN, "Landlock ABI 2 (Linux 5.19)", "git lfs, tidying and unpacking in courier are not confined", NEWER },
    { 4, LOG_INFO, "Landlock ABI 4 (Linux 6.7)",
      "children of courier that need no network may open TCP connections, and they may send signals to processes of "
      "their user",
      NEWER },
    { 6, LOG_INFO, "Landlock ABI 6 (Linux 6.12)", "children of courier may send signals to processes of their user",
      NEWER },
};

void kernel_tell(const struct sealed_job *job, struct kube *kube, const char *node, const struct result *result)
{
    size_t i = 0;

    while (i < COUNT_OF(lacks) && result->landlock_abi >= lacks[i].below_abi)
        i++;
    if (!result->says_landlock || i == COUNT_OF(lacks))
        return;
    OWNED_TEXT char *words = mem_format("kernel_confines_less %s", lacks[i].missing);
    if (kube_is_first(kube, words))
        say_event(job, lacks[i].level, "kernel_confines_less", LOG_TEXT("node", node[0] != '\0' ? node : "unknown"),
                  LOG_NUMBER("landlock_abi", result->landlock_abi), LOG_TEXT("missing", lacks[i].missing),
                  LOG_TEXT("effect", lacks[i].effect), LOG_TEXT("todo", lacks[i].todo));
}
