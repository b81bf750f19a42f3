/* Any content of a mounted Secret, and a job that prints it: the file as it is, each of its lines, and each scalar of a
 * JSON file. Of all that, as far as it has 8 bytes, nothing but the replacement comes out. */
#include "fuzz.h"

#include "base/strbuf.h"
#include "courier/entry_path.h"
#include "text/json.h"
#include "text/mask.h"

#include "secrets.h"

#include <string.h>

static bool is_space(char byte)
{
    return byte && strchr(" \t\r\n\v\f", byte);
}

static void expect_masked(struct mask *mask, const char *bytes, size_t length)
{
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;

    while (length > 0 && is_space(bytes[0])) {
        bytes++;
        length--;
    }
    while (length > 0 && is_space(bytes[length - 1]))
        length--;
    if (length < SECRET_LEAST_BYTES)
        return;
    mask_feed(mask, bytes, length / 2, &out);
    mask_feed(mask, bytes + length / 2, length - length / 2, &out);
    mask_flush(mask, &out);
    EXPECT(strcmp(strbuf_text(&out), "[MASKED]") == 0);
}

static void expect_lines_masked(struct mask *mask, const char *bytes, size_t length)
{
    const char *end = bytes + length;

    expect_masked(mask, bytes, length);
    while (bytes < end) {
        const char *lf = memchr(bytes, '\n', (size_t)(end - bytes));
        expect_masked(mask, bytes, (size_t)((lf ? lf : end) - bytes));
        bytes = (lf ? lf : end) + 1;
    }
}

static void expect_scalars_masked(struct mask *mask, const struct cJSON *item)
{
    const char *text = json_item_text(item);

    if (text)
        expect_lines_masked(mask, text, strlen(text));
    for (const struct cJSON *child = json_first(item); child; child = json_next(child))
        expect_scalars_masked(mask, child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mask *mask = mask_new();

    secrets_add_content(mask, (const char *)data, size);
    expect_lines_masked(mask, (const char *)data, size);
    OWNED_JSON struct cJSON *json = json_parse((const char *)data, size, NULL);
    expect_scalars_masked(mask, json);
    mask_free(mask);
    return 0;
}
