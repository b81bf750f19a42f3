/* Shell text for a step: what runs in the job's container (docs/reference/dataops.md, "The shell of a script"). Pure.
 */
#ifndef JOB_SCRIPT_H
#define JOB_SCRIPT_H

#include "base/strbuf.h"
#include "job/payload.h"

/* Appends a script that works in bash, dash and busybox sh: errexit, pipefail where the shell has it, noclobber off,
 * reads GITLAB_ENV's lines, echoes each line in green ("$ line", multi-line: first line and " # collapsed multi-line
 * command"), runs it. The body is evaluated as one quoted string, so that a syntax error stops everything. descriptor:
 * the number the shell was started with (/proc/self/fd/N), closed first when it is 3 to 9 (dash and busybox close no
 * higher ones by name); other numbers are left alone. CI_DEBUG_TRACE switches xtrace on. Lines are trimmed; an empty
 * one is an empty echo. */
void script_render(const struct job_step *step, int descriptor, struct strbuf *out);
/* Prints a notice before the lines ("Running after script..." in green) for after_script. */
void script_render_after(const struct job_step *step, int descriptor, struct strbuf *out);

#endif
