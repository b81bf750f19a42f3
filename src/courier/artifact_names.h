/* Names, patterns and addresses of artifacts: what the plan says, expanded the way the stock runner's helper does it
 * from its environment, the lines of GITLAB_ENV included (docs/reference/dataops.md, "Variables"). */
#ifndef COURIER_ARTIFACT_NAMES_H
#define COURIER_ARTIFACT_NAMES_H

#include "context.h"

struct cJSON;
struct plan_artifact;

/* Appends the expanded patterns to a JSON array; an invalid expression stays as it was, with a warning in the trace. */
void artifact_patterns(const struct context *context, char *const *patterns, size_t count, struct cJSON *array);
/* Gives the file name of the upload: base name of the expanded name, with the ending of its format; mem_free. */
char *artifact_file_name(const struct context *context, const struct plan_artifact *artifact);
/* Gives the URL of the upload with its options in the query; mem_free. */
char *artifact_url(const struct plan *plan, const struct plan_artifact *artifact);

#endif
