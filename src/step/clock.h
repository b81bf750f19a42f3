#ifndef SRC_STEP_CLOCK_H
#define SRC_STEP_CLOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock. */
uint64_t clock_ms(void);

/* Sleeps so long, not woken by signals (all are blocked here). */
void clock_nap(unsigned milliseconds);

#endif
