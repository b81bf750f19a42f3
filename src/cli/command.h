/* The commands, one table; each stands in a file of its own and ends with an exit code that scripts can rely on. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "options.h"

enum end {
    END_DONE = 0,
    END_FAILED = 1,     /* the operation failed */
    END_USAGE = 2,      /* the command line is wrong */
    END_CONFIG = 3,     /* the configuration is invalid or cannot be read */
    END_TOKEN = 4,      /* token refused, or not registered */
    END_PLATFORM = 5,   /* DataOps cannot be reached */
    END_KUBERNETES = 6, /* Kubernetes refused or cannot be reached */
    END_TIMEOUT = 7,
    END_SIGNAL = 128, /* + number of the signal */
};

struct command {
    const char *name;
    const char *summary;  /* one line, for the list of commands */
    const char *words;    /* "[COMMAND]" in the usage line, or "" */
    const char *about;    /* a paragraph for its help */
    const char *examples; /* two, as they are printed */
    struct option_table options;
    const char *const *open_prefixes; /* flags that begin so are taken without a table entry */
    size_t words_most;
    int (*run)(struct options *options);
};

extern const struct command command_register, command_verify, command_unregister, command_list, command_run,
    command_render, command_lint, command_version, command_help;

/* Options of every command. */
extern const struct option_table global_options;
/* NULL-ended. */
extern const struct command *const commands[];
const struct command *command_find(const char *name);
/* Says that there is none of that name, and which is near; returns END_USAGE. */
int command_unknown(const char *name);
/* The whole program but for main: picks the command, reads its options, runs it. argv and environment are overwritten
 * where they hold secrets. */
int cli_run(char **argv, char **environment);

/* help.c */
void help_program(struct strbuf *out);
void help_command(const struct command *command, struct strbuf *out);

#endif
