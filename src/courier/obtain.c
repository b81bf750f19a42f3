#include "obtain.h"

#include "files.h"
#include "folders.h"
#include "io/loop.h"
#include "job/plan.h"
#include "output.h"
#include "scripts.h"
#include "sources.h"

#include <string.h>

#define PATIENCE_MS 3000u /* then the trace says what is waited for */

/* In this order; the fetch stands before or behind the wait for build. */
enum task { TASK_FETCH_EARLY, TASK_WAIT, TASK_FILES, TASK_PRE, TASK_FETCH, TASK_CHECK_OUT, TASK_POST, TASK_OVER };

struct obtain {
    struct context *context;
    struct scripts *scripts;
    struct sources *sources;
    struct job_step hook;
    struct timer *patience, *failure;
    struct error error;
    enum task at;
    bool early;
    stage_done *done;
    void *owner;
};

static void obtain_task(struct obtain *obtain);

static void obtain_end(struct obtain *obtain, const struct error *error)
{
    timer_stop(&obtain->patience);
    obtain->done(obtain->owner, error);
}

static void failure_due(void *owner)
{
    struct obtain *obtain = owner;
    obtain_end(obtain, &obtain->error);
}

static void obtain_next(struct obtain *obtain)
{
    obtain->at++;
    obtain_task(obtain);
}

static void sources_done(void *owner, const struct error *error)
{
    struct obtain *obtain = owner;
    if (error->blame != BLAME_NONE)
        obtain_end(obtain, error);
    else
        obtain_next(obtain);
}

static void hook_done(void *owner, const struct script_end *end)
{
    struct obtain *obtain = owner;
    struct error error = ERROR_NONE;
    if (end->how == SCRIPT_EXITED && end->code == 0) {
        obtain_next(obtain);
        return;
    }
    if (end->how == SCRIPT_EXITED)
        error_set(&error, BLAME_SCRIPT, end->code, "%s ended with exit code %d", obtain->hook.name, end->code);
    else
        error_set(&error, BLAME_SYSTEM, 1, "%s: %s", obtain->hook.name, end->why ? end->why : "not run");
    obtain_end(obtain, &error);
}

static void hook_run(struct obtain *obtain, const char *name, char **lines, size_t count)
{
    const struct plan *plan = obtain->context->plan;
    if (count == 0 || plan->strategy == PLAN_NONE || plan->strategy == PLAN_EMPTY) {
        obtain_next(obtain);
        return;
    }
    mem_free(obtain->hook.name);
    obtain->hook = (struct job_step){ .name = mem_text(name), .lines = lines, .line_count = count };
    const struct script_wish wish = { .step = &obtain->hook,
                                      .folder = obtain->at == TASK_PRE ? plan->builds_dir : plan->project_dir,
                                      .status = "running",
                                      .is_alone = obtain->at == TASK_PRE };
    scripts_run(obtain->scripts, &wish, hook_done, obtain);
}

static void still_waiting(void *owner)
{
    struct obtain *obtain = owner;
    output_say(obtain->context->output, TONE_PLAIN, "Waiting for the build container to start...");
}

static void obtain_wait(struct obtain *obtain)
{
    if (obtain->context->user_known)
        obtain_next(obtain);
    else
        loop_after(obtain->context->loop, &obtain->patience, PATIENCE_MS, still_waiting, obtain);
}

/* The folder of GITLAB_ENV, without what an earlier job handed on. */
static int shared_make(const struct context *context, struct error *error)
{
    const struct plan *plan = context->plan;
    const struct folder_owner owner = { .give = context->is_root, .uid = context->uid, .gid = context->gid };
    OWNED_TEXT char *shared = mem_format("%s/gitlab_runner_env", plan->tmp_dir);
    if (folder_make(plan->builds_dir, plan->tmp_dir, &owner, error) < 0 ||
        folder_give(plan->builds_dir, plan->tmp_dir, &owner, error) < 0)
        return -1;
    return folder_remove(plan->builds_dir, shared, error);
}

static void files_make(struct obtain *obtain)
{
    if (shared_make(obtain->context, &obtain->error) < 0 || files_write(obtain->context, &obtain->error) < 0)
        loop_after(obtain->context->loop, &obtain->failure, 0, failure_due, obtain);
    else
        obtain_next(obtain);
}

static void obtain_task(struct obtain *obtain)
{
    const struct plan *plan = obtain->context->plan;
    switch (obtain->at) {
    case TASK_FETCH_EARLY:
    case TASK_FETCH:
        if (obtain->early == (obtain->at == TASK_FETCH_EARLY))
            sources_fetch(obtain->sources, obtain->early);
        else
            obtain_next(obtain);
        break;
    case TASK_WAIT:
        obtain_wait(obtain);
        break;
    case TASK_FILES:
        files_make(obtain);
        break;
    case TASK_PRE:
        /* alone: git works on the project folder next, and nobody may change its configuration meanwhile */
        hook_run(obtain, "pre_get_sources_script", plan->pre_get_sources, plan->pre_get_sources_count);
        break;
    case TASK_CHECK_OUT:
        sources_check_out(obtain->sources);
        break;
    case TASK_POST:
        hook_run(obtain, "post_get_sources_script", plan->post_get_sources, plan->post_get_sources_count);
        break;
    case TASK_OVER:
        obtain_end(obtain, &(struct error){ .blame = BLAME_NONE });
        break;
    }
}

void obtain_connected(struct obtain *obtain)
{
    timer_stop(&obtain->patience);
    if (obtain->at == TASK_WAIT)
        obtain_next(obtain);
}

static void obtain_begin(void *owner)
{
    obtain_task(owner);
}

struct obtain *obtain_start(struct context *context, struct scripts *scripts, stage_done *done, void *owner)
{
    struct obtain *obtain = mem_new(sizeof *obtain);
    *obtain = (struct obtain){ .context = context, .scripts = scripts, .done = done, .owner = owner };
    obtain->early = sources_is_early(context);
    obtain->sources = sources_new(context, sources_done, obtain);
    loop_after(context->loop, &obtain->failure, 0, obtain_begin, obtain);
    return obtain;
}

void obtain_free(struct obtain *obtain)
{
    if (!obtain)
        return;
    timer_stop(&obtain->patience);
    timer_stop(&obtain->failure);
    sources_free(obtain->sources);
    mem_free(obtain->hook.name);
    mem_free(obtain);
}
