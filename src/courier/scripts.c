#include "scripts.h"

#include "block.h"
#include "io/loop.h"
#include "job/plan.h"
#include "job/script.h"
#include "output.h"
#include "paths.h"
#include "relay.h"
#include "step/protocol.h"

#include <string.h>
#include <sys/wait.h>

struct scripts {
    struct context *context;
    const struct scripts_events *events;
    void *owner;
    struct timer *limit, *refusal;
    struct error refused;
    enum script_how refused_how;
    bool running, timed_out, have_run;
    script_done *done;
    void *done_owner;
};

/* --- the end --- */

static void scripts_tell(struct scripts *scripts, const struct script_end *end)
{
    script_done *done = scripts->done;
    timer_stop(&scripts->limit);
    scripts->running = false;
    scripts->done = NULL;
    output_settle(scripts->context->output);
    if (done)
        done(scripts->done_owner, end);
}

static void relay_ended(void *owner, const struct relay_end *end)
{
    struct scripts *scripts = owner;
    struct output *output = scripts->context->output;
    struct script_end told = { .oom = end->oom, .why = end->why };
    output_settle(output);
    if (end->held_open)
        output_say(output, TONE_WARNING,
                   "A background process still holds the script's output; it is not waited for, and what "
                   "it prints from now on is not shown.");
    if (end->how == RELAY_REFUSED)
        told.how = SCRIPT_REFUSED;
    else if (end->how == RELAY_LOST)
        told.how = SCRIPT_LOST;
    else
        told.how = scripts->timed_out ? SCRIPT_TIMED_OUT : SCRIPT_EXITED;
    if (end->how == RELAY_EXITED)
        told.code = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : 128 + WTERMSIG(end->status);
    scripts_tell(scripts, &told);
}

static void relay_output(void *owner, const char *bytes, size_t length)
{
    struct scripts *scripts = owner;
    output_script(scripts->context->output, bytes, length);
    if (output_is_full(scripts->context->output))
        relay_pause(scripts->context->relay, true);
}

static void output_has_room(void *owner)
{
    struct scripts *scripts = owner;
    relay_pause(scripts->context->relay, false);
}

static void relay_started(void *owner, enum step_cleaned cleaned)
{
    const struct scripts *scripts = owner;
    struct output *output = scripts->context->output;
    if (cleaned == STEP_CLEANED_STOPPED)
        output_say(output, TONE_WARNING, "Processes that the stopped script left running were ended.");
    else if (cleaned)
        output_say(output, TONE_WARNING,
                   "Processes that an earlier script left running were ended: there was no room for new ones.");
}

static void relay_connected(void *owner, uid_t uid, gid_t gid)
{
    struct scripts *scripts = owner;
    scripts->context->uid = uid;
    scripts->context->gid = gid;
    scripts->context->user_known = true;
    scripts->events->connected(scripts->owner);
}

static void relay_lost(void *owner, const char *why)
{
    struct scripts *scripts = owner;
    scripts->events->lost(scripts->owner, why);
}

static const struct relay_events relay_events = { relay_connected, relay_started, relay_output, relay_ended,
                                                  relay_lost };

/* --- the start --- */

static void limit_passed(void *owner)
{
    struct scripts *scripts = owner;
    /* one that ended by itself was in time, whoever still holds its output */
    if (relay_stop(scripts->context->relay, false))
        scripts->timed_out = true;
}

static void refusal_due(void *owner)
{
    struct scripts *scripts = owner;
    const struct script_end end = { .how = scripts->refused_how, .why = scripts->refused.text };
    scripts_tell(scripts, &end);
}

static int order_make(const struct scripts *scripts, const struct script_wish *wish, struct error *error)
{
    const struct plan *plan = scripts->context->plan;
    struct strbuf script = STRBUF_EMPTY, block = STRBUF_EMPTY;
    OWNED_TEXT char *status = mem_text(wish->status);
    OWNED_TEXT char *shared = mem_format("%s/gitlab_runner_env", plan->tmp_dir);
    char status_key[] = "CI_JOB_STATUS", shared_key[] = "GITLAB_ENV";
    const struct plan_pair changed[] = { { status_key, status }, { shared_key, shared } };
    if (wish->is_after)
        script_render_after(wish->step, STEP_SCRIPT_FD, &script);
    else
        script_render(wish->step, STEP_SCRIPT_FD, &script);
    const struct block_input input = { .folder = wish->folder,
                                       .environment = plan->environment,
                                       .environment_count = plan->environment_count,
                                       .changed = changed,
                                       .changed_count = context_variable(scripts->context, "GITLAB_ENV") ? 1 : 2,
                                       .script = strbuf_text(&script),
                                       .script_length = script.length };
    const int rendered = block_render(&input, &block, error);
    const int fd = rendered < 0 ? -1 : block_seal(strbuf_text(&block), block.length, error);
    strbuf_wipe(&script);
    strbuf_wipe(&block);
    return fd;
}

void scripts_run(struct scripts *scripts, const struct script_wish *wish, script_done *done, void *owner)
{
    struct context *context = scripts->context;
    const bool wants_sh = context->plan->shell && strcmp(context->plan->shell, "sh") == 0;
    scripts->done = done;
    scripts->done_owner = owner;
    scripts->running = true;
    scripts->timed_out = false;
    const struct relay_wish run = { .order_fd = order_make(scripts, wish, &scripts->refused),
                                    .shell = wants_sh ? STEP_SHELL_SH : STEP_SHELL_BASH,
                                    .grace_ms = SCRIPT_GRACE_MS,
                                    .alone = wish->is_alone };
    scripts->refused_how = run.order_fd < 0 ? SCRIPT_REFUSED : SCRIPT_LOST;
    if (run.order_fd < 0 || relay_run(context->relay, &run, &scripts->refused) < 0) {
        loop_after(context->loop, &scripts->refusal, 0, refusal_due, scripts);
        return;
    }
    scripts->have_run = true;
    if (wish->limit_ms)
        loop_after(context->loop, &scripts->limit, wish->limit_ms, limit_passed, scripts);
}

void scripts_stop(struct scripts *scripts, bool now)
{
    relay_stop(scripts->context->relay, now);
}

bool scripts_are_possible(const struct scripts *scripts)
{
    return relay_is_connected(scripts->context->relay);
}

bool scripts_is_running(const struct scripts *scripts)
{
    return scripts->running;
}

bool scripts_have_run(const struct scripts *scripts)
{
    return scripts->have_run;
}

void scripts_bye(struct scripts *scripts)
{
    timer_stop(&scripts->limit);
    timer_stop(&scripts->refusal);
    scripts->done = NULL;
    scripts->running = false;
    relay_bye(scripts->context->relay);
}

struct scripts *scripts_new(struct context *context, const struct scripts_events *events, void *owner,
                            struct error *error)
{
    struct scripts *scripts = mem_new(sizeof *scripts);
    *scripts = (struct scripts){ .context = context, .events = events, .owner = owner };
    context->relay = relay_new(context->loop, context->paths->socket, &relay_events, scripts, error);
    if (!context->relay) {
        mem_free(scripts);
        return NULL;
    }
    output_on_room(context->output, output_has_room, scripts);
    return scripts;
}

void scripts_free(struct scripts *scripts)
{
    if (!scripts)
        return;
    timer_stop(&scripts->limit);
    timer_stop(&scripts->refusal);
    output_on_room(scripts->context->output, NULL, NULL);
    relay_free(scripts->context->relay);
    scripts->context->relay = NULL;
    mem_free(scripts);
}
