/* Paths as they stand in an archive from outside. Pure. */
#ifndef COURIER_ENTRY_PATH_H
#define COURIER_ENTRY_PATH_H

#include "base/strbuf.h"

#define ENTRY_PATH_MOST 4095

/* Appends the path cleaned of ".", "//" and a trailing slash ("" for the folder itself). -1 and nothing appended when
 * it is absolute, has a ".." anywhere, or is longer than ENTRY_PATH_MOST. */
int entry_path_clean(const char *path, struct strbuf *out) MUST_CHECK;

#endif
