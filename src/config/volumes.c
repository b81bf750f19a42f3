#include "volumes.h"

#include <string.h>

/* What DataOps' documented container mounts become in a pod (docs/reference/dataops.md, "What DataOps' jobs expect in
 * their container"): names are those of the chart. */
static const struct {
    const char *path, *name;
    enum config_volume_kind kind;
    bool read_only, optional;
} well_known[] = {
    { "/secrets", "dataops-vault", VOLUME_SECRET, true, false },
    { "/agent_cache", "dataops-agent-cache", VOLUME_PVC, false, false },
    { "/local_config", "dataops-local-config", VOLUME_EMPTY_DIR, false, false },
};

static struct config_volume *add_volume(struct config_volumes *volumes, enum config_volume_kind kind)
{
    struct config_volume *volume;

    volumes->items = mem_grow(volumes->items, (volumes->count + 1) * sizeof(*volumes->items));
    volume = &volumes->items[volumes->count++];
    *volume = (struct config_volume){ .kind = kind, .default_mode = -1 };
    read_defaults(&schema_volumes[kind], volume);
    return volume;
}

static int read_one(const struct reading *reading, enum config_volume_kind kind, const struct tree *table,
                    struct config_volumes *volumes)
{
    struct config_volume *volume = add_volume(volumes, kind);

    if (read_table(reading, &schema_volumes[kind], table, volume) < 0)
        return -1;
    if (volume->name == NULL || volume->name[0] == '\0')
        return read_fail(reading, table->line, "%s: name is missing", schema_volumes[kind].title);
    if (volume->mount_path == NULL || volume->mount_path[0] == '\0')
        return read_fail(reading, table->line, "%s %s: mount_path is missing", schema_volumes[kind].title,
                         volume->name);
    if (volume->mount_path[0] != '/' && volume->mount_path[0] != '$')
        return read_fail(reading, table->line, "%s %s: mount_path \"%s\" is not an absolute path",
                         schema_volumes[kind].title, volume->name, volume->mount_path);
    return 0;
}

int volumes_read(const struct reading *reading, const struct tree *table, struct config_volumes *volumes)
{
    if (table->kind != TREE_TABLE)
        return read_fail(reading, table->line, "volumes: a table is expected");
    for (const struct tree *kind = table->first; kind != NULL; kind = kind->next) {
        size_t found = 0;

        while (found < 5 && strcmp(schema_volume_names[found], kind->key) != 0)
            found++;
        if (found == 5)
            return read_fail(reading, kind->line,
                             "volumes.%s is not supported: use secret, config_map, pvc, empty_dir or host_path",
                             kind->key);
        if (kind->kind == TREE_TABLE && read_one(reading, (enum config_volume_kind)found, kind, volumes) < 0)
            return -1;
        if (kind->kind != TREE_LIST && kind->kind != TREE_TABLE && kind->kind != TREE_NULL)
            return read_fail(reading, kind->line, "%s: a list of tables is expected, this is a %s",
                             schema_volumes[found].title, tree_kind_name(kind->kind));
        if (kind->kind != TREE_LIST)
            continue;
        for (const struct tree *item = kind->first; item != NULL; item = item->next)
            if (read_one(reading, (enum config_volume_kind)found, item, volumes) < 0)
                return -1;
    }
    return 0;
}

static bool is_mounted(const struct config_volumes *volumes, const char *path)
{
    for (size_t i = 0; i < volumes->count; i++)
        if (strcmp(volumes->items[i].mount_path, path) == 0)
            return true;
    return false;
}

static void add_well_known(struct config_volumes *volumes, size_t which, bool read_only)
{
    struct config_volume *volume = add_volume(volumes, well_known[which].kind);

    volume->name = mem_text(well_known[which].name);
    volume->mount_path = mem_text(well_known[which].path);
    volume->read_only = read_only || well_known[which].read_only;
    volume->from_docker = true;
}

/* Docker's list of modes: whether "ro" is in it. */
static int read_modes(const struct reading *reading, const struct tree *item, const char *modes, bool *read_only)
{
    static const char *const known[] = { "rw",     "ro",      "z",     "Z",      "nocopy",  "cached",   "consistent",
                                         "shared", "rshared", "slave", "rslave", "private", "rprivate", "delegated" };

    while (*modes != '\0') {
        size_t length = strcspn(modes, ","), i = 0;
        OWNED_TEXT char *mode = mem_copy(modes, length);

        while (i < COUNT_OF(known) && strcmp(known[i], mode) != 0)
            i++;
        if (i == COUNT_OF(known))
            return read_fail(reading, item->line, "volumes: \"%s\": mode %s is neither ro nor rw", item->text, mode);
        *read_only = *read_only || strcmp(mode, "ro") == 0;
        modes += length + (modes[length] == ',' ? 1 : 0);
    }
    return 0;
}

/* "host:container[:mode]": the container's path decides; a bare path ("/cache") is Docker's anonymous volume and has no
 * meaning here. */
static int read_docker_volume(const struct reading *reading, const struct tree *item, struct config_volumes *volumes)
{
    const char *first = strchr(item->text, ':'), *second = first != NULL ? strchr(first + 1, ':') : NULL;
    bool read_only = false;
    size_t length;

    if (first == NULL)
        return 0;
    if (second != NULL && read_modes(reading, item, second + 1, &read_only) < 0)
        return -1;
    length = second != NULL ? (size_t)(second - first - 1) : strlen(first + 1);
    while (length > 1 && first[length] == '/')
        length--;
    OWNED_TEXT char *path = mem_copy(first + 1, length);
    for (size_t i = 0; i < COUNT_OF(well_known); i++)
        if (strcmp(well_known[i].path, path) == 0) {
            if (!is_mounted(volumes, path))
                add_well_known(volumes, i, read_only);
            return 0;
        }
    read_warn(reading, item->line,
              "volumes: \"%s\" has no effect: a folder of the node needs [[runners.kubernetes.volumes.host_path]]",
              item->text);
    return 0;
}

int volumes_read_docker(const struct reading *reading, const struct tree *docker, struct config_runner *runner)
{
    const struct tree *volumes = tree_get(docker, "volumes");
    struct reading table = *reading;

    table.guards_elsewhere = strcmp(runner->executor, "docker") != 0;
    if (read_table(&table, &schema_docker, docker, runner) < 0)
        return -1;
    if (volumes != NULL && volumes->kind == TREE_TEXT)
        return read_docker_volume(reading, volumes, &runner->kubernetes.volumes);
    for (const struct tree *item = volumes != NULL ? volumes->first : NULL; item != NULL; item = item->next)
        if (read_docker_volume(reading, item, &runner->kubernetes.volumes) < 0)
            return -1;
    return 0;
}

void volumes_clear(struct config_volumes *volumes)
{
    for (size_t i = 0; i < volumes->count; i++)
        read_clear(&schema_volumes[volumes->items[i].kind], &volumes->items[i]);
    mem_free(volumes->items);
    *volumes = (struct config_volumes){ 0 };
}
