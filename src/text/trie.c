#include "trie.h"

#include <string.h>

#define NODES_FIRST 64u

/* Not mem_grow: the old block held parts of secrets and has to be overwritten. */
static uint32_t new_node(struct trie *trie)
{
    if (trie->count == trie->capacity) {
        size_t capacity = trie->capacity > 0 ? trie->capacity * 2 : NODES_FIRST;
        struct trie_node *nodes = mem_new_array(capacity, sizeof(*nodes));
        if (trie->nodes)
            memcpy(nodes, trie->nodes, trie->count * sizeof(*nodes));
        mem_wipe_free(trie->nodes, trie->capacity * sizeof(*nodes));
        trie->nodes = nodes;
        trie->capacity = capacity;
    }
    return (uint32_t)trie->count++;
}

void trie_init(struct trie *trie)
{
    *trie = (struct trie){ 0 };
    new_node(trie);
}

static uint32_t child_of(const struct trie *trie, uint32_t node, unsigned char byte)
{
    if (node == TRIE_ROOT)
        return trie->from_root[byte];
    uint32_t child = trie->nodes[node].child;
    while (child != 0 && trie->nodes[child].byte != byte)
        child = trie->nodes[child].sibling;
    return child;
}

void trie_add(struct trie *trie, const char *phrase, size_t length)
{
    uint32_t node = TRIE_ROOT;

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)phrase[i];
        uint32_t child = child_of(trie, node, byte);
        if (child == 0) {
            child = new_node(trie);
            trie->nodes[child].byte = byte;
            trie->nodes[child].depth = trie->nodes[node].depth + 1;
            trie->nodes[child].sibling = trie->nodes[node].child;
            trie->nodes[node].child = child;
            if (node == TRIE_ROOT)
                trie->from_root[byte] = child;
        }
        node = child;
    }
    if (length > 0)
        trie->nodes[node].ends_phrase = true;
}

static void link_node(struct trie *trie, uint32_t parent, uint32_t at)
{
    struct trie_node *node = &trie->nodes[at];

    node->fallback = parent == TRIE_ROOT ? TRIE_ROOT : trie_step(trie, trie->nodes[parent].fallback, (char)node->byte);
    node->match = node->ends_phrase ? node->depth : trie->nodes[node->fallback].match;
    node->open = node->child != 0 ? node->depth : trie->nodes[node->fallback].open;
}

/* Breadth first: a node's fallback is nearer to the root, so it was linked before. */
void trie_finish(struct trie *trie)
{
    uint32_t *queue = mem_new_array(trie->count, sizeof(*queue));
    size_t filled = 1; /* the root is queue[0] */

    for (size_t i = 0; i < filled; i++) {
        uint32_t parent = queue[i];
        for (uint32_t child = trie->nodes[parent].child; child != 0; child = trie->nodes[child].sibling) {
            link_node(trie, parent, child);
            queue[filled++] = child;
        }
    }
    mem_free(queue);
}

/* Each fallback makes the state shorter and each byte longer by at most one: constant work per byte, on the whole. */
uint32_t trie_step(const struct trie *trie, uint32_t state, char byte)
{
    uint32_t next = child_of(trie, state, (unsigned char)byte);
    while (next == 0 && state != TRIE_ROOT) {
        state = trie->nodes[state].fallback;
        next = child_of(trie, state, (unsigned char)byte);
    }
    return next;
}

size_t trie_skip(const struct trie *trie, const char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length && trie->from_root[(unsigned char)bytes[i]] == 0)
        i++;
    return i;
}

size_t trie_match(const struct trie *trie, uint32_t state)
{
    return trie->nodes[state].match;
}

size_t trie_open(const struct trie *trie, uint32_t state)
{
    return trie->nodes[state].open;
}

void trie_clear(struct trie *trie)
{
    mem_wipe_free(trie->nodes, trie->capacity * sizeof(*trie->nodes));
    *trie = (struct trie){ 0 };
}
