#include "state.h"

#include "base/log.h"
#include "io/loop.h"
#include "kube/client.h"
#include "text/digest.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

#define STATE_VERSION "1"
#define KEY_ID        "k1"

struct state {
    struct loop *loop;
    struct kube *kube;
    char *ns, *name, *release;
    state_ready *ready;
    void *owner;
    struct kube_call *call;
    struct cJSON *secret;        /* as last read, with resourceVersion */
    struct cJSON *registrations; /* URL -> {token, id, expires_at} */
    uint8_t key[SEAL_KEY];
    bool has_key, was_created;
    unsigned rounds;
    state_stored *stored;
    void *stored_owner;
    char *pending_url, *pending_token, *pending_expires;
    int64_t pending_id;
};

static void state_read(struct state *state);

static char *decoded(const struct cJSON *secret, const char *key, size_t *length)
{
    const char *text = json_text(json_get(secret, "data"), key, NULL);
    struct strbuf out = STRBUF_EMPTY;

    if (text == NULL || base64_decode(text, strlen(text), &out) < 0)
        return NULL;
    return strbuf_take(&out, length);
}

/* A Secret that somebody else made may have none. */
static struct cJSON *secret_data(struct cJSON *secret)
{
    if (!json_is_object(json_get(secret, "data"))) {
        json_remove(secret, "data");
        json_set_object(secret, "data");
    }
    return json_get(secret, "data");
}

static void put_encoded(struct cJSON *data, const char *key, const void *bytes, size_t length)
{
    struct strbuf out = STRBUF_EMPTY;

    base64_encode(bytes, length, &out);
    json_remove(data, key);
    json_set_text(data, key, strbuf_text(&out));
    strbuf_wipe(&out);
}

static void state_take(struct state *state, const struct cJSON *object)
{
    struct error ignored = ERROR_NONE;
    size_t length = 0;
    char *key = decoded(object, "key-" KEY_ID, &length);
    size_t text_length = 0;
    char *text;

    json_free(state->secret);
    state->secret = json_copy(object);
    if (key != NULL && length == SEAL_KEY) {
        memcpy(state->key, key, SEAL_KEY);
        state->has_key = true;
    }
    mem_wipe_free(key, key != NULL ? length : 0);
    text = decoded(object, "registrations", &text_length);
    json_free(state->registrations);
    state->registrations = text != NULL ? json_parse(text, text_length, &ignored) : NULL;
    mem_wipe_free(text, text != NULL ? text_length : 0);
}

static void state_answer(struct state *state, const struct error *error)
{
    struct error none = ERROR_NONE;
    state_ready *ready = state->ready;

    state->ready = NULL;
    if (ready != NULL)
        ready(state->owner, error != NULL ? error : &none);
}

static void state_created(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK) {
        state_take(state, answer->object);
        state_answer(state, NULL);
    } else if (answer->kind == KUBE_EXISTS && state->rounds++ < 5) {
        state_read(state);
    } else {
        state_answer(state, &answer->error);
    }
}

static void put_new_key(struct cJSON *secret)
{
    uint8_t key[SEAL_KEY];

    digest_random(key, sizeof(key));
    put_encoded(secret_data(secret), "version", STATE_VERSION, strlen(STATE_VERSION));
    put_encoded(secret_data(secret), "key-" KEY_ID, key, sizeof(key));
    explicit_bzero(key, sizeof(key));
}

static void state_create(struct state *state)
{
    OWNED_JSON struct cJSON *secret = json_object();
    struct cJSON *meta = json_set_object(secret, "metadata");

    json_set_text(secret, "apiVersion", "v1");
    json_set_text(secret, "kind", "Secret");
    json_set_text(meta, "name", state->name);
    json_set_text(meta, "namespace", state->ns);
    json_set_text(json_set_object(meta, "labels"), "app.kubernetes.io/managed-by", "dataops-runner");
    json_set_text(secret, "type", "Opaque");
    put_new_key(secret);
    state->call = kube_create(state->kube, state->ns, "secrets", secret, state_created, state);
}

static void state_was_keyed(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK) {
        state_take(state, answer->object);
        state_answer(state, NULL);
    } else if (answer->kind == KUBE_CONFLICT && state->rounds++ < 5) {
        state_read(state);
    } else {
        state_answer(state, &answer->error);
    }
}

static void state_was_read(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK) {
        state_take(state, answer->object);
        if (state->has_key) {
            state_answer(state, NULL);
        } else {
            put_new_key(state->secret);
            state->call =
                kube_put(state->kube, state->ns, "secrets", state->name, state->secret, state_was_keyed, state);
        }
    } else if (answer->kind == KUBE_MISSING) {
        state_create(state);
    } else {
        state_answer(state, &answer->error);
    }
}

static void state_read(struct state *state)
{
    state->call = kube_get(state->kube, state->ns, "secrets", state->name, state_was_read, state);
}

struct state *state_open(struct loop *loop, struct kube *kube, const char *ns, const char *release, state_ready *ready,
                         void *owner)
{
    struct state *state = mem_new(sizeof(*state));

    state->loop = loop;
    state->kube = kube;
    state->ns = mem_text(ns);
    state->release = mem_text(release);
    state->name = mem_format("%s-state", release);
    state->ready = ready;
    state->owner = owner;
    state_read(state);
    return state;
}

const char *state_token(const struct state *state, const char *url)
{
    return json_text(json_get(state->registrations, url), "token", NULL);
}

static void state_put(struct state *state);

static void state_answer_stored(struct state *state, const char *token, bool ours, const struct error *error)
{
    struct error none = ERROR_NONE;
    state_stored *stored = state->stored;

    if (token != NULL)
        state->stored = NULL;
    if (stored != NULL)
        stored(state->stored_owner, token, ours, error != NULL ? error : &none);
}

static void state_reread(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind != KUBE_OK) {
        state_answer_stored(state, NULL, false, &answer->error);
        return;
    }
    state_take(state, answer->object);
    const char *token = state_token(state, state->pending_url);
    /* a PUT whose answer was lost may be the one that is stored */
    if (token != NULL)
        state_answer_stored(state, token, strcmp(token, state->pending_token) == 0, NULL);
    else
        state_put(state);
}

static void state_was_put(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK) {
        state_take(state, answer->object);
        state_answer_stored(state, state_token(state, state->pending_url), true, NULL);
    } else if (answer->kind == KUBE_CONFLICT && state->rounds++ < 5) {
        state->call = kube_get(state->kube, state->ns, "secrets", state->name, state_reread, state);
    } else {
        state_answer_stored(state, NULL, false, &answer->error);
    }
}

/* PUT with the resourceVersion that was read: two controllers that registered at once cannot both win. */
static void state_put(struct state *state)
{
    struct cJSON *registrations = state->registrations != NULL ? json_copy(state->registrations) : json_object();
    struct cJSON *one = json_set_object(registrations, state->pending_url);
    char *text;

    json_set_text(one, "token", state->pending_token);
    json_set_int(one, "id", state->pending_id);
    if (state->pending_expires != NULL)
        json_set_text(one, "expires_at", state->pending_expires);
    text = json_print(registrations);
    put_encoded(secret_data(state->secret), "registrations", text, strlen(text));
    mem_wipe_free(text, strlen(text));
    json_free(registrations);
    state->call = kube_put(state->kube, state->ns, "secrets", state->name, state->secret, state_was_put, state);
}

void state_store_registration(struct state *state, const char *url, const char *token, int64_t runner_id,
                              const char *expires_at, state_stored *done, void *owner)
{
    mem_free(state->pending_url);
    mem_free(state->pending_token);
    mem_free(state->pending_expires);
    state->pending_url = mem_text(url);
    state->pending_token = mem_text(token);
    state->pending_expires = mem_text(expires_at);
    state->pending_id = runner_id;
    state->stored = done;
    state->stored_owner = owner;
    state->rounds = 0;
    state_put(state);
}

void state_store_again(struct state *state)
{
    state->rounds = 0;
    state->call = kube_get(state->kube, state->ns, "secrets", state->name, state_reread, state);
}

bool state_can_seal(const struct state *state)
{
    return state != NULL && state->has_key;
}

char *state_seal(const struct state *state, const char *ns, const char *pod, const char *json)
{
    struct strbuf sealed = STRBUF_EMPTY, text = STRBUF_EMPTY;
    uint8_t nonce[SEAL_NONCE];
    OWNED_TEXT char *additional = mem_format("%s/%s", ns, pod);

    if (!state_can_seal(state))
        return NULL;
    digest_random(nonce, sizeof(nonce));
    seal(state->key, nonce, additional, json, strlen(json), &sealed);
    strbuf_add_text(&text, KEY_ID ".");
    base64_encode(sealed.bytes, sealed.length, &text);
    strbuf_clear(&sealed);
    return strbuf_take(&text, NULL);
}

int state_open_sealed(const struct state *state, const char *ns, const char *pod, const char *sealed,
                      struct strbuf *json)
{
    struct strbuf bytes = STRBUF_UP_TO(64 * KIB);
    OWNED_TEXT char *additional = mem_format("%s/%s", ns, pod);
    int result = -1;

    if (state_can_seal(state) && strncmp(sealed, KEY_ID ".", strlen(KEY_ID) + 1) == 0 &&
        base64_decode(sealed + strlen(KEY_ID) + 1, strlen(sealed) - strlen(KEY_ID) - 1, &bytes) == 0)
        result = seal_open(state->key, additional, bytes.bytes, bytes.length, json);
    strbuf_clear(&bytes);
    return result;
}

void state_free(struct state *state)
{
    if (state == NULL)
        return;
    kube_cancel(state->call);
    json_free(state->secret);
    json_free(state->registrations);
    explicit_bzero(state->key, sizeof(state->key));
    mem_free(state->ns);
    mem_free(state->name);
    mem_free(state->release);
    mem_free(state->pending_url);
    if (state->pending_token != NULL)
        mem_wipe_free(state->pending_token, strlen(state->pending_token));
    mem_free(state->pending_expires);
    mem_free(state);
}
