/* What a plan takes from the job's variables (docs/reference/dataops.md, "Settings variables"). */
#ifndef SRC_JOB_PLAN_SETTINGS_H
#define SRC_JOB_PLAN_SETTINGS_H

#include "job/plan.h"

struct cJSON;

enum plan_strategy plan_strategy_of(const struct job *job, const struct variables *variables);
const char *plan_strategy_name(enum plan_strategy strategy);
int plan_strategy_parse(const char *name, enum plan_strategy *strategy);
/* A whole number from 1 to 10, 1 when unset or no number. */
unsigned plan_attempts(const struct variables *variables, const char *key);
/* A Go duration in seconds, at least 1; otherwise when unset, malformed, zero or longer than most_s. */
int64_t plan_seconds(const struct variables *variables, const char *key, int64_t otherwise, int64_t most_s);
/* Sets object[name] to the words of the variable; to those of otherwise when it is unset, to none when it says "none".
 */
void plan_set_flags(struct cJSON *object, const char *name, const struct variables *variables, const char *key,
                    const char *otherwise);
/* Sets mask: values of masked variables and tokens, token prefixes, folders. */
void plan_set_mask(struct cJSON *tree, const struct job *job, const struct variables *variables,
                   const char *const *folders);
/* "fastest" ... "slowest"; "default" when unset or unknown. */
const char *plan_compression(const struct variables *variables);

#endif
