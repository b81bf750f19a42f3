#include "say.h"

#include "text/section.h"

#include <string.h>

#define HIDDEN "(not shown: it may hold masked values of the job, and those are not known here)"

/* A name of ours, such as that of a pod or of a state. */
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

char *say_masked(const struct sealed_job *job, const char *text)
{
    struct mask *mask = job->masking != NULL ? masking_open(job->masking) : NULL;
    char *masked = masked_by(mask, text);

    mask_free(mask);
    return masked;
}

void say_line(const struct sealed_job *job, struct strbuf *to, const char *colour, const char *text)
{
    OWNED_TEXT char *masked = job->masking != NULL ? say_masked(job, text) : mem_text(text);

    strbuf_format(to, "%s%s" SECTION_RESET "\n", colour, masked);
}

void say_fields(const struct sealed_job *job, enum log_level level, const char *event, const struct log_field *fields,
                size_t count)
{
    struct log_field shown[SAY_FIELDS_MOST];
    char *texts[SAY_FIELDS_MOST] = { NULL };

    if (!log_enabled(level))
        return;
    count = count < SAY_FIELDS_MOST ? count : SAY_FIELDS_MOST;
    struct mask *mask = job->masking != NULL ? masking_open(job->masking) : NULL;
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
