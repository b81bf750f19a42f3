#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const char *why)
{
    fputs(why, stderr);
    abort();
}

void *mem_new(size_t size_bytes)
{
    return mem_new_array(1, size_bytes);
}

void *mem_new_array(size_t count, size_t size_bytes)
{
    if (count == 0 || size_bytes == 0) {
        count = 1;
        size_bytes = 1;
    }
    void *block = calloc(count, size_bytes);
    if (!block)
        die("out of memory\n");
    return block;
}

void *mem_grow(void *block, size_t size_bytes)
{
    void *grown = realloc(block, size_bytes > 0 ? size_bytes : 1);
    if (!grown)
        die("out of memory\n");
    return grown;
}

char *mem_copy(const void *bytes, size_t size_bytes)
{
    if (size_bytes == SIZE_MAX)
        die("out of memory\n");
    char *copy = mem_grow(NULL, size_bytes + 1);
    if (size_bytes > 0)
        memcpy(copy, bytes, size_bytes);
    copy[size_bytes] = '\0';
    return copy;
}

char *mem_text(const char *text)
{
    return text ? mem_copy(text, strlen(text)) : NULL;
}

char *mem_format(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        die("out of memory, or a bad format\n");
    return text;
}

void mem_free(void *block)
{
    free(block);
}

void mem_wipe_free(void *block, size_t size_bytes)
{
    if (block)
        explicit_bzero(block, size_bytes);
    free(block);
}

void mem_free_text(char **text)
{
    free(*text);
    *text = NULL;
}
