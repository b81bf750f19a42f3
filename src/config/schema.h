/* The one table of configuration keys: reading, checks, help and the reference page come from it. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

enum key_kind {
    KEY_TEXT,
    KEY_INTEGER,
    KEY_BOOLEAN,
    KEY_DURATION, /* Go duration, kept in ms (uint64_t) */
    KEY_QUANTITY, /* Kubernetes quantity, kept as text */
    KEY_TEXTS,    /* one text or a list of them */
    KEY_PAIRS,    /* table of texts; booleans and numbers as written */
    KEY_SECTION,  /* a sub-table with keys of its own */
    KEY_SILENT,   /* known, without effect here, not worth a word */
    KEY_LATER,    /* known, not supported yet: a warning when it says something */
};
struct schema;
struct schema_key {
    const char *name;
    enum key_kind kind;
    size_t offset;
    int64_t least, most;   /* INTEGER */
    const char *otherwise; /* default as text; NULL unset */
    const char *choices;   /* TEXT, values of PAIRS: allowed words separated by blanks */
    const struct schema *section;
    const char *help;
};
struct schema {
    const char *title; /* "[runners.kubernetes]" */
    const struct schema_key *keys;
    size_t count;
};

extern const struct schema schema_global, schema_runner, schema_kubernetes, schema_docker;
/* By volume kind: host_path, pvc, ... */
extern const struct schema schema_volumes[];
extern const char *const schema_volume_names[];
const struct schema_key *schema_find(const struct schema *schema, const char *name);

#endif
