/* The command line, read through tables: flag before environment before default. Pure but for one thing: what is secret
 * is overwritten where it came from, so that neither the process title nor /proc/PID/environ shows it. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

enum option_kind {
    OPTION_TEXT,
    OPTION_SECRET, /* a text; its bytes in argv and in the environment are overwritten, no message shows it */
    OPTION_SWITCH, /* --x, --x=false, --x false */
    OPTION_NUMBER, /* a whole number, 0 or more */
    OPTION_LIST,   /* may stand several times; in the environment separated by commas */
};

struct option {
    const char *name;  /* without the dashes */
    const char *alias; /* a second long name, or NULL */
    char letter;       /* -x, or 0 */
    enum option_kind kind;
    const char *env, *env_too;
    const char *otherwise; /* default as text, or NULL */
    const char *choices;   /* words separated by blanks; NULL: anything */
    const char *value;     /* what stands for the value in help: "URL"; NULL for a switch */
    const char *help;      /* NULL: accepted, not shown */
    bool may_be_secret;    /* overwritten as a SECRET is */
};
struct option_table {
    const struct option *items;
    size_t count;
};
#define OPTION_TABLE(items_) ((struct option_table){ .items = items_, .count = COUNT_OF(items_) })

enum option_source { OPTION_UNSET, OPTION_DEFAULT, OPTION_FROM_ENV, OPTION_FROM_FLAG };
struct option_value {
    const struct option *option;
    enum option_source source;
    char **texts; /* one, or as many as a list has; NULL-ended */
    size_t count;
};
/* A flag that no table names but whose beginning is open: --kubernetes-cpu-limit 2. Overwritten: it may be a token. */
struct option_other {
    char *name, *value;
};

struct options {
    struct option_value *values;
    size_t value_count;
    char **words; /* what is no flag; borrowed from argv */
    size_t word_count;
    struct option_other *others;
    size_t other_count;
    char *last_flag; /* as it was written, with its dashes; for messages */
};
#define OPTIONS_EMPTY ((struct options){ 0 })

struct options_input {
    const struct option_table *tables; /* all of them, the command's own first */
    size_t table_count;
    const char *const *open_prefixes; /* NULL-ended, or NULL */
    size_t words_most;                /* more words than these are an error */
    bool stop_at_word;                /* the first word ends reading: what follows belongs to a command */
    char **arguments;                 /* NULL-ended, without the program; secrets in it are overwritten */
    char **environment;               /* NULL-ended NAME=value, likewise */
};

/* Reads arguments and environment into options (options_clear, also after a failure). BLAME_INPUT names the flag, and
 * the nearest one for a flag that nobody knows. Returns how many arguments were used, or -1. */
long options_parse(struct options *options, const struct options_input *input, struct error *error) MUST_CHECK;
/* Overwrites and frees. */
void options_clear(struct options *options);

/* By name; the name must stand in a table. NULL when unset and without a default. */
const char *options_text(const struct options *options, const char *name);
/* NULL-ended; NULL when unset. */
const char *const *options_list(const struct options *options, const char *name);
bool options_switch(const struct options *options, const char *name);
int64_t options_number(const struct options *options, const char *name);
enum option_source options_source(const struct options *options, const char *name);
/* By flag or environment. */
bool options_given(const struct options *options, const char *name);
/* Sets a value as if its flag had been given: for answers to questions. */
void options_set(struct options *options, const char *name, const char *text);
/* Back to its default, as if it had not been given. */
void options_unset(struct options *options, const char *name);

#endif
