/* Help made from the same tables as the parser: what it says is what is read. */
#include "command.h"

#include "screen.h"

#include <string.h>

#define HELP_COLUMN 34
#define HELP_WIDTH  100

/* A word, or all that stands in brackets: "[env: LOG_LEVEL]" is not torn apart. */
static size_t word_length(const char *text)
{
    size_t length = strcspn(text, text[0] == '[' ? "]" : " ");

    return text[length] == ']' ? length + 1 : length;
}

/* Adds text at HELP_COLUMN, going on there in the next line when a word would pass HELP_WIDTH. */
static void add_wrapped(struct strbuf *out, const char *text)
{
    size_t column = HELP_COLUMN;

    while (*text != '\0') {
        size_t length = word_length(text);

        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            strbuf_format(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            strbuf_add_char(out, ' ');
            column++;
        }
        strbuf_add(out, text, length);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
}

/* "[default: 8, env: DOCKER_IMAGE]", or nothing. */
static void add_brackets(const struct option *option, struct strbuf *out)
{
    bool has_default = option->otherwise != NULL && option->otherwise[0] != '\0' &&
                       (option->kind != OPTION_SWITCH || strcmp(option->otherwise, "false") != 0);

    if (option->choices != NULL)
        strbuf_format(out, "; one of: %s", option->choices);
    if (option->kind == OPTION_LIST)
        strbuf_add_text(out, "; may be repeated");
    if (!has_default && option->env == NULL)
        return;
    strbuf_add_text(out, " [");
    if (has_default)
        strbuf_format(out, "default: %s%s", option->otherwise, option->env != NULL ? ", " : "");
    if (option->env != NULL)
        strbuf_format(out, "env: %s", option->env);
    if (option->env_too != NULL)
        strbuf_format(out, ", %s", option->env_too);
    strbuf_add_char(out, ']');
}

static void add_option(const struct option *option, struct strbuf *out)
{
    OWNED_STRBUF struct strbuf left = STRBUF_EMPTY, right = STRBUF_EMPTY;

    if (option->letter != 0)
        strbuf_format(&left, "  -%c, --%s", option->letter, option->name);
    else
        strbuf_format(&left, "      --%s", option->name);
    if (option->alias != NULL)
        strbuf_format(&left, ", --%s", option->alias);
    if (option->value != NULL)
        strbuf_format(&left, " %s", option->value);
    strbuf_add_text(&right, option->help);
    add_brackets(option, &right);
    strbuf_add_text(out, strbuf_text(&left));
    if (left.length + 2 > HELP_COLUMN)
        strbuf_format(out, "\n%*s", HELP_COLUMN, "");
    else
        strbuf_format(out, "%*s", (int)(HELP_COLUMN - left.length), "");
    add_wrapped(out, strbuf_text(&right));
    strbuf_add_char(out, '\n');
}

static void add_options(const char *title, const struct option_table *table, struct strbuf *out)
{
    if (table->count == 0)
        return;
    strbuf_format(out, "\n%s:\n", title);
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].help != NULL)
            add_option(&table->items[i], out);
}

void help_command(const struct command *command, struct strbuf *out)
{
    strbuf_format(out, "Usage: dataops-runner %s%s%s%s\n\n%s\n", command->name,
                  command->options.count > 0 ? " [options]" : "", command->words[0] != '\0' ? " " : "", command->words,
                  command->about);
    add_options("Options", &command->options, out);
    add_options("Options of every command", &global_options, out);
    strbuf_format(out, "\nExamples:\n%s", command->examples);
}

void help_program(struct strbuf *out)
{
    strbuf_add_text(out, "Usage: dataops-runner COMMAND [options]\n\n"
                         "Runs DataOps jobs as pods in a Kubernetes cluster.\n\nCommands:\n");
    for (size_t i = 0; commands[i] != NULL; i++)
        strbuf_format(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    add_options("Options of every command", &global_options, out);
    strbuf_add_text(
        out, "\nExit codes:\n"
             "  0 done   1 failed   2 wrong command line   3 configuration invalid\n"
             "  4 token refused or not registered   5 DataOps unreachable   6 Kubernetes refused or unreachable\n"
             "  7 timed out   130, 143 ended by a signal\n"
             "\nExamples:\n"
             "  dataops-runner register --url https://app.dataops.live --token-file token\n"
             "  dataops-runner help run\n");
}

static int help_run(struct options *options)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    const struct command *command = NULL;

    if (options->word_count == 0) {
        help_program(&text);
        return screen_print(&text);
    }
    command = command_find(options->words[0]);
    if (command == NULL)
        return command_unknown(options->words[0]);
    help_command(command, &text);
    return screen_print(&text);
}

const struct command command_help = {
    .name = "help",
    .summary = "print help about a command",
    .words = "[COMMAND]",
    .about = "Prints the help of a command, or the list of commands.",
    .examples = "  dataops-runner help\n"
                "  dataops-runner help register\n",
    .words_most = 1,
    .run = help_run,
};
