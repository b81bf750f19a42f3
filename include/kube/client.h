/* Kubernetes: finding the cluster, credentials, requests. Knows no jobs. Facts: docs/reference/kubernetes.md,
 * "Credentials inside a cluster" and "Requests". */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "base/error.h"
#include "io/http.h"

#include <stdbool.h>

struct loop;
struct http;
struct ws;
struct cJSON;
struct kube;

/* Where the cluster is; any field may be NULL. In order: host with its files, kubeconfig (path, then $KUBECONFIG as
 * given by the caller), in-cluster service account folder. The caller reads the environment; kube/ does not. */
struct kube_place {
    const char *host, *ca_file, *cert_file, *key_file, *bearer_token; /* [runners.kubernetes] host ... */
    const char *kubeconfig, *context;
    const char *service_host, *service_port; /* KUBERNETES_SERVICE_HOST, _PORT */
    const char *service_account;             /* folder; NULL: /var/run/secrets/kubernetes.io/serviceaccount */
    const char *user_agent;
};

/* Reads what it needs now; token files are read again every 50 s and after a 401, a failed read keeps the old token. */
struct kube *kube_new(struct loop *loop, struct http *http, struct ws *ws, const struct kube_place *place,
                      struct error *error);
void kube_free(struct kube *kube);
/* Namespace of the kubeconfig context or the service account; NULL when unknown. */
const char *kube_namespace(const struct kube *kube);
/* Server address for people. */
const char *kube_server(const struct kube *kube);

/* True when nobody asked about these words before: for what is to be said once. Of the first 1000 words; false from
 * then on. */
bool kube_is_first(struct kube *kube, const char *words);

/* What an answer means (docs/reference/kubernetes.md, "What an answer means"), decided by code and reason, text last.
 */
enum kube_class {
    KUBE_OK,
    KUBE_EXISTS,   /* 409 AlreadyExists */
    KUBE_CONFLICT, /* 409 Conflict */
    KUBE_MISSING,  /* 404 */
    KUBE_EXPIRED,  /* 410 */
    KUBE_QUOTA,    /* 403 exceeded quota: wait */
    KUBE_REFUSED,  /* 400 403(admission, LimitRange, PodSecurity, webhook) 413 415 422, 500 too large: never again; text
                      is the server's */
    KUBE_FORBIDDEN,    /* 403 RBAC: long back-off. Just after the server did not answer it comes as BUSY instead */
    KUBE_UNAUTHORIZED, /* 401 after one reload */
    KUBE_BUSY,         /* 429; retry_after_ms is set */
    KUBE_FAILED,       /* other 500, 503, 504, no answer: may be tried again, the write may have happened */
};
struct kube_answer {
    enum kube_class kind;
    int status;
    struct cJSON *object;    /* the parsed answer (object or Status) or NULL; borrowed until return */
    const char *reason;      /* Status.reason or "" */
    uint64_t retry_after_ms; /* 0 unknown */
    struct error error;      /* ready for people: "create pod x: 403 Forbidden: message" */
};
typedef void kube_done(void *owner, const struct kube_answer *answer);

struct kube_call;
/* One request; retried inside only for BUSY (honouring Retry-After) and, when idempotent is set, for FAILED: at most 5
 * tries with jitter. 401: reload credentials, once more. path begins with /api. body may be NULL; content_type NULL
 * means application/json. Never calls done before returning. */
struct kube_request {
    const char *method, *path;
    const struct cJSON *body; /* borrowed during the call of kube_start only */
    const char *content_type;
    bool idempotent;
    bool gone_is_fine;  /* 404 and 409 Conflict come as KUBE_OK: for DELETE with a UID */
    bool metadata_only; /* of the object in the answer only metadata is wanted (a server may send all of it) */
    bool raw;           /* the answer is not JSON: give the text through sink */
    http_sink *sink;
    uint64_t timeout_ms; /* 0: 30 s a try */
    size_t answer_most;  /* 0: 4 MiB */
    const char *what;    /* for error texts: "create pod job-1" */
};
struct kube_call *kube_start(struct kube *kube, const struct kube_request *request, kube_done *done, void *owner);
void kube_cancel(struct kube_call *call);

/* The everyday ones, over kube_start. What a delete, a patch or the create of a pod answers is no more than metadata.
 * All but put are repeated after a failure, so a create whose first answer was lost comes as KUBE_EXISTS.
 * resource: "pods", "secrets", "events", "leases" (the group is known). All namespaced. */
struct kube_call *kube_create(struct kube *kube, const char *ns, const char *resource, const struct cJSON *object,
                              kube_done *done, void *owner);
struct kube_call *kube_create_dry(struct kube *kube, const char *ns, const char *resource, const struct cJSON *object,
                                  kube_done *done, void *owner);
struct kube_call *kube_get(struct kube *kube, const char *ns, const char *resource, const char *name, kube_done *done,
                           void *owner);
/* selector: raw query such as "labelSelector=a%3Db" or NULL. */
struct kube_call *kube_list(struct kube *kube, const char *ns, const char *resource, const char *selector,
                            kube_done *done, void *owner);
/* Guarded by UID; 404 and a UID conflict both come as KUBE_OK. grace_s < 0: the pod's own. */
struct kube_call *kube_delete(struct kube *kube, const char *ns, const char *resource, const char *name,
                              const char *uid, int grace_s, kube_done *done, void *owner);
/* application/merge-patch+json. */
struct kube_call *kube_patch(struct kube *kube, const char *ns, const char *resource, const char *name,
                             const struct cJSON *patch, kube_done *done, void *owner);
struct kube_call *kube_put(struct kube *kube, const char *ns, const char *resource, const char *name,
                           const struct cJSON *object, kube_done *done, void *owner);

#endif
