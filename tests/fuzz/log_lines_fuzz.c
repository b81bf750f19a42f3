/* A log's body with a time before each line, as the kubelet serves it: no chunking makes a difference, no piece crosses
 * a line end, nothing is added to what came, and the kubelet's own words at the end are one line for people.
 *
 * Input: one byte (the size of a chunk), then the body. */
#include "fuzz.h"

#include "base/strbuf.h"
#include "kube/log.h"

#include "log_lines.h"

#include <string.h>

static void lines_read(const char *bytes, size_t size, size_t chunk, struct strbuf *out)
{
    struct log_lines lines = { 0 };
    struct log_tail tail = { 0 };

    while (size > 0) {
        const size_t piece_size = size < chunk ? size : chunk;
        struct log_piece piece;
        size_t used = 0;
        while (log_lines_next(&lines, bytes, piece_size, &used, &piece)) {
            EXPECT(piece.length > 0 && used <= piece_size);
            const char *lf = memchr(piece.bytes, '\n', piece.length);
            EXPECT(lf == NULL || lf == piece.bytes + piece.length - 1);
            strbuf_add(out, piece.bytes, piece.length);
        }
        EXPECT(used == piece_size);
        log_tail_keep(&tail, bytes, piece_size);
        bytes += piece_size;
        size -= piece_size;
    }
    const char *words = log_tail_no_follow(&tail);
    for (const char *at = words; words && *at; at++)
        EXPECT((unsigned char)*at >= ' ' && *at != '"' && *at != 0x7f);
    strbuf_format(out, "\n%s at %lld", words ? words : "followed", (long long)lines.written_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED_STRBUF struct strbuf whole = STRBUF_EMPTY, pieces = STRBUF_EMPTY;

    if (size < 1)
        return 0;
    lines_read((const char *)data + 1, size - 1, SIZE_MAX, &whole);
    lines_read((const char *)data + 1, size - 1, data[0] % 64 + 1u, &pieces);
    EXPECT(whole.length == pieces.length && memcmp(whole.bytes, pieces.bytes, whole.length) == 0);
    EXPECT(whole.length <= size + 512);
    return 0;
}
