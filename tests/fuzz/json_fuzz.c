/* Whatever parses is printed and parsed again to the same text. */
#include "fuzz.h"

#include "text/json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_NONE;
    OWNED_JSON struct cJSON *tree = json_parse((const char *)data, size, &error);
    if (!tree) {
        EXPECT(error.blame == BLAME_INPUT);
        return 0;
    }
    OWNED_TEXT char *first = json_print(tree);
    OWNED_JSON struct cJSON *again = json_parse(first, strlen(first), &error);
    EXPECT(again);
    OWNED_TEXT char *second = json_print(again);
    EXPECT(strcmp(first, second) == 0);
    json_int(tree, "id", 0);
    json_text_at(tree, "metadata.name", "");
    return 0;
}
