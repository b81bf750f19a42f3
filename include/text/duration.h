/* Go durations (1h30m, 90s, 250ms) and GitLab's booleans. */
#ifndef TEXT_DURATION_H
#define TEXT_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* -1 when malformed, negative or over 10 years. A bare "0" is fine; a bare number is not. */
int duration_parse_ms(const char *text, uint64_t *ms);
/* As Go prints it, seconds resolution: 3600 -> "1h0m0s", 90 -> "1m30s". */
void duration_print(uint64_t seconds, char out[32]);
/* Go's ParseBool on lower-cased text: 1 t true / 0 f false; -1 otherwise. */
int boolean_parse(const char *text, bool *value);

#endif
