#include "unprivileged.h"

#include "base/strbuf.h"
#include "text/json.h"
#include "text/quote.h"
#include "text/section.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define REQUEST_MOST (4u * MIB)
#define NAME_MOST    300

struct cJSON *request_read(void)
{
    OWNED_STRBUF struct strbuf text = STRBUF_UP_TO(REQUEST_MOST);
    struct error error = ERROR_NONE;
    ssize_t got = 1;
    while (got > 0) {
        char *room = strbuf_room(&text, 4096);
        if (!room)
            break;
        got = read(STDIN_FILENO, room, 4096);
        if (got > 0)
            strbuf_wrote(&text, (size_t)got);
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    struct cJSON *request = json_parse(strbuf_text(&text), text.length, &error);
    if (!request)
        tell_error("request: %s", error.text);
    return request;
}

PRINTF_LIKE(3, 0)
static void tell_with(const char *before, const char *after, const char *format, va_list arguments)
{
    fputs(before, stdout);
    vprintf(format, arguments);
    fputs(after, stdout);
    fflush(stdout);
}

static bool only_errors;

void tell_errors_only(void)
{
    only_errors = true;
}

void tell(const char *format, ...)
{
    va_list arguments;
    if (only_errors)
        return;
    va_start(arguments, format);
    tell_with("", "\n", format, arguments);
    va_end(arguments);
}

void tell_warning(const char *format, ...)
{
    va_list arguments;
    if (only_errors)
        return;
    va_start(arguments, format);
    tell_with(SECTION_YELLOW "WARNING: ", SECTION_RESET "\n", format, arguments);
    va_end(arguments);
}

void tell_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell_with(SECTION_RED "ERROR: ", SECTION_RESET "\n", format, arguments);
    va_end(arguments);
}

char *name_for_people(const char *name)
{
    struct strbuf shown = STRBUF_EMPTY;
    quote_for_people(name, NAME_MOST, &shown);
    return strbuf_take(&shown, NULL);
}
