#include "check.h"

#include "text/section.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOST_WORDS "WARNING: log incomplete: "

void check_stuck(void)
{
    for (unsigned i = 0; i < world.job_count; i++) {
        const struct wjob *job = &world.jobs[i];
        fprintf(stderr, "job %" PRIu64 ": state %d end %d delivered %d safe %d trace %zu\n", job->id, (int)job->state,
                (int)job->end, job->delivered, job->was_safe, job->trace.length);
    }
    life_failed("something never ended");
}

static void wrong(const struct wjob *job, const char *what, size_t at)
{
    size_t from = at > 200 ? at - 200 : 0;

    fprintf(stderr, "job %" PRIu64 ": trace of %zu bytes, around %zu:\n%.*s\n--- printed %zu bytes\n", job->id,
            job->trace.length, at,
            (int)(at - from + 400 < job->trace.length - from ? at - from + 400 : job->trace.length - from),
            strbuf_text(&job->trace) + from, job->printed.length);
    life_failed("job %" PRIu64 ": %s", job->id, what);
}

/* The controller's lines before courier's first byte. */
static size_t skip_notes(const char *trace)
{
    size_t at = 0;

    while (strncmp(trace + at, SECTION_CLEAR, strlen(SECTION_CLEAR)) == 0) {
        const char *end = strchr(trace + at, '\n');
        if (end == NULL)
            break;
        at = (size_t)(end - trace) + 1;
    }
    return at;
}

/* How many bytes a line says that are lost; 0: it is no such line. */
static uint64_t lost_here(const char *text, size_t *length)
{
    const char *end;

    if (text[0] != '\n' || strncmp(text + 1, SECTION_YELLOW LOST_WORDS, strlen(SECTION_YELLOW LOST_WORDS)) != 0)
        return 0;
    end = strchr(text + 1, '\n');
    if (end == NULL)
        return 0;
    char *words;
    uint64_t lost = strtoull(text + 1 + strlen(SECTION_YELLOW LOST_WORDS), &words, 10);
    *length = (size_t)(end - text) + 1;
    return strncmp(words, " bytes were", 11) == 0 ? lost : 0; /* the last line says "N of M bytes" */
}

/* Everything that courier printed, once, in order; what is missing is said. */
static void check_trace(const struct wjob *job)
{
    const char *trace = strbuf_text(&job->trace), *printed = strbuf_text(&job->printed);
    size_t at = skip_notes(trace), told = 0, length = 0;
    uint64_t lost;

    for (;;) {
        while (at < job->trace.length && told < job->printed.length && trace[at] == printed[told]) {
            at++;
            told++;
        }
        /* a hole's line begins with a LF, which the output may have too */
        if (at > 0 && trace[at] != '\n' && (lost = lost_here(trace + at - 1, &length)) > 0 && told > 0) {
            at--;
            told--;
        }
        lost = lost_here(trace + at, &length);
        if (lost == 0 || !job->lossy || told + lost > job->printed.length)
            break;
        at += length;
        told += lost;
    }
    if (memmem(trace + at, job->trace.length - at, "~L", 2) != NULL)
        wrong(job, "courier's output stands where it should not", at);
    if (told < job->printed.length && !job->lossy && job->natural_end && !job->end_lost && !job->cancel_wished)
        wrong(job, "output is missing", at);
    if (told < job->printed.length && job->end == END_SUCCESS && !job->end_lost && !(job->lossy && job->wanted_again) &&
        strstr(trace + at, LOST_WORDS) == NULL)
        wrong(job, "output is missing, and nobody says so", at);
}

/* Nothing in this life may keep a job from its own end. */
static bool is_smooth(void)
{
    static const enum trouble stones[] = { CREATE_FAILS,  QUOTA,       PLAN_FAILS,   POD_REFUSED, HOOK_FAILS,
                                           COURIER_IMAGE, BUILD_IMAGE, NODE_REFUSES, NO_NODE,     COURIER_KILLED,
                                           POD_DELETED,   NODE_LOST,   CANCEL,       ABORT,       ACCEPT_REFUSED,
                                           CRASH,         FILE_DAMAGE };

    for (size_t i = 0; i < COUNT_OF(stones); i++)
        if (world.troubles[stones[i]])
            return false;
    return true;
}

static void check_job(const struct wjob *job)
{
    if (job->state == W_PENDING)
        life_failed("job %" PRIu64 " was never asked for", job->id);
    if (job->state != W_OVER) {
        if (!job->may_vanish)
            life_failed("job %" PRIu64 " was never reported", job->id);
        return;
    }
    if (job->aborted)
        return;
    if (job->finals != 1)
        life_failed("job %" PRIu64 ": %u final states", job->id, job->finals);
    if (job->end == END_SUCCESS && job->courier_end != END_SUCCESS)
        life_failed("job %" PRIu64 " is no success", job->id);
    if (job->end == END_FAILED && job->courier_end == END_SUCCESS && !job->no_verdict)
        life_failed("job %" PRIu64 " succeeded in its pod: %s", job->id, job->reason);
    if (job->end == END_FAILED && job->scripts == 1 && job->courier_end == END_FAILED && !job->no_verdict &&
        !job->cancel_wished && job->exit_code != 42)
        life_failed("job %" PRIu64 ": exit code %d, reason %s", job->id, job->exit_code, job->reason);
    if (is_smooth() && job->end != (job->id % 2 == 0 ? END_SUCCESS : END_FAILED))
        life_failed("job %" PRIu64 " had nothing in its way and ended with %s", job->id, job->reason);
    check_trace(job);
}

void check_everything(void)
{
    for (unsigned i = 0; i < world.job_count; i++)
        check_job(&world.jobs[i]);
    LIST_EACH(node, &pods)
    {
        const struct wpod *pod = list_of(node, struct wpod, node);
        if (!pod->gone && !pod->lost && !pod->job->may_vanish)
            life_failed("pod %s was left", pod->name);
    }
    if (world.unexpected > 0)
        life_failed("%u events that the table does not know", world.unexpected);
    kube_check_nothing_left();
    api_check_nothing_left();
}
