#include "base/strmap.h"

#include <stdint.h>
#include <string.h>

/* slots[] holds 1 + index into entries; 0 is free, REMOVED was used once and does not end a search. */
#define REMOVED    UINT32_MAX
#define FIRST_SIZE 16u

static uint32_t hash_of(const char *key)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a */
    for (const unsigned char *c = (const unsigned char *)key; *c; c++)
        hash = (hash ^ *c) * 0x100000001B3u;
    return (uint32_t)(hash ^ hash >> 32);
}

/* The slot that holds key, or NULL. */
static unsigned *find(const struct strmap *map, const char *key)
{
    if (map->slot_count == 0)
        return NULL;
    size_t mask = map->slot_count - 1;
    for (size_t at = hash_of(key) & mask; map->slots[at] != 0; at = (at + 1) & mask) {
        unsigned slot = map->slots[at];
        if (slot != REMOVED && strcmp(map->entries[slot - 1].key, key) == 0)
            return &map->slots[at];
    }
    return NULL;
}

static void place(struct strmap *map, size_t entry)
{
    size_t mask = map->slot_count - 1;
    size_t at = hash_of(map->entries[entry].key) & mask;
    while (map->slots[at] != 0)
        at = (at + 1) & mask;
    map->slots[at] = (unsigned)entry + 1;
}

/* Squeezes removed entries out and makes the tables large enough for one more. */
static void rebuild(struct strmap *map)
{
    size_t live = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (map->entries[i].key)
            map->entries[live++] = map->entries[i];
    }
    map->count = live;
    size_t size = FIRST_SIZE;
    while (size < (live + 1) * 4)
        size *= 2;
    mem_free(map->slots);
    map->slots = mem_new_array(size, sizeof(*map->slots));
    map->slot_count = size;
    map->capacity = size / 2;
    map->entries = mem_grow(map->entries, map->capacity * sizeof(*map->entries));
    for (size_t i = 0; i < live; i++)
        place(map, i);
}

void strmap_set(struct strmap *map, const char *key, void *value)
{
    unsigned *slot = find(map, key);
    if (slot) {
        struct strmap_entry *entry = &map->entries[*slot - 1];
        void *old = entry->value;
        entry->value = value;
        if (map->free_value && old != value)
            map->free_value(old);
        return;
    }
    if (map->count >= map->capacity)
        rebuild(map);
    map->entries[map->count] = (struct strmap_entry){ .key = mem_text(key), .value = value };
    place(map, map->count++);
    map->live++;
}

void *strmap_get(const struct strmap *map, const char *key)
{
    const unsigned *slot = find(map, key);
    return slot ? map->entries[*slot - 1].value : NULL;
}

bool strmap_has(const struct strmap *map, const char *key)
{
    return find(map, key) != NULL;
}

bool strmap_remove(struct strmap *map, const char *key)
{
    unsigned *slot = find(map, key);
    if (!slot)
        return false;
    struct strmap_entry *entry = &map->entries[*slot - 1];
    void *value = entry->value;
    char *own_key = entry->key;
    *slot = REMOVED;
    *entry = (struct strmap_entry){ 0 };
    map->live--;
    mem_free(own_key); /* last: key may be this very text */
    if (map->free_value)
        map->free_value(value);
    return true;
}

struct strmap_entry *strmap_next(const struct strmap *map, size_t *position)
{
    while (*position < map->count) {
        struct strmap_entry *entry = &map->entries[(*position)++];
        if (entry->key)
            return entry;
    }
    return NULL;
}

void strmap_clear(struct strmap *map)
{
    for (size_t i = 0; i < map->count; i++) {
        if (map->entries[i].key && map->free_value)
            map->free_value(map->entries[i].value);
        mem_free(map->entries[i].key);
    }
    mem_free(map->entries);
    mem_free(map->slots);
    *map = (struct strmap){ .free_value = map->free_value };
}
