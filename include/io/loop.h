/* The one loop and the one clock (libuv). Callbacks report, they do not decide; what a callback belongs to is freed at
 * the end of the turn, never inside it (loop_later). */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch;
struct timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void loop_ready(void *owner, unsigned ready);
typedef void loop_due(void *owner);
typedef void loop_signal(void *owner, int number);

/* Also makes the process ignore SIGPIPE: a peer that went away is an error of a write, not the end of the process. */
struct loop *loop_new(void);
/* Runs what loop_later still holds, then asserts that no watch or timer is left. */
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* Runs one turn, waiting at most most_ms (tests). */
void loop_turn(struct loop *loop, uint64_t most_ms);
void loop_stop(struct loop *loop);
/* Monotonic milliseconds; fresh at each turn. The only clock for deadlines. */
uint64_t loop_now_ms(const struct loop *loop);
/* Wall clock, microseconds since 1970 UTC: for timestamps that people read, never for deadlines. */
int64_t loop_wall_us(const struct loop *loop);
/* Any 32-bit random number, for jitter. */
uint32_t loop_random(struct loop *loop);

/* Calls then while fd is readable or writable as asked. The fd stays the caller's (it becomes non-blocking); watch_stop
 * before closing it. NULL when fd cannot be waited for: a regular file, or one that is watched already. */
struct watch *loop_watch(struct loop *loop, int fd, unsigned ready, loop_ready *then, void *owner);
void watch_change(struct watch *watch, unsigned ready);
void watch_stop(struct watch *watch);
/* Calls then once after delay_ms. The timer is gone after it fired or was stopped; *slot is kept NULL or pointing at
 * it. A timer that is already in *slot is stopped first. */
void loop_after(struct loop *loop, struct timer **slot, uint64_t delay_ms, loop_due *then, void *owner);
/* Stops the timer in *slot when there is one, and sets *slot to NULL. */
void timer_stop(struct timer **slot);
/* Calls then at the end of this turn, after all other callbacks. */
void loop_later(struct loop *loop, loop_due *then, void *owner);
/* Calls then for each arrival of a signal; until the loop is freed. */
void loop_on_signal(struct loop *loop, int number, loop_signal *then, void *owner);

/* Resolves a host name off the loop's thread pool. then gets the first address as text, or NULL and an error. Address
 * literals answer in the next turn. Gives a handle for loop_resolve_cancel; after a cancel then is not called. */
struct resolve;
typedef void loop_resolved(void *owner, const char *address, const struct error *error);
struct resolve *loop_resolve(struct loop *loop, const char *host, loop_resolved *then, void *owner);
void loop_resolve_cancel(struct resolve *resolve);
/* Inside then only: the n-th address (0 is the one that then was given), NULL past the end: for trying the next one. */
const char *loop_resolve_address(const struct resolve *resolve, unsigned n);

/* The uv_loop_t, for io/ws.c alone. */
void *loop_native(struct loop *loop);

#endif
