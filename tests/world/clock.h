/* A loop whose time passes only when nothing is left to do now: io/loop.h for tests, and the world's own timers. */
#ifndef LIFE_CLOCK_H
#define LIFE_CLOCK_H

#include "base/strbuf.h"
#include "io/loop.h"

/* Everything begins again at 0 ms with this seed. */
void clock_begin(uint64_t seed);
uint64_t clock_now_ms(void);
int64_t clock_wall_s(void);
/* The world's random numbers; those of the loops are another sequence. */
uint32_t chance_any(void);
/* From least to most. */
uint64_t chance_of(uint64_t least, uint64_t most);
bool chance_percent(unsigned percent);

/* Calls then once, whatever loop runs; there is no way to stop it: the owner must outlive it. */
void clock_after(uint64_t delay_ms, void (*then)(void *owner), void *owner);
/* Lets time pass without a controller. */
void clock_pass(uint64_t ms);
/* Sends a signal to the loop that runs. */
void clock_signal(int number);
/* Stops the loop that runs, as if the process had been killed. */
void clock_kill(void);
/* True after clock_kill, until the next loop_new. */
bool clock_was_killed(void);
/* Frees what is still waiting. */
void clock_end(void);
/* Asks the server that listens (io/listen.h) for a path; gives its status, 0: nobody listens. */
int clock_probe(const char *path, struct strbuf *body);

#endif
