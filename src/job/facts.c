/* One table of names: who defines each. The values are found once per job. */
#include "job/facts.h"

#include "expand.h"
#include "text/url.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define FOLDER_MOST    2048u
#define TEXT_MOST      (128u * KIB)
#define SLUG_MOST      63
#define SHORT_SHA_SIZE 8

static const struct {
    const char *name;
    enum fact_owner owner;
} facts_table[FACTS] = {
    [FACT_SHORT_TOKEN] = { "CI_RUNNER_SHORT_TOKEN", FACT_OF_RUNNER },
    [FACT_BUILDS_DIR] = { "CI_BUILDS_DIR", FACT_OF_RUNNER },
    [FACT_PROJECT_DIR] = { "CI_PROJECT_DIR", FACT_OF_RUNNER },
    [FACT_CONCURRENT_ID] = { "CI_CONCURRENT_ID", FACT_OF_RUNNER },
    [FACT_CONCURRENT_PROJECT_ID] = { "CI_CONCURRENT_PROJECT_ID", FACT_OF_RUNNER },
    [FACT_SERVER] = { "CI_SERVER", FACT_OF_RUNNER },
    [FACT_JOB_STATUS] = { "CI_JOB_STATUS", FACT_OF_RUNNER },
    [FACT_JOB_TIMEOUT] = { "CI_JOB_TIMEOUT", FACT_OF_RUNNER },
    [FACT_CA_FILE] = { "CI_SERVER_TLS_CA_FILE", FACT_OF_RUNNER },
    [FACT_DISPOSABLE] = { "CI_DISPOSABLE_ENVIRONMENT", FACT_OF_RUNNER },
    [FACT_VERSION] = { "CI_RUNNER_VERSION", FACT_OF_RUNNER },
    [FACT_REVISION] = { "CI_RUNNER_REVISION", FACT_OF_RUNNER },
    [FACT_ARCH] = { "CI_RUNNER_EXECUTABLE_ARCH", FACT_OF_RUNNER },
    [FACT_TMP_DIR] = { "RUNNER_TEMP_PROJECT_DIR", FACT_OF_RUNNER },
    [FACT_ENV_FILE] = { "GITLAB_ENV", FACT_OF_SHELL },
    [FACT_TERMINAL_PROMPT] = { "GIT_TERMINAL_PROMPT", FACT_OF_SHELL },
    [FACT_GCM_INTERACTIVE] = { "GCM_INTERACTIVE", FACT_OF_SHELL },
    [FACT_JOB_ID] = { "CI_JOB_ID", FACT_OF_DATAOPS },
    [FACT_JOB_URL] = { "CI_JOB_URL", FACT_OF_DATAOPS },
    [FACT_PIPELINE_ID] = { "CI_PIPELINE_ID", FACT_OF_DATAOPS },
    [FACT_PROJECT_ID] = { "CI_PROJECT_ID", FACT_OF_DATAOPS },
    [FACT_PROJECT_NAME] = { "CI_PROJECT_NAME", FACT_OF_DATAOPS },
    [FACT_PROJECT_TITLE] = { "CI_PROJECT_TITLE", FACT_OF_DATAOPS },
    [FACT_PROJECT_PATH] = { "CI_PROJECT_PATH", FACT_OF_DATAOPS },
    [FACT_PROJECT_PATH_SLUG] = { "CI_PROJECT_PATH_SLUG", FACT_OF_DATAOPS },
    [FACT_PROJECT_NAMESPACE] = { "CI_PROJECT_NAMESPACE", FACT_OF_DATAOPS },
    [FACT_PROJECT_ROOT_NAMESPACE] = { "CI_PROJECT_ROOT_NAMESPACE", FACT_OF_DATAOPS },
    [FACT_PROJECT_URL] = { "CI_PROJECT_URL", FACT_OF_DATAOPS },
    [FACT_SERVER_URL] = { "CI_SERVER_URL", FACT_OF_DATAOPS },
    [FACT_SERVER_HOST] = { "CI_SERVER_HOST", FACT_OF_DATAOPS },
    [FACT_RUNNER_ID] = { "CI_RUNNER_ID", FACT_OF_DATAOPS },
    [FACT_RUNNER_DESCRIPTION] = { "CI_RUNNER_DESCRIPTION", FACT_OF_DATAOPS },
    [FACT_JOB_NAME] = { "CI_JOB_NAME", FACT_OF_PROJECT },
    [FACT_JOB_STAGE] = { "CI_JOB_STAGE", FACT_OF_PROJECT },
    [FACT_REF_NAME] = { "CI_COMMIT_REF_NAME", FACT_OF_PROJECT },
    [FACT_REF_SLUG] = { "CI_COMMIT_REF_SLUG", FACT_OF_PROJECT },
    [FACT_BRANCH] = { "CI_COMMIT_BRANCH", FACT_OF_PROJECT },
    [FACT_TAG] = { "CI_COMMIT_TAG", FACT_OF_PROJECT },
    [FACT_SHA] = { "CI_COMMIT_SHA", FACT_OF_PROJECT },
    [FACT_SHORT_SHA] = { "CI_COMMIT_SHORT_SHA", FACT_OF_PROJECT },
    [FACT_BEFORE_SHA] = { "CI_COMMIT_BEFORE_SHA", FACT_OF_PROJECT },
};

const char *fact_name(enum fact fact)
{
    return facts_table[fact].name;
}

enum fact_owner fact_owner(enum fact fact)
{
    return facts_table[fact].owner;
}

/* FACTS when no fact has this name. */
static enum fact fact_named(const char *name)
{
    size_t fact = 0;

    while (fact < FACTS && strcmp(facts_table[fact].name, name) != 0)
        fact++;
    return (enum fact)fact;
}

bool fact_is_runners(const char *name)
{
    enum fact fact = fact_named(name);

    return fact < FACTS && (fact_owner(fact) == FACT_OF_RUNNER || fact_owner(fact) == FACT_OF_SHELL);
}

const char *job_fact(const struct job_facts *facts, enum fact fact)
{
    return facts->values[fact];
}

/* --- folders --- */

/* Appends "/part" for each part of a URL path; -1 when one could lead out of the folder. */
static int add_parts(const char *path, struct strbuf *out)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
            return -1;
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)path[i] < ' ' || path[i] == 0x7F)
                return -1;
        }
        if (length > 0 && (strbuf_add_char(out, '/') < 0 || strbuf_add(out, path, length) < 0))
            return -1;
        path += length + (path[length] == '/');
    }
    return 0;
}

/* Gives the path without slashes at its end and without ".git". */
static char *project_path(const char *repo_url, struct error *error)
{
    struct url url = URL_EMPTY;

    if (url_parse(repo_url, &url, error) < 0) {
        error_within(error, "git_info.repo_url");
        return NULL;
    }
    size_t length = strlen(url.path);
    while (length > 0 && url.path[length - 1] == '/')
        length--;
    if (length >= 4 && memcmp(url.path + length - 4, ".git", 4) == 0)
        length -= 4;
    char *path = mem_copy(url.path, length);
    url_clear(&url);
    return path;
}

char *job_project_dir(const char *builds_dir, const char *repo_url, struct error *error)
{
    OWNED_TEXT char *path = project_path(repo_url, error);
    struct strbuf out = STRBUF_UP_TO(FOLDER_MOST);
    size_t root = strlen(builds_dir);

    if (!path)
        return NULL;
    while (root > 1 && builds_dir[root - 1] == '/')
        root--;
    if (*path == '\0' || path[strlen(path) - 1] == '/' || strbuf_add(&out, builds_dir, root) < 0 ||
        add_parts(path, &out) < 0) {
        strbuf_clear(&out);
        error_set(error, BLAME_INPUT, 0, "git_info.repo_url: its path is no name of a project");
        return NULL;
    }
    return strbuf_take(&out, NULL);
}

/* --- what is found --- */

/* An empty text is nothing that is known. */
static void set(struct job_facts *facts, enum fact fact, const char *text)
{
    facts->values[fact] = text && *text ? mem_text(text) : NULL;
}

static void set_number(struct job_facts *facts, enum fact fact, uint64_t number)
{
    if (number > 0)
        facts->values[fact] = mem_format("%" PRIu64, number);
}

/* DataOps' form of a name for URLs: lower case, others than letters and digits as "-", at most 63, no "-" at an end. */
static char *slug(const char *text)
{
    char *value = mem_copy(text, strnlen(text, SLUG_MOST));
    size_t length = strlen(value), start;

    for (char *c = value; *c; c++)
        *c = isalnum((unsigned char)*c) && (unsigned char)*c < 0x80 ? (char)tolower((unsigned char)*c) : '-';
    start = strspn(value, "-");
    while (length > start && value[length - 1] == '-')
        length--;
    value[length] = '\0';
    memmove(value, value + start, length - start + 1);
    return value;
}

static void find_runner(const struct job_facts_input *input, struct job_facts *facts)
{
    set(facts, FACT_SHORT_TOKEN, input->short_token);
    set(facts, FACT_BUILDS_DIR, input->builds_dir);
    set(facts, FACT_CONCURRENT_ID, "0"); /* each job has a pod and a volume of its own */
    set(facts, FACT_CONCURRENT_PROJECT_ID, "0");
    set(facts, FACT_SERVER, "yes");
    set(facts, FACT_JOB_STATUS, "running");
    facts->values[FACT_JOB_TIMEOUT] = mem_format("%" PRId64, input->job->timeout_s);
    set(facts, FACT_CA_FILE, input->ca_pem);
    set(facts, FACT_DISPOSABLE, "true");
    set(facts, FACT_VERSION, input->version);
    set(facts, FACT_REVISION, input->revision);
    set(facts, FACT_ARCH, input->arch ? input->arch : "linux/amd64");
    facts->values[FACT_TMP_DIR] = mem_format("%s.tmp", facts->values[FACT_PROJECT_DIR]);
    facts->values[FACT_ENV_FILE] = mem_format("%s/gitlab_runner_env", facts->values[FACT_TMP_DIR]);
    set(facts, FACT_TERMINAL_PROMPT, "0");
    set(facts, FACT_GCM_INTERACTIVE, "Never");
    set_number(facts, FACT_RUNNER_ID, input->runner_id);
    set(facts, FACT_RUNNER_DESCRIPTION, input->runner_name);
}

/* Gives the project's path at DataOps: job_info says it; an older DataOps has it in the repository's URL alone. */
static char *full_path(const struct job_facts_input *input, const char *server_path)
{
    struct error ignored = ERROR_NONE;
    size_t prefix = strlen(server_path);

    if (*input->job->project_full_path)
        return mem_text(input->job->project_full_path);
    OWNED_TEXT char *path = project_path(input->job->repo_url, &ignored);
    const char *rest = path ? path : "";
    if (prefix > 0 && strncmp(rest, server_path, prefix) == 0 && rest[prefix] == '/')
        rest += prefix;
    return mem_text(rest + strspn(rest, "/"));
}

static void find_urls(const struct job_facts_input *input, struct job_facts *facts, const struct url *server,
                      const char *path)
{
    OWNED_TEXT char *origin = url_origin(server);

    facts->values[FACT_SERVER_URL] = mem_format("%s%s", origin, server->path);
    set(facts, FACT_SERVER_HOST, server->host);
    if (!*path)
        return;
    facts->values[FACT_PROJECT_URL] = mem_format("%s/%s", facts->values[FACT_SERVER_URL], path);
    facts->values[FACT_JOB_URL] = mem_format("%s/-/jobs/%" PRIu64, facts->values[FACT_PROJECT_URL], input->job->id);
}

static void find_project(const struct job_facts_input *input, struct job_facts *facts)
{
    struct url server = URL_EMPTY;
    struct error ignored = ERROR_NONE;
    bool has_server = input->server_url && url_parse(input->server_url, &server, &ignored) == 0;

    while (has_server && *server.path && server.path[strlen(server.path) - 1] == '/')
        server.path[strlen(server.path) - 1] = '\0';
    OWNED_TEXT char *path = full_path(input, has_server ? server.path : "");
    const char *last = strrchr(path, '/');
    if (has_server)
        find_urls(input, facts, &server, path);
    url_clear(&server);
    set_number(facts, FACT_JOB_ID, input->job->id);
    set_number(facts, FACT_PIPELINE_ID, input->job->pipeline_id);
    set_number(facts, FACT_PROJECT_ID, input->job->project_id);
    set(facts, FACT_PROJECT_TITLE, input->job->project_name);
    if (!last)
        return;
    set(facts, FACT_PROJECT_PATH, path);
    set(facts, FACT_PROJECT_NAME, last + 1);
    facts->values[FACT_PROJECT_PATH_SLUG] = slug(path);
    facts->values[FACT_PROJECT_NAMESPACE] = mem_copy(path, (size_t)(last - path));
    facts->values[FACT_PROJECT_ROOT_NAMESPACE] = mem_copy(path, strcspn(path, "/"));
}

static void find_commit(const struct job *job, struct job_facts *facts)
{
    set(facts, FACT_JOB_NAME, job->name);
    set(facts, FACT_JOB_STAGE, job->stage);
    set(facts, FACT_REF_NAME, job->ref);
    if (job->ref && *job->ref)
        facts->values[FACT_REF_SLUG] = slug(job->ref);
    if (job->ref_type && strcmp(job->ref_type, "tag") == 0)
        set(facts, FACT_TAG, job->ref);
    else if (job->ref && strncmp(job->ref, "refs/", 5) != 0) /* such is a merge request's: it has no branch */
        set(facts, FACT_BRANCH, job->ref);
    set(facts, FACT_SHA, job->sha);
    if (job->sha && *job->sha)
        facts->values[FACT_SHORT_SHA] = mem_copy(job->sha, strnlen(job->sha, SHORT_SHA_SIZE));
    set(facts, FACT_BEFORE_SHA, job->before_sha);
}

/* --- texts that name facts --- */

static const char *pair_value(const char *pair, const char *name)
{
    size_t length = strlen(name);

    return strncmp(pair, name, length) == 0 && pair[length] == '=' ? pair + length + 1 : NULL;
}

static const char *lookup(const struct job_facts *facts, const char *const *operators, const char *name)
{
    enum fact fact = fact_named(name);
    const char *value = NULL;

    if (fact < FACTS) /* CI_SERVER_TLS_CA_FILE is a file in the pod, the shell's names are not set anywhere else */
        return fact == FACT_CA_FILE || fact_owner(fact) == FACT_OF_SHELL ? NULL : facts->values[fact];
    for (size_t i = 0; operators && operators[i]; i++) {
        const char *found = pair_value(operators[i], name);
        value = found ? found : value;
    }
    return value;
}

struct names {
    const struct job_facts *facts;
    const char *const *operators;
    char **unset; /* the first name without a value; NULL: nobody asks */
};

static const char *lookup_and_note(const void *owner, const char *name)
{
    const struct names *names = owner;
    const char *value = lookup(names->facts, names->operators, name);

    if (!value && names->unset && !*names->unset)
        *names->unset = mem_text(name);
    return value;
}

char *job_facts_expand(const struct job_facts *facts, const char *text, char **unset)
{
    struct names names = { facts, (const char *const *)facts->operators, unset };
    struct strbuf out = STRBUF_UP_TO(TEXT_MOST);

    if (unset)
        *unset = NULL;
    if (expand(text, lookup_and_note, &names, &out) < 0)
        strbuf_cut(&out, 0); /* a piece of a text would be another text */
    char *given = strbuf_take(&out, NULL);
    return given ? given : mem_text("");
}

enum fact_owner fact_owner_in_texts(const char *name, const char *const *runner_environment)
{
    enum fact fact = fact_named(name);

    if (fact < FACTS)
        return fact == FACT_CA_FILE || fact_owner(fact) == FACT_OF_SHELL ? FACT_OF_NOBODY : fact_owner(fact);
    for (size_t i = 0; runner_environment && runner_environment[i]; i++)
        if (pair_value(runner_environment[i], name))
            return FACT_OF_OPERATOR;
    return FACT_OF_NOBODY;
}

struct walk {
    void (*each)(void *owner, const char *name);
    void *owner;
};

static const char *tell(const void *owner, const char *name)
{
    const struct walk *walk = owner;

    walk->each(walk->owner, name);
    return NULL;
}

void fact_names_in_text(const char *text, void (*each)(void *owner, const char *name), void *owner)
{
    struct walk walk = { each, owner };
    struct strbuf out = STRBUF_EMPTY;

    expand(text, tell, &walk, &out);
    strbuf_clear(&out);
}

/* The operator's own variables, each expanded against the others as they are written. */
static void find_operators(const struct job_facts_input *input, struct job_facts *facts)
{
    struct names names = { facts, input->runner_environment, NULL };
    size_t count = 0;

    while (input->runner_environment && input->runner_environment[count])
        count++;
    facts->operators = mem_new_array(count + 1, sizeof(*facts->operators));
    for (size_t i = 0; i < count; i++) {
        struct strbuf out = STRBUF_UP_TO(TEXT_MOST);
        if (expand(input->runner_environment[i], lookup_and_note, &names, &out) < 0)
            strbuf_cut(&out, 0);
        char *pair = strbuf_take(&out, NULL);
        facts->operators[i] = pair ? pair : mem_text("");
    }
}

int job_facts_find(const struct job_facts_input *input, struct job_facts *given, struct error *error)
{
    *given = (struct job_facts){ 0 };
    given->values[FACT_PROJECT_DIR] = job_project_dir(input->builds_dir, input->job->repo_url, error);
    if (!given->values[FACT_PROJECT_DIR])
        return -1;
    find_runner(input, given);
    find_project(input, given);
    find_commit(input->job, given);
    find_operators(input, given);
    return 0;
}

void job_facts_clear(struct job_facts *facts)
{
    for (size_t i = 0; i < FACTS; i++)
        mem_free(facts->values[i]);
    for (size_t i = 0; facts->operators && facts->operators[i]; i++)
        mem_free(facts->operators[i]);
    mem_free(facts->operators);
    *facts = (struct job_facts){ 0 };
}
