#include "text/utf8.h"

static const uint32_t least_code[] = { 0, 0, 0x80, 0x800, 0x10000 };

static size_t length_by_first(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c < 0xC2)
        return 0;
    return c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
}

uint32_t utf8_code(const char *bytes, size_t left, size_t *length)
{
    unsigned char first = (unsigned char)bytes[0];
    size_t count = length_by_first(first);
    uint32_t code = count > 1 ? first & (0x7Fu >> count) : first;

    *length = 1;
    if (count < 2 || count > left)
        return first;
    for (size_t i = 1; i < count; i++) {
        if (((unsigned char)bytes[i] & 0xC0) != 0x80)
            return first;
        code = code << 6 | ((unsigned char)bytes[i] & 0x3F);
    }
    if (code < least_code[count] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return first;
    *length = count;
    return code;
}

size_t utf8_length(const char *bytes, size_t left)
{
    size_t length;

    if (left == 0)
        return 0;
    utf8_code(bytes, left, &length);
    return length > 1 || (unsigned char)bytes[0] < 0x80 ? length : 0;
}
