/* Written, damaged and read: only true bytes come out, at their place; undamaged: all of them. */
#include "fuzz.h"

#include "text/record.h"

#include <string.h>

static void take(struct record_reader *reader, const char *output, size_t length)
{
    uint64_t at = record_committed_at(reader);
    EXPECT(at + reader->committed.length <= length);
    EXPECT(reader->committed.length == 0 ||
           memcmp(reader->committed.bytes, output + at, reader->committed.length) == 0);
    strbuf_drop(&reader->committed, reader->committed.length);
}

static void read_all(struct record_reader *reader, const struct strbuf *log, const char *output, size_t length)
{
    size_t used = 0;
    enum record_news news = RECORD_NOTHING;
    while (!reader->broken && (news = record_feed(reader, log->bytes, log->length, &used)) != RECORD_NOTHING)
        take(reader, output, length);
    take(reader, output, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_writer writer;
    struct record_reader reader;
    OWNED_STRBUF struct strbuf log = STRBUF_EMPTY, bad = STRBUF_EMPTY;

    if (size < 8)
        return 0;
    size_t chunk = data[0] + 1u, at = (size_t)(data[1] << 16 | data[2] << 8 | data[3]);
    const char *output = (const char *)data + 8;
    size -= 8;
    record_writer_init(&writer);
    record_reader_init(&reader, 0);
    for (size_t done = 0; done < size; done += chunk) {
        record_put(&writer, output + done, size - done < chunk ? size - done : chunk);
        if (data[4] & 1)
            record_flush(&writer, &log);
    }
    EXPECT(record_end(&writer, "{\"v\":1}", &log) == 0);
    at %= log.length;
    size_t lost = data[5] % 4u;
    strbuf_add(&bad, log.bytes, at);
    if (data[6])
        strbuf_add_char(&bad, (char)data[7]);
    strbuf_add(&bad, log.bytes + (at + lost < log.length ? at + lost : log.length),
               at + lost < log.length ? log.length - at - lost : 0);
    read_all(&reader, &bad, output, size);
    record_reader_restart(&reader, true);
    read_all(&reader, &log, output, size);
    EXPECT(reader.ended && !reader.broken && reader.wanted == size && reader.known_crc == writer.crc);
    record_reader_clear(&reader);
    record_writer_clear(&writer);
    return 0;
}
