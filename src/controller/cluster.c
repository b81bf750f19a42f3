#include "cluster.h"

#include "base/list.h"
#include "base/log.h"
#include "base/strmap.h"
#include "kube/client.h"
#include "kube/watch.h"
#include "pod/name.h"
#include "pod/status.h"
#include "removal.h"
#include "text/json.h"
#include "text/url.h"

#include <string.h>

struct cluster_set {
    const struct frame *frame;
    const struct cluster_events *events;
    void *owner;
    struct list clusters;
    unsigned deletions;
};
struct cluster {
    struct list node;
    struct cluster_set *set;
    const struct config_kubernetes *wish; /* what the first entry said of the API server */
    struct kube *kube;
    bool owns_kube;
    char *ns;
    struct kube_watch *watch;
    struct strmap claims; /* pod name -> struct claim */
    struct strmap found;  /* uid -> Pod object, until the first list is complete */
    struct list orphans;
    bool is_listed, is_in_trouble;
};
struct claim {
    const struct pod_events *events;
    void *owner;
};

/* --- the watch --- */

static void cluster_pod_changed(void *owner, const struct cJSON *object)
{
    struct cluster *cluster = owner;
    const struct claim *claim = strmap_get(&cluster->claims, json_text_at(object, "metadata.name", ""));
    struct pod_status status;

    cluster->set->events->seen(cluster->set->owner, cluster, object);
    if (claim == NULL && !cluster->is_listed)
        strmap_set(&cluster->found, json_text_at(object, "metadata.uid", ""), json_copy(object));
    if (claim == NULL)
        return;
    pod_status_read(object, &status);
    claim->events->changed(claim->owner, &status);
}

static void cluster_pod_gone(void *owner, const struct cJSON *last)
{
    struct cluster *cluster = owner;
    const struct claim *claim = strmap_get(&cluster->claims, json_text_at(last, "metadata.name", ""));
    const char *uid = json_text_at(last, "metadata.uid", "");

    strmap_remove(&cluster->found, uid);
    cluster->set->events->vanished(cluster->set->owner, uid);
    if (claim != NULL)
        claim->events->gone(claim->owner, uid);
}

static void cluster_listed(void *owner)
{
    struct cluster *cluster = owner;
    struct cluster_set *set = cluster->set;
    size_t position = 0;

    if (cluster->is_listed) {
        for (struct strmap_entry *entry = strmap_next(&cluster->claims, &position); entry != NULL;
             entry = strmap_next(&cluster->claims, &position)) {
            const struct claim *claim = entry->value;
            claim->events->listed(claim->owner);
        }
        return;
    }
    log_event(LOG_INFO, "kubernetes_ready", LOG_TEXT("server", kube_server(cluster->kube)),
              LOG_TEXT("namespace", cluster->ns));
    cluster->is_listed = true;
    set->events->found(set->owner, cluster, &cluster->found);
    strmap_clear(&cluster->found);
}

static void cluster_trouble(void *owner, const struct error *error)
{
    struct cluster *cluster = owner;

    cluster->is_in_trouble = error->blame != BLAME_NONE;
    if (cluster->is_in_trouble)
        log_event(LOG_ERROR, "kubernetes_trouble", LOG_TEXT("namespace", cluster->ns), LOG_TEXT("error", error->text));
    else
        log_event(LOG_INFO, "kubernetes_well", LOG_TEXT("namespace", cluster->ns));
}

static const struct kube_watch_events cluster_watch_events = {
    .changed = cluster_pod_changed,
    .gone = cluster_pod_gone,
    .listed = cluster_listed,
    .trouble = cluster_trouble,
};

static void cluster_start(struct cluster *cluster)
{
    struct strbuf selector = STRBUF_EMPTY;

    strbuf_add_text(&selector, "labelSelector=");
    url_escape(POD_LABEL_RELEASE "=", &selector);
    url_escape(cluster->set->frame->options.release, &selector);
    cluster->watch = kube_watch_start(cluster->kube, cluster->ns, "pods", strbuf_text(&selector), NULL,
                                      &cluster_watch_events, cluster);
    strbuf_clear(&selector);
}

/* --- claims --- */

void cluster_claim(struct cluster *cluster, const char *pod, const struct pod_events *events, void *owner)
{
    struct claim *claim = mem_new(sizeof(*claim));

    *claim = (struct claim){ events, owner };
    strmap_set(&cluster->claims, pod, claim);
}

void cluster_release(struct cluster *cluster, const char *pod, const void *owner)
{
    const struct claim *claim = strmap_get(&cluster->claims, pod);

    if (claim != NULL && claim->owner == owner)
        strmap_remove(&cluster->claims, pod);
}

/* --- pods without an attempt --- */

struct orphan {
    struct list node;
    struct cluster *cluster;
    struct removal *removal;
};

static void orphan_free(struct orphan *orphan)
{
    removal_free(orphan->removal);
    list_remove(&orphan->node);
    orphan->cluster->set->deletions--;
    mem_free(orphan);
}

static void orphan_deleted(void *owner)
{
    struct orphan *orphan = owner;
    struct cluster_set *set = orphan->cluster->set;

    orphan_free(orphan);
    set->events->deleted(set->owner);
}

void cluster_delete_pod(struct cluster *cluster, const struct sealed_job *job, const char *pod, const char *uid)
{
    struct orphan *orphan = mem_new(sizeof(*orphan));
    const struct removal_input input = {
        .loop = cluster->set->frame->loop, .kube = cluster->kube, .ns = cluster->ns, .pod = pod, .uid = uid, .job = job
    };

    orphan->cluster = cluster;
    list_append(&cluster->orphans, &orphan->node);
    cluster->set->deletions++;
    orphan->removal = removal_new(&input, orphan_deleted, orphan);
}

/* --- which namespace, which client --- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same_server(const struct config_kubernetes *a, const struct config_kubernetes *b)
{
    return is_same_text(a->host, b->host) && is_same_text(a->context, b->context) &&
           is_same_text(a->bearer_token, b->bearer_token) && is_same_text(a->ca_file, b->ca_file) &&
           is_same_text(a->cert_file, b->cert_file) && is_same_text(a->key_file, b->key_file);
}

static struct kube *client_new(const struct frame *frame, const struct config_kubernetes *wish, struct error *error)
{
    struct kube_place place = frame->options.place;

    place.host = wish->host;
    place.ca_file = wish->ca_file;
    place.cert_file = wish->cert_file;
    place.key_file = wish->key_file;
    place.bearer_token = wish->bearer_token;
    if (wish->context != NULL)
        place.context = wish->context;
    return kube_new(frame->loop, frame->http, frame->ws, &place, error);
}

static struct kube *client_of(const struct cluster_set *set, const struct config_kubernetes *wish)
{
    LIST_EACH(node, &set->clusters)
    {
        const struct cluster *known = list_of(node, struct cluster, node);
        if (is_same_server(known->wish, wish))
            return known->kube;
    }
    return NULL;
}

static void free_object(void *object)
{
    json_free(object);
}

struct cluster *cluster_for(struct cluster_set *set, const struct config_kubernetes *wish, struct error *error)
{
    struct kube *shared = client_of(set, wish);
    struct kube *kube = shared != NULL ? shared : client_new(set->frame, wish, error);
    const char *ns = wish->ns;
    struct cluster *cluster;

    if (kube == NULL)
        return NULL;
    if (ns == NULL || ns[0] == '\0')
        ns = set->frame->options.ns != NULL ? set->frame->options.ns : kube_namespace(kube);
    if (ns == NULL || ns[0] == '\0')
        ns = "default";
    LIST_EACH(node, &set->clusters)
    {
        struct cluster *known = list_of(node, struct cluster, node);
        if (known->kube == kube && strcmp(known->ns, ns) == 0)
            return known;
    }
    cluster = mem_new(sizeof(*cluster));
    cluster->set = set;
    cluster->wish = wish;
    cluster->kube = kube;
    cluster->owns_kube = shared == NULL;
    cluster->ns = mem_text(ns);
    cluster->claims = (struct strmap){ .free_value = mem_free };
    cluster->found = (struct strmap){ .free_value = free_object };
    list_init(&cluster->orphans);
    list_append(&set->clusters, &cluster->node);
    return cluster;
}

struct kube *cluster_kube(const struct cluster *cluster)
{
    return cluster->kube;
}

const char *cluster_namespace(const struct cluster *cluster)
{
    return cluster->ns;
}

bool cluster_is_listed(const struct cluster *cluster)
{
    return cluster->is_listed;
}

/* --- all of them --- */

struct cluster_set *cluster_set_new(const struct frame *frame, const struct cluster_events *events, void *owner)
{
    struct cluster_set *set = mem_new(sizeof(*set));

    set->frame = frame;
    set->events = events;
    set->owner = owner;
    list_init(&set->clusters);
    return set;
}

void cluster_set_start(struct cluster_set *set)
{
    LIST_EACH(node, &set->clusters)
    cluster_start(list_of(node, struct cluster, node));
}

bool cluster_set_is_listed(const struct cluster_set *set)
{
    LIST_EACH(node, &set->clusters)
    if (!list_of(node, struct cluster, node)->is_listed)
        return false;
    return true;
}

bool cluster_set_is_well(const struct cluster_set *set)
{
    LIST_EACH(node, &set->clusters)
    if (list_of(node, struct cluster, node)->is_in_trouble)
        return false;
    return cluster_set_is_listed(set);
}

unsigned cluster_set_deletions(const struct cluster_set *set)
{
    return set->deletions;
}

static void cluster_stop(struct cluster *cluster)
{
    LIST_EACH_SAFE(node, &cluster->orphans)
    orphan_free(list_of(node, struct orphan, node));
    kube_watch_stop(cluster->watch);
    cluster->watch = NULL;
}

static void cluster_free(struct cluster *cluster)
{
    if (cluster->owns_kube)
        kube_free(cluster->kube);
    strmap_clear(&cluster->claims);
    strmap_clear(&cluster->found);
    list_remove(&cluster->node);
    mem_free(cluster->ns);
    mem_free(cluster);
}

void cluster_set_free(struct cluster_set *set)
{
    if (set == NULL)
        return;
    /* Two clusters may share one client: all of them stop before the first client goes. */
    LIST_EACH(node, &set->clusters)
    cluster_stop(list_of(node, struct cluster, node));
    LIST_EACH_SAFE(node, &set->clusters)
    cluster_free(list_of(node, struct cluster, node));
    mem_free(set);
}
