#include "stage.h"

#include "base/log.h"
#include "config/config.h"

struct world world;
static unsigned troubles[TROUBLES];
static struct strbuf said;
static struct config *config;
static struct controller *controller;
static bool began;
static unsigned long passing;

/* --- what world.h leaves to us --- */

const char *trouble_name(enum trouble trouble UNUSED)
{
    return "";
}

bool life_has(enum trouble trouble)
{
    return troubles[trouble] > 0;
}

bool happens(enum trouble trouble, unsigned percent UNUSED)
{
    if (troubles[trouble] == 0)
        return false;
    troubles[trouble]--;
    return true;
}

void life_failed(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

void life_note(const char *format UNUSED, ...)
{
}

/* base/log.h */
bool log_enabled(enum log_level level UNUSED)
{
    return true;
}

void log_write(enum log_level level UNUSED, const char *event, const struct log_field *fields, size_t count)
{
    size_t start = said.length;

    strbuf_add_text(&said, event);
    log_add_fields(&said, fields, count, false);
    strbuf_add_char(&said, '\n');
    if (getenv("STAGE_VERBOSE") != NULL)
        fprintf(stderr, "%9" PRIu64 " %s", clock_now_ms(), said.bytes + start);
}

/* --- the stage --- */

int stage_set(void **state UNUSED)
{
    clock_begin(1);
    memset(&world, 0, sizeof(world));
    memset(troubles, 0, sizeof(troubles));
    world.concurrent = 100;
    return 0;
}

static void controller_end_now(void)
{
    controller_free(controller);
    config_free(config);
    controller = NULL;
    config = NULL;
    began = false;
}

int stage_strike(void **state UNUSED)
{
    bool unexpected = stage_said("job_event_unexpected") > 0;

    controller_end_now();
    LIST_EACH(node, &pods)
    list_of(node, struct wpod, node)->gone = true;
    clock_pass(60 * MINUTES); /* what the world itself has under way */
    kube_unplan();
    api_unplan();
    kube_check_nothing_left();
    api_check_nothing_left();
    pods_clear();
    clock_end();
    for (unsigned i = 0; i < world.job_count; i++) {
        strbuf_clear(&world.jobs[i].trace);
        strbuf_clear(&world.jobs[i].printed);
    }
    strbuf_clear(&said);
    return unexpected ? -1 : 0;
}

struct wjob *stage_job(void)
{
    struct wjob *job = &world.jobs[world.job_count++];

    dataops_begin();
    return job;
}

struct controller *stage_start_with(const char *globals, const char *of_runner)
{
    static const char text[] = "%s\ncheck_interval = 1\n[[runners]]\nname = \"stage\"\nurl = \"https://stage\"\n"
                               "token = \"glrt-AbCdEfGhIjKl\"\nexecutor = \"kubernetes\"\n%s\n"
                               "[runners.kubernetes]\nhelper_image = \"helper:1\"\n";
    struct error error = ERROR_NONE;
    struct controller_options options = { .release = "stage", .system_id = "s_0123456789ab", .listen_address = ":1" };
    OWNED_TEXT char *toml =
        mem_format(text, globals != NULL ? globals : "concurrent = 1", of_runner != NULL ? of_runner : "");

    options.config = config = config_load(toml, strlen(toml), CONFIG_TOML, "stage.toml", &error);
    if (config == NULL)
        fail_msg("%s", error.text);
    controller = controller_new(&options, &error);
    if (controller == NULL)
        fail_msg("%s", error.text);
    return controller;
}

struct controller *stage_start(void)
{
    return stage_start_with(NULL, NULL);
}

void stage_kill(void)
{
    controller_end_now();
}

static void signal_due(void *owner)
{
    clock_signal((int)(intptr_t)owner);
}

void stage_signal(int number)
{
    clock_after(0, signal_due, (void *)(intptr_t)number);
}

static void passed_due(void *owner)
{
    if ((unsigned long)(uintptr_t)owner != passing)
        return;
    passing++;
    loop_stop(controller_frame(controller)->loop);
}

bool stage_pass(uint64_t ms)
{
    unsigned long mine = ++passing;
    bool in_time;

    clock_after(ms, passed_due, (void *)(uintptr_t)mine);
    if (began) {
        loop_run(controller_frame(controller)->loop);
    } else {
        began = true;
        controller_run(controller);
    }
    in_time = passing != mine;
    passing = mine + 1; /* its timer may still be there when the controller ended before */
    return in_time;
}

void stage_trouble(enum trouble trouble, unsigned times)
{
    troubles[trouble] = times;
}

const struct run *stage_run(void)
{
    return runs_first(controller_runs(controller));
}

struct wpod *stage_pod(void)
{
    return list_is_empty(&pods) ? NULL : list_of(pods.previous, struct wpod, node);
}

unsigned stage_pods(void)
{
    unsigned count = 0;

    LIST_EACH(node, &pods)
    count++;
    return count;
}

unsigned stage_said(const char *words)
{
    unsigned count = 0;

    for (const char *at = strstr(strbuf_text(&said), words); at != NULL; at = strstr(at + 1, words))
        count++;
    return count;
}

bool stage_trace_has(const struct wjob *job, const char *words)
{
    return memmem(strbuf_text(&job->trace), job->trace.length, words, strlen(words)) != NULL;
}

bool stage_trace_is_whole(const struct wjob *job)
{
    size_t notes = job->trace.length - job->printed.length;

    return job->trace.length >= job->printed.length && job->printed.length > 0 &&
           memcmp(job->trace.bytes + notes, job->printed.bytes, job->printed.length) == 0 &&
           memmem(job->trace.bytes, notes, "~L", 2) == NULL;
}

void stage_schedule(struct wpod *pod)
{
    pod->fate = FATE_RUNS;
    pod->scheduled = true;
    pod_plan_stored(pod);
    watch_pod_changed(pod);
}
