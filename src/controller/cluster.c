/* One namespace of one Kubernetes: one watch for all its jobs. */
#include "parts.h"

#include "base/log.h"
#include "pod/name.h"
#include "text/json.h"
#include "text/url.h"

#include <stdio.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void cluster_pod_changed(void *owner, const struct cJSON *object)
{
    struct cluster *cluster = owner;
    struct run *run = strmap_get(&cluster->runs, json_text_at(object, "metadata.name", ""));
    struct pod_status status;

    keys_saw_pod(cluster, object);
    if (run == NULL && !cluster->listed)
        strmap_set(&cluster->found, json_text_at(object, "metadata.uid", ""), json_copy(object));
    if (run == NULL)
        return;
    pod_status_read(object, &status);
    run_pod_changed(run, &status);
}

static void cluster_pod_gone(void *owner, const struct cJSON *last)
{
    struct cluster *cluster = owner;
    struct run *run = strmap_get(&cluster->runs, json_text_at(last, "metadata.name", ""));
    const char *uid = json_text_at(last, "metadata.uid", "");

    strmap_remove(&cluster->found, uid);
    keys_pod_gone(cluster, uid);
    if (run != NULL && run->uid == NULL)
        snprintf(run->early_gone, sizeof(run->early_gone), "%s", uid);
    else if (run != NULL && strcmp(run->uid, uid) == 0)
        run_pod_gone(run);
}

/* A pod that no list ever showed to us is gone for sure when a list does not show it. */
static void cluster_end_unseen(struct cluster *cluster)
{
    LIST_EACH_SAFE(node, &cluster->controller->runs)
    {
        struct run *run = list_of(node, struct run, node);

        if (run->cluster == cluster && run->state == JOB_CLEANING && run->delete_call == NULL && run->uid != NULL &&
            run->delete_asked && run->status.uid[0] == '\0')
            run_pod_gone(run);
    }
}

static void cluster_listed(void *owner)
{
    struct cluster *cluster = owner;

    if (!cluster->listed)
        log_event(LOG_INFO, "kubernetes_ready", LOG_TEXT("server", kube_server(cluster->kube)),
                  LOG_TEXT("namespace", cluster->ns));
    if (cluster->listed)
        cluster_end_unseen(cluster);
    cluster->listed = true;
    adopt_found(cluster);
}

static void cluster_trouble(void *owner, const struct error *error)
{
    struct cluster *cluster = owner;

    cluster->in_trouble = error->blame != BLAME_NONE;
    if (cluster->in_trouble)
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

static struct kube *cluster_client(struct controller *controller, const struct config_kubernetes *wish,
                                   struct error *error)
{
    struct kube_place place = controller->options.place;

    place.host = wish->host;
    place.ca_file = wish->ca_file;
    place.cert_file = wish->cert_file;
    place.key_file = wish->key_file;
    place.bearer_token = wish->bearer_token;
    if (wish->context != NULL)
        place.context = wish->context;
    return kube_new(controller->loop, controller->http, controller->ws, &place, error);
}

/* Two entries that say the same of the API server share one client. */
static struct kube *cluster_shared_client(struct controller *controller, const struct config_kubernetes *wish)
{
    for (size_t i = 0; i < controller->intake_count; i++) {
        const struct intake *other = &controller->intakes[i];
        const struct config_kubernetes *its = &other->runner->kubernetes;

        if (other->cluster != NULL && same_text(its->host, wish->host) && same_text(its->context, wish->context) &&
            same_text(its->bearer_token, wish->bearer_token) && same_text(its->ca_file, wish->ca_file) &&
            same_text(its->cert_file, wish->cert_file) && same_text(its->key_file, wish->key_file))
            return other->cluster->kube;
    }
    return NULL;
}

struct grave {
    struct list node;
    struct cluster *cluster;
    char *pod, *uid;
    struct masking *masking; /* of its job: what Kubernetes says about the pod may hold its values */
    struct kube_call *call;
    struct timer *timer;
};

static void grave_free(struct grave *grave)
{
    struct controller *controller = grave->cluster->controller;

    kube_cancel(grave->call);
    timer_stop(&grave->timer);
    list_remove(&grave->node);
    controller->grave_count--;
    mem_free(grave->pod);
    mem_free(grave->uid);
    masking_free(grave->masking);
    mem_free(grave);
    intake_has_room(controller);
}

static void grave_dig(void *owner);

static void grave_dug(void *owner, const struct kube_answer *answer)
{
    struct grave *grave = owner;

    grave->call = NULL;
    if (answer->kind == KUBE_OK) {
        grave_free(grave);
        return;
    }
    masked_event(grave->masking, LOG_WARN, "pod_delete_failed", LOG_TEXT("pod", grave->pod),
                 LOG_TEXT("error", answer->error.text));
    if (answer->kind == KUBE_FORBIDDEN || (answer->kind == KUBE_REFUSED && answer->status < 500))
        grave_free(grave);
    else
        loop_after(grave->cluster->controller->loop, &grave->timer, RUN_ASK_AGAIN_MS, grave_dig, grave);
}

static void grave_dig(void *owner)
{
    struct grave *grave = owner;

    grave->call = kube_delete(grave->cluster->kube, grave->cluster->ns, "pods", grave->pod, grave->uid,
                              RUN_DELETE_GRACE_S, grave_dug, grave);
}

void cluster_bury(struct cluster *cluster, const char *pod, const char *uid, const struct masking *masking)
{
    struct grave *grave = mem_new(sizeof(*grave));

    grave->cluster = cluster;
    grave->pod = mem_text(pod);
    grave->uid = mem_text(uid);
    grave->masking = masking_copy(masking);
    list_append(&cluster->graves, &grave->node);
    cluster->controller->grave_count++;
    grave_dig(grave);
}

static void cluster_free_object(void *object)
{
    json_free(object);
}

struct cluster *cluster_for(struct controller *controller, const struct config_runner *runner, struct error *error)
{
    const struct config_kubernetes *wish = &runner->kubernetes;
    struct kube *shared = cluster_shared_client(controller, wish);
    struct kube *kube = shared != NULL ? shared : cluster_client(controller, wish, error);
    const char *ns = wish->ns;
    struct cluster *cluster;

    if (kube == NULL)
        return NULL;
    if (ns == NULL || ns[0] == '\0')
        ns = controller->options.ns != NULL ? controller->options.ns : kube_namespace(kube);
    if (ns == NULL || ns[0] == '\0')
        ns = "default";
    LIST_EACH(node, &controller->clusters)
    {
        struct cluster *known = list_of(node, struct cluster, node);
        if (known->kube == kube && strcmp(known->ns, ns) == 0)
            return known;
    }
    cluster = mem_new(sizeof(*cluster));
    cluster->controller = controller;
    cluster->kube = kube;
    cluster->owns_kube = shared == NULL;
    cluster->ns = mem_text(ns);
    list_init(&cluster->graves);
    cluster->found = (struct strmap){ .free_value = cluster_free_object };
    list_append(&controller->clusters, &cluster->node);
    return cluster;
}

void cluster_start(struct cluster *cluster)
{
    struct strbuf selector = STRBUF_EMPTY;

    strbuf_add_text(&selector, "labelSelector=");
    url_escape(POD_LABEL_RELEASE "=", &selector);
    url_escape(cluster->controller->options.release, &selector);
    cluster->watch = kube_watch_start(cluster->kube, cluster->ns, "pods", strbuf_text(&selector), NULL,
                                      &cluster_watch_events, cluster);
    strbuf_clear(&selector);
}

void cluster_stop(struct cluster *cluster)
{
    LIST_EACH_SAFE(node, &cluster->graves)
    grave_free(list_of(node, struct grave, node));
    kube_watch_stop(cluster->watch);
    cluster->watch = NULL;
}

void cluster_free(struct cluster *cluster)
{
    if (cluster->owns_kube)
        kube_free(cluster->kube);
    strmap_clear(&cluster->runs);
    strmap_clear(&cluster->found);
    strmap_clear(&cluster->keys);
    list_remove(&cluster->node);
    mem_free(cluster->ns);
    mem_free(cluster);
}
