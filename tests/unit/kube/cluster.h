/* A scripted API server on the loop, and a client that talks to it. */
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include "io/http.h"
#include "io/loop.h"
#include "io/loopback.h"
#include "io/ws.h"
#include "kube/client.h"
#include "text/json.h"

struct cluster {
    struct loop *loop;
    struct http *http;
    struct ws *ws;
    struct kube *kube;
    struct loopback server;
};

static inline struct kube *cluster_client(struct cluster *cluster, const struct kube_place *place)
{
    struct error error = ERROR_NONE;
    struct kube *kube = kube_new(cluster->loop, cluster->http, cluster->ws, place, &error);
    if (!kube)
        fprintf(stderr, "%s\n", error.text);
    return kube;
}

static inline void cluster_start(struct cluster *cluster, loopback_answer *answer, void *owner)
{
    *cluster = (struct cluster){ .loop = loop_new() };
    cluster->http = http_new(cluster->loop, NULL);
    cluster->ws = ws_new(cluster->loop);
    loopback_start(&cluster->server, cluster->loop, NULL, answer, owner);
    OWNED_TEXT char *host = mem_format("http://127.0.0.1:%u/", cluster->server.port);
    cluster->kube = cluster_client(cluster, &(struct kube_place){ .host = host, .bearer_token = "token-1" });
}

static inline void cluster_stop(struct cluster *cluster)
{
    kube_free(cluster->kube);
    http_free(cluster->http);
    ws_free(cluster->ws);
    loopback_stop(&cluster->server);
    loop_free(cluster->loop);
}

/* A Status as the API server writes it; details may be "". */
static inline char *cluster_status(int code, const char *reason, const char *message, const char *details)
{
    return mem_format(
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"%s\","
        "\"reason\":\"%s\",\"details\":{%s},\"code\":%d}",
        message, reason, details, code);
}

/* The value of one query parameter into a static buffer; "" when missing. */
static inline const char *cluster_query(const char *target, const char *name)
{
    static char value[512];
    size_t length = strlen(name);
    for (const char *at = strchr(target, '?'); at; at = strchr(at, '&')) {
        at++;
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            size_t size = strcspn(at + length + 1, "&");
            size = size < sizeof value ? size : sizeof value - 1;
            memcpy(value, at + length + 1, size);
            value[size] = '\0';
            return value;
        }
    }
    return "";
}

#endif
