/* YAML 1.1 through libyaml: one document, no tags of our own; anchors and aliases are expanded with a ceiling. */
#ifndef TEXT_YAML_H
#define TEXT_YAML_H

#include "base/strbuf.h"
#include "text/tree.h"

struct cJSON;

/* Gives a tree (tree_free) or NULL with BLAME_CONFIG and "line N: why". Input at most 4 MiB, 100,000 nodes after
 * expanding aliases, which may repeat 16 MiB of texts, depth 100. Plain scalars are typed by the YAML 1.2 core schema
 * (so "no" is text). */
struct tree *yaml_parse(const char *text, size_t length, struct error *error) MUST_CHECK;
/* Appends a JSON tree as block YAML: strings are quoted where a reader could take them for something else. */
void yaml_print(const struct cJSON *tree, struct strbuf *out);

#endif
