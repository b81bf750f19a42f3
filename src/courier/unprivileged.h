/* The children that work on the build volume, which is hostile once the script began: this program again, as the job's
 * user, without capabilities and without the plan. They read a request (JSON) from stdin, print lines for the trace to
 * stdout, and have the archive as descriptor 3. */
#ifndef COURIER_UNPRIVILEGED_H
#define COURIER_UNPRIVILEGED_H

#include "base/mem.h"

#define UNPRIVILEGED_ARCHIVE_FD 3
#define UNPRIVILEGED_NOTHING    3 /* exit code of pack: no file matched, nothing was written */

struct cJSON;

/* `--pack`: {"builds_dir","folder","paths":[],"exclude":[],"untracked","format","level","limits",
 * "again"}. The exit code. */
int pack_main(void);
/* `--unpack`: {"builds_dir","folder","limits"}. The exit code. */
int unpack_main(void);

/* Reads the request from stdin (at most 4 MiB); NULL after a line about why. json_free. */
struct cJSON *request_read(void);
/* Prints one line for the trace; foreign names in it should have gone through quote_for_people. */
void tell(const char *format, ...) PRINTF_LIKE(1, 2);
void tell_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void tell_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* From now on tell and tell_warning say nothing: an archive that is packed again has the same to say. */
void tell_errors_only(void);
/* Gives a file name for people; mem_free. */
char *name_for_people(const char *name);

#endif
