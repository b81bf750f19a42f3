/* A configuration tree with line numbers, the same whether it came from TOML or YAML (JSON is YAML). */
#ifndef TEXT_TREE_H
#define TEXT_TREE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_kind { TREE_TABLE, TREE_LIST, TREE_TEXT, TREE_INTEGER, TREE_FLOAT, TREE_BOOLEAN, TREE_NULL };

struct tree {
    enum tree_kind kind;
    char *key;                        /* member name in a table, else NULL */
    unsigned line;                    /* 1-based; 0 unknown */
    char *text;                       /* TEXT: the value; other scalars: as written */
    int64_t integer;                  /* INTEGER and BOOLEAN */
    double number;                    /* FLOAT, and INTEGER as a double */
    struct tree *first, *last, *next; /* children of TABLE and LIST, in order */
};

struct tree *tree_new(enum tree_kind kind, const char *key, unsigned line);
/* Keeps child. */
void tree_append(struct tree *parent, struct tree *child);
/* Borrows the member, NULL when missing or when table is no table. */
struct tree *tree_get(const struct tree *table, const char *key);
const char *tree_kind_name(enum tree_kind kind);
void tree_free(struct tree *tree);
void tree_free_tree(struct tree **tree);
#define OWNED_TREE __attribute__((cleanup(tree_free_tree)))

#endif
