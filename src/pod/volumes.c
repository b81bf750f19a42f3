#include "parts.h"

#include "pod/name.h"
#include "text/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SCRATCH_LIMIT "8Mi" /* CA, client certificate and key of git */

char *pod_volume_name(const struct config_volume *volume, size_t index)
{
    char part[24];
    size_t used = 0;

    for (const char *c = volume->name; *c != '\0' && used < sizeof(part) - 1; c++)
        part[used++] = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
    part[used] = '\0';
    return mem_format("v%zu-%s%s", index, part, used > 0 && part[used - 1] == '-' ? "x" : "");
}

char *pod_volume_key(const struct config_volume *volume, const char *key)
{
    static const char *const kinds[] = { [VOLUME_SECRET] = "secret",
                                         [VOLUME_CONFIG_MAP] = "config_map",
                                         [VOLUME_PVC] = "pvc",
                                         [VOLUME_EMPTY_DIR] = "empty_dir",
                                         [VOLUME_HOST_PATH] = "host_path" };

    return mem_format("%s of the %s volume %s", key, kinds[volume->kind], volume->name);
}

/* Gives the path where a volume appears, or NULL with an error. */
static char *mount_path(const struct pod_input *input, const struct config_volume *volume, struct error *error)
{
    OWNED_TEXT char *key = pod_volume_key(volume, "mount_path");

    return pod_text(input->facts, TEXT_MOUNT_PATH, key, volume->mount_path, error);
}

const struct config_volume *pod_builds_volume(const struct pod_input *input, size_t *index)
{
    const struct config_volumes *volumes = &input->runner->kubernetes.volumes;
    struct error ignored = ERROR_NONE;

    for (size_t i = 0; i < volumes->count; i++) {
        OWNED_TEXT char *path = mount_path(input, &volumes->items[i], &ignored);
        if (path != NULL && strcmp(path, input->runner->builds_dir) == 0) {
            *index = i;
            return &volumes->items[i];
        }
    }
    return NULL;
}

static void add_items(struct cJSON *source, const struct config_pairs *items)
{
    struct cJSON *list;

    if (items->count == 0)
        return;
    list = json_set_array(source, "items");
    for (size_t i = 0; i < items->count; i++) {
        struct cJSON *item = json_add_object(list);
        json_set_text(item, "key", items->items[i].key);
        json_set_text(item, "path", items->items[i].value);
    }
}

static void add_secret(struct cJSON *target, const struct config_volume *volume)
{
    struct cJSON *source = json_set_object(target, "secret");

    json_set_text(source, "secretName", volume->name);
    if (volume->default_mode >= 0)
        json_set_int(source, "defaultMode", volume->default_mode);
    if (volume->optional)
        json_set_bool(source, "optional", true);
    add_items(source, &volume->items);
}

/* The claim is the operator's choice, or that of a fact about the job. */
static int add_claim(struct cJSON *target, const struct pod_input *input, const struct config_volume *volume,
                     struct error *error)
{
    OWNED_TEXT char *key = pod_volume_key(volume, "name");
    OWNED_TEXT char *name = pod_text(input->facts, TEXT_OBJECT_NAME, key, volume->name, error);

    if (name == NULL)
        return -1;
    json_set_text(json_set_object(target, "persistentVolumeClaim"), "claimName", name);
    return 0;
}

static int add_source(struct cJSON *target, const struct pod_input *input, const struct config_volume *volume,
                      struct error *error)
{
    struct cJSON *source;

    switch (volume->kind) {
    case VOLUME_SECRET:
        add_secret(target, volume);
        break;
    case VOLUME_CONFIG_MAP:
        source = json_set_object(target, "configMap");
        json_set_text(source, "name", volume->name);
        add_items(source, &volume->items);
        break;
    case VOLUME_PVC:
        return add_claim(target, input, volume, error);
    case VOLUME_EMPTY_DIR:
        source = json_set_object(target, "emptyDir");
        if (volume->medium != NULL)
            json_set_text(source, "medium", volume->medium);
        if (volume->size_limit != NULL)
            json_set_text(source, "sizeLimit", volume->size_limit);
        break;
    case VOLUME_HOST_PATH:
        json_set_text(json_set_object(target, "hostPath"), "path",
                      volume->host_path != NULL ? volume->host_path : volume->mount_path);
        break;
    }
    return 0;
}

static void add_empty_dir(struct cJSON *volumes, const char *name, const char *medium, const char *size_limit)
{
    struct cJSON *volume = json_add_object(volumes), *source;

    json_set_text(volume, "name", name);
    source = json_set_object(volume, "emptyDir");
    if (medium != NULL)
        json_set_text(source, "medium", medium);
    if (size_limit != NULL)
        json_set_text(source, "sizeLimit", size_limit);
}

/* Bytes as people write them, with the largest suffix that is exact; mem_free. */
static char *quantity_text(int64_t bytes)
{
    static const char *const suffixes[] = { "", "Ki", "Mi", "Gi", "Ti" };
    size_t suffix = 0;

    for (; bytes % 1024 == 0 && suffix + 1 < COUNT_OF(suffixes); suffix++)
        bytes /= 1024;
    return mem_format("%" PRId64 "%s", bytes, suffixes[suffix]);
}

/* Our own: shared memory, sources, plan, order, and what courier writes, secrets in memory and archives on disk. The
 * plan's Secret has the pod's name. */
static void add_own(struct cJSON *volumes, const struct pod_input *input, const char *pod_name)
{
    /* what courier puts there is one downloaded archive at a time */
    OWNED_TEXT char *tmp_limit = quantity_text(input->runner->kubernetes.artifact_download_limit);
    struct cJSON *volume, *source, *item;
    size_t index;

    add_empty_dir(volumes, "dataops", "Memory", "32Mi");
    if (pod_builds_volume(input, &index) == NULL)
        add_empty_dir(volumes, "builds", NULL, NULL);
    volume = json_add_object(volumes);
    json_set_text(volume, "name", "plan");
    source = json_set_object(volume, "secret");
    json_set_text(source, "secretName", pod_name);
    json_set_int(source, "defaultMode", 0400);
    item = json_add_object(json_set_array(source, "items"));
    json_set_text(item, "key", "plan");
    json_set_text(item, "path", "plan");
    volume = json_add_object(volumes);
    json_set_text(volume, "name", "order");
    item = json_add_object(json_set_array(json_set_object(volume, "downwardAPI"), "items"));
    json_set_text(item, "path", "order");
    json_set_text(json_set_object(item, "fieldRef"), "fieldPath", "metadata.annotations['" POD_ANNOTATION_ORDER "']");
    add_empty_dir(volumes, "scratch", "Memory", SCRATCH_LIMIT);
    add_empty_dir(volumes, "tmp", NULL, tmp_limit);
}

struct cJSON *pod_volumes(const struct pod_input *input, const char *pod_name, struct error *error)
{
    struct cJSON *volumes = json_array();
    const struct config_volumes *wished = &input->runner->kubernetes.volumes;

    add_own(volumes, input, pod_name);
    for (size_t i = 0; i < wished->count; i++) {
        struct cJSON *volume = json_add_object(volumes);
        OWNED_TEXT char *name = pod_volume_name(&wished->items[i], i);
        json_set_text(volume, "name", name);
        if (add_source(volume, input, &wished->items[i], error) < 0) {
            json_free(volumes);
            return NULL;
        }
    }
    return volumes;
}

static int add_mount(const struct pod_input *input, const struct config_volume *volume, const char *name,
                     struct cJSON *mounts, struct error *error)
{
    OWNED_TEXT char *path = mount_path(input, volume, error);
    OWNED_TEXT char *key = pod_volume_key(volume, "sub_path");
    struct cJSON *mount;

    if (path == NULL)
        return -1;
    for (struct cJSON *other = json_first(mounts); other != NULL; other = json_next(other))
        if (strcmp(json_text(other, "mountPath", ""), path) == 0)
            return error_set(error, BLAME_CONFIG, 0,
                             "two volumes are mounted at %s: remove one of them from [runners.kubernetes.volumes]",
                             path);
    mount = json_add_object(mounts);
    json_set_text(mount, "name", name);
    json_set_text(mount, "mountPath", path);
    if (volume->sub_path != NULL && volume->sub_path[0] != '\0') {
        OWNED_TEXT char *sub_path = pod_text(input->facts, TEXT_SUB_PATH, key, volume->sub_path, error);
        if (sub_path == NULL)
            return -1;
        json_set_text(mount, "subPath", sub_path);
    }
    if (volume->read_only)
        json_set_bool(mount, "readOnly", true);
    if (volume->mount_propagation != NULL)
        json_set_text(mount, "mountPropagation", volume->mount_propagation);
    return 0;
}

int pod_add_mounts(const struct pod_input *input, struct cJSON *mounts, struct error *error)
{
    const struct config_volumes *wished = &input->runner->kubernetes.volumes;

    for (size_t i = 0; i < wished->count; i++) {
        OWNED_TEXT char *name = pod_volume_name(&wished->items[i], i);
        if (add_mount(input, &wished->items[i], name, mounts, error) < 0)
            return -1;
    }
    return 0;
}

char **pod_mask_folders(const struct config_runner *runner)
{
    const struct config_volumes *volumes = &runner->kubernetes.volumes;
    char **folders = mem_new_array(volumes->count + 1, sizeof(*folders));
    size_t count = 0;

    if (!runner->kubernetes.mask_mounted_secrets)
        return folders;
    for (size_t i = 0; i < volumes->count; i++)
        if (volumes->items[i].kind == VOLUME_SECRET) {
            OWNED_TEXT char *name = pod_volume_name(&volumes->items[i], i);
            folders[count++] = mem_format(POD_MASK_FOLDER "/%s", name);
        }
    return folders;
}
