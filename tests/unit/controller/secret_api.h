/* For tests of the state Secret: two controllers, and a Kubernetes of their own, whose answers wait until the test
 * turns. */
#ifndef TESTS_CONTROLLER_SECRET_API_H
#define TESTS_CONTROLLER_SECRET_API_H

#include "state.h"

#include "clock.h"

#include "kube/client.h"
#include "text/digest.h"
#include "text/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* --- Kubernetes --- */

struct kube_call {
    bool open;
    enum kube_class kind;
    struct cJSON *object;
    kube_done *done;
    void *owner;
};
#define CALLS_MOST 16
static struct kube_call calls[CALLS_MOST];
static struct cJSON *stored; /* the Secret */
static int64_t version;
static enum kube_class refusal; /* of the next request; KUBE_OK: none */
static bool happens_anyway;
static unsigned creates, puts_seen;

static struct kube_call *begin(kube_done *done, void *owner)
{
    for (size_t i = 0; i < CALLS_MOST; i++)
        if (!calls[i].open) {
            calls[i] = (struct kube_call){ .open = true, .done = done, .owner = owner };
            return &calls[i];
        }
    fail_msg("too many calls");
    return NULL;
}

/* True when the request shall have no effect. */
static bool refused(struct kube_call *call)
{
    bool without_effect = refusal != KUBE_OK && !happens_anyway;

    call->kind = refusal;
    refusal = KUBE_OK;
    happens_anyway = false;
    return without_effect;
}

static struct cJSON *stored_meta(void)
{
    return json_get(stored, "metadata");
}

static void set_text(struct cJSON *object, const char *name, const char *value)
{
    json_remove(object, name);
    if (value != NULL)
        json_set_text(object, name, value);
}

/* What the API server does with a Secret: uid and time of creation are its own. */
static void store(const struct cJSON *object)
{
    OWNED_TEXT char *text = mem_format("%d", (int)++version);
    OWNED_TEXT char *uid =
        stored != NULL ? mem_text(json_text_at(stored, "metadata.uid", "")) : mem_format("uid-%d", (int)version);

    time_t wall_s = clock_wall_s();
    char created[32];

    strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime(&wall_s));
    json_free(stored);
    stored = json_copy(object);
    set_text(stored_meta(), "resourceVersion", text);
    set_text(stored_meta(), "uid", uid);
    if (json_text(stored_meta(), "creationTimestamp", NULL) == NULL)
        json_set_text(stored_meta(), "creationTimestamp", created);
}

/* A Secret of this name that no controller of this version made; a NULL leaves the label out. */
static struct cJSON *planted(const char *managed_by, const char *release)
{
    struct cJSON *secret = json_object(), *meta = json_set_object(secret, "metadata");
    struct cJSON *labels = json_set_object(meta, "labels");

    json_set_text(meta, "name", "rel-state");
    if (managed_by != NULL)
        json_set_text(labels, "app.kubernetes.io/managed-by", managed_by);
    if (release != NULL)
        json_set_text(labels, "dataops-runner/release", release);
    return secret;
}

static void put_data(struct cJSON *secret, const char *name, const void *bytes, size_t length)
{
    struct strbuf text = STRBUF_EMPTY;

    if (json_get(secret, "data") == NULL)
        json_set_object(secret, "data");
    base64_encode(bytes, length, &text);
    set_text(json_get(secret, "data"), name, strbuf_text(&text));
    strbuf_clear(&text);
}

/* The Secret as the version before made it: one key, one registration, one label. */
static void store_of_the_version_before(void)
{
    OWNED_JSON struct cJSON *secret = planted("dataops-runner", NULL);
    static const char registrations[] = "{\"https://a\":{\"token\":\"glrt-old\",\"id\":7}}";
    uint8_t key[SEAL_KEY];

    memset(key, 7, sizeof(key));
    put_data(secret, "version", "1", 1);
    put_data(secret, "key-k1", key, sizeof(key));
    put_data(secret, "registrations", registrations, strlen(registrations));
    store(secret);
}

/* As that version sealed it. */
static char *sealed_by_the_version_before(const char *additional, const char *words)
{
    struct strbuf bytes = STRBUF_EMPTY, text = STRBUF_EMPTY;
    uint8_t key[SEAL_KEY], nonce[SEAL_NONCE] = { 1 };

    memset(key, 7, sizeof(key));
    seal(key, nonce, additional, words, strlen(words), &bytes);
    strbuf_add_text(&text, "k1.");
    base64_encode(bytes.bytes, bytes.length, &text);
    strbuf_clear(&bytes);
    return strbuf_take(&text, NULL);
}

struct kube_call *kube_get(struct kube *kube UNUSED, const char *ns, const char *resource, const char *name,
                           kube_done *done, void *owner)
{
    struct kube_call *call = begin(done, owner);

    assert_string_equal(ns, "ns");
    assert_string_equal(resource, "secrets");
    assert_string_equal(name, "rel-state");
    if (refused(call))
        return call;
    call->kind = stored != NULL ? KUBE_OK : KUBE_MISSING;
    call->object = json_copy(stored);
    return call;
}

struct kube_call *kube_create(struct kube *kube UNUSED, const char *ns UNUSED, const char *resource UNUSED,
                              const struct cJSON *object, kube_done *done, void *owner)
{
    struct kube_call *call = begin(done, owner);

    creates++;
    if (refused(call))
        return call;
    if (stored != NULL) {
        call->kind = KUBE_EXISTS;
        return call;
    }
    store(object);
    call->object = json_copy(stored);
    return call;
}

struct kube_call *kube_put(struct kube *kube UNUSED, const char *ns UNUSED, const char *resource UNUSED,
                           const char *name UNUSED, const struct cJSON *object, kube_done *done, void *owner)
{
    struct kube_call *call = begin(done, owner);
    const char *mine = json_text_at(object, "metadata.resourceVersion", "");

    puts_seen++;
    if (refused(call))
        return call;
    if (strcmp(mine, json_text_at(stored, "metadata.resourceVersion", "")) != 0) {
        call->kind = KUBE_CONFLICT;
        return call;
    }
    store(object);
    call->object = json_copy(stored);
    return call;
}

void kube_cancel(struct kube_call *call)
{
    if (call == NULL)
        return;
    json_free(call->object);
    *call = (struct kube_call){ .open = false };
}

/* Gives one answer, the oldest; false: nobody waits. */
static bool turn(void)
{
    for (size_t i = 0; i < CALLS_MOST; i++)
        if (calls[i].open) {
            struct kube_call call = calls[i];
            struct kube_answer answer = { .kind = call.kind, .reason = "", .object = call.object };

            calls[i].open = false;
            if (call.kind != KUBE_OK)
                error_set(&answer.error, BLAME_REMOTE, 500, "no");
            call.done(call.owner, &answer);
            json_free(call.object);
            return true;
        }
    return false;
}

static void turn_all(void)
{
    for (unsigned i = 0; turn(); i++)
        assert_true(i < 100);
}

/* --- two controllers --- */

struct asker {
    struct state *state;
    unsigned ready, told;
    struct error error;
    char token[64];
    bool got_token, ours;
};
static struct asker one, two;

static void is_ready(void *owner, const struct error *error)
{
    struct asker *asker = owner;

    asker->ready++;
    asker->error = *error;
}

static void is_stored(void *owner, const char *token, bool ours, const struct error *error)
{
    struct asker *asker = owner;

    asker->told++;
    asker->error = *error;
    asker->got_token = token != NULL;
    asker->ours = ours;
    snprintf(asker->token, sizeof(asker->token), "%s", token != NULL ? token : "");
}

static void open_for(struct asker *asker)
{
    asker->state = state_open(NULL, NULL, "ns", "rel", is_ready, asker);
}

static void registers(struct asker *asker, const char *url, const char *token)
{
    state_store_registration(asker->state, url, token, 7, NULL, is_stored, asker);
}

static int set(void **state)
{
    (void)state;
    memset(&one, 0, sizeof(one));
    memset(&two, 0, sizeof(two));
    creates = puts_seen = 0;
    refusal = KUBE_OK;
    clock_begin(1);
    return 0;
}

static int strike(void **state)
{
    (void)state;
    state_free(one.state);
    state_free(two.state);
    json_free(stored);
    stored = NULL;
    clock_end();
    for (size_t i = 0; i < CALLS_MOST; i++)
        if (calls[i].open)
            return -1;
    return 0;
}

static bool opens(const struct asker *asker, const char *ns, const char *pod, const char *sealed, const char *words)
{
    struct strbuf json = STRBUF_EMPTY;
    bool good = state_open_sealed(asker->state, ns, pod, sealed, &json) == 0 && strcmp(strbuf_text(&json), words) == 0;

    strbuf_clear(&json);
    return good;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set, strike)

#endif
