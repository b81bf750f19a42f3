/* One event, one line, one write. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENT_MOST   200u
#define MESSAGE_WIDE 50 /* column of the first field in the stock runner's look */

static struct {
    enum log_level level;
    enum log_format format;
    bool colours;
} setup = { LOG_INFO, LOG_AS_TEXT, false };

static const char *const level_names[] = { "debug", "info", "warning", "error", "fatal" };
static const char *const level_colours[] = { "\033[0;37m", "\033[0;36m", "\033[0;33m", "\033[31;1m", "\033[31;1m" };
static const char *const level_prefixes[] = { "", "", "WARNING: ", "ERROR: ", "FATAL: " };

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

static void add_json(struct strbuf *line, enum log_level level, const char *event)
{
    strbuf_add_text(line, "{\"time\":\"");
    add_time(line);
    strbuf_format(line, "\",\"level\":\"%s\",\"event\":", level_names[level]);
    log_add_value(line, event, EVENT_MOST, true);
}

static void add_text(struct strbuf *line, enum log_level level, const char *event)
{
    const char *colour = setup.colours ? level_colours[level] : "";
    const char *reset = setup.colours ? "\033[0;m" : "";

    if (setup.format == LOG_AS_RUNNER) {
        int wide = MESSAGE_WIDE - (int)strlen(level_prefixes[level]);
        strbuf_format(line, "%s%s%-*s%s", colour, level_prefixes[level], wide, event, reset);
        return;
    }
    strbuf_add_text(line, "time=");
    add_time(line);
    strbuf_format(line, " level=%s%s%s event=", colour, level_names[level], reset);
    log_add_value(line, event, EVENT_MOST, false);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    bool json = setup.format == LOG_AS_JSON;

    if (!log_enabled(level))
        return;
    OWNED_STRBUF struct strbuf line = STRBUF_EMPTY;
    if (json)
        add_json(&line, level, event);
    else
        add_text(&line, level, event);
    log_add_fields(&line, fields, count, json);
    while (!json && line.length > 0 && line.bytes[line.length - 1] == ' ')
        strbuf_cut(&line, line.length - 1);
    strbuf_add_text(&line, json ? "}\n" : "\n");
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
