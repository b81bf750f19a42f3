/* cJSON behind accessors: strict about the end of the text, ceilings, exact integers, case-sensitive names.
 * The tree type stays cJSON's, forward-declared; nobody else includes the library. Facts that forced each accessor:
 * trailing garbage is accepted by cJSON, its getter ignores case, valueint saturates, \u0000 cuts a string. */
#ifndef TEXT_JSON_H
#define TEXT_JSON_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* Gives a tree (json_free). Refuses trailing garbage, depth over 200, and a NUL byte or \u0000 anywhere (BLAME_INPUT).
 */
struct cJSON *json_parse(const char *text, size_t length, struct error *error) MUST_CHECK;
/* As json_parse, but objects and arrays that are values of members of these names (a NULL ends the list) read as null
 * or empty, wherever they stand: for large parts that nobody looks at. What is left out is looked at only to find its
 * end.
 */
struct cJSON *json_parse_without(const char *text, size_t length, const char *const names[],
                                 struct error *error) MUST_CHECK;
void json_free(struct cJSON *tree);
void json_free_tree(struct cJSON **tree);
#define OWNED_JSON __attribute__((cleanup(json_free_tree)))

/* All lookups borrow, accept NULL trees, and give NULL or the default when the member is missing, null, or of another
 * type. */
struct cJSON *json_get(const struct cJSON *object, const char *name);
/* Dotted path of member names: "metadata.resourceVersion". */
struct cJSON *json_at(const struct cJSON *object, const char *path);
const char *json_text(const struct cJSON *object, const char *name, const char *otherwise);
const char *json_text_at(const struct cJSON *object, const char *path, const char *otherwise);
/* Whole numbers up to 2^53, also when written as a decimal string ("3"); otherwise the default. */
int64_t json_int(const struct cJSON *object, const char *name, int64_t otherwise);
double json_number(const struct cJSON *object, const char *name, double otherwise);
bool json_bool(const struct cJSON *object, const char *name, bool otherwise);
/* The item itself as text, or NULL. */
const char *json_item_text(const struct cJSON *item);
/* The item's member name, or NULL. */
const char *json_item_name(const struct cJSON *item);
bool json_is_object(const struct cJSON *item);
bool json_is_array(const struct cJSON *item);
bool json_is_null(const struct cJSON *item);
bool json_is_number(const struct cJSON *item);
bool json_is_bool(const struct cJSON *item);
size_t json_count(const struct cJSON *array);
/* Walks members or elements: for (item = json_first(x); item; item = json_next(item)). */
struct cJSON *json_first(const struct cJSON *container);
struct cJSON *json_next(const struct cJSON *item);

/* Building. The set and add functions keep what they are given and return the new item (borrowed). */
struct cJSON *json_object(void);
struct cJSON *json_array(void);
struct cJSON *json_copy(const struct cJSON *tree);
struct cJSON *json_set(struct cJSON *object, const char *name, struct cJSON *value);
struct cJSON *json_set_text(struct cJSON *object, const char *name, const char *value);
struct cJSON *json_set_int(struct cJSON *object, const char *name, int64_t value);
struct cJSON *json_set_number(struct cJSON *object, const char *name, double value);
struct cJSON *json_set_bool(struct cJSON *object, const char *name, bool value);
struct cJSON *json_set_null(struct cJSON *object, const char *name);
struct cJSON *json_set_object(struct cJSON *object, const char *name);
struct cJSON *json_set_array(struct cJSON *object, const char *name);
struct cJSON *json_add(struct cJSON *array, struct cJSON *value);
struct cJSON *json_add_text(struct cJSON *array, const char *value);
struct cJSON *json_add_object(struct cJSON *array);
struct cJSON *json_add_int(struct cJSON *array, int64_t value);
void json_remove(struct cJSON *object, const char *name);

/* Writes compact JSON; indented with print_pretty. Gives a text (mem_free). Integers are written without exponent. */
char *json_print(const struct cJSON *tree);
char *json_print_pretty(const struct cJSON *tree);

#endif
