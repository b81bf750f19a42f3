/* Quoting for POSIX shells and for people. */
#ifndef TEXT_QUOTE_H
#define TEXT_QUOTE_H

#include "base/strbuf.h"

/* Appends text as one single-quoted shell word: it's -> 'it'\''s'. */
void quote_shell(const char *text, struct strbuf *out);
/* Appends at most most_bytes of foreign text for a person: control bytes become "?", query strings of URLs are cut,
 * long text ends in "...". */
void quote_for_people(const char *text, size_t most_bytes, struct strbuf *out);
/* Nearest of count names by edit distance (at most 3 and less than half the length), NULL when none is near. */
const char *quote_nearest(const char *name, const char *const *names, size_t count);

#endif
