/* What the state Secret holds, as the API shows it: entries, keys, and the marks that make it ours (docs/formats.md
 * section 8). Pure. */
#ifndef CONTROLLER_STATE_SECRET_H
#define CONTROLLER_STATE_SECRET_H

#include "text/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

#define SECRET_VERSION_MOST  2 /* 1: one key, k1, as old as the Secret */
#define SECRET_LABEL_MADE_BY "app.kubernetes.io/managed-by"
#define SECRET_MADE_BY       "dataops-runner"

/* Gives the bytes of an entry (mem_wipe_free), with a NUL behind them; NULL: there is none. */
char *secret_entry(const struct cJSON *secret, const char *key, size_t *length);
void secret_put_entry(struct cJSON *secret, const char *key, const void *bytes, size_t length);
/* 0: it names none; INT64_MAX: something that is no version. */
int64_t secret_version(const struct cJSON *secret);

/* The number in "k<number>" that end follows; 0: it is something else. */
unsigned secret_key_number(const char *text, char end);
bool secret_key(const struct cJSON *secret, unsigned number, uint8_t key[SEAL_KEY]);
/* The number of the key that an entry holds; 0: it is something else. */
unsigned secret_key_in(const struct cJSON *secret, const struct cJSON *item);
/* The highest number; 0 none. */
unsigned secret_newest_key(const struct cJSON *secret);
/* When a key was made, in seconds since 1970. One of which nothing is said is as old as the Secret. */
int64_t secret_key_made_s(const struct cJSON *secret, unsigned number, int64_t otherwise);
void secret_add_key(struct cJSON *secret, unsigned number, int64_t now_s);
void secret_drop_key(struct cJSON *secret, unsigned number);

/* It carries its own uid: somebody who may update it wrote that. */
bool secret_is_stamped(const struct cJSON *secret);
/* Labels, the Secret's own uid, and the version: from now on nobody takes it for another's. */
void secret_stamp(struct cJSON *secret, const char *release);

#endif
