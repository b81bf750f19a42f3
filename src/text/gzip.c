#include "text/gzip.h"

#define ZLIB_CONST
#include <zlib.h>

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#define GZIP_WINDOW (15 + 16) /* the 16 asks zlib for gzip's header and trailer */
#define PIECE_MOST  (16u * KIB)

uint32_t crc32_of(uint32_t so_far, const void *bytes, size_t length)
{
    return length > 0 ? (uint32_t)crc32_z(so_far, bytes, length) : so_far;
}

uint32_t crc32_joined(uint32_t first, uint32_t second, uint64_t second_length)
{
    return (uint32_t)crc32_combine(first, second, (z_off_t)second_length);
}

/* zlib counts in unsigned int: hands over the next piece of the input. */
static void next_input(z_stream *stream, const uint8_t **from, size_t *left)
{
    if (stream->avail_in > 0 || *left == 0)
        return;
    uInt piece = *left > INT_MAX ? INT_MAX : (uInt)*left;
    stream->next_in = *from;
    stream->avail_in = piece;
    *from += piece;
    *left -= piece;
}

void gzip_pack(const void *bytes, size_t length, int level, struct strbuf *out)
{
    z_stream stream = { 0 };
    const uint8_t *from = bytes;
    int result = Z_OK;

    if (deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* no memory, or a level that nobody has */
    while (result == Z_OK) {
        next_input(&stream, &from, &length);
        uint8_t *room = (uint8_t *)strbuf_room(out, PIECE_MOST);
        if (!room)
            break;
        stream.next_out = room;
        stream.avail_out = PIECE_MOST;
        result = deflate(&stream, length == 0 ? Z_FINISH : Z_NO_FLUSH);
        strbuf_wrote(out, PIECE_MOST - stream.avail_out);
    }
    deflateEnd(&stream);
}

/* Unpacks one step; Z_BUF_ERROR also when out is full. */
static int unpack_step(z_stream *stream, struct strbuf *out, bool *full)
{
    size_t most = out->ceiling > 0 ? out->ceiling : (size_t)1 << 30;
    size_t left = most > out->length ? most - out->length : 0;
    size_t piece = left < PIECE_MOST ? left : PIECE_MOST;
    uint8_t spare;
    uint8_t *room = piece > 0 ? (uint8_t *)strbuf_room(out, piece) : &spare;

    stream->next_out = room;
    stream->avail_out = piece > 0 ? (uInt)piece : 1;
    int result = inflate(stream, Z_NO_FLUSH);
    if (piece > 0)
        strbuf_wrote(out, piece - stream->avail_out);
    else
        *full = stream->avail_out == 0; /* there was one byte more */
    return result;
}

int gzip_unpack(const void *bytes, size_t length, struct strbuf *out, struct error *error)
{
    z_stream stream = { 0 };
    const uint8_t *from = bytes;
    size_t before = out->length;
    bool full = false;

    if (length == 0)
        return error_set(error, BLAME_INPUT, 0, "gzip: empty");
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        abort();
    int result = Z_OK;
    while (result == Z_OK && !full) {
        next_input(&stream, &from, &length);
        result = unpack_step(&stream, out, &full);
        if (result == Z_STREAM_END && (stream.avail_in > 0 || length > 0))
            result = inflateReset(&stream);
    }
    inflateEnd(&stream);
    if (result == Z_STREAM_END && !full)
        return 0;
    strbuf_cut(out, before);
    if (full)
        out->overflowed = true;
    return error_set(error, BLAME_INPUT, 0, full ? "gzip: unpacks to more than allowed" : "gzip: damaged or cut off");
}
