/* Whole jobs on a virtual clock: a controller against a faulty DataOps and a faulty Kubernetes, both drawn from a seed.
 *     life-jobs [--seed N] [--count M] [--verbose]
 * What must hold, whatever goes wrong: every safe job gets exactly one final state, and the right one; its trace has no
 * gap and no repeat; no script runs twice; no pod, call, timer or byte is left. A failing seed replays. */
#include "base/log.h"
#include "check.h"
#include "clock.h"
#include "config/config.h"
#include "controller/controller.h"
#include "world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIFE_MOST_MS    (12ull * 3600 * 1000)
#define HEALED_AFTER_MS (2ull * 3600 * 1000) /* from here on nothing fails any more: what is left must end */

struct world world;
static uint64_t the_seed;

static const char *const names[TROUBLES] = {
    [CREATE_LOST] = "create_lost",
    [CREATE_FAILS] = "create_fails",
    [QUOTA] = "quota",
    [PLAN_FAILS] = "plan_fails",
    [POD_REFUSED] = "pod_refused",
    [DELETE_FAILS] = "delete_fails",
    [PATCH_FAILS] = "patch_fails",
    [WATCH_STALLS] = "watch_stalls",
    [WATCH_RELISTS] = "watch_relists",
    [LOG_CLOSES] = "log_closes",
    [LOG_DAMAGE] = "log_damage",
    [LOG_DEAF] = "log_deaf",
    [FILE_DAMAGE] = "file_damage",
    [HOOK_FAILS] = "hook_fails",
    [COURIER_IMAGE] = "courier_image",
    [BUILD_IMAGE] = "build_image",
    [NODE_REFUSES] = "node_refuses",
    [NO_NODE] = "no_node",
    [COURIER_KILLED] = "courier_killed",
    [POD_DELETED] = "pod_deleted",
    [NODE_LOST] = "node_lost",
    [SLOW_PULL] = "slow_pull",
    [PATCH_TRACE] = "patch_trace",
    [TRACE_REWIND] = "trace_rewind",
    [FINAL_412] = "final_412",
    [FINAL_FAILS] = "final_fails",
    [DATAOPS_DOWN] = "dataops_down",
    [CANCEL] = "cancel",
    [ABORT] = "abort",
    [ACCEPT_REFUSED] = "accept_refused",
    [CRASH] = "crash",
    [UPGRADE] = "upgrade",
    [BIG_LOG] = "big_log",
};

const char *trouble_name(enum trouble trouble)
{
    return names[trouble];
}

bool life_has(enum trouble trouble)
{
    return world.troubles[trouble] && clock_now_ms() < HEALED_AFTER_MS;
}

bool happens(enum trouble trouble, unsigned percent)
{
    return life_has(trouble) && chance_percent(percent);
}

/* --- what is said --- */

static void show_life(void)
{
    fprintf(stderr, "seed %" PRIu64 ":", the_seed);
    for (int i = 0; i < TROUBLES; i++)
        if (world.troubles[i])
            fprintf(stderr, " %s", names[i]);
    fprintf(stderr, "; replay: life-jobs --seed %" PRIu64 " --verbose\n", the_seed);
}

void life_failed(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "FAILED at %" PRIu64 " ms: ", clock_now_ms());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

/* Sanitizers end the process without a signal. */
void __asan_on_error(void);
void __asan_on_error(void)
{
    show_life();
}

static void died(int number)
{
    signal(number, SIG_DFL);
    show_life();
    raise(number);
}

void life_note(const char *format, ...)
{
    va_list arguments;

    if (!world.verbose)
        return;
    va_start(arguments, format);
    fprintf(stderr, "%9" PRIu64 " world: ", clock_now_ms());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* base/log.h: what the controller says is looked at. */
bool log_enabled(enum log_level level UNUSED)
{
    return true;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    OWNED_STRBUF struct strbuf line = STRBUF_EMPTY;

    if (strcmp(event, "job_event_unexpected") == 0)
        world.unexpected++;
    if (!world.verbose && strcmp(event, "job_event_unexpected") != 0)
        return;
    log_add_fields(&line, fields, count, false);
    fprintf(stderr, "%9" PRIu64 " %d %s%s\n", clock_now_ms(), (int)level, event, strbuf_text(&line));
}

/* --- a life --- */

static void world_begin(uint64_t seed, bool verbose)
{
    unsigned wishes;

    the_seed = seed;
    clock_begin(seed);
    memset(&world, 0, sizeof(world));
    world.verbose = verbose;
    world.job_count = (unsigned)chance_of(1, 6);
    world.concurrent = (unsigned)chance_of(1, 4);
    wishes = chance_percent(15) ? 8 : (unsigned)chance_of(0, 3);
    for (unsigned i = 0; i < wishes; i++)
        world.troubles[chance_any() % TROUBLES] = true;
    if (world.troubles[QUOTA])
        world.quota_until_ms = chance_of(1000, 200000);
    dataops_begin();
}

static bool everything_is_over(void)
{
    for (unsigned i = 0; i < world.job_count; i++)
        if (world.jobs[i].state != W_OVER && !world.jobs[i].may_vanish)
            return false;
    return true;
}

static void look_due(void *owner)
{

    if (clock_now_ms() > LIFE_MOST_MS)
        check_stuck();
    if (everything_is_over() && !world.asked_to_end) {
        world.asked_to_end = true;
        life_note("everything is over");
        clock_signal(SIGQUIT);
    }
    clock_after(1000, look_due, owner);
}

static void outage_due(void *owner)
{
    uint64_t down_ms = happens(DATAOPS_DOWN, 60) ? chance_of(1000, 400000) : 0;

    world.dataops_down_until_ms = clock_now_ms() + down_ms;
    clock_after(down_ms + chance_of(10000, 200000), outage_due, owner);
}

static void stop_due(void *owner)
{
    if (happens(CRASH, 100)) {
        life_note("the controller is killed");
        clock_kill();
    } else if (happens(UPGRADE, 100)) {
        life_note("the controller gets TERM");
        clock_signal(SIGTERM);
    }
    (void)owner;
}

/* What was under way in a controller that was killed. */
static void note_killed(void)
{
    for (unsigned i = 0; i < world.job_count; i++) {
        struct wjob *job = &world.jobs[i];
        if (job->state != W_PENDING && job->state != W_OVER && !job->was_safe)
            job->may_vanish = true;
    }
}

static void quit_due(void *owner UNUSED)
{
    clock_signal(SIGQUIT);
}

static void run_controllers(const struct controller_options *options)
{
    unsigned left = (unsigned)chance_of(0, 4);
    bool restart = true;

    clock_after(1000, look_due, NULL);
    clock_after(1000, outage_due, NULL);
    while (restart) {
        struct error error = ERROR_NONE;
        struct controller *controller = controller_new(options, &error);

        if (controller == NULL)
            life_failed("%s", error.text);
        if (left > 0 && !world.asked_to_end && (life_has(CRASH) || life_has(UPGRADE)))
            clock_after(chance_percent(50) ? chance_of(0, 3000) : chance_of(0, 60000), stop_due, NULL);
        left -= left > 0;
        restart = !world.asked_to_end;
        if (world.asked_to_end)
            clock_after(chance_of(1000, 60000), quit_due, NULL);
        controller_run(controller);
        restart = restart || clock_was_killed();
        if (clock_was_killed())
            note_killed();
        life_note("the controller is gone");
        controller_free(controller);
        if (restart)
            clock_pass(chance_of(10, 20000));
    }
}

static void life(uint64_t seed, bool verbose)
{
    static const char text[] = "concurrent = %u\ncheck_interval = 1\n[[runners]]\nname = \"life\"\nurl = "
                               "\"https://life\"\ntoken = \"glrt-AbCdEfGhIjKl\"\nexecutor = \"kubernetes\"\n"
                               "[runners.kubernetes]\nhelper_image = \"helper:1\"\n";
    struct error error = ERROR_NONE;
    struct controller_options options = { .release = "life", .system_id = "s_0123456789ab" };

    world_begin(seed, verbose);
    if (verbose)
        show_life();
    OWNED_TEXT char *toml = mem_format(text, world.concurrent);
    options.config = config_load(toml, strlen(toml), CONFIG_TOML, "life.toml", &error);
    if (options.config == NULL)
        life_failed("%s", error.text);
    run_controllers(&options);
    clock_pass(1800 * 1000); /* what the cluster does by itself */
    check_everything();
    config_free(options.config);
    pods_clear();
    clock_end();
    for (unsigned i = 0; i < world.job_count; i++) {
        strbuf_clear(&world.jobs[i].trace);
        strbuf_clear(&world.jobs[i].printed);
    }
}

int main(int count, char **words)
{
    uint64_t seed = 1, lives = 400;
    bool verbose = false, alone = false;

    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--seed") == 0 && i + 1 < count) {
            seed = strtoull(words[++i], NULL, 10);
            alone = true;
        } else if (strcmp(words[i], "--count") == 0 && i + 1 < count) {
            lives = strtoull(words[++i], NULL, 10);
            alone = false;
        } else if (strcmp(words[i], "--verbose") == 0) {
            verbose = true;
        }
    }
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
    for (uint64_t i = 0; i < (alone ? 1 : lives); i++)
        life(seed + i, verbose);
    printf("%" PRIu64 " lives from seed %" PRIu64 ": all jobs ended right\n", alone ? (uint64_t)1 : lives, seed);
    return 0;
}
