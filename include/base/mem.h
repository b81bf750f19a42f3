/* Memory that never fails: in a memory-limited container the kernel kills before malloc returns NULL,
 * so a failed allocation ends the process. What a remote side may size has a ceiling before it gets here. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#define KIB               1024u
#define MIB               (1024u * 1024u)
#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define UNUSED            __attribute__((unused))
#define COUNT_OF(array)   (sizeof(array) / sizeof((array)[0]))

/* Gives zeroed memory. Never NULL. Free with mem_free. */
void *mem_new(size_t size_bytes) __attribute__((malloc));
/* Gives zeroed memory for count elements; aborts on overflow. */
void *mem_new_array(size_t count, size_t size_bytes) __attribute__((malloc));
/* Grows or makes a block; the new part is not cleared. Never NULL. */
void *mem_grow(void *block, size_t size_bytes) MUST_CHECK;
/* Gives a copy of size_bytes bytes with a NUL behind them. */
char *mem_copy(const void *bytes, size_t size_bytes) __attribute__((malloc));
/* Gives a copy of a string; NULL stays NULL. */
char *mem_text(const char *text);
/* Gives a formatted string. */
char *mem_format(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((malloc));
/* Frees; NULL is fine. */
void mem_free(void *block);
/* Overwrites with zeros (never optimised away), then frees: for secrets. NULL is fine. */
void mem_wipe_free(void *block, size_t size_bytes);
/* Cleanup attribute for a local owner: OWNED_TEXT char *name = mem_text("x"); */
void mem_free_text(char **text);
#define OWNED_TEXT __attribute__((cleanup(mem_free_text)))

#endif
