#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CEILING_UNSET  ((size_t)1 << 30)
#define FIRST_CAPACITY 64u

static size_t ceiling_of(const struct strbuf *buffer)
{
    return buffer->ceiling > 0 ? buffer->ceiling : CEILING_UNSET;
}

static void move_to_front(struct strbuf *buffer)
{
    if (buffer->dropped == 0)
        return;
    char *block = buffer->bytes - buffer->dropped;
    memmove(block, buffer->bytes, buffer->length + 1);
    buffer->capacity += buffer->dropped;
    buffer->bytes = block;
    buffer->dropped = 0;
}

/* Room for count more bytes and the NUL. Moving costs length bytes and is done only when at least as many were
 * dropped since the last move, or together with a doubling: both are paid for by what was added. */
static bool make_room(struct strbuf *buffer, size_t count)
{
    size_t most = ceiling_of(buffer);
    if (buffer->length > most || count > most - buffer->length)
        return false;
    size_t needed = buffer->length + count + 1;
    if (needed <= buffer->capacity)
        return true;
    if (buffer->dropped >= buffer->length && needed <= buffer->capacity + buffer->dropped) {
        move_to_front(buffer);
        return true;
    }
    move_to_front(buffer);
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > most + 1)
        capacity = most + 1;
    bool is_new = !buffer->bytes;
    if (capacity > buffer->capacity)
        buffer->bytes = mem_grow(buffer->bytes, capacity);
    buffer->capacity = capacity > buffer->capacity ? capacity : buffer->capacity;
    if (is_new)
        buffer->bytes[0] = '\0';
    return true;
}

int strbuf_add(struct strbuf *buffer, const void *bytes, size_t length)
{
    if (!make_room(buffer, length)) {
        buffer->overflowed = true;
        return -1;
    }
    if (length > 0)
        memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return 0;
}

int strbuf_add_text(struct strbuf *buffer, const char *text)
{
    return strbuf_add(buffer, text, strlen(text));
}

int strbuf_add_char(struct strbuf *buffer, char c)
{
    return strbuf_add(buffer, &c, 1);
}

int strbuf_format(struct strbuf *buffer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int result = strbuf_vformat(buffer, format, arguments);
    va_end(arguments);
    return result;
}

int strbuf_vformat(struct strbuf *buffer, const char *format, va_list arguments)
{
    va_list again;

    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0 || !make_room(buffer, (size_t)length)) {
        buffer->overflowed = true;
        return -1;
    }
    vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, arguments);
    buffer->length += (size_t)length;
    return 0;
}

void strbuf_drop(struct strbuf *buffer, size_t count)
{
    if (!buffer->bytes)
        return;
    if (count < buffer->length) {
        buffer->bytes += count;
        buffer->dropped += count;
        buffer->capacity -= count;
        buffer->length -= count;
        return;
    }
    buffer->length = 0;
    buffer->bytes[0] = '\0';
    move_to_front(buffer);
}

void strbuf_cut(struct strbuf *buffer, size_t length)
{
    if (length > buffer->length || !buffer->bytes)
        return;
    buffer->length = length;
    buffer->bytes[length] = '\0';
}

const char *strbuf_text(const struct strbuf *buffer)
{
    return buffer->bytes ? buffer->bytes : "";
}

char *strbuf_take(struct strbuf *buffer, size_t *length)
{
    if (!buffer->bytes)
        make_room(buffer, 0);
    move_to_front(buffer);
    char *bytes = buffer->bytes;
    if (length)
        *length = buffer->length;
    *buffer = STRBUF_UP_TO(buffer->ceiling);
    return bytes;
}

char *strbuf_room(struct strbuf *buffer, size_t count)
{
    if (make_room(buffer, count))
        return buffer->bytes + buffer->length;
    buffer->overflowed = true;
    return NULL;
}

void strbuf_wrote(struct strbuf *buffer, size_t count)
{
    buffer->length += count;
    buffer->bytes[buffer->length] = '\0';
}

void strbuf_clear(struct strbuf *buffer)
{
    if (buffer->bytes)
        mem_free(buffer->bytes - buffer->dropped);
    *buffer = STRBUF_UP_TO(buffer->ceiling);
}

void strbuf_wipe(struct strbuf *buffer)
{
    if (buffer->bytes)
        mem_wipe_free(buffer->bytes - buffer->dropped, buffer->capacity + buffer->dropped);
    *buffer = STRBUF_UP_TO(buffer->ceiling);
}
