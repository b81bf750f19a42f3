/* One text of JSON, {"values":[...],"prefixes":[...]}: the smallest form, and the one that is sealed. */
#include "job/masking.h"

#include "plan_settings.h"
#include "text/json.h"

#include <string.h>

struct masking {
    char *json;
};

/* Only the beginning of a long value is kept: no text that it is looked for in is longer. */
static void keep_value(struct cJSON *values, const char *value)
{
    value += strspn(value, " \t\r\n\v\f");
    char *kept = mem_copy(value, strnlen(value, MASKING_VALUE_MOST));

    if (*kept != '\0')
        json_add_text(values, kept);
    mem_wipe_free(kept, strlen(kept));
}

static void keep_payload_values(struct cJSON *values, const struct job *job)
{
    for (size_t i = 0; i < job->variable_count; i++)
        if (job->variables[i].masked && job->variables[i].value != NULL)
            keep_value(values, job->variables[i].value);
}

static struct masking *masking_from(const struct cJSON *kept)
{
    struct masking *masking = mem_new(sizeof(*masking));

    masking->json = json_print(kept);
    return masking;
}

struct masking *masking_of(const struct job *job, const struct variables *variables)
{
    static const struct variables none = { 0 };
    static const struct job no_job = { 0 };
    OWNED_JSON struct cJSON *tree = json_object(), *kept = json_object();
    struct cJSON *values = json_set_array(kept, "values"), *prefixes = json_set_array(kept, "prefixes");

    variables = variables != NULL ? variables : &none;
    plan_set_mask(tree, job != NULL ? job : &no_job, variables, NULL);
    for (const struct cJSON *item = json_first(json_at(tree, "mask.values")); item != NULL; item = json_next(item))
        keep_value(values, json_item_text(item));
    if (job != NULL && variables->count == 0)
        keep_payload_values(values, job);
    for (const struct cJSON *item = json_first(json_at(tree, "mask.prefixes")); item != NULL; item = json_next(item))
        json_add_text(prefixes, json_item_text(item));
    return masking_from(kept);
}

bool masking_write(const struct masking *masking, struct cJSON *object)
{
    if (strlen(masking->json) > MASKING_SEALED_MOST)
        return false;
    json_set_text(object, "mask", masking->json);
    return true;
}

struct masking *masking_read(const struct cJSON *object)
{
    const char *text = json_text(object, "mask", NULL);
    struct error ignored = ERROR_NONE;
    OWNED_JSON struct cJSON *kept = text != NULL ? json_parse(text, strlen(text), &ignored) : NULL;

    if (json_get(kept, "values") == NULL || json_get(kept, "prefixes") == NULL)
        return NULL;
    return masking_from(kept);
}

struct mask *masking_open(const struct masking *masking)
{
    struct error ignored = ERROR_NONE; /* it is our own text */
    OWNED_JSON struct cJSON *kept = json_parse(masking->json, strlen(masking->json), &ignored);
    struct mask *mask = mask_new();

    for (const struct cJSON *item = json_first(json_get(kept, "values")); item != NULL; item = json_next(item))
        if (json_item_text(item) != NULL)
            mask_add_phrase(mask, json_item_text(item), strlen(json_item_text(item)));
    for (const struct cJSON *item = json_first(json_get(kept, "prefixes")); item != NULL; item = json_next(item))
        if (json_item_text(item) != NULL)
            mask_add_prefix(mask, json_item_text(item));
    return mask;
}

struct masking *masking_copy(const struct masking *masking)
{
    if (masking == NULL)
        return NULL;
    struct masking *copy = mem_new(sizeof(*copy));
    copy->json = mem_text(masking->json);
    return copy;
}

void masking_free(struct masking *masking)
{
    if (masking == NULL)
        return;
    mem_wipe_free(masking->json, strlen(masking->json));
    mem_free(masking);
}
