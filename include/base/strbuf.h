/* A growing byte buffer with a ceiling; always NUL-terminated behind its length. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>

struct strbuf {
    char *bytes;     /* never NULL after the first append; read through strbuf_text */
    size_t length;   /* without the NUL */
    size_t capacity; /* from bytes on, the NUL included */
    size_t ceiling;  /* most bytes it may hold; 0 means 1 GiB */
    size_t dropped;  /* bytes in front of `bytes` that strbuf_drop left behind; its own business */
    bool overflowed; /* something did not fit; what had fitted is kept */
};

#define STRBUF_EMPTY           ((struct strbuf){ 0 })
#define STRBUF_UP_TO(ceiling_) ((struct strbuf){ .ceiling = (ceiling_) })

/* Appends; on overflow appends nothing, sets overflowed and returns -1 (callers that set a ceiling check it). */
int strbuf_add(struct strbuf *buffer, const void *bytes, size_t length);
int strbuf_add_text(struct strbuf *buffer, const char *text);
int strbuf_add_char(struct strbuf *buffer, char c);
int strbuf_format(struct strbuf *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
int strbuf_vformat(struct strbuf *buffer, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
/* Removes the first count bytes (all when count is larger). Cheap: nothing moves until room is needed. */
void strbuf_drop(struct strbuf *buffer, size_t count);
/* Cuts to length bytes. */
void strbuf_cut(struct strbuf *buffer, size_t length);
/* Borrows the text; "" when empty. */
const char *strbuf_text(const struct strbuf *buffer);
/* Gives the bytes (free with mem_free) and empties the buffer; *length may be NULL. */
char *strbuf_take(struct strbuf *buffer, size_t *length);
/* Makes room for at least count more bytes and borrows a pointer to write there; then strbuf_wrote (also with 0: it
 * ends the text again). NULL past the ceiling. */
char *strbuf_room(struct strbuf *buffer, size_t count);
void strbuf_wrote(struct strbuf *buffer, size_t count);
/* Frees; may run twice. */
void strbuf_clear(struct strbuf *buffer);
/* Overwrites what it held with zeros, then frees: for secrets. */
void strbuf_wipe(struct strbuf *buffer);
#define OWNED_STRBUF __attribute__((cleanup(strbuf_clear)))

#endif
