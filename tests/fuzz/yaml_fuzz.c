/* A tree or an error; and what is printed as YAML is read as YAML. */
#include "fuzz.h"

#include "text/json.h"
#include "text/yaml.h"

#include <string.h>

static void expect_same(const struct cJSON *item, const struct tree *tree)
{
    const char *text = json_item_text(item);
    EXPECT(json_is_object(item) == (tree->kind == TREE_TABLE) && json_is_array(item) == (tree->kind == TREE_LIST));
    EXPECT((text != NULL) == (tree->kind == TREE_TEXT));
    const struct tree *child = tree->first;
    for (const struct cJSON *each = json_first(item); each; each = json_next(each), child = child->next) {
        EXPECT(child);
        expect_same(each, child);
    }
    EXPECT(!child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_NONE;
    OWNED_TREE struct tree *tree = yaml_parse((const char *)data, size, &error);
    EXPECT(tree || error.blame == BLAME_CONFIG);
    OWNED_JSON struct cJSON *json = json_parse((const char *)data, size, NULL);
    if (!json || size > 160) /* YAML ends a simple key after 1024 characters, and an escaped byte takes six */
        return 0;
    OWNED_STRBUF struct strbuf printed = STRBUF_EMPTY;
    yaml_print(json, &printed);
    OWNED_TREE struct tree *read = yaml_parse(printed.bytes, printed.length, &error);
    if (read)
        expect_same(json, read);
    else /* two equal names are JSON and no YAML; JSON may nest deeper */
        EXPECT(strstr(error.text, "there twice") || strstr(error.text, "deeper"));
    return 0;
}
