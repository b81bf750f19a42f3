/* The only ways in which the controller says something about a job: in its own log, and in the lines before and behind
 * courier's. Everything is masked here, because image names, and what Kubernetes says of them, may hold values of
 * masked variables. Courier masks what it prints itself. scripts/masked sees to it that nothing goes past this file. */
#ifndef CONTROLLER_SAY_H
#define CONTROLLER_SAY_H

#include "base/log.h"
#include "base/strbuf.h"
#include "sealed.h"

#define SAY_FIELDS_MOST 16 /* of one event */

/* Gives the text masked. Of a job whose masking is not known (an earlier controller could not seal it) only a single
 * word is shown. */
char *say_masked(const struct sealed_job *job, const char *text);
/* Appends a line of the controller's own, colour in front of it. Words of Kubernetes or of a payload in it came through
 * say_masked: that hides them when the masking is not known. */
void say_line(const struct sealed_job *job, struct strbuf *to, const char *colour, const char *text);
/* log_event about a job: its id is the first field, and its texts are masked. */
#define say_event(job, level, event, ...)                                                                              \
    say_fields((job), (level), (event), (const struct log_field[]){ LOG_NUMBER("job", (job)->id), ##__VA_ARGS__ },     \
               sizeof((const struct log_field[]){ LOG_NUMBER("job", (job)->id), ##__VA_ARGS__ }) /                     \
                   sizeof(struct log_field))
void say_fields(const struct sealed_job *job, enum log_level level, const char *event, const struct log_field *fields,
                size_t count);

#endif
