#include "base/pace.h"

#include "base/backoff.h"

uint64_t pace_next_ms(struct pace *pace, uint64_t now_ms, uint32_t random)
{
    uint64_t lasted_ms = pace->began_ms != 0 && now_ms > pace->began_ms ? now_ms - pace->began_ms : 0;
    uint64_t wait_ms = 0;

    if (lasted_ms >= pace->calm_ms)
        pace->early = 0;
    if (pace->early >= pace->at_once) {
        struct backoff backoff = { .first_ms = pace->first_ms,
                                   .most_ms = pace->most_ms,
                                   .tries = pace->early - pace->at_once };
        wait_ms = backoff_next_ms(&backoff, random);
    }
    if (pace->early < UINT32_MAX)
        pace->early++;
    pace->began_ms = now_ms + wait_ms;
    return wait_ms;
}

void pace_reset(struct pace *pace)
{
    pace->early = 0;
}
