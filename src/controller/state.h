/* The release's state Secret: sealing keys and what registration gave (docs/design.md section 3). */
#ifndef CONTROLLER_STATE_H
#define CONTROLLER_STATE_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

struct controller;
struct kube;
struct loop;
struct state;

/* Called once the Secret was read or made. error: nothing can be sealed (jobs run, but a restart cannot go on with
 * them). */
typedef void state_ready(void *owner, const struct error *error);

/* Reads <release>-state in ns, or creates it with a fresh key (which one that is there may lack, too); whoever creates
 * it first wins, the others read. */
struct state *state_open(struct loop *loop, struct kube *kube, const char *ns, const char *release, state_ready *ready,
                         void *owner);
/* Registration result of a URL: token (borrowed) or NULL. */
const char *state_token(const struct state *state, const char *url);
/* Stores a registration; done gets the token that holds from now on: ours, or the one that another controller stored
 * first (then *ours is false). */
typedef void state_stored(void *owner, const char *token, bool ours, const struct error *error);
void state_store_registration(struct state *state, const char *url, const char *token, int64_t runner_id,
                              const char *expires_at, state_stored *done, void *owner);
/* Once more, after done got no token; it is called again. */
void state_store_again(struct state *state);
bool state_can_seal(const struct state *state);
/* Gives the annotation text "<key id>.<base64>". NULL when there is no key. */
char *state_seal(const struct state *state, const char *ns, const char *pod, const char *json);
/* Opens an annotation; -1 when the key is not known or the text was made for another pod. */
int state_open_sealed(const struct state *state, const char *ns, const char *pod, const char *sealed,
                      struct strbuf *json) MUST_CHECK;
void state_free(struct state *state);

#endif
