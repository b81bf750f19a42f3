/* How a job ended, in one value: courier's end record when there is one, else the cause that the controller found.
 * Pure.
 */
#ifndef JOB_VERDICT_H
#define JOB_VERDICT_H

#include "job/reason.h"
#include "job/result.h"

#include <stdbool.h>

struct verdict {
    bool has_result;      /* an end record was read: result counts, and the fields of the cause do not */
    struct result result; /* what the end record says */
    enum reason cause;
    int exit_code;  /* of the cause; 0 when it has none */
    char text[512]; /* the cause in words, for people */
};

/* Sets the cause: reason, exit code (0: none) and words. An end record that was read before stays. */
void verdict_set_cause(struct verdict *verdict, enum reason reason, int exit_code, const char *text);
/* Reads an end record, from the log or from the termination message. BLAME_REMOTE or BLAME_INPUT and an unchanged
 * verdict when it is none. */
int verdict_read(struct verdict *verdict, const char *text, size_t length, struct error *error) MUST_CHECK;
/* The cause counts, whatever an end record said. */
void verdict_drop_result(struct verdict *verdict);

bool verdict_is_success(const struct verdict *verdict);
/* Whether the runner or its surroundings are to blame, and not the job: the words then say "(system failure)". */
bool verdict_is_system(const struct verdict *verdict);
/* What DataOps is told. An end record that gives no reason for an end that needs one gets it by its outcome. */
enum reason verdict_reason(const struct verdict *verdict);
int verdict_exit_code(const struct verdict *verdict);
/* Gives the closing line of the trace for a cause; an end record has had its own lines from courier. */
char *verdict_line(const struct verdict *verdict);

#endif
