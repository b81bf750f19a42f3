#include "state.h"

#include "base/log.h"
#include "io/loop.h"
#include "kube/client.h"
#include "pod/name.h"
#include "state_secret.h"
#include "text/digest.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>

#define DAY_S            (24 * 3600)
#define KEY_AGE_MOST_S   (30 * DAY_S)
#define KEY_AHEAD_MOST_S DAY_S       /* a key from the future was made with a wrong clock */
#define KEY_KEPT_LEAST_S (2 * DAY_S) /* after it was replaced: another controller notices that within a day */
struct state {
    struct loop *loop;
    struct kube *kube;
    char *ns, *name, *release;
    state_ready *ready;
    void *owner;
    struct kube_call *call;
    struct cJSON *secret;        /* as last read, with resourceVersion; NULL: none that may be used */
    struct cJSON *registrations; /* URL -> {token, id, expires_at} */
    unsigned newest;             /* number of the key that seals; 0 none */
    unsigned rounds;
    state_stored *stored;
    void *stored_owner;
    char *pending_url, *pending_token, *pending_expires;
    int64_t pending_id;
};

static void state_read(struct state *state);

static void state_take(struct state *state, const struct cJSON *object)
{
    struct error ignored = ERROR_NONE;
    size_t text_length = 0;
    char *text;

    json_free(state->secret);
    state->secret = json_copy(object);
    state->newest = secret_newest_key(state->secret);
    text = secret_entry(object, "registrations", &text_length);
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

/* --- whose Secret it is --- */

/* A Secret of this name that somebody else made must not seal job tokens, nor name the runner to poll as. */
static int state_refuse(const struct state *state, const struct cJSON *secret, struct error *error)
{
    const struct cJSON *labels = json_at(secret, "metadata.labels");
    const char *made_by = json_text(labels, SECRET_LABEL_MADE_BY, NULL);
    const char *release = json_text(labels, POD_LABEL_RELEASE, state->release); /* earlier versions set none */

    if (made_by == NULL || strcmp(made_by, SECRET_MADE_BY) != 0) {
        error_set(error, BLAME_DENIED, 0,
                  "the Secret %s in namespace %s is not used: it lacks the label " SECRET_LABEL_MADE_BY
                  "=" SECRET_MADE_BY
                  " that a controller gives it, so somebody else made it. Delete it, or, when you made it, run kubectl "
                  "-n %s label secret %s " SECRET_LABEL_MADE_BY "=" SECRET_MADE_BY
                  " --overwrite; then restart the controller",
                  state->name, state->ns, state->ns, state->name);
        return -1;
    }
    if (strcmp(release, state->release) != 0) {
        error_set(error, BLAME_DENIED, 0,
                  "the Secret %s in namespace %s is not used: its label " POD_LABEL_RELEASE
                  " says that it belongs to the release %s. Give this release another name, or delete the Secret when "
                  "that release is gone; then restart the controller",
                  state->name, state->ns, release);
        return -1;
    }
    if (secret_version(secret) > SECRET_VERSION_MOST) {
        error_set(error, BLAME_DENIED, 0,
                  "the Secret %s in namespace %s is not used: a newer version of dataops-runner wrote it. Install that "
                  "version again, or delete the Secret",
                  state->name, state->ns);
        return -1;
    }
    return 0;
}

/* --- keys --- */

static int64_t state_now_s(const struct state *state)
{
    return loop_wall_us(state->loop) / 1000000;
}

static bool state_needs_key(const struct state *state)
{
    int64_t now_s = state_now_s(state), made_s = secret_key_made_s(state->secret, state->newest, now_s);

    return state->newest == 0 || !secret_is_stamped(state->secret) || now_s - made_s > KEY_AGE_MOST_S ||
           made_s - now_s > KEY_AHEAD_MOST_S;
}

static void state_was_keyed(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK) {
        state_take(state, answer->object);
        log_event(LOG_INFO, "state_key_made", LOG_TEXT("secret", state->name), LOG_NUMBER("key", state->newest));
        state_answer(state, NULL);
    } else if (answer->kind == KUBE_CONFLICT && state->rounds++ < 5) {
        state_read(state);
    } else if (state->newest > 0) {
        log_event(LOG_WARN, "state_key_not_made", LOG_TEXT("secret", state->name), LOG_TEXT("why", answer->error.text),
                  LOG_TEXT("effect", "the key before seals on"));
        state_answer(state, NULL);
    } else {
        state_answer(state, &answer->error);
    }
}

/* The Secret that is held may be used; it gets what it lacks. PUT with the resourceVersion that was read: of two
 * controllers that find a key too old, one makes the new one. */
static void state_complete(struct state *state)
{
    OWNED_JSON struct cJSON *next = NULL;

    if (!state_needs_key(state)) {
        state_answer(state, NULL);
        return;
    }
    if (state->newest > 0 && !secret_is_stamped(state->secret))
        log_event(LOG_INFO, "state_taken_over", LOG_TEXT("secret", state->name),
                  LOG_TEXT("why", "an earlier version made it, or it was restored from a copy"),
                  LOG_TEXT("effect", "its keys open what they sealed; a new one seals from now on"));
    next = json_copy(state->secret);
    secret_stamp(next, state->release);
    secret_add_key(next, state->newest + 1, state_now_s(state));
    state->call = kube_put(state->kube, state->ns, "secrets", state->name, next, state_was_keyed, state);
}

static void state_created(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK) {
        state_take(state, answer->object);
        state_complete(state);
    } else if (answer->kind == KUBE_EXISTS && state->rounds++ < 5) {
        state_read(state);
    } else {
        state_answer(state, &answer->error);
    }
}

/* Without a key: that comes with the stamp, which needs the uid. One that went away while we had it is made again with
 * what it held. */
static void state_create(struct state *state)
{
    OWNED_JSON struct cJSON *secret = json_object();
    struct cJSON *meta = json_set_object(secret, "metadata"), *labels = json_set_object(meta, "labels");

    json_set_text(secret, "apiVersion", "v1");
    json_set_text(secret, "kind", "Secret");
    json_set_text(meta, "name", state->name);
    json_set_text(meta, "namespace", state->ns);
    json_set_text(labels, SECRET_LABEL_MADE_BY, SECRET_MADE_BY);
    json_set_text(labels, POD_LABEL_RELEASE, state->release);
    json_set_text(secret, "type", "Opaque");
    if (json_is_object(json_get(state->secret, "data")))
        json_set(secret, "data", json_copy(json_get(state->secret, "data")));
    state->call = kube_create(state->kube, state->ns, "secrets", secret, state_created, state);
}

static void state_was_read(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;
    struct error error = ERROR_NONE;

    state->call = NULL;
    if (answer->kind == KUBE_MISSING) {
        state_create(state);
    } else if (answer->kind != KUBE_OK) {
        state_answer(state, &answer->error);
    } else if (state_refuse(state, answer->object, &error) < 0) {
        state_answer(state, &error);
    } else {
        state_take(state, answer->object);
        state_complete(state);
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

void state_renew(struct state *state, state_ready *ready, void *owner)
{
    if (state->call != NULL)
        return;
    state->ready = ready;
    state->owner = owner;
    state->rounds = 0;
    state_read(state);
}

static void state_keys_dropped(void *owner, const struct kube_answer *answer)
{
    struct state *state = owner;

    state->call = NULL;
    if (answer->kind == KUBE_OK)
        state_take(state, answer->object);
    else if (answer->kind != KUBE_CONFLICT) /* somebody was faster: the next look finds what is left */
        log_event(LOG_WARN, "state_keys_not_dropped", LOG_TEXT("secret", state->name),
                  LOG_TEXT("why", answer->error.text));
}

/* Since when a key seals nothing any more: since the next one was made. */
static int64_t key_replaced_s(const struct state *state, unsigned number, int64_t now_s)
{
    uint8_t key[SEAL_KEY];

    for (unsigned next = number + 1; next <= state->newest; next++)
        if (secret_key(state->secret, next, key)) {
            explicit_bzero(key, sizeof(key));
            return secret_key_made_s(state->secret, next, now_s);
        }
    return now_s;
}

void state_drop_keys(struct state *state, state_key_used *is_used, void *owner)
{
    OWNED_JSON struct cJSON *next = NULL;
    int64_t now_s = state_now_s(state);
    unsigned dropped = 0;

    if (state->call != NULL || !state_can_seal(state))
        return;
    next = json_copy(state->secret);
    for (const struct cJSON *item = json_first(json_get(state->secret, "data")); item != NULL; item = json_next(item)) {
        unsigned number = secret_key_in(state->secret, item);

        if (number == 0 || number == state->newest || is_used(owner, number) ||
            now_s - key_replaced_s(state, number, now_s) <= KEY_KEPT_LEAST_S)
            continue;
        log_event(LOG_INFO, "state_key_dropped", LOG_TEXT("secret", state->name), LOG_NUMBER("key", number));
        secret_drop_key(next, number);
        dropped++;
    }
    if (dropped == 0)
        return;
    state->call = kube_put(state->kube, state->ns, "secrets", state->name, next, state_keys_dropped, state);
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
    secret_put_entry(state->secret, "registrations", text, strlen(text));
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
    return state != NULL && state->newest > 0;
}

char *state_seal(const struct state *state, const char *ns, const char *pod, const char *json)
{
    struct strbuf sealed = STRBUF_EMPTY, text = STRBUF_EMPTY;
    uint8_t nonce[SEAL_NONCE], key[SEAL_KEY];
    OWNED_TEXT char *additional = mem_format("%s/%s", ns, pod);

    if (!state_can_seal(state) || !secret_key(state->secret, state->newest, key))
        return NULL;
    digest_random(nonce, sizeof(nonce));
    seal(key, nonce, additional, json, strlen(json), &sealed);
    explicit_bzero(key, sizeof(key));
    strbuf_format(&text, "k%u.", state->newest);
    base64_encode(sealed.bytes, sealed.length, &text);
    strbuf_clear(&sealed);
    return strbuf_take(&text, NULL);
}

unsigned state_key_of(const char *sealed)
{
    return secret_key_number(sealed, '.');
}

int state_open_sealed(const struct state *state, const char *ns, const char *pod, const char *sealed,
                      struct strbuf *json)
{
    struct strbuf bytes = STRBUF_UP_TO(64 * KIB);
    OWNED_TEXT char *additional = mem_format("%s/%s", ns, pod);
    unsigned number = state_key_of(sealed);
    const char *text = strchr(sealed, '.');
    uint8_t key[SEAL_KEY];
    int result = -1;

    if (number > 0 && state_can_seal(state) && secret_key(state->secret, number, key) &&
        base64_decode(text + 1, strlen(text + 1), &bytes) == 0)
        result = seal_open(key, additional, bytes.bytes, bytes.length, json);
    explicit_bzero(key, sizeof(key));
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
    mem_free(state->ns);
    mem_free(state->name);
    mem_free(state->release);
    mem_free(state->pending_url);
    if (state->pending_token != NULL)
        mem_wipe_free(state->pending_token, strlen(state->pending_token));
    mem_free(state->pending_expires);
    mem_free(state);
}
