#include "state_secret.h"

#include "base/strbuf.h"
#include "pod/name.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_NAME "key-k"
/* The Secret's own uid, written after the create. Who may create Secrets but not update ours cannot make one that
 * carries it: the API server chooses it. */
#define ANNOTATION_UID "dataops-runner/secret-uid"

char *secret_entry(const struct cJSON *secret, const char *key, size_t *length)
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

void secret_put_entry(struct cJSON *secret, const char *key, const void *bytes, size_t length)
{
    struct strbuf out = STRBUF_EMPTY;

    base64_encode(bytes, length, &out);
    json_remove(secret_data(secret), key);
    json_set_text(secret_data(secret), key, strbuf_text(&out));
    strbuf_wipe(&out);
}

/* The number in "k<number>", which end follows; 0 when it is something else. */
unsigned secret_key_number(const char *text, char end)
{
    size_t digits = text[0] == 'k' ? strspn(text + 1, "0123456789") : 0;

    if (digits == 0 || digits > 9 || text[1] == '0' || text[1 + digits] != end)
        return 0;
    return (unsigned)strtoul(text + 1, NULL, 10);
}

bool secret_key(const struct cJSON *secret, unsigned number, uint8_t key[SEAL_KEY])
{
    OWNED_TEXT char *name = mem_format(KEY_NAME "%u", number);
    size_t length = 0;
    char *bytes = secret_entry(secret, name, &length);
    bool good = bytes != NULL && length == SEAL_KEY;

    if (good)
        memcpy(key, bytes, SEAL_KEY);
    mem_wipe_free(bytes, bytes != NULL ? length : 0);
    return good;
}

/* The number of a member that holds a key; 0: it is something else. */
unsigned secret_key_in(const struct cJSON *secret, const struct cJSON *item)
{
    const char *name = json_item_name(item);
    unsigned number = name != NULL && strncmp(name, "key-", 4) == 0 ? secret_key_number(name + 4, '\0') : 0;
    uint8_t key[SEAL_KEY];
    bool good = number > 0 && secret_key(secret, number, key);

    explicit_bzero(key, sizeof(key));
    return good ? number : 0;
}

unsigned secret_newest_key(const struct cJSON *secret)
{
    unsigned newest = 0;

    for (const struct cJSON *item = json_first(json_get(secret, "data")); item != NULL; item = json_next(item)) {
        unsigned number = secret_key_in(secret, item);
        if (number > newest)
            newest = number;
    }
    return newest;
}

bool secret_is_stamped(const struct cJSON *secret)
{
    const char *uid = json_text_at(secret, "metadata.uid", "");
    const char *stamp = json_text(json_at(secret, "metadata.annotations"), ANNOTATION_UID, "");

    return uid[0] != '\0' && strcmp(uid, stamp) == 0;
}

int64_t secret_version(const struct cJSON *secret)
{
    size_t length = 0;
    char *text = secret_entry(secret, "version", &length);
    int64_t version = text == NULL ? 0 : length == 1 && text[0] >= '1' && text[0] <= '9' ? text[0] - '0' : INT64_MAX;

    mem_free(text);
    return version;
}

static struct cJSON *times_of(const struct cJSON *secret)
{
    struct error ignored = ERROR_NONE;
    size_t length = 0;
    char *text = secret_entry(secret, "made", &length);
    struct cJSON *times = text != NULL ? json_parse(text, length, &ignored) : NULL;

    mem_free(text);
    if (!json_is_object(times)) {
        json_free(times);
        times = json_object();
    }
    return times;
}

/* When a key was made. One of which nothing is said (k1) is as old as the Secret. */
int64_t secret_key_made_s(const struct cJSON *secret, unsigned number, int64_t otherwise)
{
    OWNED_JSON struct cJSON *times = times_of(secret);
    OWNED_TEXT char *id = mem_format("k%u", number);
    struct tm parts = { 0 };
    const char *end = strptime(json_text_at(secret, "metadata.creationTimestamp", ""), "%Y-%m-%dT%H:%M:%SZ", &parts);

    return json_int(times, id, end != NULL ? (int64_t)timegm(&parts) : otherwise);
}

static void put_times(struct cJSON *secret, const struct cJSON *times)
{
    OWNED_TEXT char *text = json_print(times);

    secret_put_entry(secret, "made", text, strlen(text));
}

void secret_add_key(struct cJSON *secret, unsigned number, int64_t now_s)
{
    OWNED_JSON struct cJSON *times = times_of(secret);
    OWNED_TEXT char *name = mem_format(KEY_NAME "%u", number);
    uint8_t key[SEAL_KEY];

    digest_random(key, sizeof(key));
    secret_put_entry(secret, name, key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    json_remove(times, name + strlen("key-"));
    json_set_int(times, name + strlen("key-"), now_s);
    put_times(secret, times);
}

static struct cJSON *meta_object(struct cJSON *secret, const char *name)
{
    struct cJSON *meta = json_get(secret, "metadata");

    if (!json_is_object(json_get(meta, name))) {
        json_remove(meta, name);
        json_set_object(meta, name);
    }
    return json_get(meta, name);
}

static void replace_text(struct cJSON *object, const char *name, const char *value)
{
    json_remove(object, name);
    json_set_text(object, name, value);
}

/* Labels, the Secret's own uid, and the version: from now on nobody takes it for another's. */
void secret_stamp(struct cJSON *secret, const char *release)
{
    struct cJSON *labels = meta_object(secret, "labels");
    OWNED_TEXT char *version = mem_format("%d", SECRET_VERSION_MOST);

    replace_text(labels, SECRET_LABEL_MADE_BY, SECRET_MADE_BY);
    replace_text(labels, POD_LABEL_RELEASE, release);
    replace_text(meta_object(secret, "annotations"), ANNOTATION_UID, json_text_at(secret, "metadata.uid", ""));
    secret_put_entry(secret, "version", version, strlen(version));
}

void secret_drop_key(struct cJSON *secret, unsigned number)
{
    OWNED_JSON struct cJSON *times = times_of(secret);
    OWNED_TEXT char *name = mem_format(KEY_NAME "%u", number);

    json_remove(secret_data(secret), name);
    json_remove(times, name + strlen("key-"));
    put_times(secret, times);
}
