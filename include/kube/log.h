/* One container's log: followed over a websocket (binary.k8s.io), or read once by plain GET. Bytes as they come; their
 * meaning is not known here (docs/reference/kubernetes.md, "Reading a log" and "How a log ends"). */
#ifndef KUBE_LOG_H
#define KUBE_LOG_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct kube;
struct kube_log;

enum kube_log_end {
    LOG_CLOSED,       /* the stream ended; says nothing about the container */
    LOG_NOT_FOLLOWED, /* all of the log came that there is, but the kubelet cannot follow it: its node has no inotify
                       * instance or watch left; error has its words */
    LOG_NOT_YET,      /* 204, or 400 waiting to start: try again when the watch says running */
    LOG_GONE,         /* 404 */
    LOG_REFUSED,      /* 401, 403, 400 other: see error */
    LOG_UNREACHABLE,  /* the kubelet or the API server cannot be reached; back off and try again */
};
struct kube_log_request {
    const char *ns, *pod, *container;
    bool follow;          /* websocket; false: one GET */
    bool timed;           /* each line comes by itself, and kube_log_line_s says when it was written */
    int64_t since_unix_s; /* 0: from the start; whole seconds, as the API server reads no more */
    uint64_t most_bytes;  /* GET only: ceiling, 0: 16 MiB */
};
struct kube_log_events {
    /* Borrows. Reading never waits: take it. */
    void (*data)(void *owner, const char *bytes, size_t length);
    /* Once; the log is gone after return. */
    void (*ended)(void *owner, enum kube_log_end end, const struct error *error);
};
/* Never calls back before returning. Keeps events and owner. */
struct kube_log *kube_log_start(struct kube *kube, const struct kube_log_request *request,
                                const struct kube_log_events *events, void *owner);
/* In data, of a timed read: Unix seconds, by the node's clock, at which the line was written that comes; 0 unknown. */
int64_t kube_log_line_s(const struct kube_log *log);
/* Ends without calling ended. NULL is fine. */
void kube_log_cancel(struct kube_log *log);

#endif
