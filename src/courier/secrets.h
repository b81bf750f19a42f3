/* Values of mounted Secrets, read in the pod only, as phrases for the mask (docs/design.md section 2). */
#ifndef COURIER_SECRETS_H
#define COURIER_SECRETS_H

#include <stddef.h>

struct mask;

#define SECRET_LEAST_BYTES 8 /* shorter values would mask ordinary words */

/* Adds what one file's content must not show: its whole trimmed content, each line, and for YAML and JSON each scalar
 * and each of its lines, as far as they have 8 bytes or more. Pure. */
void secrets_add_content(struct mask *mask, const char *bytes, size_t length);
/* Does so for every file below folder (symlinks of a Secret volume are followed; entries that begin with ".." are the
 * kubelet's own). Unreadable files are skipped; at most 1,000 files of 4 MiB. Gives the number of files read. */
size_t secrets_add_folder(struct mask *mask, const char *folder);

#endif
