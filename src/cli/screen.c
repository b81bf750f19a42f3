#include "screen.h"

#include "text/json.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define RED    "\033[31;1m"
#define YELLOW "\033[0;33m"
#define RESET  "\033[0;m"

static bool colours;

void screen_setup(bool no_colours)
{
    const char *wish = getenv("NO_COLOR");

    colours = !no_colours && (wish == NULL || wish[0] == '\0') && isatty(STDERR_FILENO);
}

bool screen_has_colours(void)
{
    return colours;
}

static void say(const char *colour, const char *word, const char *format, va_list arguments) PRINTF_LIKE(3, 0);
static void say(const char *colour, const char *word, const char *format, va_list arguments)
{
    struct strbuf line = STRBUF_EMPTY;

    if (colours)
        strbuf_add_text(&line, colour);
    strbuf_add_text(&line, word);
    strbuf_vformat(&line, format, arguments);
    if (colours && colour[0] != '\0')
        strbuf_add_text(&line, RESET);
    strbuf_add_char(&line, '\n');
    fputs(strbuf_text(&line), stderr);
    strbuf_clear(&line);
}

void screen_note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say("", "", format, arguments);
    va_end(arguments);
}

void screen_warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(YELLOW, "warning: ", format, arguments);
    va_end(arguments);
}

void screen_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(RED, "error: ", format, arguments);
    va_end(arguments);
}

int screen_print(const struct strbuf *text)
{
    if (fwrite(strbuf_text(text), 1, text->length, stdout) == text->length && fflush(stdout) == 0)
        return 0;
    screen_fail("stdout: the output could not be written");
    return 1;
}

void screen_add_json(const struct cJSON *tree, struct strbuf *out)
{
    char *printed = json_print_pretty(tree);
    size_t length = strlen(printed);

    while (length > 0 && printed[length - 1] == '\n')
        length--;
    strbuf_add(out, printed, length);
    strbuf_add_char(out, '\n');
    mem_wipe_free(printed, strlen(printed));
}

/* --- questions --- */

static const int ends[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };
static struct termios shown; /* the terminal as it was */

/* Ctrl-C at a hidden question must not leave a terminal behind that shows nothing any more. */
static void restore_and_end(int number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    signal(number, SIG_DFL);
    raise(number);
}

/* Switches the terminal's echo off; false when stdin is none. */
static bool echo_off(void)
{
    struct termios hidden;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &shown) < 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        signal(ends[i], restore_and_end);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
}

static void echo_on(void)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        signal(ends[i], SIG_DFL);
}

char *screen_ask(const char *question, const char *otherwise, bool hidden)
{
    char *line = NULL, *given = NULL;
    size_t size = 0;
    ssize_t length;

    fprintf(stderr, "%s", question);
    if (otherwise != NULL && otherwise[0] != '\0')
        fprintf(stderr, " [%s]", otherwise);
    fputs(": ", stderr);
    fflush(stderr);
    bool silent = hidden && echo_off();
    length = getline(&line, &size, stdin);
    if (silent)
        echo_on();
    if (silent || !isatty(STDIN_FILENO))
        fputc('\n', stderr); /* nobody's return key has ended the line */
    while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
        line[--length] = '\0';
    if (length >= 0)
        given = mem_text(length == 0 && otherwise != NULL ? otherwise : line);
    if (line != NULL)
        explicit_bzero(line, size);
    free(line); /* getline's, not ours */
    return given;
}
