#include "text/tree.h"

#include <string.h>

struct tree *tree_new(enum tree_kind kind, const char *key, unsigned line)
{
    struct tree *tree = mem_new(sizeof(*tree));
    tree->kind = kind;
    tree->key = mem_text(key);
    tree->line = line;
    return tree;
}

void tree_append(struct tree *parent, struct tree *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

struct tree *tree_get(const struct tree *table, const char *key)
{
    if (!table || table->kind != TREE_TABLE)
        return NULL;
    for (struct tree *child = table->first; child; child = child->next) {
        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

const char *tree_kind_name(enum tree_kind kind)
{
    static const char *const names[] = {
        [TREE_TABLE] = "table",  [TREE_LIST] = "list",       [TREE_TEXT] = "text", [TREE_INTEGER] = "whole number",
        [TREE_FLOAT] = "number", [TREE_BOOLEAN] = "boolean", [TREE_NULL] = "null",
    };
    return (size_t)kind < COUNT_OF(names) ? names[kind] : "unknown";
}

void tree_free(struct tree *tree)
{
    while (tree) {
        struct tree *next = tree->next;
        tree_free(tree->first);
        mem_free(tree->key);
        mem_free(tree->text);
        mem_free(tree);
        tree = next;
    }
}

void tree_free_tree(struct tree **tree)
{
    tree_free(*tree);
    *tree = NULL;
}
