#include "read.h"

#include "text/duration.h"
#include "text/quote.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *field(void *target, const struct schema_key *key)
{
    return (char *)target + key->offset;
}

static void set_text(void *target, const struct schema_key *key, const char *text)
{
    char **slot = field(target, key);

    mem_free(*slot);
    *slot = mem_text(text);
}

void read_add_text(struct config_texts *texts, const char *text)
{
    texts->items = mem_grow(texts->items, (texts->count + 2) * sizeof(*texts->items));
    texts->items[texts->count++] = mem_text(text);
    texts->items[texts->count] = NULL;
}

void read_add_pair(struct config_pairs *pairs, const char *key, const char *value)
{
    pairs->items = mem_grow(pairs->items, (pairs->count + 1) * sizeof(*pairs->items));
    pairs->items[pairs->count].key = mem_text(key);
    pairs->items[pairs->count].value = mem_text(value);
    pairs->count++;
}

void read_warn(const struct reading *reading, unsigned line, const char *format, ...)
{
    va_list arguments;

    strbuf_format(reading->warnings, "%s:%u: ", reading->file_name, line);
    va_start(arguments, format);
    strbuf_vformat(reading->warnings, format, arguments);
    va_end(arguments);
    strbuf_add_char(reading->warnings, '\n');
}

int read_fail(const struct reading *reading, unsigned line, const char *format, ...)
{
    struct strbuf text = STRBUF_EMPTY;
    va_list arguments;

    va_start(arguments, format);
    strbuf_vformat(&text, format, arguments);
    va_end(arguments);
    error_set(reading->error, BLAME_CONFIG, 0, "%s:%u: %s", reading->file_name, line, strbuf_text(&text));
    strbuf_clear(&text);
    return -1;
}

/* Whole bytes with an optional suffix of a Kubernetes quantity; -1 when the text is none, or less than 1. */
static int bytes_parse(const char *text, int64_t *bytes)
{
    static const struct {
        const char *suffix;
        int64_t times;
    } units[] = { { "", 1 },
                  { "k", 1000 },
                  { "M", 1000000 },
                  { "G", 1000000000 },
                  { "T", 1000000000000 },
                  { "Ki", INT64_C(1) << 10 },
                  { "Mi", INT64_C(1) << 20 },
                  { "Gi", INT64_C(1) << 30 },
                  { "Ti", INT64_C(1) << 40 } };
    int64_t number = 0;

    for (; isdigit((unsigned char)*text); text++) {
        if (number > INT64_MAX / 100)
            return -1;
        number = number * 10 + (*text - '0');
    }
    for (size_t i = 0; number > 0 && i < COUNT_OF(units); i++)
        if (strcmp(text, units[i].suffix) == 0 && number <= INT64_MAX / units[i].times) {
            *bytes = number * units[i].times;
            return 0;
        }
    return -1;
}

void read_defaults(const struct schema *schema, void *target)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct schema_key *key = &schema->keys[i];
        bool truth = false;

        if (key->otherwise == NULL)
            continue;
        if (key->kind == KEY_TEXT)
            set_text(target, key, key->otherwise);
        else if (key->kind == KEY_INTEGER)
            *(int64_t *)field(target, key) = strtoll(key->otherwise, NULL, 10);
        else if (key->kind == KEY_BOOLEAN && boolean_parse(key->otherwise, &truth) == 0)
            *(bool *)field(target, key) = truth;
        else if (key->kind == KEY_DURATION && duration_parse_ms(key->otherwise, field(target, key)) < 0)
            abort(); /* a default in the table is malformed: a bug */
        else if (key->kind == KEY_BYTES && bytes_parse(key->otherwise, field(target, key)) < 0)
            abort();
    }
}

/* A decimal number with an optional Kubernetes suffix. */
static bool is_quantity(const char *text)
{
    static const char *const suffixes[] = { "", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    size_t digits = 0;

    while (isdigit((unsigned char)*text) || *text == '.') {
        digits += *text != '.';
        text++;
    }
    for (size_t i = 0; digits > 0 && i < COUNT_OF(suffixes); i++)
        if (strcmp(text, suffixes[i]) == 0)
            return true;
    return false;
}

/* Gives the word among the choices that is meant, whatever its capitals, or NULL. */
static char *choice_of(const char *choices, const char *text)
{
    size_t length = strlen(text);

    for (const char *at = choices; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word == length && strncasecmp(at, text, length) == 0)
            return mem_copy(at, length);
        at += word + strspn(at + word, " ");
    }
    return NULL;
}

static int wrong_kind(const struct reading *reading, const struct tree *value, const char *wanted)
{
    return read_fail(reading, value->line, "%s: %s is expected, this is a %s", value->key, wanted,
                     tree_kind_name(value->kind));
}

static int read_text(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                     void *target)
{
    OWNED_TEXT char *choice = NULL;

    if (value->kind != TREE_TEXT && value->kind != TREE_INTEGER && value->kind != TREE_FLOAT)
        return wrong_kind(reading, value, "a text");
    if (value->kind != TREE_TEXT && key->kind == KEY_TEXT)
        return wrong_kind(reading, value, "a text");
    if (value->text[0] == '\0')
        return 0; /* as if not written: the stock runner writes every key, most of them empty */
    if (key->choices != NULL && (choice = choice_of(key->choices, value->text)) == NULL)
        return read_fail(reading, value->line, "%s: \"%s\" is not one of: %s", key->name, value->text, key->choices);
    if (key->kind == KEY_QUANTITY && !is_quantity(value->text))
        return read_fail(reading, value->line, "%s: \"%s\" is no quantity such as 500m, 2, 256Mi", key->name,
                         value->text);
    set_text(target, key, choice != NULL ? choice : value->text);
    return 0;
}

static int read_integer(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                        void *target)
{
    if (value->kind != TREE_INTEGER)
        return wrong_kind(reading, value, "a whole number");
    if (value->integer < key->least || value->integer > key->most)
        return read_fail(reading, value->line, "%s: %" PRId64 " is not between %" PRId64 " and %" PRId64, key->name,
                         value->integer, key->least, key->most);
    *(int64_t *)field(target, key) = value->integer;
    return 0;
}

static int read_boolean(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                        void *target)
{
    if (value->kind != TREE_BOOLEAN)
        return wrong_kind(reading, value, "true or false");
    *(bool *)field(target, key) = value->integer != 0;
    return 0;
}

static int read_duration(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                         void *target)
{
    if (value->kind != TREE_TEXT)
        return wrong_kind(reading, value, "a duration such as \"1h30m\"");
    if (value->text[0] == '\0')
        return 0;
    if (duration_parse_ms(value->text, field(target, key)) < 0)
        return read_fail(reading, value->line, "%s: \"%s\" is no duration such as 90s, 1h30m", key->name, value->text);
    return 0;
}

static int read_bytes(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                      void *target)
{
    if (value->kind != TREE_TEXT && value->kind != TREE_INTEGER)
        return wrong_kind(reading, value, "a number of bytes such as \"512Mi\"");
    if (value->text[0] == '\0')
        return 0;
    if (bytes_parse(value->text, field(target, key)) < 0)
        return read_fail(reading, value->line, "%s: \"%s\" is no number of bytes such as 512Mi, 16Gi (1 or more)",
                         key->name, value->text);
    return 0;
}

static int read_texts(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                      void *target)
{
    struct config_texts *texts = field(target, key);

    if (value->kind == TREE_TEXT) {
        if (value->text[0] != '\0')
            read_add_text(texts, value->text);
        return 0;
    }
    if (value->kind != TREE_LIST)
        return wrong_kind(reading, value, "a list of texts");
    for (const struct tree *item = value->first; item != NULL; item = item->next) {
        if (item->kind != TREE_TEXT)
            return read_fail(reading, item->line, "%s: only texts may stand in this list", key->name);
        read_add_text(texts, item->text);
    }
    return 0;
}

static int read_pairs(const struct reading *reading, const struct schema_key *key, const struct tree *value,
                      void *target)
{
    if (value->kind != TREE_TABLE)
        return wrong_kind(reading, value, "a table");
    for (const struct tree *item = value->first; item != NULL; item = item->next) {
        if (item->kind == TREE_TABLE || item->kind == TREE_LIST || item->kind == TREE_NULL)
            return read_fail(reading, item->line, "%s: the value of \"%s\" must be a text", key->name, item->key);
        OWNED_TEXT char *choice = key->choices != NULL ? choice_of(key->choices, item->text) : NULL;
        if (key->choices != NULL && choice == NULL && item->text[0] != '\0')
            return read_fail(reading, item->line, "%s: \"%s\" of %s is not one of: %s", key->name, item->text,
                             item->key, key->choices);
        read_add_pair(field(target, key), item->key, choice != NULL ? choice : item->text);
    }
    return 0;
}

/* Empty texts, false, 0 and tables of those ask for nothing. */
static bool asks_for_something(const struct tree *value)
{
    bool asks = false;

    if (value->kind == TREE_TEXT)
        return value->text[0] != '\0';
    if (value->kind == TREE_INTEGER || value->kind == TREE_BOOLEAN)
        return value->integer != 0;
    for (const struct tree *item = value->first; item != NULL && !asks; item = item->next)
        asks = asks_for_something(item);
    return asks || value->kind == TREE_FLOAT;
}

/* Whether a text is one of the words. */
static bool has_word(const char *words, const char *text)
{
    OWNED_TEXT char *word = words != NULL ? choice_of(words, text) : NULL;

    return word != NULL;
}

/* Whether a guard lets everything pass as it is written: its one text is among the words, or its list has all of them.
 */
static bool restricts_nothing(const struct tree *value, const char *words)
{
    if (words == NULL)
        return false;
    if (value->kind == TREE_TEXT)
        return has_word(words, value->text);
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        const struct tree *item = value->kind == TREE_LIST ? value->first : NULL;
        while (item != NULL &&
               (item->kind != TREE_TEXT || strlen(item->text) != length || strncasecmp(item->text, words, length) != 0))
            item = item->next;
        if (item == NULL)
            return false;
        words += length + strspn(words + length, " ");
    }
    return true;
}

/* A guard that would be gone without a word: the start is refused until it is honoured. */
static int refuse_guard(const struct reading *reading, const char *where, const struct schema_key *key,
                        const struct tree *value)
{
    const char *more = key != NULL ? key->help : NULL;

    return read_fail(
        reading, value->line,
        "%s in %s restricts what a job can do and is not supported yet: remove it%s%s%s, or keep the stock "
        "runner for this entry until it is",
        value->key, where, more != NULL ? " (" : "", more != NULL ? more : "", more != NULL ? ")" : "");
}

static int read_later(const struct reading *reading, const char *where, const struct schema_key *key,
                      const struct tree *value)
{
    OWNED_TEXT char *inside = mem_format("%s of %s", value->key, where);

    if (!asks_for_something(value))
        return 0;
    if (key->section != NULL && value->kind == TREE_TABLE) {
        for (const struct tree *item = value->first; item != NULL; item = item->next) {
            const struct schema_key *inner = schema_find(key->section, item->key);
            if (inner == NULL && asks_for_something(item))
                return refuse_guard(reading, inside, NULL, item);
            if (inner != NULL && read_later(reading, inside, inner, item) < 0)
                return -1;
        }
        return 0;
    }
    if (key->ignored != IGNORED_HARMLESS && !restricts_nothing(value, key->open))
        return refuse_guard(reading, where, key, value);
    read_warn(reading, value->line, "%s in %s is not supported yet and has no effect", value->key, where);
    return 0;
}

static void warn_unknown(const struct reading *reading, const struct schema *schema, const struct tree *value)
{
    const char **names = mem_new_array(schema->count + 1, sizeof(*names));
    const char *near;

    for (size_t i = 0; i < schema->count; i++)
        names[i] = schema->keys[i].name;
    near = quote_nearest(value->key, names, schema->count);
    if (near != NULL)
        read_warn(reading, value->line, "unknown key %s in %s: did you mean %s?", value->key, schema->title, near);
    else
        read_warn(reading, value->line, "unknown key %s in %s has no effect", value->key, schema->title);
    mem_free(names);
}

int read_table(const struct reading *reading, const struct schema *schema, const struct tree *table, void *target)
{
    static int (*const readers[])(const struct reading *, const struct schema_key *, const struct tree *, void *) = {
        [KEY_TEXT] = read_text,         [KEY_INTEGER] = read_integer, [KEY_BOOLEAN] = read_boolean,
        [KEY_DURATION] = read_duration, [KEY_QUANTITY] = read_text,   [KEY_TEXTS] = read_texts,
        [KEY_BYTES] = read_bytes,       [KEY_PAIRS] = read_pairs,
    };

    if (table->kind != TREE_TABLE)
        return read_fail(reading, table->line, "%s: a table is expected, this is a %s", schema->title,
                         tree_kind_name(table->kind));
    for (const struct tree *value = table->first; value != NULL; value = value->next) {
        const struct schema_key *key = schema_find(schema, value->key);

        if (key == NULL)
            warn_unknown(reading, schema, value);
        else if (key->kind == KEY_LATER && !reading->guards_elsewhere &&
                 read_later(reading, schema->title, key, value) < 0)
            return -1;
        else if (key->kind < COUNT_OF(readers) && value->kind != TREE_NULL &&
                 readers[key->kind](reading, key, value, target) < 0)
            return -1;
    }
    return 0;
}

static void clear_texts(struct config_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        mem_free(texts->items[i]);
    mem_free(texts->items);
    *texts = (struct config_texts){ 0 };
}

static void clear_pairs(struct config_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        mem_free(pairs->items[i].key);
        mem_free(pairs->items[i].value);
    }
    mem_free(pairs->items);
    *pairs = (struct config_pairs){ 0 };
}

void read_clear(const struct schema *schema, void *target)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct schema_key *key = &schema->keys[i];

        if (key->kind == KEY_TEXT || key->kind == KEY_QUANTITY)
            set_text(target, key, NULL);
        else if (key->kind == KEY_TEXTS)
            clear_texts(field(target, key));
        else if (key->kind == KEY_PAIRS)
            clear_pairs(field(target, key));
    }
}
