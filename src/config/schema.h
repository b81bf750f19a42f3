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
    KEY_BYTES,    /* bytes, with a suffix as in a quantity; kept as int64_t, 1 or more */
    KEY_TEXTS,    /* one text or a list of them */
    KEY_PAIRS,    /* table of texts; booleans and numbers as written */
    KEY_SECTION,  /* a sub-table with keys of its own */
    KEY_SILENT,   /* known, without effect here, not worth a word */
    KEY_LATER,    /* known, not supported yet: what happens when it says something stands in `ignored` */
};
/* What it would mean to pass over a key of KEY_LATER. */
enum key_ignored {
    IGNORED_UNDECIDED,
    IGNORED_HARMLESS, /* no job can do more than the operator meant: a warning */
    IGNORED_UNSAFE,   /* a guard would be gone: an error until it is honoured */
};
struct schema;
struct schema_key {
    const char *name;
    enum key_kind kind;
    size_t offset;
    int64_t least, most;          /* INTEGER */
    const char *otherwise;        /* default as text; NULL unset */
    const char *choices;          /* TEXT, values of PAIRS: allowed words separated by blanks */
    const struct schema *section; /* LATER: the keys of such a table, each with a decision of its own */
    const char *help;             /* LATER: what else can be done, as the end of a sentence, or NULL */
    enum key_ignored ignored;     /* LATER */
    const char *open;             /* LATER, unsafe: words that restrict nothing (a list: when it has all of them) */
};
struct schema {
    const char *title; /* "[runners.kubernetes]" */
    const struct schema_key *keys;
    size_t count;
};

extern const struct schema schema_global, schema_runner, schema_kubernetes, schema_docker, schema_context;
/* By volume kind: host_path, pvc, ... */
extern const struct schema schema_volumes[];
extern const char *const schema_volume_names[];
const struct schema_key *schema_find(const struct schema *schema, const char *name);

#endif
