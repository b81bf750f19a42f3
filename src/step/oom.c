#include "oom.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opened before the job runs, which may mount over it, if it is allowed to. */
static int counter_fd = -1;

/*
 * Path of this process's cgroup: "0::PATH" in version 2, "N:...,memory,...:PATH" in version 1. A container without a
 * cgroup namespace sees the path from the node's root, which does not exist in its own mount.
 */
static bool cgroup_path(bool version2, char *path, size_t path_bytes)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *start = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!start)
            continue;
        *start++ = '\0';
        controllers++;
        const char *memory = strstr(controllers, "memory");
        found = version2 ? *controllers == '\0'
                         : memory && (memory == controllers || memory[-1] == ',') &&
                               (memory[strlen("memory")] == '\0' || memory[strlen("memory")] == ',');
        if (found)
            snprintf(path, path_bytes, "%s", start);
    }
    fclose(file);
    return found;
}

static void counter_try(const char *mount, const char *path, const char *file)
{
    char whole[4200];
    if (counter_fd >= 0 || (size_t)snprintf(whole, sizeof whole, "%s%s/%s", mount, path, file) >= sizeof whole)
        return;
    counter_fd = open(whole, O_RDONLY | O_CLOEXEC);
}

void oom_open(void)
{
    char path[4096];
    if (cgroup_path(true, path, sizeof path))
        counter_try("/sys/fs/cgroup", path, "memory.events");
    counter_try("/sys/fs/cgroup", "", "memory.events");
    if (cgroup_path(false, path, sizeof path))
        counter_try("/sys/fs/cgroup/memory", path, "memory.oom_control");
    counter_try("/sys/fs/cgroup/memory", "", "memory.oom_control");
}

int64_t oom_kills(void)
{
    char text[1024] = "\n";
    if (counter_fd < 0)
        return -1;
    const ssize_t bytes = pread(counter_fd, text + 1, sizeof text - 2, 0);
    if (bytes <= 0)
        return -1;
    text[bytes + 1] = '\0';
    const char *line = strstr(text, "\noom_kill ");
    return line ? strtoll(line + strlen("\noom_kill "), NULL, 10) : -1;
}
