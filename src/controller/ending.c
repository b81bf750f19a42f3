#include "ending.h"

#include "joblog.h"
#include "pod/status.h"
#include "say.h"
#include "text/section.h"

void ending_set_cause(const struct ending *ending, enum reason reason, int exit_code, const char *text)
{
    OWNED_TEXT char *masked = say_masked(ending->job, text);

    verdict_set_cause(ending->verdict, reason, exit_code, masked);
}

void ending_by_result(const struct ending *ending)
{
    const struct result *result = &ending->verdict->result;

    say_event(ending->job, LOG_DEBUG, "job_phases", LOG_SECONDS("start", result->phases.start_s),
              LOG_SECONDS("sources", result->phases.sources_s), LOG_SECONDS("script", result->phases.script_s),
              LOG_SECONDS("after", result->phases.after_s), LOG_SECONDS("upload", result->phases.upload_s));
    joblog_close(ending->log, NULL, NULL, ending->verdict);
}

/* The last line follows what was read of courier's log. */
static void ending_close(const struct ending *ending, const char *lead)
{
    OWNED_TEXT char *line = verdict_line(ending->verdict);

    joblog_stop_reading(ending->log);
    joblog_close(ending->log, lead, line, ending->verdict);
}

void ending_by_status(const struct ending *ending, const struct pod_status *status)
{
    enum reason reason = REASON_SYSTEM;
    int exit_code = 0;
    char why[512];

    pod_ruling(status, &reason, &exit_code, why);
    ending_set_cause(ending, reason, exit_code, why);
    ending_close(ending, "\n" SECTION_RED);
}

void ending_by_cause(const struct ending *ending)
{
    say_event(ending->job, LOG_WARN, "job_cannot_run", LOG_TEXT("why", ending->verdict->text));
    verdict_drop_result(ending->verdict);
    ending_close(ending, joblog_has_spoken(ending->log) ? "\n" SECTION_RED : SECTION_RED);
}

void ending_by_cancel(const struct ending *ending)
{
    verdict_drop_result(ending->verdict);
    verdict_set_cause(ending->verdict, REASON_UNKNOWN, ending->verdict->exit_code, "canceled");
    joblog_stop_reading(ending->log);
    joblog_close(ending->log,
                 SECTION_YELLOW "WARNING: script canceled externally (UI, API)" SECTION_RESET "\n" SECTION_RED,
                 "ERROR: Job failed: canceled", ending->verdict);
}

void ending_abandon(const struct ending *ending)
{
    joblog_abandon(ending->log);
}
