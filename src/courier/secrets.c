#include "secrets.h"

#include "io/file.h"
#include "text/json.h"
#include "text/mask.h"
#include "text/yaml.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MOST 1000
#define FILE_MOST  (4u * MIB)
#define DEPTH_MOST 8

static void phrase_add(struct mask *mask, const char *bytes, size_t length)
{
    while (length > 0 && strchr(" \t\r\n\v\f", bytes[0]) && bytes[0]) {
        bytes++;
        length--;
    }
    while (length > 0 && bytes[length - 1] && strchr(" \t\r\n\v\f", bytes[length - 1]))
        length--;
    if (length >= SECRET_LEAST_BYTES)
        mask_add_phrase(mask, bytes, length);
}

static void lines_add(struct mask *mask, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    phrase_add(mask, bytes, length);
    while (bytes < end) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        if (!stop)
            stop = end;
        phrase_add(mask, bytes, (size_t)(stop - bytes));
        bytes = stop + 1;
    }
}

static void scalars_add(struct mask *mask, const struct tree *tree)
{
    if (tree->text)
        lines_add(mask, tree->text, strlen(tree->text));
    for (const struct tree *child = tree->first; child; child = child->next)
        scalars_add(mask, child);
}

static void json_add_scalars(struct mask *mask, const struct cJSON *item)
{
    const char *text = json_item_text(item);
    if (text)
        lines_add(mask, text, strlen(text));
    for (const struct cJSON *child = json_first(item); child; child = json_next(child))
        json_add_scalars(mask, child);
}

/* YAML reads most of JSON, but no escaped surrogates and no name that is there twice, and a line end in a text
 * differently: so both read the file. */
void secrets_add_content(struct mask *mask, const char *bytes, size_t length)
{
    struct error ignored = ERROR_NONE;
    lines_add(mask, bytes, length);
    OWNED_TREE struct tree *tree = yaml_parse(bytes, length, &ignored);
    if (tree)
        scalars_add(mask, tree);
    OWNED_JSON struct cJSON *json = json_parse(bytes, length, &ignored);
    json_add_scalars(mask, json);
}

static void file_add(struct mask *mask, const char *path)
{
    struct strbuf content = STRBUF_UP_TO(FILE_MOST);
    struct error ignored = ERROR_NONE;
    if (file_read(path, &content, &ignored) == 0)
        secrets_add_content(mask, strbuf_text(&content), content.length);
    strbuf_wipe(&content);
}

static void folder_add(struct mask *mask, const char *folder, unsigned depth, size_t *files)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    while (stream && *files < FILES_MOST && (entry = readdir(stream))) {
        struct stat status;
        if (strncmp(entry->d_name, "..", 2) == 0 || strcmp(entry->d_name, ".") == 0)
            continue;
        OWNED_TEXT char *path = mem_format("%s/%s", folder, entry->d_name);
        if (stat(path, &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode) && depth < DEPTH_MOST)
            folder_add(mask, path, depth + 1, files);
        if (!S_ISREG(status.st_mode))
            continue;
        file_add(mask, path);
        ++*files;
    }
    if (stream)
        closedir(stream);
}

size_t secrets_add_folder(struct mask *mask, const char *folder)
{
    size_t files = 0;
    folder_add(mask, folder, 0, &files);
    return files;
}
