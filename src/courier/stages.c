/* The stages of a job, and what ends them.
 *
 * The table `rules` says of each stage when it is wanted and how it begins. A stage that is done calls
 * stages_advance(), which takes the next one that is wanted; behind the last one, stages_finish() ends the job. A stage
 * that fails notes a verdict and goes on in the same way, because after_script and uploads follow a failure, too. The
 * first verdict counts. An example, a job whose script fails:
 *
 *     stages_begin       prints the head of the trace
 *     SOURCES            .git is fetched, while the image of build is still being pulled
 *     stages_connected   step is there: the working tree is written
 *     DOWNLOAD           not wanted: the job has no dependencies
 *     SCRIPT             exit code 2: verdict(failed, script_failure, 2)
 *     AFTER              wanted once a script began: CI_JOB_STATUS=failed
 *     UPLOAD             wanted: artifacts with `when: on_failure` or `always`
 *     END                over(result)
 *
 * What comes from outside acts on whatever stage is running:
 *
 *     order cancel       before the script: ends the job at once; in the script: stops it, and after_script and uploads
 *                        follow
 *     order stop         ends the job at once
 *     the job's limit    ends the job at once, as timed out
 *     SIGTERM            the pod is being deleted; before the script: ends the job at once; in the script: stops it,
 *                        and after_script has what is left of the grace
 *     step is lost       until the script is over: ends the job at once; it never began when no script had run
 *
 * "At once" means that no further stage begins, what runs is killed, and its last output has two seconds to arrive. */
#include "stages.h"

#include "artifacts.h"
#include "download.h"
#include "io/loop.h"
#include "job/plan.h"
#include "job/result.h"
#include "obtain.h"
#include "output.h"
#include "scripts.h"
#include "text/duration.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KILL_WAIT_MS     2000u  /* for the last output of a script that was killed */
#define POD_GRACE_MS     30000u /* terminationGracePeriodSeconds of the pod */
#define GRACE_RESERVE_MS 3000u  /* of it, for the end of the log */
#define GRACE_SCRIPT_MS  5000u  /* of it, for the script between TERM and KILL */
#define MEMORY_KEY       "memory_limit in [runners.kubernetes]"

enum stage { STAGE_NONE, STAGE_SOURCES, STAGE_DOWNLOAD, STAGE_SCRIPT, STAGE_AFTER, STAGE_UPLOAD, STAGE_END };

struct stages {
    struct context *context;
    struct scripts *scripts;
    struct obtain *obtain;
    struct download *download;
    struct artifacts *artifacts;
    struct result result;
    enum stage at;
    size_t step; /* index of the running step of the plan */
    bool failed; /* result says how */
    bool script_began, canceled, interrupted, build_lost;
    bool ending;      /* no further stage begins */
    char section[64]; /* open section, or "" */
    uint64_t started_ms, stage_ms, script_ms, terminated_ms;
    struct timer *job_limit, *grace, *grace_script, *last_output;
    stages_over *over;
    void *owner;
};

static void stages_advance(struct stages *stages);
static void step_next(struct stages *stages);

/* --- the verdict --- */

/* The first failure is the job's. */
static void PRINTF_LIKE(5, 6)
    verdict(struct stages *stages, enum outcome outcome, enum reason reason, int code, const char *format, ...)
{
    va_list arguments;
    if (stages->failed)
        return;
    stages->failed = true;
    stages->result.outcome = outcome;
    stages->result.reason = reason;
    stages->result.exit_code = code;
    va_start(arguments, format);
    vsnprintf(stages->result.message, sizeof stages->result.message, format, arguments);
    va_end(arguments);
}

static void verdict_error(struct stages *stages, const struct error *error)
{
    if (error->blame == BLAME_SCRIPT)
        verdict(stages, OUTCOME_FAILED, REASON_SCRIPT, error->code ? error->code : 1,
                "command terminated with exit code %d", error->code ? error->code : 1);
    else
        verdict(stages, OUTCOME_FAILED, REASON_SYSTEM, 0, "%.380s", error->text);
}

static void verdict_timeout(struct stages *stages)
{
    char limit[32];
    duration_print((uint64_t)stages->context->plan->timeout_s, limit);
    verdict(stages, OUTCOME_TIMEDOUT, REASON_TIMEOUT, 0, "execution took longer than %s seconds", limit);
}

/* CI_JOB_STATUS for after_script. */
static const char *job_status(const struct stages *stages)
{
    if (!stages->failed)
        return "success";
    if (stages->result.outcome == OUTCOME_CANCELED)
        return "canceled";
    return stages->result.outcome == OUTCOME_TIMEDOUT ? "timedout" : "failed";
}

/* --- sections and times --- */

static void section_close(struct stages *stages)
{
    if (*stages->section)
        output_section_end(stages->context->output, stages->section);
    stages->section[0] = 0;
}

static void section_open(struct stages *stages, const char *name, const char *title)
{
    section_close(stages);
    snprintf(stages->section, sizeof stages->section, "%s", name);
    output_section_start(stages->context->output, stages->section, title);
}

static double stage_seconds(struct stages *stages)
{
    const uint64_t now_ms = loop_now_ms(stages->context->loop);
    const double seconds = (double)(now_ms - stages->stage_ms) / 1000.0;
    stages->stage_ms = now_ms;
    return seconds;
}

/* --- the end --- */

static void last_line(struct stages *stages)
{
    struct output *output = stages->context->output;
    if (!stages->failed) {
        output_say(output, TONE_NOTICE, "Job succeeded");
        return;
    }
    if (stages->result.outcome == OUTCOME_CANCELED)
        output_say(output, TONE_WARNING, "script canceled externally (UI, API)");
    output_say(output, TONE_ERROR, "Job failed%s: %s",
               stages->result.reason == REASON_SYSTEM ? " (system failure)" : "", stages->result.message);
}

static void stages_finish(void *owner)
{
    struct stages *stages = owner;
    timer_stop(&stages->job_limit);
    timer_stop(&stages->grace);
    timer_stop(&stages->grace_script);
    timer_stop(&stages->last_output);
    stages->at = STAGE_END;
    obtain_free(stages->obtain);
    download_free(stages->download);
    artifacts_free(stages->artifacts);
    stages->obtain = NULL;
    stages->download = NULL;
    stages->artifacts = NULL;
    scripts_bye(stages->scripts);
    output_settle(stages->context->output);
    section_close(stages);
    last_line(stages);
    stages->over(stages->owner, &stages->result);
}

/* Nothing more of the job runs. What a running script still has to say is waited for, shortly. */
static void stages_end_now(struct stages *stages)
{
    if (stages->at == STAGE_END || stages->ending)
        return;
    stages->ending = true;
    if (!scripts_is_running(stages->scripts)) {
        loop_after(stages->context->loop, &stages->last_output, 0, stages_finish, stages);
        return;
    }
    scripts_stop(stages->scripts, true);
    loop_after(stages->context->loop, &stages->last_output, KILL_WAIT_MS, stages_finish, stages);
}

/* --- sources and downloads --- */

static void obtain_done(void *owner, const struct error *error)
{
    struct stages *stages = owner;
    if (stages->ending) { /* a hook was what was still waited for */
        stages_finish(stages);
        return;
    }
    if (error->blame != BLAME_NONE)
        verdict_error(stages, error);
    stages->result.phases.sources_s = stage_seconds(stages);
    stages_advance(stages);
}

static void sources_begin(struct stages *stages)
{
    section_open(stages, "get_sources", "Getting source from Git repository");
    stages->obtain = obtain_start(stages->context, stages->scripts, obtain_done, stages);
}

static void download_done(void *owner, const struct error *error)
{
    struct stages *stages = owner;
    if (error->blame != BLAME_NONE)
        verdict_error(stages, error);
    stages->result.phases.download_s = stage_seconds(stages);
    stages_advance(stages);
}

static void download_begin(struct stages *stages)
{
    section_open(stages, "download_artifacts", "Downloading artifacts");
    stages->download = download_start(stages->context, download_done, stages);
}

/* --- scripts --- */

static void memory_notice(struct stages *stages, const struct script_end *end)
{
    stages->result.oom = stages->result.oom || end->oom;
    if (end->oom)
        output_say(stages->context->output, end->code ? TONE_ERROR : TONE_WARNING,
                   "The build container ran out of memory and a process of it was killed. Raise " MEMORY_KEY ".");
}

static void script_verdict(struct stages *stages, const struct script_end *end)
{
    switch (end->how) {
    case SCRIPT_EXITED:
        if (end->code != 0 && end->oom)
            verdict(stages, OUTCOME_FAILED, REASON_SCRIPT, end->code,
                    "command terminated with exit code %d (out of memory: raise " MEMORY_KEY ")", end->code);
        else if (end->code != 0)
            verdict(stages, OUTCOME_FAILED, REASON_SCRIPT, end->code, "command terminated with exit code %d",
                    end->code);
        break;
    case SCRIPT_TIMED_OUT:
        output_say(stages->context->output, TONE_WARNING,
                   "%s could not run to completion because the timeout was exceeded (RUNNER_SCRIPT_TIMEOUT)",
                   stages->section);
        verdict_timeout(stages);
        break;
    case SCRIPT_REFUSED:
        verdict(stages, OUTCOME_FAILED, REASON_SCRIPT, 1, "%.380s", end->why);
        break;
    case SCRIPT_LOST:
        stages->build_lost = true;
        if (!scripts_have_run(stages->scripts))
            verdict(stages, OUTCOME_NEVER_BEGAN, REASON_SYSTEM, 0, "the build container ended before the script began");
        verdict(stages, OUTCOME_FAILED, REASON_SYSTEM, 0,
                "the build container ended while the script ran. When it ran out of memory, raise " MEMORY_KEY);
        break;
    }
}

static void script_over(void *owner, const struct script_end *end)
{
    struct stages *stages = owner;
    timer_stop(&stages->grace_script);
    memory_notice(stages, end);
    if (stages->ending) {
        stages_finish(stages);
        return;
    }
    script_verdict(stages, end);
    stages->step++;
    step_next(stages);
}

static bool is_after(const struct job_step *step)
{
    return strcmp(step->name, "after_script") == 0;
}

static uint64_t script_time_left(const struct stages *stages)
{
    const uint64_t limit_ms = (uint64_t)stages->context->plan->script_timeout_s * 1000;
    const uint64_t used_ms = loop_now_ms(stages->context->loop) - stages->script_ms;
    if (stages->context->plan->script_timeout_s <= 0)
        return 0;
    return used_ms < limit_ms ? limit_ms - used_ms : 1;
}

/* The steps but after_script, in order, until one fails. */
static void step_next(struct stages *stages)
{
    const struct plan *plan = stages->context->plan;
    while (stages->step < plan->step_count &&
           (is_after(&plan->steps[stages->step]) || plan->steps[stages->step].line_count == 0))
        stages->step++;
    if (stages->step >= plan->step_count || stages->failed) {
        stages->result.phases.script_s = stage_seconds(stages);
        stages_advance(stages);
        return;
    }
    const struct job_step *step = &plan->steps[stages->step];
    OWNED_TEXT char *name = mem_format("step_%.40s", step->name);
    OWNED_TEXT char *title = mem_format("Executing \"%s\" stage of the job script", name);
    section_open(stages, name, title);
    const struct script_wish wish = {
        .step = step, .folder = plan->project_dir, .status = "running", .limit_ms = script_time_left(stages)
    };
    stages->script_began = true;
    scripts_run(stages->scripts, &wish, script_over, stages);
}

static void script_begin(struct stages *stages)
{
    stages->script_ms = loop_now_ms(stages->context->loop);
    stages->step = 0;
    step_next(stages);
}

/* --- after_script --- */

static void after_over(void *owner, const struct script_end *end)
{
    struct stages *stages = owner;
    struct output *output = stages->context->output;
    memory_notice(stages, end);
    if (stages->ending) {
        stages_finish(stages);
        return;
    }
    if (end->how == SCRIPT_TIMED_OUT)
        output_say(output, TONE_WARNING,
                   "after_script could not run to completion because the timeout was exceeded "
                   "(RUNNER_AFTER_SCRIPT_TIMEOUT)");
    else if (end->how == SCRIPT_LOST || end->how == SCRIPT_REFUSED)
        output_say(output, TONE_WARNING, "after_script could not run: %s",
                   end->why ? end->why : "the build container ended");
    stages->build_lost = stages->build_lost || end->how == SCRIPT_LOST;
    if (end->how == SCRIPT_EXITED && end->code == 0) {
        /* nothing to say */
    } else if (!stages->context->plan->after_script_ignore_errors) {
        verdict(stages, OUTCOME_FAILED, REASON_SCRIPT, end->code ? end->code : 1,
                "command terminated with exit code %d", end->code ? end->code : 1);
    } else if (end->how == SCRIPT_EXITED) {
        output_say(output, TONE_WARNING, "after_script failed, but job will continue unaffected: exit code %d",
                   end->code);
    }
    stages->result.phases.after_s = stage_seconds(stages);
    stages_advance(stages);
}

/* What is left of the pod's grace once it is being deleted. */
static uint64_t grace_left(const struct stages *stages)
{
    const uint64_t used_ms = loop_now_ms(stages->context->loop) - stages->terminated_ms;
    const uint64_t most_ms = POD_GRACE_MS - GRACE_RESERVE_MS;
    return used_ms < most_ms ? most_ms - used_ms : 1;
}

static void after_begin(struct stages *stages)
{
    const struct plan *plan = stages->context->plan;
    uint64_t limit_ms = plan->after_script_timeout_s > 0 ? (uint64_t)plan->after_script_timeout_s * 1000 : 300000;
    section_open(stages, "after_script", "Running after_script");
    if (stages->interrupted && grace_left(stages) < limit_ms)
        limit_ms = grace_left(stages);
    const struct script_wish wish = { .step = plan_step(plan, "after_script"),
                                      .folder = plan->project_dir,
                                      .status = job_status(stages),
                                      .is_after = true,
                                      .limit_ms = limit_ms };
    scripts_run(stages->scripts, &wish, after_over, stages);
}

/* --- uploads --- */

static void upload_done(void *owner, const struct error *error)
{
    struct stages *stages = owner;
    if (error->blame != BLAME_NONE)
        verdict_error(stages, error);
    stages->result.phases.upload_s = stage_seconds(stages);
    stages_advance(stages);
}

static void upload_begin(struct stages *stages)
{
    if (stages->failed)
        section_open(stages, "upload_artifacts_on_failure", "Uploading artifacts for failed job");
    else
        section_open(stages, "upload_artifacts_on_success", "Uploading artifacts for successful job");
    stages->artifacts = artifacts_start(stages->context, !stages->failed, upload_done, stages);
}

/* --- the order of stages --- */

static bool sources_wanted(const struct stages *stages)
{
    return !stages->failed;
}

static bool download_wanted(const struct stages *stages)
{
    return !stages->failed && download_is_wanted(stages->context->plan);
}

static bool script_wanted(const struct stages *stages)
{
    return !stages->failed;
}

static bool after_wanted(const struct stages *stages)
{
    return stages->script_began && !stages->build_lost && scripts_are_possible(stages->scripts) &&
           plan_step(stages->context->plan, "after_script") != NULL;
}

static bool upload_wanted(const struct stages *stages)
{
    return !(stages->interrupted && stages->failed) && stages->context->user_known &&
           artifacts_are_wanted(stages->context->plan, !stages->failed);
}

static const struct {
    bool (*wanted)(const struct stages *stages);
    void (*begin)(struct stages *stages);
} rules[STAGE_END] = {
    [STAGE_SOURCES] = { sources_wanted, sources_begin }, [STAGE_DOWNLOAD] = { download_wanted, download_begin },
    [STAGE_SCRIPT] = { script_wanted, script_begin },    [STAGE_AFTER] = { after_wanted, after_begin },
    [STAGE_UPLOAD] = { upload_wanted, upload_begin },
};

static void stages_advance(struct stages *stages)
{
    section_close(stages);
    if (stages->ending || stages->at == STAGE_END)
        return;
    do
        stages->at++;
    while (stages->at < STAGE_END && !rules[stages->at].wanted(stages));
    if (stages->at < STAGE_END)
        rules[stages->at].begin(stages);
    else
        stages_finish(stages);
}

/* --- what happens from outside --- */

void stages_connected(struct stages *stages)
{
    stages->result.phases.start_s = (double)(loop_now_ms(stages->context->loop) - stages->started_ms) / 1000.0;
    if (stages->obtain)
        obtain_connected(stages->obtain);
}

void stages_lost(struct stages *stages, const char *why)
{
    stages->build_lost = true;
    if (stages->at >= STAGE_AFTER || stages->ending)
        return;
    if (scripts_have_run(stages->scripts))
        verdict(stages, OUTCOME_FAILED, REASON_SYSTEM, 0, "%.300s before the script was over", why);
    else
        verdict(stages, OUTCOME_NEVER_BEGAN, REASON_SYSTEM, 0, "%.300s before the script began", why);
    stages_end_now(stages);
}

static void job_limit_passed(void *owner)
{
    struct stages *stages = owner;
    verdict_timeout(stages);
    stages_end_now(stages);
}

void stages_order(struct stages *stages, enum order order)
{
    if (order == ORDER_NONE || stages->at == STAGE_END)
        return;
    if (order == ORDER_STOP || stages->at < STAGE_SCRIPT) {
        verdict(stages, OUTCOME_CANCELED, REASON_UNKNOWN, 0, "canceled");
        stages_end_now(stages);
    } else if (stages->at == STAGE_SCRIPT && !stages->canceled) {
        stages->canceled = true;
        verdict(stages, OUTCOME_CANCELED, REASON_UNKNOWN, 0, "canceled");
        scripts_stop(stages->scripts, false);
    }
}

static void grace_script_over(void *owner)
{
    struct stages *stages = owner;
    if (stages->at == STAGE_SCRIPT)
        scripts_stop(stages->scripts, true);
}

static void grace_over(void *owner)
{
    struct stages *stages = owner;
    verdict(stages, OUTCOME_INTERRUPTED, REASON_INTERRUPTED, 0, "the pod was deleted before the job was over");
    stages_end_now(stages);
}

void stages_terminated(struct stages *stages)
{
    if (stages->interrupted || stages->at == STAGE_END)
        return;
    stages->interrupted = true;
    stages->terminated_ms = loop_now_ms(stages->context->loop);
    if (!scripts_have_run(stages->scripts))
        verdict(stages, OUTCOME_NEVER_BEGAN, REASON_SYSTEM, 0, "the pod was deleted before the script began");
    else if (stages->at <= STAGE_SCRIPT)
        verdict(stages, OUTCOME_INTERRUPTED, REASON_INTERRUPTED, 0,
                "the pod was deleted while the job ran (node drained, "
                "preempted or removed)");
    if (stages->at < STAGE_SCRIPT) {
        stages_end_now(stages);
        return;
    }
    loop_after(stages->context->loop, &stages->grace, grace_left(stages), grace_over, stages);
    if (stages->at == STAGE_SCRIPT) {
        scripts_stop(stages->scripts, false);
        loop_after(stages->context->loop, &stages->grace_script, GRACE_SCRIPT_MS, grace_script_over, stages);
    }
}

/* --- life --- */

static void head_print(struct stages *stages)
{
    struct output *output = stages->context->output;
    const struct plan *plan = stages->context->plan;
    output_say(output, TONE_PLAIN, "Running with dataops-runner %s (%s)",
               plan->version ? plan->version : DATAOPS_VERSION, plan->revision ? plan->revision : DATAOPS_REVISION);
    output_say(output, TONE_PLAIN, "  on %s %s, system ID: %s", plan->runner_name ? plan->runner_name : "",
               plan->short_token ? plan->short_token : "", plan->system_id ? plan->system_id : "");
    section_open(stages, "prepare_executor", "Preparing the \"kubernetes\" executor");
    output_say(output, TONE_PLAIN, "Using Kubernetes namespace: %s", plan->ns ? plan->ns : "");
    output_say(output, TONE_PLAIN, "Using Kubernetes executor with image %s ...", plan->image ? plan->image : "");
    section_open(stages, "prepare_script", "Preparing environment");
    output_say(output, TONE_BARE, "Running on %s via dataops-runner...", plan->pod_name ? plan->pod_name : "");
    section_close(stages);
}

void stages_begin(struct stages *stages)
{
    const struct plan *plan = stages->context->plan;
    const uint64_t used_ms = loop_now_ms(stages->context->loop) - stages->started_ms;
    const uint64_t limit_ms = (uint64_t)(plan->timeout_s > 0 ? plan->timeout_s : 7200) * 1000;
    loop_after(stages->context->loop, &stages->job_limit, used_ms < limit_ms ? limit_ms - used_ms : 0, job_limit_passed,
               stages);
    head_print(stages);
    stages_advance(stages);
}

struct stages *stages_new(struct context *context, struct scripts *scripts, uint64_t started_ms, stages_over *over,
                          void *owner)
{
    struct stages *stages = mem_new(sizeof *stages);
    *stages = (struct stages){
        .context = context, .scripts = scripts, .started_ms = started_ms, .over = over, .owner = owner
    };
    stages->stage_ms = started_ms;
    return stages;
}

void stages_free(struct stages *stages)
{
    if (!stages)
        return;
    timer_stop(&stages->job_limit);
    timer_stop(&stages->grace);
    timer_stop(&stages->grace_script);
    timer_stop(&stages->last_output);
    obtain_free(stages->obtain);
    download_free(stages->download);
    artifacts_free(stages->artifacts);
    mem_free(stages);
}
