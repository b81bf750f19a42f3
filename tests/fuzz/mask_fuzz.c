/* Any chunking gives the same output, and no phrase is left in it that the replacement did not make. */
#include "fuzz.h"

#include "text/mask.h"

#include <string.h>

/* The input: lines of phrases up to an empty line, then the stream. */
static struct mask *mask_of(const char **at, const char *end)
{
    struct mask *mask = mask_new();
    mask_add_prefix(mask, "glpat-");
    for (unsigned count = 0; *at < end && count < 16; count++) {
        const char *lf = memchr(*at, '\n', (size_t)(end - *at));
        size_t length = (size_t)((lf ? lf : end) - *at);
        if (length > 0)
            mask_add_phrase(mask, *at, length);
        *at += length + (lf ? 1 : 0);
        if (length == 0)
            break;
    }
    return mask;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_STRBUF struct strbuf whole = STRBUF_EMPTY, pieces = STRBUF_EMPTY;

    if (size < 1)
        return 0;
    const char *end = (const char *)data + size, *at = (const char *)data + 1;
    struct mask *mask = mask_of(&at, end);
    mask_feed(mask, at, (size_t)(end - at), &whole);
    mask_flush(mask, &whole);
    EXPECT(mask_held(mask) == 0);
    mask_free(mask);
    at = (const char *)data + 1;
    mask = mask_of(&at, end);
    for (size_t chunk = data[0] % 16 + 1u; at < end; at += chunk) {
        chunk = (size_t)(end - at) < chunk ? (size_t)(end - at) : chunk;
        mask_feed(mask, at, chunk, &pieces);
    }
    mask_flush(mask, &pieces);
    mask_free(mask);
    EXPECT(whole.length == pieces.length && memcmp(strbuf_text(&whole), strbuf_text(&pieces), whole.length) == 0);
    return 0;
}
