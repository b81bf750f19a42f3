/* Many phrases found in one pass (Aho-Corasick). Nodes are small and few have more than one child, so children are
 * lists; only the root, where most bytes of a stream arrive, has a table. */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define TRIE_ROOT 0u

struct trie_node {
    uint32_t child, sibling; /* first child, next child of the parent; 0: none */
    uint32_t fallback;       /* the longest other node that what was read so far ends in */
    uint32_t depth;
    uint32_t match; /* length of the longest phrase that ends here, 0: none */
    uint32_t open;  /* length of the longest unfinished phrase that what was read so far ends in */
    unsigned char byte;
    bool ends_phrase;
};

struct trie {
    struct trie_node *nodes;
    size_t count, capacity;
    uint32_t from_root[256];
};

void trie_init(struct trie *trie);
/* Adds a phrase; an empty one and one that is there already change nothing. Not after trie_finish. */
void trie_add(struct trie *trie, const char *phrase, size_t length);
/* Links the nodes; then the rest may be called. */
void trie_finish(struct trie *trie);
/* The state after one more byte. */
uint32_t trie_step(const struct trie *trie, uint32_t state, char byte);
/* How many bytes at the start of these leave the root where it is. */
size_t trie_skip(const struct trie *trie, const char *bytes, size_t length);
/* Length of the longest phrase that ends with the byte just read; 0: none. */
size_t trie_match(const struct trie *trie, uint32_t state);
/* How many of the last bytes may yet become part of a longer match. */
size_t trie_open(const struct trie *trie, uint32_t state);
/* Overwrites, then frees: phrases are secrets. */
void trie_clear(struct trie *trie);

#endif
