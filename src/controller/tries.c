#include "tries.h"

#include "base/backoff.h"
#include "io/loop.h"
#include "start_watch.h"

#include <stdio.h>
#include <string.h>

#define TRIES_MOST     5
#define FIRST_PAUSE_MS 1000
#define MOST_PAUSE_MS  15000

struct tries {
    struct tries_input input;
    struct attempt *current, *previous;
    unsigned number;
    struct backoff pauses;
    struct timer *timer;
    char said[START_WATCH_SAID]; /* what the job's log heard last of any pod */
};

static struct loop *loop_of(const struct tries *tries)
{
    return tries->input.entry->frame->loop;
}

static struct attempt_input attempt_input_of(struct tries *tries)
{
    return (struct attempt_input){
        .entry = tries->input.entry,
        .job = tries->input.job,
        .workload = tries->input.workload,
        .events = tries->input.events,
        .owner = tries->input.owner,
        .number = tries->number,
        .said = tries->said,
    };
}

struct attempt *tries_current(const struct tries *tries)
{
    return tries->current;
}

unsigned tries_number(const struct tries *tries)
{
    return tries->number;
}

void tries_drop_previous(struct tries *tries)
{
    attempt_abandon(tries->previous);
    tries->previous = NULL;
}

/* A new attempt has a pod, a log and a status of its own. */
static void tries_begin(struct tries *tries)
{
    const struct attempt_input input = attempt_input_of(tries);

    if (tries->current != NULL && attempt_has_pod(tries->current)) {
        tries_drop_previous(tries);
        tries->previous = tries->current;
    } else {
        attempt_free(tries->current);
    }
    tries->current = attempt_new(&input);
}

void tries_create(struct tries *tries, const char *notes)
{
    if (tries->current == NULL || attempt_number(tries->current) != tries->number)
        tries_begin(tries);
    attempt_create(tries->current, notes);
}

void tries_leave(struct tries *tries)
{
    if (tries->current != NULL)
        attempt_leave(tries->current);
}

bool tries_has_another(const struct tries *tries)
{
    return tries->input.workload->job != NULL && !backoff_is_over(&tries->pauses);
}

static void tries_pause_over(void *owner)
{
    const struct tries *tries = owner;

    tries->input.pause_over(tries->input.owner);
}

void tries_pause_next(struct tries *tries)
{
    tries->number++;
    tries_pause_same(tries, backoff_next_ms(&tries->pauses, loop_random(loop_of(tries))));
}

void tries_pause_same(struct tries *tries, uint64_t wait_ms)
{
    loop_after(loop_of(tries), &tries->timer, wait_ms, tries_pause_over, tries);
}

void tries_stop_pause(struct tries *tries)
{
    timer_stop(&tries->timer);
}

unsigned tries_most(void)
{
    return TRIES_MOST;
}

bool tries_remember_line(struct tries *tries, const char *text)
{
    if (strcmp(text, tries->said) == 0)
        return false;
    snprintf(tries->said, sizeof(tries->said), "%s", text);
    return true;
}

struct tries *tries_new(const struct tries_input *input)
{
    struct tries *tries = mem_new(sizeof(*tries));

    tries->input = *input;
    tries->number = 1;
    tries->pauses =
        (struct backoff){ .first_ms = FIRST_PAUSE_MS, .most_ms = MOST_PAUSE_MS, .tries_most = TRIES_MOST - 1 };
    return tries;
}

void tries_resume(struct tries *tries, unsigned number, const struct cJSON *pod)
{
    tries->number = number;
    const struct attempt_input input = attempt_input_of(tries);
    tries->current = attempt_resume(&input, pod);
}

void tries_free(struct tries *tries)
{
    if (tries == NULL)
        return;
    timer_stop(&tries->timer);
    tries_drop_previous(tries);
    attempt_free(tries->current);
    mem_free(tries);
}
