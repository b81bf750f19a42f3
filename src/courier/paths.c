#include "paths.h"

#include "base/mem.h"

#include <string.h>

void paths_init(struct paths *paths, const char *root)
{
    size_t length = root ? strlen(root) : 0;
    while (length > 0 && root[length - 1] == '/')
        length--;
    paths->root = mem_copy(root ? root : "", length);
    paths->shared = paths_below_root(paths, "/.dataops");
    paths->socket = paths_below_root(paths, "/.dataops/socket");
    paths->step = paths_below_root(paths, "/.dataops/step");
    paths->files = paths_below_root(paths, "/.dataops/files");
    paths->plan_folder = paths_below_root(paths, "/.dataops-plan");
    paths->plan = paths_below_root(paths, "/.dataops-plan/plan");
    paths->orders = paths_below_root(paths, "/.dataops-order");
    paths->scratch = paths_below_root(paths, "/.dataops-scratch");
    paths->termination = paths_below_root(paths, "/dev/termination-log");
}

char *paths_below_root(const struct paths *paths, const char *path)
{
    return mem_format("%s%s", paths->root, path);
}

void paths_clear(struct paths *paths)
{
    mem_free(paths->shared);
    mem_free(paths->socket);
    mem_free(paths->step);
    mem_free(paths->files);
    mem_free(paths->plan_folder);
    mem_free(paths->plan);
    mem_free(paths->orders);
    mem_free(paths->scratch);
    mem_free(paths->termination);
    mem_free(paths->root);
    *paths = (struct paths){ 0 };
}
