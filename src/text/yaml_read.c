/* libyaml's events, built into a tree. Aliases are copied, so that nothing is shared and the ceilings count what they
 * cost. */
#include "text/yaml.h"

#include "base/strmap.h"

#include <yaml.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MOST (4u * MIB)
#define NODES_MOST 100000u
#define COPY_MOST  (16u * MIB) /* bytes of texts and names that aliases repeat */
#define DEPTH_MOST 100u
#define TAG_CORE   "tag:yaml.org,2002:"

struct reading {
    yaml_parser_t parser;
    yaml_event_t event;    /* the current one */
    struct strmap anchors; /* name -> tree, borrowed from the tree that is being built */
    size_t nodes, copied_bytes;
    struct error *error;
};

static unsigned line_of(const struct reading *reading)
{
    return (unsigned)reading->event.start_mark.line + 1;
}

static int wrong(struct reading *reading, unsigned line, const char *why)
{
    return error_set(reading->error, BLAME_CONFIG, 0, "line %u: %s", line, why);
}

/* Goes on to the next event. */
static int advance(struct reading *reading)
{
    yaml_event_delete(&reading->event);
    if (yaml_parser_parse(&reading->parser, &reading->event))
        return 0;
    memset(&reading->event, 0, sizeof(reading->event));
    const char *why = reading->parser.problem ? reading->parser.problem : "not YAML";
    return wrong(reading, (unsigned)reading->parser.problem_mark.line + 1, why);
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

static bool is_integer(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-' || *text == '+');
    int base = 10;
    const char *allowed = "0123456789";

    if (strncmp(text, "0o", 2) == 0 || strncmp(text, "0x", 2) == 0) {
        base = text[1] == 'o' ? 8 : 16;
        allowed = base == 8 ? "01234567" : "0123456789abcdefABCDEF";
        digits = text + 2;
    }
    if (*digits == '\0' || strspn(digits, allowed) != strlen(digits))
        return false;
    errno = 0;
    *value = strtoll(base == 10 ? text : digits, NULL, base);
    return errno == 0; /* too large: a float */
}

static bool is_float(const char *text, double *value)
{
    static const char *const specials[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN" };
    const char *at = text + (*text == '-' || *text == '+');

    if (is_one_of(at, specials, COUNT_OF(specials))) {
        *value = strtod(at + 1, NULL);
        *value = *text == '-' ? -*value : *value;
        return true;
    }
    size_t whole = strspn(at, "0123456789");
    at += whole;
    size_t fraction = *at == '.' ? strspn(at + 1, "0123456789") : 0;
    at += *at == '.' ? fraction + 1 : 0;
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t digits = strspn(at, "0123456789");
        at += digits;
        if (digits == 0)
            return false;
    }
    *value = strtod(text, NULL);
    return *at == '\0';
}

/* Types a plain scalar by the YAML 1.2 core schema. */
static void type_plain(struct tree *tree)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
    static const char *const yes[] = { "true", "True", "TRUE" };
    static const char *const no[] = { "false", "False", "FALSE" };

    if (is_one_of(tree->text, nulls, COUNT_OF(nulls))) {
        tree->kind = TREE_NULL;
    } else if (is_one_of(tree->text, yes, COUNT_OF(yes)) || is_one_of(tree->text, no, COUNT_OF(no))) {
        tree->kind = TREE_BOOLEAN;
        tree->integer = (tree->text[0] | 0x20) == 't';
    } else if (is_integer(tree->text, &tree->integer)) {
        tree->kind = TREE_INTEGER;
        tree->number = (double)tree->integer;
    } else if (is_float(tree->text, &tree->number)) {
        tree->kind = TREE_FLOAT;
    }
}

static int read_scalar(struct reading *reading, struct tree *tree)
{
    const char *tag = (const char *)reading->event.data.scalar.tag;
    const char *text = (const char *)reading->event.data.scalar.value;
    bool plain = reading->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    tree->kind = TREE_TEXT;
    tree->text = mem_text(text);
    if (strlen(text) != reading->event.data.scalar.length)
        return wrong(reading, tree->line, "a NUL character");
    if (tag && strncmp(tag, TAG_CORE, strlen(TAG_CORE)) == 0)
        plain = strcmp(tag + strlen(TAG_CORE), "str") != 0;
    else if (tag && strcmp(tag, "!") != 0)
        return wrong(reading, tree->line, "tags are not supported");
    else if (tag)
        plain = false;
    if (plain)
        type_plain(tree);
    return 0;
}

static struct tree *copy(struct reading *reading, const struct tree *from, const char *key, unsigned line)
{
    if (++reading->nodes > NODES_MOST) {
        wrong(reading, line, "more than 100000 values");
        return NULL;
    }
    reading->copied_bytes += (from->text ? strlen(from->text) : 0) + (key ? strlen(key) : 0);
    if (reading->copied_bytes > COPY_MOST) {
        wrong(reading, line, "aliases repeat more than 16 MiB");
        return NULL;
    }
    struct tree *tree = tree_new(from->kind, key, from->line);
    tree->text = mem_text(from->text);
    tree->integer = from->integer;
    tree->number = from->number;
    for (const struct tree *child = from->first; child; child = child->next) {
        struct tree *made = copy(reading, child, child->key, line);
        if (!made) {
            tree_free(tree);
            return NULL;
        }
        tree_append(tree, made);
    }
    return tree;
}

static struct tree *read_alias(struct reading *reading, const char *key)
{
    const struct tree *anchored = strmap_get(&reading->anchors, (const char *)reading->event.data.alias.anchor);
    if (!anchored) {
        wrong(reading, line_of(reading), "an alias without an anchor before it");
        return NULL;
    }
    return copy(reading, anchored, key, line_of(reading));
}

static struct tree *read_node(struct reading *reading, const char *key, unsigned depth);

static int read_list(struct reading *reading, struct tree *tree, unsigned depth)
{
    for (;;) {
        if (advance(reading) < 0)
            return -1;
        if (reading->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        struct tree *child = read_node(reading, NULL, depth + 1);
        if (!child)
            return -1;
        tree_append(tree, child);
    }
}

/* Reads a key and its value. */
static int read_member(struct reading *reading, struct tree *tree, struct strmap *seen, unsigned depth)
{
    unsigned line = line_of(reading);

    if (reading->event.type != YAML_SCALAR_EVENT)
        return wrong(reading, line, "a key has to be a plain text");
    OWNED_TEXT char *key = mem_text((const char *)reading->event.data.scalar.value);
    if (strlen(key) != reading->event.data.scalar.length)
        return wrong(reading, line, "a NUL character");
    if (strmap_has(seen, key))
        return error_set(reading->error, BLAME_CONFIG, 0, "line %u: the key \"%.100s\" is there twice", line, key);
    strmap_set(seen, key, NULL);
    if (advance(reading) < 0)
        return -1;
    struct tree *child = read_node(reading, key, depth + 1);
    if (!child)
        return -1;
    child->line = line;
    tree_append(tree, child);
    return 0;
}

static int read_table(struct reading *reading, struct tree *tree, unsigned depth)
{
    struct strmap seen = STRMAP_EMPTY;
    int result = 0;

    while (result == 0 && (result = advance(reading)) == 0 && reading->event.type != YAML_MAPPING_END_EVENT)
        result = read_member(reading, tree, &seen, depth);
    strmap_clear(&seen);
    return result;
}

/* Reads the node that begins with the current event; the current event is its last one then. */
static struct tree *read_node(struct reading *reading, const char *key, unsigned depth)
{
    yaml_event_type_t type = reading->event.type;
    const yaml_char_t *name = NULL;
    int result;

    if (type == YAML_ALIAS_EVENT)
        return read_alias(reading, key);
    if (++reading->nodes > NODES_MOST || depth > DEPTH_MOST) {
        wrong(reading, line_of(reading), depth > DEPTH_MOST ? "nested deeper than 100" : "more than 100000 values");
        return NULL;
    }
    if (type == YAML_SCALAR_EVENT)
        name = reading->event.data.scalar.anchor;
    else if (type == YAML_SEQUENCE_START_EVENT)
        name = reading->event.data.sequence_start.anchor;
    else
        name = reading->event.data.mapping_start.anchor;
    OWNED_TEXT char *anchor = mem_text((const char *)name);
    struct tree *tree = tree_new(TREE_LIST, key, line_of(reading));
    if (type == YAML_SCALAR_EVENT) {
        result = read_scalar(reading, tree);
    } else if (type == YAML_SEQUENCE_START_EVENT) {
        result = read_list(reading, tree, depth);
    } else {
        tree->kind = TREE_TABLE;
        result = read_table(reading, tree, depth);
    }
    if (result < 0) {
        tree_free(tree);
        return NULL;
    }
    if (anchor)
        strmap_set(&reading->anchors, anchor, tree);
    return tree;
}

static struct tree *read_stream(struct reading *reading)
{
    struct tree *tree = NULL;

    if (advance(reading) < 0 || advance(reading) < 0) /* the stream's start, then a document's */
        return NULL;
    if (reading->event.type == YAML_STREAM_END_EVENT)
        return tree_new(TREE_TABLE, NULL, 1); /* nothing but comments */
    if (advance(reading) < 0 || !(tree = read_node(reading, NULL, 0)))
        return NULL;
    if (advance(reading) < 0 || advance(reading) < 0) { /* the document's end, then the stream's */
        tree_free(tree);
        return NULL;
    }
    if (reading->event.type == YAML_STREAM_END_EVENT)
        return tree;
    wrong(reading, line_of(reading), "more than one document");
    tree_free(tree);
    return NULL;
}

struct tree *yaml_parse(const char *text, size_t length, struct error *error)
{
    struct reading reading = { .error = error };

    if (length > INPUT_MOST) {
        error_set(error, BLAME_CONFIG, 0, "longer than 4 MiB");
        return NULL;
    }
    if (!yaml_parser_initialize(&reading.parser)) {
        error_set(error, BLAME_SYSTEM, 0, "libyaml: no memory");
        return NULL;
    }
    yaml_parser_set_encoding(&reading.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reading.parser, (const unsigned char *)text, length);
    struct tree *tree = read_stream(&reading);
    yaml_event_delete(&reading.event);
    yaml_parser_delete(&reading.parser);
    strmap_clear(&reading.anchors);
    return tree;
}
