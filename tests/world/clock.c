#include "clock.h"

#include "base/list.h"
#include "io/http.h"
#include "io/listen.h"
#include "io/ws.h"

#include <stdio.h>
#include <stdlib.h>

#define SIGNALS_MOST 8
#define WALL_START_S 1750000000

struct timer {
    struct list node;
    struct loop *loop; /* NULL: the world's */
    struct timer **slot;
    uint64_t due_ms;
    uint32_t order; /* among those due at the same time */
    loop_due *then;
    void *owner;
};
struct later {
    struct list node;
    loop_due *then;
    void *owner;
};
struct loop {
    struct list laters;
    unsigned timers, signal_count;
    struct {
        int number;
        loop_signal *then;
        void *owner;
    } signals[SIGNALS_MOST];
    bool stopped;
};

static struct {
    uint64_t now_ms, world_random, loop_random;
    struct list timers;
    struct loop *running;
    bool killed;
} the_clock;

static uint32_t next_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u;
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((mixed ^ (mixed >> 31)) >> 32);
}

/* --- the world's side --- */

void clock_begin(uint64_t seed)
{
    the_clock.now_ms = 1000;
    the_clock.world_random = seed * 2654435761u + 1;
    the_clock.loop_random = seed ^ 0x5555555555555555u;
    the_clock.running = NULL;
    the_clock.killed = false;
    list_init(&the_clock.timers);
}

uint64_t clock_now_ms(void)
{
    return the_clock.now_ms;
}

int64_t clock_wall_s(void)
{
    return WALL_START_S + (int64_t)(the_clock.now_ms / 1000);
}

uint32_t chance_any(void)
{
    return next_random(&the_clock.world_random);
}

uint64_t chance_of(uint64_t least, uint64_t most)
{
    return least + chance_any() % (most - least + 1);
}

bool chance_percent(unsigned percent)
{
    return chance_any() % 100 < percent;
}

static struct timer *timer_add(struct loop *loop, struct timer **slot, uint64_t delay_ms, loop_due *then, void *owner)
{
    struct timer *timer = mem_new(sizeof(*timer));

    timer->loop = loop;
    timer->slot = slot;
    timer->due_ms = the_clock.now_ms + delay_ms;
    timer->order = chance_any();
    timer->then = then;
    timer->owner = owner;
    list_append(&the_clock.timers, &timer->node);
    return timer;
}

void clock_after(uint64_t delay_ms, void (*then)(void *owner), void *owner)
{
    timer_add(NULL, NULL, delay_ms, then, owner);
}

static struct timer *earliest(void)
{
    struct timer *first = NULL;

    LIST_EACH(node, &the_clock.timers)
    {
        struct timer *timer = list_of(node, struct timer, node);
        if (first == NULL || timer->due_ms < first->due_ms ||
            (timer->due_ms == first->due_ms && timer->order < first->order))
            first = timer;
    }
    return first;
}

static void timer_end(struct timer *timer)
{
    list_remove(&timer->node);
    if (timer->loop != NULL)
        timer->loop->timers--;
    if (timer->slot != NULL)
        *timer->slot = NULL;
    mem_free(timer);
}

static void timer_fire(struct timer *timer)
{
    loop_due *then = timer->then;
    void *owner = timer->owner;

    if (timer->due_ms > the_clock.now_ms)
        the_clock.now_ms = timer->due_ms;
    timer_end(timer);
    then(owner);
}

void clock_pass(uint64_t ms)
{
    uint64_t until_ms = the_clock.now_ms + ms;

    for (struct timer *timer = earliest(); timer != NULL && timer->due_ms <= until_ms; timer = earliest())
        timer_fire(timer);
    the_clock.now_ms = until_ms;
}

void clock_signal(int number)
{
    struct loop *loop = the_clock.running;

    for (unsigned i = 0; loop != NULL && i < loop->signal_count; i++)
        if (loop->signals[i].number == number)
            loop->signals[i].then(loop->signals[i].owner, number);
}

void clock_kill(void)
{
    the_clock.killed = true;
    if (the_clock.running != NULL)
        the_clock.running->stopped = true;
}

bool clock_was_killed(void)
{
    return the_clock.killed;
}

void clock_end(void)
{
    LIST_EACH_SAFE(node, &the_clock.timers)
    timer_end(list_of(node, struct timer, node));
}

/* --- io/loop.h --- */

static bool run_laters(struct loop *loop)
{
    struct list now;
    bool any = !list_is_empty(&loop->laters);

    list_init(&now);
    LIST_EACH_SAFE(node, &loop->laters)
    {
        list_remove(node);
        list_append(&now, node);
    }
    while (!list_is_empty(&now)) {
        struct later *later = list_of(now.next, struct later, node);
        list_remove(&later->node);
        later->then(later->owner);
        mem_free(later);
    }
    return any;
}

struct loop *loop_new(void)
{
    struct loop *loop = mem_new(sizeof(*loop));

    list_init(&loop->laters);
    the_clock.killed = false;
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    for (unsigned rounds = 0; rounds < 64 && run_laters(loop); rounds++)
        ;
    if (loop->timers != 0) {
        fprintf(stderr, "life: %u timers were left\n", loop->timers);
        abort();
    }
    if (the_clock.running == loop)
        the_clock.running = NULL;
    mem_free(loop);
}

void loop_run(struct loop *loop)
{
    the_clock.running = loop;
    while (!loop->stopped) {
        if (run_laters(loop))
            continue;
        struct timer *timer = earliest();
        if (timer == NULL) {
            fprintf(stderr, "life: nothing will ever happen again\n");
            abort();
        }
        timer_fire(timer);
    }
    loop->stopped = false;
    the_clock.running = NULL;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

uint64_t loop_now_ms(const struct loop *loop UNUSED)
{
    return the_clock.now_ms;
}

int64_t loop_wall_us(const struct loop *loop UNUSED)
{
    return (WALL_START_S * 1000ll + (int64_t)the_clock.now_ms) * 1000;
}

uint32_t loop_random(struct loop *loop UNUSED)
{
    return next_random(&the_clock.loop_random);
}

void loop_after(struct loop *loop, struct timer **slot, uint64_t delay_ms, loop_due *then, void *owner)
{
    timer_stop(slot);
    struct timer *timer = timer_add(loop, slot, delay_ms, then, owner);
    loop->timers++;
    if (slot != NULL)
        *slot = timer;
}

void timer_stop(struct timer **slot)
{
    if (slot != NULL && *slot != NULL)
        timer_end(*slot);
}

void loop_later(struct loop *loop, loop_due *then, void *owner)
{
    struct later *later = mem_new(sizeof(*later));

    later->then = then;
    later->owner = owner;
    list_append(&loop->laters, &later->node);
}

void loop_on_signal(struct loop *loop, int number, loop_signal *then, void *owner)
{
    loop->signals[loop->signal_count].number = number;
    loop->signals[loop->signal_count].then = then;
    loop->signals[loop->signal_count].owner = owner;
    loop->signal_count++;
}

/* --- what the controller makes and nothing here uses --- */

static char something;

struct watch *loop_watch(struct loop *loop UNUSED, int fd UNUSED, unsigned ready UNUSED, loop_ready *then UNUSED,
                         void *owner UNUSED)
{
    abort();
}

void watch_change(struct watch *watch UNUSED, unsigned ready UNUSED)
{
    abort();
}

void watch_stop(struct watch *watch UNUSED)
{
    abort();
}

struct http *http_new(struct loop *loop UNUSED, const char *user_agent UNUSED)
{
    return (struct http *)(void *)&something;
}

void http_free(struct http *http UNUSED)
{
}

struct ws *ws_new(struct loop *loop UNUSED)
{
    return (struct ws *)(void *)&something;
}

void ws_free(struct ws *ws UNUSED)
{
}

static listen_answer *probe_answer;
static void *probe_owner;

struct listen_server *listen_start(struct loop *loop UNUSED, const char *address UNUSED, listen_answer *answer,
                                   void *owner, struct error *error UNUSED)
{
    probe_answer = answer;
    probe_owner = owner;
    return (struct listen_server *)(void *)&something;
}

unsigned listen_port(const struct listen_server *server UNUSED)
{
    return 0;
}

void listen_stop(struct listen_server *server)
{
    if (server != NULL)
        probe_answer = NULL;
}

int clock_probe(const char *path, struct strbuf *body)
{
    const char *content_type = NULL;

    return probe_answer != NULL ? probe_answer(probe_owner, path, body, &content_type) : 0;
}
