/* What a person sees of a command: data on stdout, messages on stderr, colours only on a terminal. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>

/* Whether messages may be coloured: stderr is a terminal, NO_COLOR and --no-color are not set. Asked once. */
void screen_setup(bool no_colours);
bool screen_has_colours(void);
/* A message of one line on stderr. */
void screen_note(const char *format, ...) PRINTF_LIKE(1, 2);
void screen_warn(const char *format, ...) PRINTF_LIKE(1, 2);
void screen_fail(const char *format, ...) PRINTF_LIKE(1, 2);
/* Data on stdout; 0, or 1 (END_FAILED) with a message when it cannot be written. */
int screen_print(const struct strbuf *text);
/* Appends a tree as indented JSON with one line end. */
struct cJSON;
void screen_add_json(const struct cJSON *tree, struct strbuf *out);
/* Asks on stderr and reads a line of stdin; otherwise (may be NULL) stands in brackets and is taken for an empty
 * answer. hidden: no echo on a terminal. Gives a text (mem_free), or NULL at the end of the input. */
char *screen_ask(const char *question, const char *otherwise, bool hidden);

#endif
