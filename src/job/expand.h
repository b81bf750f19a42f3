/* Reference syntax of variables, apart from where values come from (docs/reference/dataops.md, "Variables"). */
#ifndef SRC_JOB_EXPAND_H
#define SRC_JOB_EXPAND_H

#include "base/strbuf.h"

/* Borrows the value of a name, or NULL when unknown. */
typedef const char *expand_value(const void *owner, const char *name);
/* Appends text with $NAME, ${NAME} and $$ replaced, up to out's ceiling; -1 when that was passed. */
int expand(const char *text, expand_value *value, const void *owner, struct strbuf *out);

#endif
