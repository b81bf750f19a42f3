/* One Lease: taken when it is free or its holder is silent, renewed, lost or given back (docs/reference/kubernetes.md,
 * "Leases"). A Lease is not a fence: whoever was held up may still write, so every write of a holder stays idempotent.
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct kube;
struct kube_lease;

struct kube_lease_request {
    const char *ns, *name;
    const char *identity;      /* ours: the pod's UID, so that a restarted container goes on at once */
    const char *label, *value; /* one label for a Lease that is made here; NULL none */
    unsigned duration_s;       /* 0: 15; how long the others wait for a silent holder */
    uint64_t renew_ms;         /* 0: 5000 */
    uint64_t doubt_ms;         /* 0: 10000; below duration_s by more than one request takes */
};

struct kube_lease_events {
    /* It is ours: for the first time, or again after doubt or loss. */
    void (*held)(void *owner);
    /* Ours, but not renewed for doubt_ms, counted from when the last good request was sent: write nothing anywhere
     * until held. */
    void (*doubted)(void *owner);
    /* Somebody else holds it: told for each new holder, also at the start. Waiting for his silence goes on. Borrows. */
    void (*taken)(void *owner, const char *holder);
    /* Something is wrong (403, unreachable ...) or right again (BLAME_NONE); reported once per change. */
    void (*trouble)(void *owner, const struct error *error);
};

/* Copies the texts; keeps events and owner. Never calls back before returning. */
struct kube_lease *kube_lease_start(struct kube *kube, const struct kube_lease_request *request,
                                    const struct kube_lease_events *events, void *owner);
/* Ours, and sure of it at this moment. */
bool kube_lease_is_held(const struct kube_lease *lease);
/* The Lease's UID, for owner references; NULL until it was seen. */
const char *kube_lease_uid(const struct kube_lease *lease);
/* Gives a held Lease back, so that nobody has to wait, and forgets it; gone (may be NULL) is called when that is done
 * or failed. */
void kube_lease_release(struct kube_lease *lease, void (*gone)(void *owner), void *owner);
/* Forgets it without a word to the server. NULL is fine; from any callback. */
void kube_lease_stop(struct kube_lease *lease);

#endif
