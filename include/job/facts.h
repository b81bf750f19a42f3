/* What DataOps and this runner say about a job, whatever the job's variables say. Pure.
 *
 * A payload has one list of variables in which what a project wrote overrides what DataOps predefined, and nothing
 * marks which is which. So whatever courier, the controller or the pod decides by (folders, texts of the operator)
 * comes from here: from job_info, git_info, and this runner's own configuration. */
#ifndef JOB_FACTS_H
#define JOB_FACTS_H

#include "job/payload.h"

#include <stddef.h>

enum fact {
    /* the runner's own: they stand last in a job's variables, so that a script sees what is really so */
    FACT_SHORT_TOKEN,
    FACT_BUILDS_DIR,
    FACT_PROJECT_DIR,
    FACT_CONCURRENT_ID,
    FACT_CONCURRENT_PROJECT_ID,
    FACT_SERVER,
    FACT_JOB_STATUS,
    FACT_JOB_TIMEOUT,
    FACT_CA_FILE,
    FACT_DISPOSABLE,
    FACT_VERSION,
    FACT_REVISION,
    FACT_ARCH,
    FACT_TMP_DIR,
    /* the same, known to the scripts' shell only: no value of a variable can refer to them */
    FACT_ENV_FILE,
    FACT_TERMINAL_PROMPT,
    FACT_GCM_INTERACTIVE,
    /* DataOps' own: no file of a project chooses them */
    FACT_JOB_ID,
    FACT_JOB_URL,
    FACT_PIPELINE_ID,
    FACT_PROJECT_ID,
    FACT_PROJECT_NAME,
    FACT_PROJECT_TITLE,
    FACT_PROJECT_PATH,
    FACT_PROJECT_PATH_SLUG,
    FACT_PROJECT_NAMESPACE,
    FACT_PROJECT_ROOT_NAMESPACE,
    FACT_PROJECT_URL,
    FACT_SERVER_URL,
    FACT_SERVER_HOST,
    FACT_RUNNER_ID,
    FACT_RUNNER_DESCRIPTION,
    /* true as well, but whoever writes to the project chooses them */
    FACT_JOB_NAME,
    FACT_JOB_STAGE,
    FACT_REF_NAME,
    FACT_REF_SLUG,
    FACT_BRANCH,
    FACT_TAG,
    FACT_SHA,
    FACT_SHORT_SHA,
    FACT_BEFORE_SHA,
    FACTS
};
/* Who chooses a name's value. */
enum fact_owner { FACT_OF_RUNNER, FACT_OF_SHELL, FACT_OF_DATAOPS, FACT_OF_PROJECT, FACT_OF_OPERATOR, FACT_OF_NOBODY };

struct job_facts {
    char *values[FACTS]; /* NULL: not known of this job */
    char **operators;    /* [[runners]] environment, "KEY=value" with the value expanded; NULL-ended */
};
/* Borrows everything. */
struct job_facts_input {
    const struct job *job;
    const char *builds_dir, *server_url, *short_token, *runner_name, *version, *revision, *arch;
    uint64_t runner_id;
    const char *ca_pem;                    /* content of CI_SERVER_TLS_CA_FILE; NULL: there is none */
    const char *const *runner_environment; /* [[runners]] environment, NULL-ended "KEY=value", or NULL */
};

/* Gives the facts of a job (job_facts_clear). BLAME_INPUT when git_info.repo_url names no project folder. */
int job_facts_find(const struct job_facts_input *input, struct job_facts *given, struct error *error) MUST_CHECK;
/* Borrows the value, NULL when it is not known of this job. FACT_CA_FILE is the file's content. */
const char *job_fact(const struct job_facts *facts, enum fact fact);
/* The variable's name that a fact has; static text. */
const char *fact_name(enum fact fact);
/* Who defines a fact. */
enum fact_owner fact_owner(enum fact fact);
/* Whether the runner itself defines this variable name: the shell's own names count, too. */
bool fact_is_runners(const char *name);
/* Expands a text of the operator's: $NAME, ${NAME}, $$ by facts and by the operator's own variables ([[runners]]
 * environment), by nothing that a job defines. Gives a text. *unset becomes the first name without a value for this job
 * (mem_free), else NULL; unset may be NULL itself, and such a name is then empty. */
char *job_facts_expand(const struct job_facts *facts, const char *text, char **unset);
/* Who gives a name its value in a text of the operator's: FACT_OF_NOBODY when only a job could. */
enum fact_owner fact_owner_in_texts(const char *name, const char *const *runner_environment);
/* Calls back for each name that a text refers to. */
void fact_names_in_text(const char *text, void (*each)(void *owner, const char *name), void *owner);
void job_facts_clear(struct job_facts *facts);
/* The project folder for a repository URL: <builds_dir>/<group>/<project>. Never leaves builds_dir. Gives a text, or
 * NULL with BLAME_INPUT. */
char *job_project_dir(const char *builds_dir, const char *repo_url, struct error *error);

#endif
