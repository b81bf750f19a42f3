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

/* Reads <release>-state in ns, or creates it; whoever creates it first wins, the others read. One that lacks a key, or
 * whose newest key is older than 30 days, gets a new one. One without the labels that a controller gives it is somebody
 * else's: it is neither used nor changed (BLAME_DENIED, with what to do). The loop gives the time. */
struct state *state_open(struct loop *loop, struct kube *kube, const char *ns, const char *release, state_ready *ready,
                         void *owner);
/* Once more, for what other controllers changed and what has become due since; ready is called as by state_open.
 * Nothing happens while a request of the state is under way. After an error what was read before goes on to serve. */
void state_renew(struct state *state, state_ready *ready, void *owner);
/* Takes away the keys that were replaced more than two days ago and of which is_used says false. */
typedef bool state_key_used(void *owner, unsigned number);
void state_drop_keys(struct state *state, state_key_used *is_used, void *owner);
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
/* The number of the key that an annotation names; 0 none. Anybody can write one: only opening it proves anything. */
unsigned state_key_of(const char *sealed);
#define STATE_SEALED_MOST (64 * KIB) /* a text that is longer was not sealed by a controller */
/* Opens an annotation; -1 when the key is not known or the text was made for another pod. */
int state_open_sealed(const struct state *state, const char *ns, const char *pod, const char *sealed,
                      struct strbuf *json) MUST_CHECK;
void state_free(struct state *state);

#endif
