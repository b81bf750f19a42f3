/* Merging keeps one list in order of first definition; expanding reads that list as it was merged and writes new values
 * beside it, so that each value is expanded against unexpanded ones. */
#include "job/variables.h"

#include "expand.h"
#include "text/duration.h"
#include "text/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MOST (1u * MIB) /* of one expanded text that is no variable */
#define TOTAL_STOP                                                                                                     \
    (2u * VARIABLES_TOTAL_MOST) /* the sum at which expanding ends: variables_check refuses it anyway                  \
                                 */
#define FOLDER_MOST 2048u

struct merge {
    struct variables *given;
    size_t capacity;
    const char *files_dir;
};

static struct variable *find(const struct variables *variables, const char *key)
{
    /* the map holds the position plus one, because positions stay when the list grows */
    uintptr_t position = (uintptr_t)strmap_get(&variables->index, key);

    return position > 0 ? &variables->items[position - 1] : NULL;
}

static struct variable *find_or_add(struct merge *merge, const char *key)
{
    struct variables *given = merge->given;
    struct variable *found = find(given, key);

    if (found)
        return found;
    if (given->count == merge->capacity) {
        merge->capacity = merge->capacity > 0 ? 2 * merge->capacity : 64;
        given->items = mem_grow(given->items, merge->capacity * sizeof(*given->items));
    }
    strmap_set(&given->index, key, (void *)(uintptr_t)(given->count + 1));
    found = &given->items[given->count++];
    *found = (struct variable){ .key = mem_text(key) };
    return found;
}

static void define(struct merge *merge, const struct job_variable *wish)
{
    struct variable *variable = find_or_add(merge, wish->key);

    mem_free(variable->value);
    mem_free(variable->file_content);
    variable->file_content = wish->file ? mem_text(wish->value) : NULL;
    variable->value = wish->file ? mem_format("%s/%s", merge->files_dir, wish->key) : mem_text(wish->value);
    variable->masked = wish->masked;
    variable->is_public = wish->is_public;
    variable->raw = wish->raw;
}

static void define_own(struct merge *merge, const char *key, const char *value)
{
    OWNED_TEXT char *own_key = mem_text(key), *own_value = mem_text(value ? value : "");
    struct job_variable wish = { .key = own_key, .value = own_value, .is_public = true, .raw = true };

    define(merge, &wish);
}

/* "KEY=value" of the operator's configuration; expanded like a job's. */
static void define_pair(struct merge *merge, const char *pair)
{
    const char *equals = strchr(pair, '=');

    if (!equals || equals == pair)
        return;
    OWNED_TEXT char *key = mem_copy(pair, (size_t)(equals - pair));
    OWNED_TEXT char *value = mem_text(equals + 1);
    struct job_variable wish = { .key = key, .value = value, .is_public = true };
    define(merge, &wish);
}

static void define_before(struct merge *merge, const struct variables_input *input)
{
    char timeout[24];

    snprintf(timeout, sizeof(timeout), "%" PRId64, input->job->timeout_s);
    OWNED_TEXT char *image = mem_format("CI_JOB_IMAGE=%s", input->image ? input->image : "");
    define_pair(merge, image); /* may refer to variables */
    define_own(merge, "CI_RUNNER_SHORT_TOKEN", input->short_token);
    for (const char *const *pair = input->runner_environment; pair && *pair; pair++)
        define_pair(merge, *pair);
    define_own(merge, "CI_BUILDS_DIR", input->builds_dir);
    define_own(merge, "CI_PROJECT_DIR", input->project_dir);
    define_own(merge, "CI_CONCURRENT_ID", "0"); /* each job has a pod and a volume of its own */
    define_own(merge, "CI_CONCURRENT_PROJECT_ID", "0");
    define_own(merge, "CI_SERVER", "yes");
    define_own(merge, "CI_JOB_STATUS", "running");
    define_own(merge, "CI_JOB_TIMEOUT", timeout);
    if (input->ca_pem) {
        OWNED_TEXT char *key = mem_text("CI_SERVER_TLS_CA_FILE"), *pem = mem_text(input->ca_pem);
        struct job_variable wish = { .key = key, .value = pem, .is_public = true, .file = true, .raw = true };
        define(merge, &wish);
    }
}

static void define_after(struct merge *merge, const struct variables_input *input)
{
    define_own(merge, "CI_DISPOSABLE_ENVIRONMENT", "true");
    define_own(merge, "CI_RUNNER_VERSION", input->version);
    define_own(merge, "CI_RUNNER_REVISION", input->revision);
    define_own(merge, "CI_RUNNER_EXECUTABLE_ARCH", input->arch ? input->arch : "linux/amd64");
    define_own(merge, "RUNNER_TEMP_PROJECT_DIR", input->tmp_dir);
    for (const char *const *pair = input->runner_flags; pair && *pair; pair++)
        define_pair(merge, *pair);
}

static const char *lookup(const void *owner, const char *name)
{
    const struct variable *variable = find(owner, name);

    return variable ? variable->value : NULL;
}

/* Gives the expanded value; one that passes the limit comes back one byte too long, so that variables_check names it.
 */
static char *expanded(const struct variables *variables, const char *value)
{
    struct strbuf out = STRBUF_UP_TO(VARIABLE_VALUE_MOST);

    if (expand(value, lookup, variables, &out) == 0)
        return strbuf_take(&out, NULL);
    strbuf_clear(&out);
    char *too_long = mem_new(VARIABLE_VALUE_MOST + 2);
    memset(too_long, '?', VARIABLE_VALUE_MOST + 1);
    return too_long;
}

/* The content of a file variable stays as it is, byte for byte. */
static bool is_expanded(const struct variable *variable)
{
    return !variable->raw && !variable->file_content && strchr(variable->value, '$') != NULL;
}

static void expand_all(struct variables *given)
{
    char **values = mem_new_array(given->count, sizeof(*values));
    size_t total = 0;

    for (size_t i = 0; i < given->count && total < TOTAL_STOP; i++) {
        if (is_expanded(&given->items[i]))
            values[i] = expanded(given, given->items[i].value);
        total += strlen(values[i] ? values[i] : given->items[i].value);
    }
    for (size_t i = 0; i < given->count; i++) {
        if (!values[i])
            continue;
        mem_free(given->items[i].value);
        given->items[i].value = values[i];
    }
    mem_free(values);
}

void variables_merge(const struct variables_input *input, struct variables *given)
{
    struct merge merge = { .given = given, .files_dir = input->files_dir ? input->files_dir : "/.dataops/files" };

    *given = (struct variables){ .index = STRMAP_EMPTY };
    define_before(&merge, input);
    for (size_t i = 0; i < input->job->variable_count; i++)
        define(&merge, &input->job->variables[i]);
    define_after(&merge, input);
    expand_all(given);
}

const char *variables_get(const struct variables *variables, const char *key)
{
    return lookup(variables, key);
}

bool variables_bool(const struct variables *variables, const char *key, bool otherwise)
{
    const char *text = variables_get(variables, key);
    bool value;

    return text && boolean_parse(text, &value) == 0 ? value : otherwise;
}

char *variables_expand(const struct variables *variables, const char *text)
{
    struct strbuf out = STRBUF_UP_TO(TEXT_MOST);

    if (expand(text, lookup, variables, &out) < 0)
        strbuf_cut(&out, 0); /* a piece of a text would be another text */
    char *given = strbuf_take(&out, NULL);
    return given ? given : mem_text("");
}

int variables_check(const struct variables *variables, struct error *error)
{
    size_t total = 0, most = 0;
    const struct variable *largest = NULL;

    for (size_t i = 0; i < variables->count; i++) {
        const struct variable *variable = &variables->items[i];
        size_t size = strlen(variable->key) + strlen(variable->value) + 2;
        if (size > VARIABLE_VALUE_MOST + 1)
            return error_set(error, BLAME_INPUT, 0,
                             "variable %s: no process can be started with more than 128 KiB in one variable; "
                             "make it a file variable",
                             variable->key);
        total += size + sizeof(char *);
        if (size > most) {
            most = size;
            largest = variable;
        }
    }
    if (total <= VARIABLES_TOTAL_MOST)
        return 0;
    return error_set(error, BLAME_INPUT, 0,
                     "all variables together take %zu KiB, a process can be started with %u KiB; the largest is %s: "
                     "make it a file variable",
                     total / KIB, VARIABLES_TOTAL_MOST / KIB, largest ? largest->key : "");
}

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

char *variables_project_dir(const char *builds_dir, const char *repo_url, struct error *error)
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

void variables_clear(struct variables *variables)
{
    for (size_t i = 0; i < variables->count; i++) {
        mem_free(variables->items[i].key);
        mem_free(variables->items[i].value);
        mem_free(variables->items[i].file_content);
    }
    mem_free(variables->items);
    strmap_clear(&variables->index);
    *variables = (struct variables){ .index = STRMAP_EMPTY };
}
