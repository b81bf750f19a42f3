/* The table of commands, and how one is picked and started. */
#include "command.h"

#include "base/log.h"
#include "screen.h"
#include "text/quote.h"

#include <string.h>

/* clang-format off */
static const struct option global_items[] = {
    { .name = "debug", .kind = OPTION_SWITCH, .env = "DEBUG", .env_too = "RUNNER_DEBUG", .otherwise = "false",
      .help = "log everything; never a secret" },
    { .name = "log-level", .letter = 'l', .kind = OPTION_TEXT, .env = "LOG_LEVEL", .value = "LEVEL",
      .choices = "debug info warn warning error fatal panic", .help = "least important event that is logged" },
    { .name = "log-format", .kind = OPTION_TEXT, .env = "LOG_FORMAT", .value = "FORMAT", .choices = "runner text json",
      .help = "form of the log on stderr" },
    { .name = "no-color", .kind = OPTION_SWITCH, .otherwise = "false", .help = "no colours (NO_COLOR does the same)" },
    { .name = "help", .letter = 'h', .kind = OPTION_SWITCH, .otherwise = "false", .help = "print help and end" },
};
/* clang-format on */
const struct option_table global_options = OPTION_TABLE(global_items);

const struct command *const commands[] = {
    &command_register, &command_verify, &command_unregister, &command_list, &command_run,
    &command_render,   &command_lint,   &command_version,    &command_help, NULL,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int usage_error(const char *command, const struct error *error)
{
    screen_fail("%s", error->text);
    screen_note("See dataops-runner %s%s--help", command, command[0] != '\0' ? " " : "");
    return END_USAGE;
}

int command_unknown(const char *name)
{
    const char *names[32], *nearest;
    size_t count = 0;
    struct error error = ERROR_NONE;

    while (commands[count] != NULL && count < COUNT_OF(names)) {
        names[count] = commands[count]->name;
        count++;
    }
    nearest = quote_nearest(name, names, count);
    error_set(&error, BLAME_INPUT, 0,
              nearest != NULL ? "unknown command %.60s; did you mean %s?" : "unknown command %.60s", name, nearest);
    return usage_error("", &error);
}

/* The commands but `run` speak to a person through screen.h; what the folders below log shows when it is asked for. */
static void setup_log(const struct options *options)
{
    enum log_level level = options_switch(options, "debug") ? LOG_DEBUG : LOG_ERROR;
    enum log_format format = LOG_AS_TEXT;
    const char *wish = options_text(options, "log-level"), *form = options_text(options, "log-format");

    if (wish != NULL)
        log_level_parse(wish, &level);
    if (form != NULL)
        log_format_parse(form, &format);
    log_setup(level, format, screen_has_colours());
}

static int print_help(const struct command *command)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    if (command != NULL)
        help_command(command, &text);
    else
        help_program(&text);
    return screen_print(&text);
}

/* Reads one command's options and runs it. Flags that stood before the command are put before its own. */
static int run_command(const struct command *command, char **arguments, char **environment)
{
    struct option_table tables[] = { command->options, global_options };
    struct options options = OPTIONS_EMPTY;
    struct error error = ERROR_NONE;
    const struct options_input input = {
        .tables = tables,
        .table_count = COUNT_OF(tables),
        .open_prefixes = command->open_prefixes,
        .words_most = command->words_most,
        .arguments = arguments,
        .environment = environment,
    };
    int end;

    bool wrong = options_parse(&options, &input, &error) < 0;
    if (options_switch(&options, "help")) {
        end = print_help(command); /* also to whom a variable of the environment is wrong */
    } else if (wrong) {
        end = usage_error(command->name, &error);
    } else {
        screen_setup(options_switch(&options, "no-color"));
        setup_log(&options);
        end = command->run(&options);
    }
    options_clear(&options);
    return end;
}

/* argv without the command's name and the program: what stood before the name, then what stands behind it. */
static char **join_arguments(char **argv, size_t before)
{
    size_t count = 0, at = 0;
    char **joined;

    while (argv[count] != NULL)
        count++;
    joined = mem_new_array(count + 1, sizeof(*joined));
    for (size_t i = 0; i < count; i++)
        if (i != before)
            joined[at++] = argv[i];
    return joined;
}

static bool is_version_flag(const char *word)
{
    return word != NULL && (strcmp(word, "--version") == 0 || strcmp(word, "-v") == 0);
}

int cli_run(char **argv, char **environment)
{
    char **arguments = argv[0] != NULL ? argv + 1 : argv;
    struct options options = OPTIONS_EMPTY;
    struct error error = ERROR_NONE;
    const struct options_input input = {
        .tables = &global_options,
        .table_count = 1,
        .stop_at_word = true,
        .arguments = arguments, /* the environment is read with the command's options */
    };
    const struct command *command;
    long used;
    bool help;

    screen_setup(false);
    if (is_version_flag(arguments[0]))
        return run_command(&command_version, arguments + 1, environment);
    used = options_parse(&options, &input, &error);
    help = used >= 0 && options_switch(&options, "help");
    options_clear(&options);
    if (used < 0)
        return usage_error("", &error);
    if (arguments[used] == NULL && help)
        return print_help(NULL);
    if (arguments[used] == NULL) {
        screen_fail("which command? see dataops-runner help");
        return END_USAGE;
    }
    command = command_find(arguments[used]);
    if (command == NULL)
        return command_unknown(arguments[used]);
    char **joined = join_arguments(arguments, (size_t)used);
    int end = run_command(command, joined, environment);
    mem_free(joined);
    return end;
}
