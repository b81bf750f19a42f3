/* A controller in the world of tests/world, where everything goes well but for what the test says. */
#ifndef TESTS_CONTROLLER_STAGE_H
#define TESTS_CONTROLLER_STAGE_H

#include "cluster.h"
#include "frame.h"
#include "entry.h"
#include "inside.h"
#include "dataops/trace.h"
#include "runs.h"

#include "clock.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, stage_set, stage_strike)

/* A second is 1000 ms of the virtual clock. */
#define SECONDS 1000ull
#define MINUTES (60 * SECONDS)

/* cmocka: before and after each test. Striking fails when a call or a timer is left. */
int stage_set(void **state);
int stage_strike(void **state);

/* One more job waits at DataOps. One with an even number succeeds, with an odd one its script ends with 42. Ids begin
 * at 100. */
struct wjob *stage_job(void);
/* Starts a controller: concurrent = 1, check_interval = 1, one runner entry. The texts are more TOML lines, or NULL. */
struct controller *stage_start_with(const char *globals, const char *of_runner);
struct controller *stage_start(void);
/* SIGKILL: nothing that the controller knew is left but what it wrote. */
void stage_kill(void);
/* The signal comes with the next stage_pass. */
void stage_signal(int number);
/* Lets time pass with the controller at work; false: it came to its end before. */
bool stage_pass(uint64_t ms);
/* Passes time until the condition holds, for a day at most. */
#define STAGE_UNTIL(condition)                                                                                         \
    do {                                                                                                               \
        for (unsigned tries_ = 0; tries_ < 864000 && !(condition); tries_++)                                           \
            stage_pass(100);                                                                                           \
        assert_true(condition);                                                                                        \
    } while (0)

/* This fault happens the next times that it could. */
void stage_trouble(enum trouble trouble, unsigned times);
/* The oldest run; NULL: there is none. */
const struct run *stage_run(void);
/* The newest pod; NULL: there was none. */
struct wpod *stage_pod(void);
unsigned stage_pods(void);
/* How often these words stand in the controller's log, which begins with the event's name. */
unsigned stage_said(const char *words);
/* The trace is what courier printed, once and whole, and nothing behind it; before it notes may stand. */
bool stage_trace_is_whole(const struct wjob *job);
/* A pod that found no node finds one. */
void stage_schedule(struct wpod *pod);
bool stage_trace_has(const struct wjob *job, const char *words);

#endif
