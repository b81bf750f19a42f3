/* TOML 1.0 through toml++, behind one C function in the one C++ file. */
#ifndef TEXT_TOML_H
#define TEXT_TOML_H

#include "text/tree.h"

/* Gives a tree (tree_free) or NULL with BLAME_CONFIG and "line N: why". At most 4 MiB. Dates become TREE_TEXT. */
struct tree *toml_parse(const char *text, size_t length, struct error *error) MUST_CHECK;

#endif
