/* The variables of a job, merged and expanded (docs/reference/dataops.md, "Variables"). Pure. */
#ifndef JOB_VARIABLES_H
#define JOB_VARIABLES_H

#include "base/strbuf.h"
#include "base/strmap.h"
#include "job/facts.h"
#include "job/payload.h"

#define VARIABLE_VALUE_MOST  (128u * KIB - 1) /* NAME=value with its NUL must fit MAX_ARG_STRLEN */
#define VARIABLES_TOTAL_MOST (2u * MIB - 64u * KIB)

struct variable {
    char *key, *value;  /* final; for a file variable the value is its path */
    char *file_content; /* file variables, else NULL */
    bool masked, is_public, raw;
};
struct variables {
    struct variable *items; /* in order of first definition */
    size_t count;
    struct strmap index;
};

/* What the runner adds before and after the payload's own (docs/reference/dataops.md, "Variables"). NULL-ended
 * "KEY=value" lists borrow. */
struct variables_input {
    const struct job *job;
    const struct job_facts *facts;         /* those of the runner win over everything */
    const char *const *runner_environment; /* [[runners]] environment, below job variables */
    const char *const
        *runner_flags; /* [[runners]] feature_flags as "FF_X=true": above job variables, a job cannot change them */
    const char *image, *files_dir; /* files_dir: "/.dataops/files" */
};
/* Gives the merged, expanded variables (variables_clear). One pass, each value against the unexpanded list; raw ones
 * stay; the last of duplicates wins. */
void variables_merge(const struct variables_input *input, struct variables *given);
/* What the job wishes for: borrows the value of a setting, NULL when unset. NULL also for every name that the runner
 * defines itself: those are no wishes, and job_fact() has them (job/facts.h). */
const char *variables_get(const struct variables *variables, const char *key);
/* GitLab's boolean reading of a variable, otherwise when unset or no boolean. */
bool variables_bool(const struct variables *variables, const char *key, bool otherwise);
/* Expands $NAME, ${NAME}, $$ in a text of the job's; unknown names become empty. A text of the operator's that decides
 * what a job reaches is expanded by facts alone. Gives a text. */
char *variables_expand(const struct variables *variables, const char *text);
/* BLAME_INPUT naming the variable that no process can be started with, advising a file variable; 0 when all fit. */
int variables_check(const struct variables *variables, struct error *error) MUST_CHECK;
void variables_clear(struct variables *variables);

#endif
