#include "base/backoff.h"

uint64_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
    uint64_t whole = backoff->first_ms < backoff->most_ms ? backoff->first_ms : backoff->most_ms;

    for (unsigned i = 0; i < backoff->tries && whole < backoff->most_ms; i++)
        whole = whole > backoff->most_ms / 2 ? backoff->most_ms : whole * 2;
    backoff->tries++;
    uint64_t half = whole / 2;
    return half + random % (whole - half + 1);
}

bool backoff_is_over(const struct backoff *backoff)
{
    return backoff->tries_most > 0 && backoff->tries >= backoff->tries_most;
}

void backoff_reset(struct backoff *backoff)
{
    backoff->tries = 0;
}
