#include "limits.h"

#include <sys/resource.h>

static struct rlimit kept[RLIM_NLIMITS];

void limits_keep(void)
{
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        getrlimit((__rlimit_resource_t)i, &kept[i]);
}

void limits_restore(void)
{
    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit now;
        if (getrlimit((__rlimit_resource_t)i, &now) < 0)
            continue;
        const rlim_t wanted = kept[i].rlim_cur < now.rlim_max ? kept[i].rlim_cur : now.rlim_max;
        if (now.rlim_cur != wanted) {
            now.rlim_cur = wanted;
            setrlimit((__rlimit_resource_t)i, &now);
        }
    }
}
