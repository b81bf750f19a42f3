/* Strict reading of JSON members: missing and null are fine, another type is an error that names the place. After the
 * first error every further read gives nothing, so a parser reads a whole object and looks at `failed` once. */
#ifndef SRC_JOB_READ_H
#define SRC_JOB_READ_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

struct read {
    char where[96]; /* "variables[3]", in front of member names in errors; "" at the top */
    struct error *error;
    bool failed;
};

/* Sets where to "name[index]" or, with index -1, to "name". */
void read_at(struct read *read, const char *name, long index);
/* Sets where to "name[index]"; true when the element is an object, false when it is null, another type fails. */
bool read_element(struct read *read, const char *name, long index, const struct cJSON *item);
/* Notes a failure about a member (BLAME_INPUT) unless there was one before. */
void read_refuse(struct read *read, const char *name, const char *why);

/* Gives a text (mem_free), NULL when missing. */
char *read_text(struct read *read, const struct cJSON *object, const char *name);
/* As read_text, but a missing one is otherwise (copied). */
char *read_text_or(struct read *read, const struct cJSON *object, const char *name, const char *otherwise);
/* As read_text, but missing or empty fails. */
char *read_text_needed(struct read *read, const struct cJSON *object, const char *name);
bool read_bool(struct read *read, const struct cJSON *object, const char *name, bool otherwise);
/* A whole number from least to 2^53; smaller ones fail. */
int64_t read_int(struct read *read, const struct cJSON *object, const char *name, int64_t otherwise, int64_t least);
/* Borrows a member of that type; NULL when missing. */
struct cJSON *read_object(struct read *read, const struct cJSON *object, const char *name);
struct cJSON *read_array(struct read *read, const struct cJSON *object, const char *name);
/* Gives a list of count texts (free with texts_free); null elements are left out. */
char **read_texts(struct read *read, const struct cJSON *object, const char *name, size_t *count);
void texts_free(char **texts, size_t count);

#endif
