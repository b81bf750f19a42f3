/* A tree with lines, or an error that names one. */
#include "fuzz.h"

#include "text/toml.h"

static void walk(const struct tree *tree)
{
    EXPECT(tree->line > 0);
    for (const struct tree *child = tree->first; child; child = child->next) {
        EXPECT((tree->kind == TREE_TABLE) == (child->key != NULL));
        walk(child);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_NONE;
    OWNED_TREE struct tree *tree = toml_parse((const char *)data, size, &error);
    EXPECT(tree || error.blame == BLAME_CONFIG);
    if (tree)
        walk(tree);
    return 0;
}
