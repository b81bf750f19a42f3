/* doublestar patterns: * ? [...] [!...] {a,b} and ** across folders, on paths with forward slashes. */
#ifndef TEXT_GLOB_H
#define TEXT_GLOB_H

#include <stdbool.h>

/* The whole path matches. A malformed pattern matches nothing. Time is bounded: at most 1,000,000 steps, then no match.
 */
bool glob_match(const char *pattern, const char *path);
/* Some path below folder ("" is the root) could match: lets a walk skip the rest. Never wrongly false. */
bool glob_may_match_below(const char *pattern, const char *folder);
/* Has no special character: the path itself is meant. */
bool glob_is_plain(const char *pattern);

#endif
