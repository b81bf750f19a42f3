/* Reading one table of the tree into a struct by its schema. */
#ifndef CONFIG_READ_H
#define CONFIG_READ_H

#include "schema.h"
#include "text/tree.h"

struct reading {
    const char *file_name;
    struct strbuf *warnings;
    struct error *error;
    bool guards_elsewhere; /* the stock runner does not read this table either: its KEY_LATER keys guard nothing */
};

/* Sets every key of the schema to its default. */
void read_defaults(const struct schema *schema, void *target);
/* Reads the scalar, list and pair keys of table into target; sections are left to the caller. Unknown keys warn. -1 at
 * the first wrong value, and at the first key that restricts jobs and is not supported yet. */
int read_table(const struct reading *reading, const struct schema *schema, const struct tree *table, void *target);
void read_warn(const struct reading *reading, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);
int read_fail(const struct reading *reading, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);
/* Frees what a schema's keys hold in target. */
void read_clear(const struct schema *schema, void *target);
void read_add_text(struct config_texts *texts, const char *text);
void read_add_pair(struct config_pairs *pairs, const char *key, const char *value);

#endif
