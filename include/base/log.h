/* Events with fields, not sentences: log_event(LOG_INFO, "pod_started", "job=%llu node=%s", ...).
 * Written to stderr in one write a line; text, runner (the stock runner's look) or JSON.
 * Only controller/, cli/ and the main.c of courier may log above debug. No secret may be passed in. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/mem.h"

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };
enum log_format { LOG_TEXT, LOG_RUNNER, LOG_JSON };

/* Sets level and format for the process; colours only when asked for (the caller looked at isatty). */
void log_setup(enum log_level level, enum log_format format, bool colours);
bool log_enabled(enum log_level level);
/* Writes one event. The format holds key=value pairs; a value with spaces stands in double quotes: key="%s".
 * Control bytes in the result are escaped. At most 2 KiB, then cut. */
void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);
/* "debug info warn error fatal panic" -> level; -1 when unknown. */
int log_level_parse(const char *name, enum log_level *level);
/* "text runner json" -> format; -1 when unknown. */
int log_format_parse(const char *name, enum log_format *format);

#endif
