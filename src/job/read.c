#include "read.h"

#include "text/json.h"

#include <stdio.h>
#include <string.h>

void read_at(struct read *read, const char *name, long index)
{
    if (index < 0)
        snprintf(read->where, sizeof(read->where), "%s", name);
    else
        snprintf(read->where, sizeof(read->where), "%s[%ld]", name, index);
}

void read_refuse(struct read *read, const char *name, const char *why)
{
    if (read->failed)
        return;
    read->failed = true;
    error_set(read->error, BLAME_INPUT, 0, "%s%s%s: %s", read->where, *read->where && *name ? "." : "", name, why);
}

bool read_element(struct read *read, const char *name, long index, const struct cJSON *item)
{
    read_at(read, name, index);
    if (!json_is_object(item) && !json_is_null(item))
        read_refuse(read, "", "an object is expected");
    return json_is_object(item);
}

/* The member when it is there and nothing failed before. */
static struct cJSON *member(struct read *read, const struct cJSON *object, const char *name)
{
    struct cJSON *item = read->failed ? NULL : json_get(object, name);

    return item && !json_is_null(item) ? item : NULL;
}

char *read_text(struct read *read, const struct cJSON *object, const char *name)
{
    const struct cJSON *item = member(read, object, name);

    if (!item)
        return NULL;
    const char *text = json_item_text(item);
    if (!text)
        read_refuse(read, name, "a text is expected");
    return mem_text(text);
}

char *read_text_or(struct read *read, const struct cJSON *object, const char *name, const char *otherwise)
{
    char *text = read_text(read, object, name);

    return text ? text : mem_text(otherwise);
}

char *read_text_needed(struct read *read, const struct cJSON *object, const char *name)
{
    char *text = read_text_or(read, object, name, "");

    if (!*text)
        read_refuse(read, name, "is missing");
    return text;
}

bool read_bool(struct read *read, const struct cJSON *object, const char *name, bool otherwise)
{
    const struct cJSON *item = member(read, object, name);

    if (!item)
        return otherwise;
    if (!json_is_bool(item))
        read_refuse(read, name, "true or false is expected");
    return json_bool(object, name, otherwise);
}

int64_t read_int(struct read *read, const struct cJSON *object, const char *name, int64_t otherwise, int64_t least)
{
    const struct cJSON *item = member(read, object, name);

    if (!item)
        return otherwise;
    /* the accessor falls back silently, so two different defaults show whether it did */
    int64_t value = json_int(object, name, 0);
    if (!json_is_number(item) || value != json_int(object, name, 1))
        read_refuse(read, name, "a whole number is expected");
    else if (value < least)
        read_refuse(read, name, "is too small");
    return value;
}

struct cJSON *read_object(struct read *read, const struct cJSON *object, const char *name)
{
    struct cJSON *item = member(read, object, name);

    if (item && !json_is_object(item)) {
        read_refuse(read, name, "an object is expected");
        return NULL;
    }
    return item;
}

struct cJSON *read_array(struct read *read, const struct cJSON *object, const char *name)
{
    struct cJSON *item = member(read, object, name);

    if (item && !json_is_array(item)) {
        read_refuse(read, name, "a list is expected");
        return NULL;
    }
    return item;
}

char **read_texts(struct read *read, const struct cJSON *object, const char *name, size_t *count)
{
    const struct cJSON *array = read_array(read, object, name);
    char **texts;

    *count = 0;
    if (!array || json_count(array) == 0)
        return NULL;
    texts = mem_new_array(json_count(array), sizeof(*texts));
    for (const struct cJSON *item = json_first(array); item; item = json_next(item)) {
        const char *text = json_item_text(item);
        if (text)
            texts[(*count)++] = mem_text(text);
        else if (!json_is_null(item))
            read_refuse(read, name, "a list of texts is expected");
    }
    return texts;
}

void texts_free(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mem_free(texts[i]);
    mem_free(texts);
}
