/* Regular expressions of the configuration's guards (*_allowed), close to Go's RE2: search anywhere, $ is the end of
 * the text, no back references. PCRE2 behind it, with a limit on work. */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "base/error.h"

#include <stdbool.h>

struct pattern;

/* Gives a compiled pattern (pattern_free) or NULL with BLAME_CONFIG, the place and why. At most 4 KiB. */
struct pattern *pattern_new(const char *text, struct error *error) MUST_CHECK;
/* The pattern matches somewhere in text. A search that passes the limit of work has found nothing: guards refuse then.
 */
bool pattern_search(const struct pattern *pattern, const char *text);
/* NULL is fine. */
void pattern_free(struct pattern *pattern);

#endif
