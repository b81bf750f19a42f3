/* Waits that grow: exponential with jitter, a ceiling and an end. Holds no clock and no randomness of its own. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    uint64_t first_ms, most_ms;
    unsigned tries_most; /* 0: no end */
    unsigned tries;      /* how many waits were handed out since the last reset */
};

/* Next wait: between half and all of first_ms * 2^tries, at most most_ms; random is any 32-bit number. Counts the try.
 */
uint64_t backoff_next_ms(struct backoff *backoff, uint32_t random);
/* No tries are left. */
bool backoff_is_over(const struct backoff *backoff);
void backoff_reset(struct backoff *backoff);

#endif
