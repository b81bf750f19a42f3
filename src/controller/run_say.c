/* The only ways in which a text about a job leaves this process by our own doing: every one is masked here. Courier
 * masks what it prints; this is for what stands before its first byte, behind its last one, and in our own log. */
#include "parts.h"

#include "text/section.h"

#include <stdio.h>
#include <string.h>

#define HIDDEN "(not shown: it may hold masked values of the job, and those are not known here)"

void run_learn_masking(struct run *run)
{
    masking_free(run->masking);
    run->masking = masking_of(run->job, &run->variables);
}

/* A name of ours, as the one of a pod or of a state. */
static bool is_word(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] == '\0';
}

static char *masked_by(struct mask *mask, const char *text)
{
    struct strbuf masked = STRBUF_EMPTY;

    if (mask == NULL)
        return mem_text(is_word(text) ? text : HIDDEN);
    mask_whole(mask, text, &masked);
    return masked.bytes != NULL ? strbuf_take(&masked, NULL) : mem_text("");
}

char *masking_masked(const struct masking *masking, const char *text)
{
    struct mask *mask = masking != NULL ? masking_open(masking) : NULL;
    char *masked = masked_by(mask, text);

    mask_free(mask);
    return masked;
}

void run_say(const struct run *run, struct strbuf *to, const char *colour, const char *text)
{
    OWNED_TEXT char *masked = run->masking != NULL ? masking_masked(run->masking, text) : mem_text(text);

    strbuf_format(to, "%s%s" SECTION_RESET "\n", colour, masked);
}

void run_set_cause(struct run *run, const char *text)
{
    OWNED_TEXT char *masked = masking_masked(run->masking, text);

    snprintf(run->cause_text, sizeof(run->cause_text), "%s", masked);
}

void run_waits_for(const struct run *run, char waits[RUN_WAITS_MOST])
{
    char text[RUN_WAITS_MOST];

    pod_waits_for(&run->status, text);
    OWNED_TEXT char *masked = masking_masked(run->masking, text);
    snprintf(waits, RUN_WAITS_MOST, "%s", masked);
}

void masking_log(const struct masking *masking, enum log_level level, const char *event, const struct log_field *fields,
                 size_t count)
{
    struct log_field shown[RUN_FIELDS_MOST];
    char *texts[RUN_FIELDS_MOST] = { NULL };

    if (!log_enabled(level))
        return;
    count = count < RUN_FIELDS_MOST ? count : RUN_FIELDS_MOST;
    struct mask *mask = masking != NULL ? masking_open(masking) : NULL;
    for (size_t i = 0; i < count; i++) {
        shown[i] = fields[i];
        if (fields[i].kind == LOG_KIND_TEXT && fields[i].text != NULL)
            shown[i].text = texts[i] = masked_by(mask, fields[i].text);
    }
    mask_free(mask);
    log_write(level, event, shown, count);
    for (size_t i = 0; i < count; i++)
        mem_free(texts[i]);
}
