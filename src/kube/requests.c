/* The everyday requests, as kube_start wants them. */
#include "kube/client.h"

#include "connection.h"
#include "text/json.h"
#include "text/url.h"

#include <string.h>

static const char *group_of(const char *resource)
{
    return strcmp(resource, "leases") == 0 ? "/apis/coordination.k8s.io/v1" : "/api/v1";
}

char *kube_path(const char *ns, const char *resource, const char *name)
{
    struct strbuf path = STRBUF_EMPTY;
    strbuf_format(&path, "%s/namespaces/", group_of(resource));
    url_escape(ns, &path);
    strbuf_format(&path, "/%s", resource);
    if (name) {
        strbuf_add_char(&path, '/');
        url_escape(name, &path);
    }
    return strbuf_take(&path, NULL);
}

/* "create pod job-1": resources are plural, people are told the singular. */
static char *words_for(const char *verb, const char *resource, const char *name)
{
    size_t length = strlen(resource);
    if (length > 0 && resource[length - 1] == 's')
        length--;
    return mem_format("%s %.*s%s%s", verb, (int)length, resource, name ? " " : "", name ? name : "");
}

static const char *name_of(const struct cJSON *object)
{
    return json_text(json_get(object, "metadata"), "name", NULL);
}

static struct kube_call *create(struct kube *kube, const char *ns, const char *resource, const struct cJSON *object,
                                const char *query, kube_done *done, void *owner)
{
    OWNED_TEXT char *collection = kube_path(ns, resource, NULL);
    OWNED_TEXT char *path = mem_format("%s%s", collection, query);
    OWNED_TEXT char *what = words_for("create", resource, name_of(object));
    /* our names are fixed beforehand, so a repeated create ends in AlreadyExists at worst */
    struct kube_request request = {
        .method = "POST",
        .path = path,
        .body = object,
        .idempotent = name_of(object) != NULL,
        .metadata_only = strcmp(resource, "pods") == 0,
        .what = what,
    };
    return kube_start(kube, &request, done, owner);
}

struct kube_call *kube_create(struct kube *kube, const char *ns, const char *resource, const struct cJSON *object,
                              kube_done *done, void *owner)
{
    return create(kube, ns, resource, object, "", done, owner);
}

struct kube_call *kube_create_dry(struct kube *kube, const char *ns, const char *resource, const struct cJSON *object,
                                  kube_done *done, void *owner)
{
    return create(kube, ns, resource, object, "?dryRun=All", done, owner);
}

struct kube_call *kube_get(struct kube *kube, const char *ns, const char *resource, const char *name, kube_done *done,
                           void *owner)
{
    OWNED_TEXT char *path = kube_path(ns, resource, name);
    OWNED_TEXT char *what = words_for("get", resource, name);
    struct kube_request request = { .method = "GET", .path = path, .idempotent = true, .what = what };
    return kube_start(kube, &request, done, owner);
}

struct kube_call *kube_list(struct kube *kube, const char *ns, const char *resource, const char *selector,
                            kube_done *done, void *owner)
{
    OWNED_TEXT char *collection = kube_path(ns, resource, NULL);
    OWNED_TEXT char *path = mem_format("%s%s%s", collection, selector ? "?" : "", selector ? selector : "");
    OWNED_TEXT char *what = mem_format("list %s", resource);
    struct kube_request request = { .method = "GET", .path = path, .idempotent = true, .what = what };
    return kube_start(kube, &request, done, owner);
}

struct kube_call *kube_patch(struct kube *kube, const char *ns, const char *resource, const char *name,
                             const struct cJSON *patch, kube_done *done, void *owner)
{
    OWNED_TEXT char *path = kube_path(ns, resource, name);
    OWNED_TEXT char *what = words_for("patch", resource, name);
    struct kube_request request = { .method = "PATCH",
                                    .path = path,
                                    .body = patch,
                                    .content_type = "application/merge-patch+json",
                                    .idempotent = true,
                                    .metadata_only = true,
                                    .what = what };
    return kube_start(kube, &request, done, owner);
}

struct kube_call *kube_put(struct kube *kube, const char *ns, const char *resource, const char *name,
                           const struct cJSON *object, kube_done *done, void *owner)
{
    OWNED_TEXT char *path = kube_path(ns, resource, name);
    OWNED_TEXT char *what = words_for("update", resource, name);
    struct kube_request request = { .method = "PUT", .path = path, .body = object, .what = what };
    return kube_start(kube, &request, done, owner);
}

struct kube_call *kube_delete(struct kube *kube, const char *ns, const char *resource, const char *name,
                              const char *uid, int grace_s, kube_done *done, void *owner)
{
    OWNED_JSON struct cJSON *options = json_object();
    OWNED_TEXT char *path = kube_path(ns, resource, name);
    OWNED_TEXT char *what = words_for("delete", resource, name);
    if (grace_s >= 0)
        json_set_int(options, "gracePeriodSeconds", grace_s);
    json_set_text(json_set_object(options, "preconditions"), "uid", uid);
    json_set_text(options, "propagationPolicy", "Background");
    struct kube_request request = {
        .method = "DELETE",
        .path = path,
        .body = options,
        .idempotent = true,
        .gone_is_fine = true,
        .metadata_only = true,
        .what = what,
    };
    return kube_start(kube, &request, done, owner);
}
