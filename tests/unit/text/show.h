/* A configuration tree as one line of text, for comparing: {key@line:kind(value) ...}. */
#ifndef TEXT_SHOW_H
#define TEXT_SHOW_H

#include "base/strbuf.h"
#include "text/tree.h"

static inline void show_tree(const struct tree *tree, struct strbuf *out)
{
    if (tree->key)
        strbuf_format(out, "%s@%u:", tree->key, tree->line);
    if (tree->kind == TREE_TABLE || tree->kind == TREE_LIST) {
        strbuf_add_char(out, tree->kind == TREE_TABLE ? '{' : '[');
        for (const struct tree *child = tree->first; child; child = child->next) {
            show_tree(child, out);
            if (child->next)
                strbuf_add_char(out, ' ');
        }
        strbuf_add_char(out, tree->kind == TREE_TABLE ? '}' : ']');
    } else if (tree->kind == TREE_TEXT) {
        strbuf_format(out, "\"%s\"", tree->text);
    } else if (tree->kind == TREE_INTEGER) {
        strbuf_format(out, "i%lld", (long long)tree->integer);
    } else if (tree->kind == TREE_FLOAT) {
        strbuf_format(out, "f%g", tree->number);
    } else if (tree->kind == TREE_BOOLEAN) {
        strbuf_add_text(out, tree->integer ? "yes" : "no");
    } else {
        strbuf_add_text(out, "null");
    }
}

#endif
