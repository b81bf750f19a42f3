/* How soon something may be asked for again that ended: a log, a watch, a list, a repair. Whatever goes through here
 * cannot become a storm: what ends early again and again is asked for ever more rarely, however it ended and whatever
 * it brought; only time that passed makes the waits short again. Holds no clock and no randomness of its own. */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

#define PACE_NEVER_CALM UINT64_MAX

struct pace {
    uint64_t first_ms, most_ms; /* the waits double from the first to the most, each with jitter (base/backoff.h) */
    uint64_t calm_ms;           /* what lasted so long did not end early: the waits begin anew */
    unsigned at_once;           /* so many early ends in a row are answered without a wait */
    unsigned early;             /* early ends in a row */
    uint64_t began_ms;          /* when what ends next was to begin; 0 nothing was asked for again yet */
};

/* It ended now: how long to wait before it is asked for again. The time between that and the next call is how long it
 * lasted. random is any 32-bit number. */
uint64_t pace_next_ms(struct pace *pace, uint64_t now_ms, uint32_t random);
/* The waits begin anew: for what is asked for regularly, when it brought something. */
void pace_reset(struct pace *pace);

#endif
