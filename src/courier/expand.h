/* Artifact names and paths, expanded as inside double quotes of a shell: $NAME ${NAME} ${NAME:-x} ${NAME-x} ${NAME:+x}
 * ${NAME+x} and backslash before $ ` " \ (docs/reference/dataops.md, "Variables"). Pure. */
#ifndef COURIER_EXPAND_H
#define COURIER_EXPAND_H

#include "base/strbuf.h"

/* Borrows a value; NULL when the name is not set. */
typedef const char *expand_lookup(void *owner, const char *name);

/* Appends the expanded text. -1 and nothing appended when it is no valid expression (the caller keeps the text as it
 * was). The result is at most 64 KiB. */
int expand_text(const char *text, expand_lookup *lookup, void *owner, struct strbuf *out) MUST_CHECK;

#endif
