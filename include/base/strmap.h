/* Text to pointer, in order of first insertion; open addressing. Keys are copied. */
#ifndef BASE_STRMAP_H
#define BASE_STRMAP_H

#include "base/mem.h"

#include <stdbool.h>

struct strmap_entry {
    char *key;   /* NULL: removed */
    void *value; /* borrowed by the map unless it has a free function */
};

struct strmap {
    struct strmap_entry *entries; /* in insertion order, count of them (some removed) */
    size_t count;                 /* entries used, removed ones included */
    size_t live;
    size_t capacity;
    unsigned *slots;
    size_t slot_count;
    void (*free_value)(void *value);
};

#define STRMAP_EMPTY ((struct strmap){ 0 })

/* Sets; the former value is freed with free_value when there is one. */
void strmap_set(struct strmap *map, const char *key, void *value);
void *strmap_get(const struct strmap *map, const char *key);
bool strmap_has(const struct strmap *map, const char *key);
/* Removes and frees; false when the key was not there. */
bool strmap_remove(struct strmap *map, const char *key);
/* Next live entry after *position (start with 0), NULL at the end. Removing the current one while walking is allowed.
 */
struct strmap_entry *strmap_next(const struct strmap *map, size_t *position);
void strmap_clear(struct strmap *map);

#endif
