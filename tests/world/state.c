/* The release's state Secret as an API server keeps it. */
#include "text/json.h"
#include "world.h"

#include <string.h>

static struct cJSON *secret;
static unsigned version;

static void replace(struct cJSON *object, const char *name, const char *value)
{
    json_remove(object, name);
    json_set_text(object, name, value);
}

static struct cJSON *store(const struct cJSON *body)
{
    OWNED_TEXT char *text = mem_format("%u", ++version);
    struct cJSON *meta;

    json_free(secret);
    secret = json_copy(body);
    meta = json_get(secret, "metadata");
    replace(meta, "uid", "uid-of-the-state");
    replace(meta, "resourceVersion", text);
    return json_copy(secret);
}

struct cJSON *state_secret_get(void)
{
    return secret != NULL ? json_copy(secret) : NULL;
}

enum kube_class state_secret_create(const struct cJSON *body, struct cJSON **answer)
{
    if (secret != NULL)
        return KUBE_EXISTS;
    *answer = store(body);
    return KUBE_OK;
}

enum kube_class state_secret_put(const struct cJSON *body, struct cJSON **answer)
{
    const char *known = json_text_at(secret, "metadata.resourceVersion", "");

    if (secret == NULL)
        return KUBE_MISSING;
    if (strcmp(known, json_text_at(body, "metadata.resourceVersion", "")) != 0)
        return KUBE_CONFLICT;
    *answer = store(body);
    return KUBE_OK;
}

void state_secret_clear(void)
{
    json_free(secret);
    secret = NULL;
}
