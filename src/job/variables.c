/* Merging keeps one list in order of first definition; expanding reads that list as it was merged and writes new values
 * beside it, so that each value is expanded against unexpanded ones. */
#include "job/variables.h"

#include "expand.h"
#include "text/duration.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MOST (1u * MIB) /* of one expanded text that is no variable */
#define TOTAL_STOP                                                                                                     \
    (2u * VARIABLES_TOTAL_MOST) /* the sum at which expanding ends: variables_check refuses it anyway                  \
                                 */

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

/* The scripts' shell sets some names by itself, behind all variables. */
static bool is_of_shell(const char *key)
{
    for (size_t i = 0; i < FACTS; i++)
        if (fact_owner((enum fact)i) == FACT_OF_SHELL && strcmp(fact_name((enum fact)i), key) == 0)
            return true;
    return false;
}

static void define(struct merge *merge, const struct job_variable *wish)
{
    struct variable *variable = is_of_shell(wish->key) ? NULL : find_or_add(merge, wish->key);

    if (!variable)
        return;
    mem_free(variable->value);
    mem_free(variable->file_content);
    variable->file_content = wish->file ? mem_text(wish->value) : NULL;
    variable->value = wish->file ? mem_format("%s/%s", merge->files_dir, wish->key) : mem_text(wish->value);
    variable->masked = wish->masked;
    variable->is_public = wish->is_public;
    variable->raw = wish->raw;
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
    OWNED_TEXT char *image = mem_format("CI_JOB_IMAGE=%s", input->image ? input->image : "");

    define_pair(merge, image); /* may refer to variables, and a job may set it: nothing here reads it */
    for (const char *const *pair = input->runner_environment; pair && *pair; pair++)
        define_pair(merge, *pair);
}

static void define_own(struct merge *merge, enum fact fact, const char *value)
{
    OWNED_TEXT char *own_key = mem_text(fact_name(fact)), *own_value = mem_text(value);
    struct job_variable wish = {
        .key = own_key, .value = own_value, .is_public = true, .raw = true, .file = fact == FACT_CA_FILE
    };

    define(merge, &wish);
}

/* The runner's own come last: whatever a payload says, a script sees the folders that are really used. */
static void define_after(struct merge *merge, const struct variables_input *input)
{
    for (const char *const *pair = input->runner_flags; pair && *pair; pair++)
        define_pair(merge, *pair);
    for (size_t i = 0; i < FACTS; i++) {
        const char *value = job_fact(input->facts, (enum fact)i);
        if (value && fact_owner((enum fact)i) == FACT_OF_RUNNER)
            define_own(merge, (enum fact)i, value);
    }
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
    return fact_is_runners(key) ? NULL : lookup(variables, key);
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
