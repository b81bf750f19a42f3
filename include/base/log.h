/* Events with typed fields, not sentences:
 *     log_event(LOG_WARN, "job_cannot_run", LOG_NUMBER("job", job_id), LOG_TEXT("why", error.text));
 * A key is a literal, the compiler checks the type of each value, and a value is escaped once, for the look it is
 * written in; so whatever stands in a value, the keys are the program's. One event is one line and one write to
 * stderr: text (logfmt), runner (the stock runner's look, its fields logfmt too) or JSON.
 * Only controller/, cli/ and the main.c of courier may log above debug. No secret may be passed in. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };
enum log_format { LOG_AS_TEXT, LOG_AS_RUNNER, LOG_AS_JSON };

enum log_kind { LOG_KIND_TEXT, LOG_KIND_SIGNED, LOG_KIND_UNSIGNED, LOG_KIND_SECONDS, LOG_KIND_TRUTH };
/* Made by the macros below only. */
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        const char *text;
        int64_t with_sign;
        uint64_t without_sign;
        double seconds;
        bool truth;
    };
};

/* A text from anywhere, borrowed for the call; NULL is null in JSON and an empty value elsewhere. */
#define LOG_TEXT(key, value) log_text_field("" key, (value))
/* A whole number of any integer type. In JSON a number; past 2^53, where readers would round it, its digits as text. */
#define LOG_NUMBER(key, value)                                                                                         \
    _Generic((value), short                                                                                            \
             : log_signed_field, int                                                                                   \
             : log_signed_field, long                                                                                  \
             : log_signed_field, long long                                                                             \
             : log_signed_field, unsigned short                                                                        \
             : log_unsigned_field, unsigned                                                                            \
             : log_unsigned_field, unsigned long                                                                       \
             : log_unsigned_field, unsigned long long                                                                  \
             : log_unsigned_field)("" key, (value))
/* A double in seconds, written with three decimals. */
#define LOG_SECONDS(key, value) _Generic((value), double : log_seconds_field)("" key, (value))
/* A bool: true or false. */
#define LOG_TRUTH(key, value) _Generic((value), bool : log_truth_field)("" key, (value))

static inline struct log_field log_text_field(const char *key, const char *value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_TEXT, .text = value };
}

static inline struct log_field log_signed_field(const char *key, int64_t value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_SIGNED, .with_sign = value };
}

static inline struct log_field log_unsigned_field(const char *key, uint64_t value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_UNSIGNED, .without_sign = value };
}

static inline struct log_field log_seconds_field(const char *key, double value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_SECONDS, .seconds = value };
}

static inline struct log_field log_truth_field(const char *key, bool value)
{
    return (struct log_field){ .key = key, .kind = LOG_KIND_TRUTH, .truth = value };
}

/* Writes one event with its fields, which may be none. */
#define log_event(level, event, ...)                                                                                   \
    log_write((level), (event), (const struct log_field[]){ __VA_ARGS__ },                                             \
              sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

/* Sets level and format for the process; colours only when asked for (the caller looked at isatty). */
void log_setup(enum log_level level, enum log_format format, bool colours);
bool log_enabled(enum log_level level);
/* What log_event calls. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);
/* Appends " key=value" for each field, or ",\"key\":value" when json is true. A text takes at most 1 KiB and all texts
 * of a line together 2 KiB, escaped; what was cut ends with "...", inside its quotes. A key that stood there before
 * (time, level, event, or an earlier field) gets "_2" behind it. Control characters, separators of lines and those
 * that turn the direction of text are escaped, a broken byte is U+FFFD; everything else reads back as it was. */
void log_add_fields(struct strbuf *line, const struct log_field *fields, size_t count, bool json);
/* Appends text as a logfmt value, quoted where needed, or as a JSON string with its quotes; most counts escaped
 * bytes. Gives how many those were. */
size_t log_add_value(struct strbuf *line, const char *text, size_t most, bool json);
/* "debug info warn error fatal panic" -> level; -1 when unknown. */
int log_level_parse(const char *name, enum log_level *level);
/* "text runner json" -> format; -1 when unknown. */
int log_format_parse(const char *name, enum log_format *format);

#endif
