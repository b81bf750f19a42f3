/* One event, one line, one write. The fields come as formatted key=value text and are taken apart again here, so that
 * each look can show them its own way. */
#include "base/log.h"

#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define FIELDS_MOST  2048u
#define MESSAGE_WIDE 50 /* column of the first field in the stock runner's look */

static struct {
    enum log_level level;
    enum log_format format;
    bool colours;
} setup = { LOG_INFO, LOG_TEXT, false };

static const char *const level_names[] = { "debug", "info", "warning", "error", "fatal" };
static const char *const level_colours[] = { "\033[0;37m", "\033[0;36m", "\033[0;33m", "\033[31;1m", "\033[31;1m" };
static const char *const level_prefixes[] = { "", "", "WARNING: ", "ERROR: ", "FATAL: " };

struct field {
    const char *key, *value;
    size_t key_length, value_length;
    bool quoted;
};

void log_setup(enum log_level level, enum log_format format, bool colours)
{
    setup.level = level;
    setup.format = format;
    setup.colours = colours;
}

bool log_enabled(enum log_level level)
{
    return level >= setup.level;
}

/* A quote ends its value at the end, or before another key=. */
static bool is_end_quote(const char *c)
{
    if (*c != '"' || c[1] == '\0')
        return *c == '"';
    size_t key_length = strspn(c + 2, "abcdefghijklmnopqrstuvwxyz_0123456789");
    return c[1] == ' ' && key_length > 0 && c[2 + key_length] == '=';
}

/* Cuts the next field off *at; false at the end. */
static bool next_field(const char **at, struct field *field)
{
    const char *c = *at + strspn(*at, " ");
    if (*c == '\0')
        return false;
    *field = (struct field){ .key = c, .key_length = strcspn(c, "= ") };
    c += field->key_length;
    if (*c == '=')
        c++;
    field->value = c;
    if (*c == '"') {
        field->quoted = true;
        field->value = ++c;
        while (*c && !is_end_quote(c))
            c++;
        field->value_length = (size_t)(c - field->value);
        *at = *c ? c + 1 : c;
        return true;
    }
    field->value_length = strcspn(c, " ");
    *at = c + field->value_length;
    return true;
}

/* How many bytes the valid UTF-8 character at c has; 0 when it is none. */
static size_t character_at(const unsigned char *c, size_t left)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
    if (length < 2)
        return length;
    if (length > left)
        return 0;
    uint32_t code = c[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (c[i] & 0x3F);
    }
    return code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0 : length;
}

/* Control bytes and broken UTF-8 are escaped in every look; quotes and backslashes only inside JSON strings. */
static void add_escaped(struct strbuf *line, const char *text, size_t length, bool json)
{
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)text[i];
        size_t wide = character_at((const unsigned char *)text + i, length - i);
        if (c == '\n')
            strbuf_add_text(line, "\\n");
        else if (wide == 0)
            strbuf_add_text(line, "\xEF\xBF\xBD");
        else if (c < 0x20 || c == 0x7F)
            strbuf_format(line, json ? "\\u%04x" : "\\x%02x", (unsigned)c);
        else if (json && (c == '"' || c == '\\'))
            strbuf_format(line, "\\%c", c);
        else
            strbuf_add(line, text + i, wide);
        i += wide > 0 ? wide : 1;
    }
}

static bool is_number(const struct field *field)
{
    size_t digits = strspn(field->value, "0123456789");
    bool leading_zero = field->value[0] == '0' && field->value_length > 1;
    return !field->quoted && digits >= field->value_length && field->value_length > 0 && field->value_length < 16 &&
           !leading_zero;
}

static void add_time(struct strbuf *line)
{
    struct timespec now;
    struct tm utc;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    strbuf_format(line, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static void add_json(struct strbuf *line, enum log_level level, const char *event, const char *fields)
{
    struct field field;

    strbuf_add_text(line, "{\"time\":\"");
    add_time(line);
    strbuf_format(line, "\",\"level\":\"%s\",\"event\":\"", level_names[level]);
    add_escaped(line, event, strlen(event), true);
    strbuf_add_char(line, '"');
    while (next_field(&fields, &field)) {
        strbuf_add_text(line, ",\"");
        add_escaped(line, field.key, field.key_length, true);
        strbuf_add_text(line, is_number(&field) ? "\":" : "\":\"");
        add_escaped(line, field.value, field.value_length, true);
        if (!is_number(&field))
            strbuf_add_char(line, '"');
    }
    strbuf_add_char(line, '}');
}

static void add_text(struct strbuf *line, enum log_level level, const char *event, const char *fields)
{
    const char *colour = setup.colours ? level_colours[level] : "";
    const char *reset = setup.colours ? "\033[0;m" : "";

    if (setup.format == LOG_RUNNER) {
        int wide = MESSAGE_WIDE - (int)strlen(level_prefixes[level]);
        strbuf_format(line, "%s%s%-*s%s ", colour, level_prefixes[level], wide, event, reset);
    } else {
        strbuf_add_text(line, "time=");
        add_time(line);
        strbuf_format(line, " level=%s%s%s event=%s ", colour, level_names[level], reset, event);
    }
    add_escaped(line, fields, strlen(fields), false);
    while (line->length > 0 && line->bytes[line->length - 1] == ' ')
        strbuf_cut(line, line->length - 1);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    char fields[FIELDS_MOST + 1];
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    int length = vsnprintf(fields, sizeof(fields), format, arguments);
    va_end(arguments);
    if (length < 0)
        fields[0] = '\0';
    else if ((size_t)length > FIELDS_MOST)
        memcpy(fields + FIELDS_MOST - 3, "...", 3);
    OWNED_STRBUF struct strbuf line = STRBUF_EMPTY;
    if (setup.format == LOG_JSON)
        add_json(&line, level, event, fields);
    else
        add_text(&line, level, event, fields);
    strbuf_add_char(&line, '\n');
    ssize_t written = write(STDERR_FILENO, line.bytes, line.length);
    (void)written; /* there is nobody left to tell */
}

static int index_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    }
    return -1;
}

int log_level_parse(const char *name, enum log_level *level)
{
    static const char *const names[] = { "debug", "info", "warn", "error", "fatal", "panic", "warning" };
    static const enum log_level levels[] = { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL, LOG_FATAL, LOG_WARN };
    int at = index_of(name, names, COUNT_OF(names));
    if (at < 0)
        return -1;
    *level = levels[at];
    return 0;
}

int log_format_parse(const char *name, enum log_format *format)
{
    static const char *const names[] = { "text", "runner", "json" };
    int at = index_of(name, names, COUNT_OF(names));
    if (at < 0)
        return -1;
    *format = (enum log_format)at;
    return 0;
}
