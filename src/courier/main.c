/* dataops-courier: our container in a job's pod (docs/design.md section 1). */
#include "base/log.h"
#include "context.h"
#include "io/child.h"
#include "io/confine.h"
#include "io/file.h"
#include "io/http.h"
#include "io/loop.h"
#include "job/plan.h"
#include "job/result.h"
#include "order.h"
#include "output.h"
#include "paths.h"
#include "ready.h"
#include "scripts.h"
#include "secrets.h"
#include "sources.h"
#include "stages.h"
#include "text/mask.h"
#include "unprivileged.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_LIMIT_MS 20000u /* for the log path to take the end */

static const char usage[] =
    "Usage: dataops-courier [--root DIR]\n"
    "       dataops-courier --wait-ready | --version | --help\n"
    "\n"
    "The helper container of a job's pod: fetches sources and artifacts, relays the job's output,\n"
    "uploads artifacts, writes the job log. Without arguments it runs the plan that is mounted at\n"
    "/.dataops-plan/plan.\n"
    "\n"
    "  --wait-ready   the postStart hook: returns when step lies in the shared volume\n"
    "  --root DIR     look for /.dataops, /.dataops-plan, /.dataops-order, mask folders and\n"
    "                 /dev/termination-log below DIR (tests)\n";

/* A courier at work. */
struct courier {
    struct loop *loop;
    struct paths paths;
    struct context context;
    struct plan *plan;
    struct output *output;
    struct http *http;
    struct scripts *scripts;
    struct stages *stages;
    struct order_watch *orders;
    struct timer *plan_timer;
    uint64_t started_ms;
    char *program, *git;
    char scratch[160];
    char *end_json;
    struct error trouble; /* why it could not make ready */
    bool connected_early, lost_early;
    bool over;
};

/* --- the end --- */

static void termination_write(const struct courier *courier)
{
    const int fd = open(courier->paths.termination, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    const ssize_t ignored = write(fd, courier->end_json, strlen(courier->end_json));
    (void)ignored;
    close(fd);
}

static void log_taken(void *owner)
{
    const struct courier *courier = owner;
    loop_stop(courier->loop);
}

static void courier_end(void *owner, const struct result *result)
{
    struct courier *courier = owner;
    struct result end = *result;
    struct strbuf json = STRBUF_EMPTY;
    if (courier->over)
        return;
    courier->over = true;
    /* The controller makes another attempt, when DataOps has nothing of this one. */
    if (end.outcome == OUTCOME_NEVER_BEGAN)
        output_discard(courier->output);
    output_flush(courier->output);
    end.bytes = output_bytes(courier->output);
    end.crc = output_crc(courier->output);
    end.says_landlock = true; /* so that the operator hears of a kernel without it */
    end.landlock_abi = confine_abi();
    output_mask_text(courier->output, end.message, sizeof(end.message)); /* it stands in the pod's status, too */
    result_print(&end, &json);
    courier->end_json = strbuf_take(&json, NULL);
    /* first, and for good: the log path may block until the kubelet's patience is over */
    termination_write(courier);
    if (output_end(courier->output, courier->end_json, END_LIMIT_MS, log_taken, courier) < 0)
        loop_stop(courier->loop);
}

/* Nothing of the job ran and nothing will. */
static void courier_give_up(struct courier *courier, enum outcome outcome, const struct error *error)
{
    if (courier->over)
        return;
    struct result result = { .outcome = outcome, .reason = REASON_SYSTEM };
    snprintf(result.message, sizeof result.message, "%.390s", error->text);
    output_say(courier->output, TONE_ERROR, "Job failed (system failure): %s", error->text);
    if (courier->scripts)
        scripts_bye(courier->scripts);
    courier_end(courier, &result);
}

/* --- what happens from outside, maybe before there is a plan --- */

static void build_connected(void *owner)
{
    struct courier *courier = owner;
    output_release(courier->output);
    if (courier->stages)
        stages_connected(courier->stages);
    else
        courier->connected_early = true;
}

static void build_lost(void *owner, const char *why)
{
    struct courier *courier = owner;
    if (courier->stages)
        stages_lost(courier->stages, why);
    else
        courier->lost_early = true;
}

static const struct scripts_events scripts_events = { build_connected, build_lost };

static void order_came(void *owner, enum order order)
{
    struct courier *courier = owner;
    stages_order(courier->stages, order);
}

static void term_came(void *owner, int number UNUSED)
{
    struct courier *courier = owner;
    struct error error = ERROR_NONE;
    if (courier->stages) {
        stages_terminated(courier->stages);
        return;
    }
    timer_stop(&courier->plan_timer);
    error_set(&error, BLAME_SYSTEM, 0, "the pod was deleted before the job began");
    courier_give_up(courier, OUTCOME_NEVER_BEGAN, &error);
}

/* --- the job --- */

static struct mask *mask_make(const struct courier *courier)
{
    const struct plan *plan = courier->plan;
    struct mask *mask = mask_new();
    for (size_t i = 0; i < plan->mask_value_count; i++)
        mask_add_phrase(mask, plan->mask_values[i], strlen(plan->mask_values[i]));
    for (size_t i = 0; i < plan->mask_prefix_count; i++)
        mask_add_prefix(mask, plan->mask_prefixes[i]);
    for (size_t i = 0; i < plan->mask_folder_count; i++) {
        OWNED_TEXT char *folder = paths_below_root(&courier->paths, plan->mask_folders[i]);
        secrets_add_folder(mask, folder);
    }
    return mask;
}

static void job_begin(struct courier *courier)
{
    const struct plan *plan = courier->plan;
    const struct output_settings settings = { .mask = mask_make(courier),
                                              .limit_bytes = plan->output_limit_bytes,
                                              .line_times = plan->timestamps,
                                              .sections = plan->trace_sections };
    output_configure(courier->output, &settings);
    courier->context.plan = plan;
    courier->http = courier->context.http = http_new(courier->loop, "dataops-runner " DATAOPS_VERSION);
    courier->stages = stages_new(&courier->context, courier->scripts, courier->started_ms, courier_end, courier);
    courier->orders = order_watch_start(courier->loop, courier->paths.orders, order_came, courier);
    stages_begin(courier->stages);
    if (courier->connected_early)
        stages_connected(courier->stages);
    if (courier->lost_early)
        stages_lost(courier->stages, "the build container ended");
}

static void plan_due(void *owner)
{
    struct courier *courier = owner;
    struct error error = ERROR_NONE;
    const bool is_late = loop_now_ms(courier->loop) - courier->started_ms > READY_PLAN_LIMIT_MS;
    const bool is_there = ready_has_plan(&courier->paths);
    if (!is_there && !is_late) {
        loop_after(courier->loop, &courier->plan_timer, READY_LOOK_MS, plan_due, courier);
        return;
    }
    if (is_there)
        courier->plan = ready_plan(&courier->paths, &error);
    else
        error_set(&error, BLAME_TIMEOUT, 0, "the plan did not come within %u s", READY_PLAN_LIMIT_MS / 1000);
    if (courier->plan)
        job_begin(courier);
    else
        courier_give_up(courier, is_there ? OUTCOME_FAILED : OUTCOME_NEVER_BEGAN, &error);
}

static void never_ready(void *owner)
{
    struct courier *courier = owner;
    courier_give_up(courier, OUTCOME_NEVER_BEGAN, &courier->trouble);
}

static int scratch_make(struct courier *courier, struct error *error)
{
    const char *base = access(courier->paths.scratch, W_OK) == 0 ? courier->paths.scratch : "/tmp";
    snprintf(courier->scratch, sizeof courier->scratch, "%.140s/courier-XXXXXX", base);
    if (!mkdtemp(courier->scratch) || chmod(courier->scratch, 0711) < 0)
        return error_errno(error, "make a private folder in %s", base);
    OWNED_TEXT char *home = mem_format("%s/home", courier->scratch);
    return mkdir(home, 0755) < 0 ? error_errno(error, "make an empty home") : 0;
}

static void courier_init(struct courier *courier, const char *root)
{
    courier->loop = loop_new();
    courier->started_ms = loop_now_ms(courier->loop);
    paths_init(&courier->paths, root);
    courier->output = output_new(courier->loop, STDOUT_FILENO);
    output_hold(courier->output);
    courier->context = (struct context){ .loop = courier->loop,
                                         .output = courier->output,
                                         .paths = &courier->paths,
                                         .scratch = courier->scratch,
                                         .program_fd = -1,
                                         .is_root = geteuid() == 0 };
    loop_on_signal(courier->loop, SIGTERM, term_came, courier);
}

/* The socket stands before the step program does, so that the hook means both. */
static int courier_ready(struct courier *courier, struct error *error)
{
    courier->program = ready_own_path(error);
    if (!courier->program || scratch_make(courier, error) < 0)
        return -1;
    courier->context.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (courier->context.program_fd < 0)
        return error_errno(error, "open the courier program");
    courier->context.git = courier->git = child_program_find("git");
    courier->scripts = scripts_new(&courier->context, &scripts_events, courier, error);
    return courier->scripts ? ready_install_step(&courier->paths, courier->program, error) : -1;
}

static void courier_clear(struct courier *courier)
{
    struct error ignored = ERROR_NONE;
    timer_stop(&courier->plan_timer);
    order_watch_stop(courier->orders);
    stages_free(courier->stages);
    scripts_free(courier->scripts);
    http_free(courier->http);
    output_free(courier->output);
    if (*courier->scratch && file_remove_tree(courier->scratch, &ignored) < 0)
        log_event(LOG_DEBUG, "scratch_stays", LOG_TEXT("error", ignored.text));
    plan_free(courier->plan);
    paths_clear(&courier->paths);
    mem_free(courier->program);
    mem_free(courier->git);
    if (courier->context.program_fd >= 0)
        close(courier->context.program_fd);
    mem_free(courier->end_json);
    loop_free(courier->loop);
}

/* Neither another process of this user nor a core file gets to see the plan. */
static void harden(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    umask(geteuid() == 0 ? 022 : 002);
    signal(SIGPIPE, SIG_IGN);
}

static int courier_run(const char *root)
{
    struct courier courier = { 0 };
    harden();
    courier_init(&courier, root);
    const bool ready = courier_ready(&courier, &courier.trouble) == 0;
    loop_after(courier.loop, &courier.plan_timer, 0, ready ? plan_due : never_ready, &courier);
    loop_run(courier.loop);
    courier_clear(&courier);
#ifdef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 1, 0, 0,
          0); /* the leak checker looks at the process from outside; nothing is left to hide */
#endif
    return 0;
}

static int wait_ready(const char *root)
{
    struct paths paths;
    paths_init(&paths, root);
    const int ready = ready_wait(&paths, READY_HOOK_LIMIT_MS);
    paths_clear(&paths);
    if (ready < 0)
        fprintf(stderr, "step did not appear in the shared volume within %u s\n", READY_HOOK_LIMIT_MS / 1000);
    return ready < 0 ? 1 : 0;
}

static int version_print(void)
{
    printf("dataops-courier %s (%s)\n", DATAOPS_VERSION, DATAOPS_REVISION);
    return 0;
}

static int usage_print(void)
{
    fputs(usage, stdout);
    return 0;
}

/* What a single word makes of the program. */
static const struct {
    const char *word;
    int (*run)(void);
} modes[] = {
    { "--pack", pack_main },
    { "--unpack", unpack_main },
    { "--version", version_print },
    { "--help", usage_print },
};

static int mode_run(char **words, int count, const char *root)
{
    if (count == 0)
        return courier_run(root);
    if (count == 1 && strcmp(words[0], "--wait-ready") == 0)
        return wait_ready(root);
    if (count == 3 && strcmp(words[0], "--tidy") == 0)
        return sources_tidy(words[1], words[2]);
    if (count == 3 && strcmp(words[0], "--clear") == 0)
        return sources_clear(words[1], words[2]);
    for (size_t i = 0; count == 1 && i < COUNT_OF(modes); i++)
        if (strcmp(words[0], modes[i].word) == 0)
            return modes[i].run();
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const bool has_root = argc > 2 && strcmp(argv[1], "--root") == 0;
    const int first = has_root ? 3 : 1;
    setlocale(LC_CTYPE, "C.UTF-8"); /* file names in archives are UTF-8 */
    log_setup(LOG_INFO, LOG_AS_TEXT, false);
    return mode_run(argv + first, argc > first ? argc - first : 0, has_root ? argv[2] : NULL);
}
