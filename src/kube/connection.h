/* What watch and log take from the client. */
#ifndef KUBE_CONNECTION_H
#define KUBE_CONNECTION_H

#include "io/loop.h"
#include "io/ws.h"
#include "kube/client.h"

struct loop *kube_loop(const struct kube *kube);
/* Opens a websocket at path with our credentials, read again before. protocol may be NULL. */
struct ws_stream *kube_ws_open(struct kube *kube, const char *path, const char *protocol,
                               const struct ws_events *events, void *owner);
/* The server gave no answer: what it forbids in the next half minute is asked again. */
void kube_note_failure(struct kube *kube);
/* Reads token and CA again now: after a 401. */
void kube_reload(struct kube *kube);
/* "/api/v1/namespaces/NS/RESOURCE" with the group that resource belongs to. Gives a text. */
char *kube_path(const char *ns, const char *resource, const char *name);

#endif
