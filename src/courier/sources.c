#include "sources.h"

#include "base/backoff.h"
#include "folders.h"
#include "git.h"
#include "io/file.h"
#include "io/loop.h"
#include "job/plan.h"
#include "output.h"
#include "redirect.h"
#include "reach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAIL_MOST      4096
#define GIT_FAILED     1 /* exit code of the job, as the stock runner's stage shell has it */
#define AGAIN_FIRST_MS 5000
#define AGAIN_MOST_MS  300000

/* What is done, in this order; each step is a child or is done at once. */
enum step {
    STEP_CLEAR,
    STEP_FOLDER,
    STEP_TIDY,
    STEP_INIT,
    STEP_REMOTE,
    STEP_FETCH,
    STEP_FETCHED,
    STEP_EMPTY,
    STEP_GIVE,
    STEP_CHECKOUT,
    STEP_CLEAN,
    STEP_LFS_LOOK,
    STEP_LFS,
    STEP_OVER
};

struct sources {
    struct context *context;
    struct git *git;
    struct child *child;
    struct timer *again;
    struct redirect *redirect; /* once the server sent git elsewhere */
    struct backoff backoff;
    enum step at, goal;
    unsigned attempts_left;
    bool as_job;    /* git runs as the job's user; not so in an early fetch, even when that user is known meanwhile */
    bool tried;     /* an attempt was begun before */
    bool kept;      /* there is a repository from an earlier job */
    bool was_there; /* there is a project folder from an earlier job */
    bool anew;      /* it stood in the way, and was removed */
    bool is_roots;  /* the repository was made by an early fetch: as courier's own user */
    bool routes_said;
    struct strbuf tail; /* git's last words */
    stage_done *done;
    void *owner;
    struct error error;
};

static void sources_step(struct sources *sources);

static bool is_git(const struct plan *plan)
{
    return plan->strategy == PLAN_CLONE || plan->strategy == PLAN_FETCH;
}

/* --- the end of a step --- */

static void sources_tell(void *owner)
{
    struct sources *sources = owner;
    timer_stop(&sources->again);
    sources->done(sources->owner, &sources->error);
}

static void sources_end(struct sources *sources, const struct error *error)
{
    sources->error = error ? *error : ERROR_NONE;
    loop_after(sources->context->loop, &sources->again, 0, sources_tell, sources);
}

static void sources_start_over(void *owner)
{
    struct sources *sources = owner;
    sources->at = is_git(sources->context->plan) ? STEP_CLEAR : STEP_EMPTY;
    sources->is_roots = !sources->as_job;
    sources_step(sources);
}

/* What an earlier job left may be what fails: then the folder is cleared with courier's own rights, once. The server's
 * own answers stay what they are. */
static bool is_worth_anew(const struct sources *sources, const struct error *error)
{
    return sources->was_there && !sources->anew && sources->at >= STEP_FOLDER && sources->at < STEP_LFS_LOOK &&
           (error->blame == BLAME_SCRIPT || error->blame == BLAME_INPUT || error->code == EACCES) &&
           is_git(sources->context->plan) && git_is_object_name(sources->context->plan->sha) &&
           !git_is_servers_word(strbuf_text(&sources->tail));
}

static void sources_fail(struct sources *sources, const struct error *error)
{
    struct context *context = sources->context;
    const char *meaning = git_explain(strbuf_text(&sources->tail));
    output_settle(context->output);
    if (is_worth_anew(sources, error)) {
        output_say(context->output, TONE_WARNING,
                   "What an earlier job left in the project folder stands in the way (%s): it is removed, and all is "
                   "fetched anew.",
                   meaning ? meaning : error->text);
        sources->anew = true;
        loop_after(context->loop, &sources->again, 0, sources_start_over, sources);
        return;
    }
    if (error->blame == BLAME_SCRIPT && meaning)
        output_say(context->output, TONE_ERROR, "Getting the sources failed: %s", meaning);
    else
        output_say(context->output, TONE_ERROR, "Getting the sources failed: %s", error->text);
    if (sources->attempts_left == 0) {
        sources_end(sources, error);
        return;
    }
    sources->attempts_left--;
    const uint64_t wait_ms = backoff_next_ms(&sources->backoff, loop_random(context->loop));
    output_say(context->output, TONE_WARNING, "Retrying...");
    loop_after(context->loop, &sources->again, wait_ms, sources_start_over, sources);
}

static void sources_next(struct sources *sources)
{
    sources->at++;
    sources_step(sources);
}

static void redirect_told(void *owner, const char *place, bool is_elsewhere, const struct error *error)
{
    struct sources *sources = owner;
    if (!place) {
        sources_fail(sources, error);
        return;
    }
    output_say(sources->context->output, TONE_WARNING, "The repository has moved to %s: git asks there%s.", place,
               is_elsewhere ? ", without the job's login and the client certificate, because that is another server"
                            : "");
    sources_step(sources);
}

static void git_output(void *owner, const char *bytes, size_t length)
{
    struct sources *sources = owner;
    output_own(sources->context->output, bytes, length);
    if (sources->tail.length > TAIL_MOST)
        strbuf_drop(&sources->tail, sources->tail.length - TAIL_MOST / 2);
    strbuf_add(&sources->tail, bytes, length < TAIL_MOST ? length : TAIL_MOST);
}

static void failure_name(const struct sources *sources, int code, int status, struct error *error)
{
    if (sources->at == STEP_CLEAR || sources->at == STEP_EMPTY)
        error_set(error, BLAME_SYSTEM, 0, "what is in the project folder cannot be removed");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        error_set(error, BLAME_SYSTEM, GIT_FAILED,
                  "git was killed, most likely for memory: raise helper_memory_limit in [runners.kubernetes]");
    else
        error_set(error, BLAME_SCRIPT, GIT_FAILED, "git ended with exit code %d", code);
}

static void git_ended(void *owner, int status, bool timed_out UNUSED)
{
    struct sources *sources = owner;
    struct error error = ERROR_NONE;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    sources->child = NULL;
    output_settle(sources->context->output);
    if (sources->at == STEP_LFS_LOOK) {
        sources->at = code == 0 ? STEP_LFS : STEP_OVER;
        sources_step(sources);
        return;
    }
    if (code != 0 && sources->at == STEP_FETCH && !sources->redirect && git_is_sent_on(strbuf_text(&sources->tail))) {
        sources->redirect = redirect_ask(sources->context, sources->git, redirect_told, sources);
        return;
    }
    if (code != 0)
        failure_name(sources, code, status, &error);
    if (code == 0 && sources->at == STEP_INIT && !sources->kept)
        output_say(sources->context->output, TONE_NOTICE, "Created fresh repository.");
    if (code == 0)
        sources_next(sources);
    else
        sources_fail(sources, &error);
}

static const struct child_events git_events = { git_output, git_ended };

/* --- steps --- */

static void child_run(struct sources *sources, const struct child_start *start)
{
    struct error error = ERROR_NONE;
    strbuf_cut(&sources->tail, 0);
    sources->child = child_start(sources->context->loop, start, &git_events, sources, &error);
    if (!sources->child)
        sources_fail(sources, &error);
}

/* As the job's user, once that is known and works on the repository. */
static void job_run(struct sources *sources, enum child_kind kind, struct child_start *start)
{
    struct confinement reach;
    reach_set(sources->context, kind, &reach, start);
    start->change_user = start->change_user && sources->as_job;
    child_run(sources, start);
}

static void git_run(struct sources *sources, const struct words *words)
{
    const struct context *context = sources->context;
    struct child_start start = { .argv = (const char *const *)words->items,
                                 .program = context->git,
                                 .env = git_environment(sources->git),
                                 .folder = context->plan->project_dir,
                                 .output_fd = -1,
                                 .pass_fd = -1 };
    job_run(sources, sources->at == STEP_LFS ? CHILD_LFS : CHILD_GIT, &start);
}

/* This program again, in another mode. */
static struct child_start own_start(const struct sources *sources, const char *const *words)
{
    static const char *const nothing[] = { NULL };
    return (struct child_start){ .argv = words,
                                 .program_fd = &sources->context->program_fd,
                                 .env = nothing,
                                 .folder = "/",
                                 .output_fd = -1,
                                 .pass_fd = -1 };
}

/* A large tree takes its time: as a child of courier's own user, so that time limits and orders hold meanwhile. */
static void clear_run(struct sources *sources, bool is_wanted)
{
    const struct plan *plan = sources->context->plan;
    const char *const words[] = { "dataops-courier", "--clear", plan->builds_dir, plan->project_dir, NULL };
    struct child_start start = own_start(sources, words);
    if (is_wanted && file_exists(plan->project_dir))
        job_run(sources, CHILD_CLEAR, &start);
    else
        sources_next(sources);
}

static struct folder_owner folder_owner(const struct sources *sources)
{
    const struct context *context = sources->context;
    return (
        struct folder_owner){ .give = context->is_root && sources->as_job, .uid = context->uid, .gid = context->gid };
}

static bool has_repository(const struct plan *plan)
{
    OWNED_TEXT char *path = mem_format("%s/.git", plan->project_dir);
    return file_exists(path);
}

/* Left by a job of another user, so that this one could not write it. */
static bool repository_is_foreign(const struct folder_owner *owner, const struct plan *plan)
{
    struct error ignored = ERROR_NONE;
    struct stat status = { 0 };
    const int folder = owner->give ? folder_open(plan->builds_dir, plan->project_dir, &ignored) : -1;
    if (folder < 0)
        return false;
    const bool is_foreign = fstatat(folder, ".git", &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_uid != owner->uid;
    close(folder);
    return is_foreign;
}

bool sources_is_early(const struct context *context)
{
    const struct plan *plan = context->plan;
    return is_git(plan) && plan->pre_get_sources_count == 0 && (plan->strategy == PLAN_CLONE || !has_repository(plan));
}

/* Said once: the job's variables change how git reaches the server, or whether it checks it. */
static void routes_say(struct sources *sources)
{
    OWNED_STRBUF struct strbuf routes = STRBUF_EMPTY;
    git_routes_for_people(sources->context, &routes);
    if (routes.length > 0 && !sources->routes_said)
        output_say(sources->context->output, TONE_WARNING, "git follows variables of the job: %s",
                   strbuf_text(&routes));
    sources->routes_said = true;
}

static void fetching_say(struct sources *sources)
{
    const struct plan *plan = sources->context->plan;
    if (!is_git(plan))
        return;
    routes_say(sources);
    if (plan->depth > 0)
        output_say(sources->context->output, TONE_NOTICE, "Fetching changes with git depth set to %lld...",
                   (long long)plan->depth);
    else
        output_say(sources->context->output, TONE_NOTICE, "Fetching changes...");
}

/* The project folder begins anew for clone, where it belongs to somebody else, and where a former try failed half way
 * or found that an earlier job's folder stands in the way. */
static void step_clear(struct sources *sources)
{
    const struct plan *plan = sources->context->plan;
    const struct folder_owner owner = folder_owner(sources);
    const bool is_first = !sources->tried;
    const bool has_old = is_first && plan->strategy == PLAN_FETCH && has_repository(plan);
    const bool is_foreign = has_old && repository_is_foreign(&owner, plan);
    const bool has_failed = !is_first && (sources->anew || !sources->was_there);
    const bool is_cleared = plan->strategy == PLAN_CLONE || is_foreign || has_failed;
    if (is_first) {
        sources->was_there = !is_cleared && file_exists(plan->project_dir);
        sources->kept = has_old && !is_foreign;
    }
    sources->kept = sources->kept && !is_cleared;
    sources->tried = true;
    if (is_foreign)
        output_say(sources->context->output, TONE_NOTICE,
                   "The repository that is there belongs to another user: it is fetched anew.");
    fetching_say(sources);
    clear_run(sources, is_cleared);
}

static int step_folder(struct sources *sources, struct error *error)
{
    const struct plan *plan = sources->context->plan;
    const struct folder_owner owner = folder_owner(sources);
    if (folder_make(plan->builds_dir, plan->project_dir, &owner, error) < 0)
        return -1;
    return sources->as_job ? git_give_files(sources->git, error) : 0;
}

/* Everything of the project folder that courier made as root becomes the job's. */
static int step_give(struct sources *sources, struct error *error)
{
    struct context *context = sources->context;
    const struct plan *plan = context->plan;
    const struct folder_owner owner = folder_owner(sources);
    if (!is_git(plan))
        output_say(context->output, TONE_NOTICE, "Skipping Git repository setup");
    if (folder_make(plan->builds_dir, plan->project_dir, &owner, error) < 0)
        return -1;
    if (folder_give(plan->builds_dir, plan->project_dir, &owner, error) < 0)
        return -1;
    if (!owner.give || !sources->git)
        return 0;
    const char *below = folder_below(plan->builds_dir, plan->project_dir);
    for (const char *end = below; end && *end; end += *end == '/') {
        end += strcspn(end, "/");
        OWNED_TEXT char *folder = mem_copy(plan->project_dir, (size_t)(end - plan->project_dir));
        if (folder_give(plan->builds_dir, folder, &owner, error) < 0)
            return -1;
    }
    OWNED_TEXT char *repository = mem_format("%s/.git", plan->project_dir);
    if (sources->is_roots && file_give_tree(repository, owner.uid, owner.gid, error) < 0)
        return error_within(error, "give the repository to the job's user");
    return git_give_files(sources->git, error);
}

static void step_tidy(struct sources *sources)
{
    const struct plan *plan = sources->context->plan;
    const char *const words[] = { "dataops-courier", "--tidy", plan->builds_dir, plan->project_dir, NULL };
    struct child_start start = own_start(sources, words);
    job_run(sources, CHILD_TIDY, &start);
}

static void git_run_list(struct sources *sources, const char *const *list)
{
    struct words words = { 0 };
    for (; *list; list++)
        words_add(&words, *list);
    git_run(sources, &words);
    words_clear(&words);
}

static void step_init(struct sources *sources)
{
    struct words words = { 0 };
    git_init_words(sources->context->plan, &words);
    git_run(sources, &words);
    words_clear(&words);
}

static void refused_say(struct sources *sources, bool is_fetch, struct words *refused)
{
    OWNED_TEXT char *text = git_refused_for_people(is_fetch, refused);
    if (text)
        output_say(sources->context->output, TONE_WARNING, "%s", text);
    words_clear(refused);
}

static void step_fetch(struct sources *sources)
{
    const struct plan *plan = sources->context->plan;
    struct words words = { 0 }, refused = { 0 };
    OWNED_TEXT char *tips = sources_tips(plan->builds_dir, plan->project_dir);
    OWNED_TEXT char *shallow = mem_format("%s/.git/shallow", plan->project_dir);
    const struct git_kept kept = { .is_shallow = file_exists(shallow), .tips = tips };
    git_fetch_words(plan, &kept, &words, &refused);
    refused_say(sources, true, &refused);
    git_run(sources, &words);
    words_clear(&words);
}

static void step_checkout(struct sources *sources)
{
    const struct context *context = sources->context;
    const struct plan *plan = context->plan;
    struct error error = ERROR_NONE;
    if (!plan->checkout || !is_git(plan)) {
        output_say(context->output, TONE_NOTICE, "Skipping Git checkout");
        sources->at = STEP_OVER;
        sources_step(sources);
        return;
    }
    if (!git_is_object_name(plan->sha)) {
        error_set(&error, BLAME_INPUT, GIT_FAILED, "the job names no commit");
        sources_fail(sources, &error);
        return;
    }
    output_say(context->output, TONE_NOTICE, "Checking out %.8s as detached HEAD (ref is %s)...", plan->sha,
               plan->ref ? plan->ref : "");
    git_run_list(sources, (const char *[]){ "git", "checkout", "-f", "-q", "--detach", plan->sha, NULL });
}

static void step_clean(struct sources *sources)
{
    const struct plan *plan = sources->context->plan;
    struct words words = { 0 }, refused = { 0 };
    if (!sources->was_there || sources->anew || plan->clean_flag_count == 0) {
        sources_next(sources);
        return;
    }
    git_clean_words(plan, &words, &refused);
    refused_say(sources, false, &refused);
    git_run(sources, &words);
    words_clear(&words);
}

static void step_lfs_look(struct sources *sources)
{
    static const char *const look[] = { "git", "grep",       "-q", "--cached",
                                        "-F",  "filter=lfs", "--", ":(glob)**/.gitattributes",
                                        NULL };
    if (sources->context->plan->lfs && git_has_lfs()) {
        git_run_list(sources, look);
    } else {
        sources->at = STEP_OVER;
        sources_step(sources);
    }
}

static void step_now(struct sources *sources, int (*work)(struct sources *, struct error *))
{
    struct error error = ERROR_NONE;
    if (work(sources, &error) < 0)
        sources_fail(sources, &error);
    else
        sources_next(sources);
}

static void step_over(struct sources *sources)
{
    if (sources->at == STEP_OVER)
        output_say(sources->context->output, TONE_NOTICE, "Skipping Git submodules setup");
    sources_end(sources, NULL);
}

static void sources_step(struct sources *sources)
{
    if (sources->at >= sources->goal) {
        step_over(sources);
        return;
    }
    switch (sources->at) {
    case STEP_CLEAR:
        step_clear(sources);
        break;
    case STEP_FOLDER:
        step_now(sources, step_folder);
        break;
    case STEP_TIDY:
        if (sources->kept)
            step_tidy(sources);
        else
            sources_next(sources);
        break;
    case STEP_INIT:
        step_init(sources);
        break;
    case STEP_REMOTE:
        git_run_list(sources, (const char *[]){ "git", "remote", "add", "--", "origin", git_url(sources->git), NULL });
        break;
    case STEP_FETCH:
        step_fetch(sources);
        break;
    case STEP_FETCHED:
        sources_next(sources);
        break;
    case STEP_EMPTY:
        clear_run(sources, sources->context->plan->strategy == PLAN_EMPTY);
        break;
    case STEP_GIVE:
        step_now(sources, step_give);
        break;
    case STEP_CHECKOUT:
        step_checkout(sources);
        break;
    case STEP_CLEAN:
        step_clean(sources);
        break;
    case STEP_LFS_LOOK:
        step_lfs_look(sources);
        break;
    case STEP_LFS:
        git_run_list(sources, (const char *[]){ "git", "lfs", "pull", NULL });
        break;
    case STEP_OVER:
        break;
    }
}

/* --- life --- */

struct sources *sources_new(struct context *context, stage_done *done, void *owner)
{
    struct sources *sources = mem_new(sizeof *sources);
    sources->context = context;
    sources->done = done;
    sources->owner = owner;
    sources->backoff = (struct backoff){ .first_ms = AGAIN_FIRST_MS, .most_ms = AGAIN_MOST_MS };
    if (context->plan->get_sources_attempts > 1)
        sources->attempts_left = context->plan->get_sources_attempts - 1;
    return sources;
}

void sources_fetch(struct sources *sources, bool early)
{
    struct error error = ERROR_NONE;
    sources->as_job = !early;
    sources->is_roots = early;
    if (!is_git(sources->context->plan)) {
        sources->at = sources->goal = STEP_FETCHED;
        sources_end(sources, NULL);
        return;
    }
    sources->git = git_new(sources->context, &error);
    if (!sources->git) {
        sources->attempts_left = 0;
        sources_fail(sources, &error);
        return;
    }
    sources->at = STEP_CLEAR;
    sources->goal = STEP_FETCHED;
    sources_step(sources);
}

void sources_check_out(struct sources *sources)
{
    sources->as_job = true;
    sources->at = STEP_EMPTY;
    sources->goal = STEP_OVER;
    sources_step(sources);
}

void sources_free(struct sources *sources)
{
    if (!sources)
        return;
    timer_stop(&sources->again);
    child_cancel(sources->child);
    redirect_free(sources->redirect);
    git_free(sources->git);
    strbuf_clear(&sources->tail);
    mem_free(sources);
}
