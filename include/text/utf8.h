/* UTF-8, checked: used where foreign bytes are shown, cut or matched. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes the valid character at bytes has (1 to 4); 0 when there is none (broken, cut off, or left is 0). */
size_t utf8_length(const char *bytes, size_t left);
/* The code point of the character at bytes, with its length; a byte that begins none counts as itself, length 1. */
uint32_t utf8_code(const char *bytes, size_t left, size_t *length);

#endif
