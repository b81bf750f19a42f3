#include "options.h"

#include "text/duration.h"
#include "text/quote.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAMES_MOST 128

/* One word of the command line that is a flag, taken apart. */
struct flag {
    char *name;       /* without dashes; owned */
    const char *dash; /* "--" or "-" */
    char *value;      /* behind '=', inside argv; NULL: none there */
};

/* --- values --- */

static void value_wipe(struct option_value *value)
{
    for (size_t i = 0; i < value->count; i++)
        mem_wipe_free(value->texts[i], strlen(value->texts[i]));
    mem_free(value->texts);
    value->texts = NULL;
    value->count = 0;
}

static void value_add(struct option_value *value, const char *text, size_t length)
{
    value->texts = mem_grow(value->texts, (value->count + 2) * sizeof(*value->texts));
    value->texts[value->count++] = mem_copy(text, length);
    value->texts[value->count] = NULL;
}

static void value_split(struct option_value *value, const char *text)
{
    for (;;) {
        size_t length = strcspn(text, ",");

        if (length > 0)
            value_add(value, text, length);
        if (text[length] == '\0')
            return;
        text += length + 1;
    }
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);

    for (const char *word = choices; *word != '\0'; word += strspn(word, " ")) {
        size_t word_length = strcspn(word, " ");

        if (word_length == length && strncasecmp(word, text, length) == 0)
            return true;
        word += word_length;
    }
    return false;
}

static int value_check(const struct option *option, const char *where, const char *text, struct error *error)
{
    bool ignored;
    char *end;

    if (option->choices != NULL && !is_choice(option->choices, text))
        return error_set(error, BLAME_INPUT, 0, "%s: \"%.60s\" is not one of: %s", where, text, option->choices);
    if (option->kind == OPTION_SWITCH && boolean_parse(text, &ignored) < 0)
        return error_set(error, BLAME_INPUT, 0, "%s: \"%.60s\" is neither true nor false", where, text);
    if (option->kind != OPTION_NUMBER)
        return 0;
    errno = 0;
    if (text[0] < '0' || text[0] > '9' || strtoll(text, &end, 10) < 0 || *end != '\0' || errno != 0)
        return error_set(error, BLAME_INPUT, 0, "%s: \"%.60s\" is not a whole number", where, text);
    return 0;
}

/* A list grows with each flag; anything else keeps the last one. Choices are kept as the table writes them. */
static void value_set(struct option_value *value, enum option_source source, const char *text)
{
    if (value->option->kind != OPTION_LIST || value->source != source)
        value_wipe(value);
    value->source = source;
    value_add(value, text, strlen(text));
    for (char *c = value->texts[value->count - 1]; value->option->choices != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
}

static bool is_secret(const struct option *option)
{
    return option->kind == OPTION_SECRET || option->may_be_secret;
}

static struct option_value *value_find(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->value_count; i++) {
        const struct option *option = options->values[i].option;

        if (strcmp(option->name, name) == 0 || (option->alias != NULL && strcmp(option->alias, name) == 0))
            return &options->values[i];
    }
    return NULL;
}

static struct option_value *value_find_letter(const struct options *options, const char *letter)
{
    for (size_t i = 0; i < options->value_count; i++)
        if (options->values[i].option->letter == letter[0] && letter[0] != '\0' && letter[1] == '\0')
            return &options->values[i];
    return NULL;
}

/* --- flags --- */

/* With one dash: a long name, or a letter with something glued to it, which may be a token and is not shown. */
static int flag_unknown_letter(const struct options *options, const struct flag *flag, struct error *error)
{
    char letter[2] = { flag->name[0], '\0' };
    const struct option_value *value = value_find_letter(options, letter);

    if (value_find(options, flag->name) != NULL)
        return error_set(error, BLAME_INPUT, 0, "unknown option -%s; did you mean --%s?", flag->name, flag->name);
    if (value != NULL && value->option->value != NULL)
        return error_set(error, BLAME_INPUT, 0, "-%s takes its value as the next word: -%s %s", letter, letter,
                         value->option->value);
    return error_set(error, BLAME_INPUT, 0, "unknown option -%s", letter);
}

static int flag_unknown(const struct options *options, const struct flag *flag, struct error *error)
{
    const char *names[NAMES_MOST];
    size_t count = 0;

    if (flag->dash[1] != '-')
        return flag_unknown_letter(options, flag, error);
    for (size_t i = 0; i < options->value_count && count + 2 < NAMES_MOST; i++) {
        const struct option *option = options->values[i].option;

        if (option->help == NULL)
            continue;
        names[count++] = option->name;
        if (option->alias != NULL)
            names[count++] = option->alias;
    }
    const char *nearest = quote_nearest(flag->name, names, count);
    if (nearest != NULL)
        return error_set(error, BLAME_INPUT, 0, "unknown option --%.80s; did you mean --%s?", flag->name, nearest);
    return error_set(error, BLAME_INPUT, 0, "unknown option --%.80s", flag->name);
}

static bool is_open(const char *const *prefixes, const char *name)
{
    for (size_t i = 0; prefixes != NULL && prefixes[i] != NULL; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* The word behind a flag whose kind nobody knows: its value unless it is a flag itself. */
static void flag_other(struct options *options, const struct flag *flag, char ***next)
{
    char *value = flag->value;
    struct option_other *other;

    if (value == NULL && **next != NULL && (**next)[0] != '-')
        value = *(*next)++;
    options->others = mem_grow(options->others, (options->other_count + 1) * sizeof(*options->others));
    other = &options->others[options->other_count++];
    other->name = mem_text(flag->name);
    other->value = mem_text(value != NULL ? value : "true");
    if (value != NULL)
        memset(value, 'x', strlen(value));
}

static bool is_boolean_word(const char *word)
{
    return word != NULL && (strcmp(word, "true") == 0 || strcmp(word, "false") == 0);
}

static int flag_known(struct option_value *value, const struct flag *flag, char ***next, struct error *error)
{
    const struct option *option = value->option;
    OWNED_TEXT char *where = mem_format("%s%s", flag->dash, flag->name);
    char *text = flag->value;
    char yes[] = "true";

    if (text == NULL && option->kind == OPTION_SWITCH)
        text = is_boolean_word(**next) ? *(*next)++ : yes;
    else if (text == NULL && **next != NULL)
        text = *(*next)++;
    if (text == NULL)
        return error_set(error, BLAME_INPUT, 0, "%s needs a value: %s", where, option->value);
    if (value_check(option, where, text, error) < 0)
        return -1;
    value_set(value, OPTION_FROM_FLAG, text);
    if (is_secret(option))
        memset(text, 'x', strlen(text));
    return 0;
}

static int flag_read(struct options *options, const struct options_input *input, char *word, char ***next,
                     struct error *error)
{
    struct flag flag = { .dash = word[1] == '-' ? "--" : "-" };
    char *name = word + strlen(flag.dash), *equals = strchr(name, '=');
    struct option_value *value;
    int result = 0;

    flag.value = equals != NULL ? equals + 1 : NULL;
    flag.name = mem_copy(name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    value = flag.dash[1] == '-' ? value_find(options, flag.name) : value_find_letter(options, flag.name);
    if (value != NULL)
        result = flag_known(value, &flag, next, error);
    else if (flag.dash[1] == '-' && is_open(input->open_prefixes, flag.name))
        flag_other(options, &flag, next);
    else
        result = flag_unknown(options, &flag, error);
    mem_free(options->last_flag);
    options->last_flag = mem_format("%s%s", flag.dash, flag.name);
    mem_free(flag.name);
    return result;
}

/* Where tokens may be given the word may be one: what stands before it is named instead. */
static int word_unexpected(const struct options *options, const char *word, struct error *error)
{
    bool takes_secrets = false;

    for (size_t i = 0; i < options->value_count; i++)
        takes_secrets = takes_secrets || options->values[i].option->kind == OPTION_SECRET;
    if (!takes_secrets)
        return error_set(error, BLAME_INPUT, 0, "unexpected word \"%.60s\"", word);
    if (options->last_flag == NULL)
        return error_set(error, BLAME_INPUT, 0, "unexpected word: options only, each with its dashes");
    return error_set(error, BLAME_INPUT, 0, "unexpected word behind %.80s: a value with blanks must stand in quotes",
                     options->last_flag);
}

static int word_add(struct options *options, const struct options_input *input, char *word, struct error *error)
{
    if (options->word_count == input->words_most)
        return word_unexpected(options, word, error);
    options->words = mem_grow(options->words, (options->word_count + 1) * sizeof(*options->words));
    options->words[options->word_count++] = word;
    return 0;
}

static long read_arguments(struct options *options, const struct options_input *input, struct error *error)
{
    char **next = input->arguments;
    bool only_words = false;

    while (*next != NULL) {
        char *word = *next;
        int result;

        if (!only_words && input->stop_at_word && (word[0] != '-' || word[1] == '\0'))
            break;
        next++;
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (only_words || word[0] != '-' || word[1] == '\0')
            result = word_add(options, input, word, error);
        else
            result = flag_read(options, input, word, &next, error);
        if (result < 0)
            return -1;
    }
    return next - input->arguments;
}

/* --- environment and defaults --- */

/* An empty variable counts as unset. */
static char *environment_find(char **environment, const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;

    for (size_t i = 0; name != NULL && environment != NULL && environment[i] != NULL; i++)
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=' &&
            environment[i][length + 1] != '\0')
            return environment[i] + length + 1;
    return NULL;
}

static int read_environment(struct option_value *value, char **environment, const char *name, struct error *error)
{
    char *text = environment_find(environment, name);

    if (text == NULL)
        return 0;
    if (value->source == OPTION_UNSET) {
        if (value_check(value->option, name, text, error) < 0)
            return -1;
        value->source = OPTION_FROM_ENV;
        if (value->option->kind == OPTION_LIST)
            value_split(value, text);
        else
            value_set(value, OPTION_FROM_ENV, text);
    }
    if (is_secret(value->option))
        memset(text, 'x', strlen(text));
    return 0;
}

static int read_rest(struct option_value *value, char **environment, struct error *error)
{
    if (read_environment(value, environment, value->option->env, error) < 0 ||
        read_environment(value, environment, value->option->env_too, error) < 0)
        return -1;
    if (value->source == OPTION_UNSET && value->option->otherwise != NULL)
        value_set(value, OPTION_DEFAULT, value->option->otherwise);
    return 0;
}

long options_parse(struct options *options, const struct options_input *input, struct error *error)
{
    size_t count = 0;
    long used;

    for (size_t i = 0; i < input->table_count; i++)
        count += input->tables[i].count;
    options->values = mem_new_array(count + 1, sizeof(*options->values));
    for (size_t i = 0; i < input->table_count; i++)
        for (size_t j = 0; j < input->tables[i].count; j++)
            options->values[options->value_count++].option = &input->tables[i].items[j];
    used = read_arguments(options, input, error);
    for (size_t i = 0; used >= 0 && i < options->value_count; i++)
        if (read_rest(&options->values[i], input->environment, error) < 0)
            used = -1;
    return used;
}

void options_clear(struct options *options)
{
    for (size_t i = 0; i < options->value_count; i++)
        value_wipe(&options->values[i]);
    for (size_t i = 0; i < options->other_count; i++) {
        mem_free(options->others[i].name);
        mem_wipe_free(options->others[i].value, strlen(options->others[i].value));
    }
    mem_free(options->last_flag);
    mem_free(options->values);
    mem_free(options->words);
    mem_free(options->others);
    *options = OPTIONS_EMPTY;
}

/* --- asking for values --- */

static struct option_value *value_of(const struct options *options, const char *name)
{
    struct option_value *value = value_find(options, name);

    assert(value != NULL);
    return value;
}

const char *options_text(const struct options *options, const char *name)
{
    const struct option_value *value = value_of(options, name);

    return value->count > 0 ? value->texts[value->count - 1] : NULL;
}

const char *const *options_list(const struct options *options, const char *name)
{
    return (const char *const *)value_of(options, name)->texts;
}

bool options_switch(const struct options *options, const char *name)
{
    const char *text = options_text(options, name);
    bool yes = false;

    return text != NULL && boolean_parse(text, &yes) == 0 && yes;
}

int64_t options_number(const struct options *options, const char *name)
{
    const char *text = options_text(options, name);

    return text != NULL ? strtoll(text, NULL, 10) : 0;
}

enum option_source options_source(const struct options *options, const char *name)
{
    return value_of(options, name)->source;
}

bool options_given(const struct options *options, const char *name)
{
    return options_source(options, name) >= OPTION_FROM_ENV;
}

void options_set(struct options *options, const char *name, const char *text)
{
    struct option_value *value = value_of(options, name);

    value_wipe(value);
    value_set(value, OPTION_FROM_FLAG, text);
}

void options_unset(struct options *options, const char *name)
{
    struct option_value *value = value_of(options, name);

    value_wipe(value);
    value->source = OPTION_UNSET;
    if (value->option->otherwise != NULL)
        value_set(value, OPTION_DEFAULT, value->option->otherwise);
}
