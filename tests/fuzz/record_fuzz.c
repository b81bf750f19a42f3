/* The log reader on any bytes: no chunking makes a difference, and nothing is given away that two marks do not prove.
 */
#include "fuzz.h"

#include "text/gzip.h"
#include "text/record.h"

#include <string.h>

static void read_all(struct record_reader *reader, const char *bytes, size_t size, size_t chunk, struct strbuf *news)
{
    while (size > 0) {
        size_t piece = size < chunk ? size : chunk, used = 0;
        enum record_news each;
        while ((each = record_feed(reader, bytes, piece, &used)) != RECORD_NOTHING) {
            if (each == RECORD_BROKEN)
                return;
            strbuf_format(news, "%d at %llu: ", each, (unsigned long long)record_committed_at(reader));
            strbuf_add(news, strbuf_text(&reader->committed), reader->committed.length);
            strbuf_drop(&reader->committed, reader->committed.length);
        }
        EXPECT(used == piece);
        bytes += piece;
        size -= piece;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf news[2] = { STRBUF_EMPTY, STRBUF_EMPTY };
    size_t chunks[2] = { SIZE_MAX, 1 };

    if (size < 2)
        return 0;
    chunks[1] = data[0] % 64 + 1u;
    for (int i = 0; i < 2; i++) {
        struct record_reader reader;
        record_reader_init(&reader, data[1] & 15);
        for (int round = 0; round < 3; round++) {
            read_all(&reader, (const char *)data + 2, size - 2, chunks[i], &news[i]);
            if (round == 0)
                record_reader_restart(&reader, data[1] & 16);
            if (round == 1) {
                record_reader_accept_hole(&reader);
                record_reader_restart(&reader, data[1] & 32);
            }
        }
        record_reader_clear(&reader);
    }
    EXPECT(news[0].length == news[1].length &&
           memcmp(strbuf_text(&news[0]), strbuf_text(&news[1]), news[0].length) == 0);
    strbuf_clear(&news[0]);
    strbuf_clear(&news[1]);
    return 0;
}
