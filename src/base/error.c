#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Ends text that did not fit with "...", never inside a UTF-8 character. */
static void cut(char *text, size_t size_bytes)
{
    size_t at = size_bytes - 4;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    memcpy(text + at, "...", 4);
}

static void format_text(char *text, size_t size_bytes, const char *format, va_list arguments) PRINTF_LIKE(3, 0);
static void format_text(char *text, size_t size_bytes, const char *format, va_list arguments)
{
    int length = vsnprintf(text, size_bytes, format, arguments);
    if (length < 0)
        text[0] = '\0';
    else if ((size_t)length >= size_bytes)
        cut(text, size_bytes);
}

int error_set(struct error *error, enum blame blame, int code, const char *format, ...)
{
    va_list arguments;
    struct error made = { .blame = blame, .code = code };

    if (!error)
        return -1;
    va_start(arguments, format);
    format_text(made.text, sizeof(made.text), format, arguments); /* an argument may be the old text */
    va_end(arguments);
    *error = made;
    return -1;
}

int error_within(struct error *error, const char *format, ...)
{
    va_list arguments;
    char before[sizeof(error->text)], whole[2 * sizeof(error->text) + 2];

    if (!error)
        return -1;
    va_start(arguments, format);
    format_text(before, sizeof(before), format, arguments);
    va_end(arguments);
    int length = snprintf(whole, sizeof(whole), "%s: %s", before, error->text);
    if ((size_t)length >= sizeof(error->text))
        cut(whole, sizeof(error->text));
    memcpy(error->text, whole, strlen(whole) + 1);
    return -1;
}

int error_errno(struct error *error, const char *format, ...)
{
    va_list arguments;
    int number = errno;
    char what[sizeof(error->text)], why[128];

    va_start(arguments, format);
    format_text(what, sizeof(what), format, arguments);
    va_end(arguments);
    error_set(error, BLAME_SYSTEM, number, "%s: %s", what, strerror_r(number, why, sizeof(why)));
    errno = number;
    return -1;
}

const char *blame_name(enum blame blame)
{
    static const char *const names[] = {
        [BLAME_NONE] = "none",     [BLAME_INPUT] = "input",   [BLAME_CONFIG] = "config", [BLAME_DENIED] = "denied",
        [BLAME_REMOTE] = "remote", [BLAME_SCRIPT] = "script", [BLAME_SYSTEM] = "system", [BLAME_TIMEOUT] = "timeout",
    };
    return (size_t)blame < COUNT_OF(names) ? names[blame] : "unknown";
}
