/* Unpacking stops at the ceiling; packing comes back. */
#include "fuzz.h"

#include "text/digest.h"
#include "text/gzip.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_STRBUF struct strbuf out = STRBUF_UP_TO(64 * KIB), packed = STRBUF_EMPTY, back = STRBUF_EMPTY,
                               bytes = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    if (gzip_unpack(data, size, &out, &error) < 0)
        EXPECT(error.blame == BLAME_INPUT && out.length == 0);
    EXPECT(out.length <= 64 * KIB);
    gzip_pack(data, size, 1, &packed);
    EXPECT(gzip_unpack(packed.bytes, packed.length, &back, &error) == 0);
    EXPECT(back.length == size && memcmp(strbuf_text(&back), data, size) == 0);
    if (base64_decode((const char *)data, size, &bytes) == 0) {
        strbuf_cut(&back, 0);
        base64_encode(strbuf_text(&bytes), bytes.length, &back);
        EXPECT(back.length == size && memcmp(strbuf_text(&back), data, size) == 0);
    }
    return 0;
}
