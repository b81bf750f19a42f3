/* File variables: their content in the memory volume, readable by the job's user only (docs/formats.md section 1). */
#ifndef COURIER_FILES_H
#define COURIER_FILES_H

#include "context.h"

/* Writes every file of the plan to /.dataops/files/KEY, mode 0600, owned by the job's user, and makes the folder (0711)
 * when there are any. BLAME_INPUT for a key that is no file name. */
int files_write(const struct context *context, struct error *error) MUST_CHECK;

#endif
