/* libuv behind a dozen calls. A uv_async_t keeps the loop alive without work; a uv_check_t runs the queue of loop_later
 * after timers and I/O, and a uv_idle_t, active while that queue is not empty, keeps the poll from sleeping on it. */
#include "io/loop.h"

#include "base/list.h"

#include <uv.h>

#include <arpa/inet.h>
#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct loop {
    uv_loop_t uv;
    uv_async_t keep_alive;
    uv_check_t end_of_turn;
    uv_idle_t hurry;
    uv_timer_t turn_limit;
    struct list laters;
    struct list signals;
    struct list resolves;
    unsigned watches, timers;
    uint64_t random;
    bool stopped;
};

struct watch {
    uv_poll_t uv;
    struct loop *loop;
    loop_ready *then;
    void *owner;
};

struct timer {
    uv_timer_t uv;
    struct loop *loop;
    struct timer **slot;
    loop_due *then;
    void *owner;
};

struct later {
    struct list node;
    loop_due *then;
    void *owner;
};

struct signal_watch {
    uv_signal_t uv;
    struct list node;
    loop_signal *then;
    void *owner;
};

enum { ADDRESSES_MOST = 8 };

struct resolve {
    struct list node;
    uv_getaddrinfo_t uv;
    struct loop *loop;
    loop_resolved *then; /* NULL: cancelled */
    void *owner;
    char *host;
    char addresses[ADDRESSES_MOST][INET6_ADDRSTRLEN];
    unsigned count;
};

/* --- the end of a turn --- */

static void keep_polling(uv_idle_t *idle)
{
    (void)idle;
}

/* Runs what was queued before the call; what these calls queue is for the next turn. */
static void run_laters(struct loop *loop)
{
    struct list now;
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
    if (list_is_empty(&loop->laters))
        uv_idle_stop(&loop->hurry);
}

static void turn_ended(uv_check_t *check)
{
    run_laters(list_of(check, struct loop, end_of_turn));
}

void loop_later(struct loop *loop, loop_due *then, void *owner)
{
    struct later *later = mem_new(sizeof *later);
    later->then = then;
    later->owner = owner;
    list_append(&loop->laters, &later->node);
    uv_idle_start(&loop->hurry, keep_polling);
}

/* --- the loop itself --- */

static void woken(uv_async_t *async)
{
    (void)async;
}

struct loop *loop_new(void)
{
    struct loop *loop = mem_new(sizeof *loop);
    int failed = uv_loop_init(&loop->uv);
    failed |= uv_async_init(&loop->uv, &loop->keep_alive, woken);
    assert(failed == 0);
    (void)failed;
    uv_check_init(&loop->uv, &loop->end_of_turn);
    uv_check_start(&loop->end_of_turn, turn_ended);
    uv_idle_init(&loop->uv, &loop->hurry);
    uv_timer_init(&loop->uv, &loop->turn_limit);
    list_init(&loop->laters);
    list_init(&loop->signals);
    list_init(&loop->resolves);
    if (getrandom(&loop->random, sizeof loop->random, GRND_NONBLOCK) != (ssize_t)sizeof loop->random)
        loop->random = uv_hrtime();
    signal(SIGPIPE, SIG_IGN);
    return loop;
}

static void signal_closed(uv_handle_t *handle)
{
    mem_free(list_of(handle, struct signal_watch, uv));
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    /* whole turns, for what waits until its handles are closed */
    for (unsigned rounds = 0; rounds < 64 && !list_is_empty(&loop->laters); rounds++)
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    LIST_EACH_SAFE(node, &loop->signals)
    {
        struct signal_watch *watch = list_of(node, struct signal_watch, node);
        list_remove(node);
        uv_close((uv_handle_t *)&watch->uv, signal_closed);
    }
    LIST_EACH_SAFE(node, &loop->resolves)
    {
        loop_resolve_cancel(list_of(node, struct resolve, node));
    }
    uv_close((uv_handle_t *)&loop->keep_alive, NULL);
    uv_close((uv_handle_t *)&loop->end_of_turn, NULL);
    uv_close((uv_handle_t *)&loop->hurry, NULL);
    uv_close((uv_handle_t *)&loop->turn_limit, NULL);
    assert(loop->watches == 0 && "a watch was left");
    assert(loop->timers == 0 && "a timer was left");
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&loop->uv);
    assert(busy == 0 && "a handle was left on the loop");
    (void)busy;
    mem_free(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped)
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->stopped = false;
}

static void turn_limit_passed(uv_timer_t *timer)
{
    (void)timer;
}

void loop_turn(struct loop *loop, uint64_t most_ms)
{
    if (most_ms == 0) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    } else {
        uv_update_time(&loop->uv);
        uv_timer_start(&loop->turn_limit, turn_limit_passed, most_ms, 0);
        uv_run(&loop->uv, UV_RUN_ONCE);
        uv_timer_stop(&loop->turn_limit);
    }
    /* timers of a UV_RUN_ONCE run after the check handles */
    run_laters(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    uv_stop(&loop->uv);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}

int64_t loop_wall_us(const struct loop *loop)
{
    (void)loop;
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint32_t loop_random(struct loop *loop)
{
    /* splitmix64: jitter needs spread, not secrecy */
    loop->random += 0x9E3779B97F4A7C15u;
    uint64_t mixed = loop->random;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((mixed ^ (mixed >> 31)) >> 32);
}

void *loop_native(struct loop *loop)
{
    return &loop->uv;
}

/* --- watches --- */

static void polled(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = list_of(poll, struct watch, uv);
    /* an error shows at the next read or write, so it counts as both */
    unsigned ready = status < 0 ? LOOP_READ | LOOP_WRITE : 0;
    if (events & UV_READABLE)
        ready |= LOOP_READ;
    if (events & UV_WRITABLE)
        ready |= LOOP_WRITE;
    watch->then(watch->owner, ready);
}

struct watch *loop_watch(struct loop *loop, int fd, unsigned ready, loop_ready *then, void *owner)
{
    struct watch *watch = mem_new(sizeof *watch);
    if (uv_poll_init(&loop->uv, &watch->uv, fd) != 0) {
        mem_free(watch);
        return NULL;
    }
    watch->loop = loop;
    watch->then = then;
    watch->owner = owner;
    loop->watches++;
    watch_change(watch, ready);
    return watch;
}

void watch_change(struct watch *watch, unsigned ready)
{
    int events = 0;
    if (ready & LOOP_READ)
        events |= UV_READABLE;
    if (ready & LOOP_WRITE)
        events |= UV_WRITABLE;
    if (events)
        uv_poll_start(&watch->uv, events, polled);
    else
        uv_poll_stop(&watch->uv);
}

static void watch_closed(uv_handle_t *handle)
{
    mem_free(list_of(handle, struct watch, uv));
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL)
        return;
    watch->loop->watches--;
    uv_close((uv_handle_t *)&watch->uv, watch_closed);
}

/* --- timers --- */

static void timer_closed(uv_handle_t *handle)
{
    mem_free(list_of(handle, struct timer, uv));
}

static void timer_end(struct timer *timer)
{
    timer->loop->timers--;
    if (timer->slot)
        *timer->slot = NULL;
    uv_close((uv_handle_t *)&timer->uv, timer_closed);
}

static void timer_due(uv_timer_t *handle)
{
    struct timer *timer = list_of(handle, struct timer, uv);
    loop_due *then = timer->then;
    void *owner = timer->owner;
    timer_end(timer);
    then(owner);
}

void loop_after(struct loop *loop, struct timer **slot, uint64_t delay_ms, loop_due *then, void *owner)
{
    timer_stop(slot);
    struct timer *timer = mem_new(sizeof *timer);
    uv_timer_init(&loop->uv, &timer->uv);
    timer->loop = loop;
    timer->slot = slot;
    timer->then = then;
    timer->owner = owner;
    loop->timers++;
    uv_timer_start(&timer->uv, timer_due, delay_ms, 0);
    if (slot)
        *slot = timer;
}

void timer_stop(struct timer **slot)
{
    if (slot && *slot)
        timer_end(*slot);
}

/* --- signals --- */

static void signal_came(uv_signal_t *handle, int number)
{
    struct signal_watch *watch = list_of(handle, struct signal_watch, uv);
    watch->then(watch->owner, number);
}

void loop_on_signal(struct loop *loop, int number, loop_signal *then, void *owner)
{
    struct signal_watch *watch = mem_new(sizeof *watch);
    watch->then = then;
    watch->owner = owner;
    uv_signal_init(&loop->uv, &watch->uv);
    uv_signal_start(&watch->uv, signal_came, number);
    list_append(&loop->signals, &watch->node);
}

/* --- names --- */

static void resolve_free(struct resolve *resolve)
{
    list_remove(&resolve->node);
    mem_free(resolve->host);
    mem_free(resolve);
}

static void resolve_give(struct resolve *resolve, int failure)
{
    if (resolve->then) {
        struct error error = ERROR_NONE;
        if (resolve->count == 0)
            error_set(&error, BLAME_REMOTE, 0, "resolve %s: %s", resolve->host,
                      failure ? uv_strerror(failure) : "no address");
        resolve->then(resolve->owner, resolve->count ? resolve->addresses[0] : NULL, &error);
    }
    resolve_free(resolve);
}

static void resolved_literal(void *owner)
{
    resolve_give(owner, 0);
}

static void resolved_name(uv_getaddrinfo_t *request, int failure, struct addrinfo *found)
{
    struct resolve *resolve = list_of(request, struct resolve, uv);
    for (struct addrinfo *info = found; info && resolve->count < ADDRESSES_MOST; info = info->ai_next) {
        char *text = resolve->addresses[resolve->count];
        int failed = -1;
        if (info->ai_family == AF_INET)
            failed = uv_ip4_name((const struct sockaddr_in *)(const void *)info->ai_addr, text, INET6_ADDRSTRLEN);
        else if (info->ai_family == AF_INET6)
            failed = uv_ip6_name((const struct sockaddr_in6 *)(const void *)info->ai_addr, text, INET6_ADDRSTRLEN);
        if (failed == 0)
            resolve->count++;
    }
    uv_freeaddrinfo(found);
    resolve_give(resolve, failure);
}

struct resolve *loop_resolve(struct loop *loop, const char *host, loop_resolved *then, void *owner)
{
    struct resolve *resolve = mem_new(sizeof *resolve);
    resolve->loop = loop;
    resolve->then = then;
    resolve->owner = owner;
    resolve->host = mem_text(host);
    list_append(&loop->resolves, &resolve->node);
    unsigned char binary[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1) {
        resolve->count = 1;
        memcpy(resolve->addresses[0], host, strnlen(host, INET6_ADDRSTRLEN - 1));
        loop_later(loop, resolved_literal, resolve);
        return resolve;
    }
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    if (uv_getaddrinfo(&loop->uv, &resolve->uv, resolved_name, host, NULL, &hints) != 0)
        loop_later(loop, resolved_literal, resolve);
    return resolve;
}

void loop_resolve_cancel(struct resolve *resolve)
{
    if (resolve == NULL)
        return;
    /* the memory is given back when libuv or the queue lets go of it */
    resolve->then = NULL;
    uv_cancel((uv_req_t *)&resolve->uv);
}

const char *loop_resolve_address(const struct resolve *resolve, unsigned n)
{
    return n < resolve->count ? resolve->addresses[n] : NULL;
}
