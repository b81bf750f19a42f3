/* Texts of the operator that name variables (docs/configuration.md): what each may hold. Pure. */
#ifndef POD_TEXTS_H
#define POD_TEXTS_H

#include "base/strbuf.h"
#include "config/config.h"

/* Appends a line, ended by LF, for each variable in a text of this entry that does not do what it seems to: one that
 * only a job could define, one that each project chooses itself where a place is named, one that is the same for all
 * jobs, and any in a key that is not expanded. Each line names the entry's place in the
 * file, the key, and what to do. */
void pod_texts_check(const struct config_runner *runner, const char *file_name, struct strbuf *warnings);

#endif
