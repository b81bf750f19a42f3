#include "text/json.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MOST 200
#define EXACT_MOST 9007199254740992.0 /* 2^53: above it a double skips whole numbers */
#define NAME_MOST  256u

static void *allocate(size_t size_bytes)
{
    return mem_grow(NULL, size_bytes);
}

/* The library answers a failed allocation with NULL, which would read like "missing". */
__attribute__((constructor)) static void use_own_memory(void)
{
    cJSON_Hooks hooks = { .malloc_fn = allocate, .free_fn = mem_free };
    cJSON_InitHooks(&hooks);
}

static int check_depth(char c, size_t *depth)
{
    if (c == '[' || c == '{')
        return ++*depth > DEPTH_MOST ? -1 : 0;
    if ((c == ']' || c == '}') && *depth > 0)
        --*depth;
    return 0;
}

/* What the library would let through: too deep nesting (it allows 1000) and characters that end a C string. */
static int check_text(const char *text, size_t length, struct error *error)
{
    bool in_string = false;
    size_t depth = 0;
    const char *nul = memchr(text, '\0', length);

    if (nul)
        return error_set(error, BLAME_INPUT, 0, "JSON: NUL at byte %td", nul - text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (in_string && text[i] == '\\') {
            if (length - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
                return error_set(error, BLAME_INPUT, 0, "JSON: \\u0000 at byte %zu", i);
            i++;
        } else if (!in_string && check_depth(text[i], &depth) < 0) {
            return error_set(error, BLAME_INPUT, 0, "JSON: nested deeper than %d at byte %zu", DEPTH_MOST, i);
        }
    }
    return 0;
}

struct cJSON *json_parse(const char *text, size_t length, struct error *error)
{
    const char *end = text;

    if (length == 0) {
        error_set(error, BLAME_INPUT, 0, "JSON: empty text");
        return NULL;
    }
    if (check_text(text, length, error) < 0)
        return NULL;
    struct cJSON *tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
    while (tree && end < text + length && strchr(" \t\r\n", *end))
        end++;
    if (tree && end == text + length)
        return tree;
    error_set(error, BLAME_INPUT, 0, "JSON: %s at byte %td", tree ? "more text after the end" : "wrong syntax",
              end - text);
    cJSON_Delete(tree);
    return NULL;
}

/* Where the object or array that begins at text[at] ends, or length when it does not. */
static size_t end_of_container(const char *text, size_t length, size_t at)
{
    bool in_string = false;
    size_t depth = 0;

    for (; at < length; at++) {
        char c = text[at];
        if (in_string) {
            at += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return length;
}

/* Puts null in place of such members' objects and arrays; gives the new length. */
static size_t leave_out(char *text, size_t length, const char *name)
{
    OWNED_TEXT char *member = mem_format("\"%s\":", name);
    size_t member_length = strlen(member), from = 0, to = 0;

    for (;;) {
        const char *found = memmem(text + from, length - from, member, member_length);
        if (!found)
            break;
        size_t value = (size_t)(found - text) + member_length;
        /* behind a backslash the quote belongs to a longer name */
        bool is_member = found == text || found[-1] != '\\';
        bool is_container = value < length && (text[value] == '[' || text[value] == '{');
        size_t end = is_member && is_container ? end_of_container(text, length, value) : value;
        memmove(text + to, text + from, value - from);
        to += value - from;
        from = end;
        if (end - value >= 4) {
            memcpy(text + to, "null", 4);
            to += 4;
        } else { /* [] and {} are shorter than null */
            memmove(text + to, text + value, end - value);
            to += end - value;
        }
    }
    memmove(text + to, text + from, length - from);
    return to + length - from;
}

struct cJSON *json_parse_without(const char *text, size_t length, const char *const names[], struct error *error)
{
    struct strbuf rest = STRBUF_EMPTY;
    size_t left = length;

    strbuf_add(&rest, text, length);
    for (size_t i = 0; names[i]; i++)
        left = leave_out(rest.bytes, left, names[i]);
    struct cJSON *tree = json_parse(rest.bytes, left, error);
    strbuf_clear(&rest);
    return tree;
}

void json_free(struct cJSON *tree)
{
    cJSON_Delete(tree);
}

void json_free_tree(struct cJSON **tree)
{
    cJSON_Delete(*tree);
    *tree = NULL;
}

struct cJSON *json_get(const struct cJSON *object, const char *name)
{
    if (!cJSON_IsObject(object))
        return NULL;
    struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

struct cJSON *json_at(const struct cJSON *object, const char *path)
{
    char name[NAME_MOST];
    struct cJSON *item = NULL;

    for (const char *at = path;; at++) {
        size_t length = strcspn(at, ".");
        if (length >= sizeof(name))
            return NULL;
        memcpy(name, at, length);
        name[length] = '\0';
        item = json_get(object, name);
        at += length;
        if (!item || *at == '\0')
            return item;
        object = item;
    }
}

const char *json_text(const struct cJSON *object, const char *name, const char *otherwise)
{
    const char *text = json_item_text(json_get(object, name));
    return text ? text : otherwise;
}

const char *json_text_at(const struct cJSON *object, const char *path, const char *otherwise)
{
    const char *text = json_item_text(json_at(object, path));
    return text ? text : otherwise;
}

static int64_t decimal(const char *text, int64_t otherwise)
{
    bool negative = *text == '-';
    const char *digits = text + negative;
    size_t count = strspn(digits, "0123456789");
    int64_t value = 0;

    if (count == 0 || count > 16 || digits[count] != '\0')
        return otherwise;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (digits[i] - '0');
    if ((double)value > EXACT_MOST)
        return otherwise;
    return negative ? -value : value;
}

int64_t json_int(const struct cJSON *object, const char *name, int64_t otherwise)
{
    const struct cJSON *item = json_get(object, name);
    if (cJSON_IsString(item))
        return decimal(item->valuestring, otherwise);
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= EXACT_MOST) ||
        trunc(item->valuedouble) != item->valuedouble)
        return otherwise;
    return (int64_t)item->valuedouble;
}

double json_number(const struct cJSON *object, const char *name, double otherwise)
{
    const struct cJSON *item = json_get(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

bool json_bool(const struct cJSON *object, const char *name, bool otherwise)
{
    const struct cJSON *item = json_get(object, name);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

const char *json_item_text(const struct cJSON *item)
{
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

const char *json_item_name(const struct cJSON *item)
{
    return item ? item->string : NULL;
}

bool json_is_object(const struct cJSON *item)
{
    return cJSON_IsObject(item);
}

bool json_is_array(const struct cJSON *item)
{
    return cJSON_IsArray(item);
}

bool json_is_null(const struct cJSON *item)
{
    return cJSON_IsNull(item);
}

bool json_is_number(const struct cJSON *item)
{
    return cJSON_IsNumber(item);
}

bool json_is_bool(const struct cJSON *item)
{
    return cJSON_IsBool(item);
}

size_t json_count(const struct cJSON *array)
{
    size_t count = 0;
    for (const struct cJSON *item = json_first(array); item; item = item->next)
        count++;
    return count;
}

struct cJSON *json_first(const struct cJSON *container)
{
    return cJSON_IsObject(container) || cJSON_IsArray(container) ? container->child : NULL;
}

struct cJSON *json_next(const struct cJSON *item)
{
    return item ? item->next : NULL;
}

struct cJSON *json_object(void)
{
    return cJSON_CreateObject();
}

struct cJSON *json_array(void)
{
    return cJSON_CreateArray();
}

struct cJSON *json_copy(const struct cJSON *tree)
{
    return tree ? cJSON_Duplicate(tree, true) : NULL;
}

struct cJSON *json_set(struct cJSON *object, const char *name, struct cJSON *value)
{
    if (!value)
        return NULL;
    bool there = cJSON_GetObjectItemCaseSensitive(object, name) != NULL;
    bool done = there ? cJSON_ReplaceItemInObjectCaseSensitive(object, name, value)
                      : cJSON_AddItemToObject(object, name, value);
    if (!done)
        cJSON_Delete(value);
    return done ? value : NULL;
}

struct cJSON *json_set_text(struct cJSON *object, const char *name, const char *value)
{
    return json_set(object, name, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

struct cJSON *json_set_int(struct cJSON *object, const char *name, int64_t value)
{
    return json_set(object, name, cJSON_CreateNumber((double)value));
}

struct cJSON *json_set_number(struct cJSON *object, const char *name, double value)
{
    return json_set(object, name, cJSON_CreateNumber(value));
}

struct cJSON *json_set_bool(struct cJSON *object, const char *name, bool value)
{
    return json_set(object, name, cJSON_CreateBool(value));
}

struct cJSON *json_set_null(struct cJSON *object, const char *name)
{
    return json_set(object, name, cJSON_CreateNull());
}

struct cJSON *json_set_object(struct cJSON *object, const char *name)
{
    return json_set(object, name, cJSON_CreateObject());
}

struct cJSON *json_set_array(struct cJSON *object, const char *name)
{
    return json_set(object, name, cJSON_CreateArray());
}

struct cJSON *json_add(struct cJSON *array, struct cJSON *value)
{
    if (!value)
        return NULL;
    if (cJSON_IsArray(array) && cJSON_AddItemToArray(array, value))
        return value;
    cJSON_Delete(value);
    return NULL;
}

struct cJSON *json_add_text(struct cJSON *array, const char *value)
{
    return json_add(array, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

struct cJSON *json_add_object(struct cJSON *array)
{
    return json_add(array, cJSON_CreateObject());
}

struct cJSON *json_add_int(struct cJSON *array, int64_t value)
{
    return json_add(array, cJSON_CreateNumber((double)value));
}

void json_remove(struct cJSON *object, const char *name)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
}

/* The library's own writer gives 1e+15 for a whole number, which Go refuses as an integer. */
static void print_number(double value, struct strbuf *out)
{
    char text[40];

    if (!isfinite(value)) {
        strbuf_add_text(out, "null");
    } else if (trunc(value) == value && fabs(value) < 9.2e18) {
        strbuf_format(out, "%" PRId64, (int64_t)value);
    } else {
        double again = 0;
        snprintf(text, sizeof(text), "%.15g", value);
        if (sscanf(text, "%lg", &again) != 1 || again < value || again > value)
            snprintf(text, sizeof(text), "%.17g", value);
        strbuf_add_text(out, text);
    }
}

static void print_string(const char *text, struct strbuf *out)
{
    static const char short_names[] = "\bb\ff\nn\rr\tt\"\"\\\\";

    strbuf_add_char(out, '"');
    while (*text) {
        size_t plain = 0;
        while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
            plain++;
        strbuf_add(out, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        size_t at = 0;
        while (short_names[at] && short_names[at] != *text)
            at += 2;
        if (short_names[at])
            strbuf_format(out, "\\%c", short_names[at + 1]);
        else
            strbuf_format(out, "\\u%04x", (unsigned)*text);
        text++;
    }
    strbuf_add_char(out, '"');
}

static void print_break(bool pretty, size_t depth, struct strbuf *out)
{
    if (!pretty)
        return;
    strbuf_add_char(out, '\n');
    for (size_t i = 0; i < depth; i++)
        strbuf_add_text(out, "  ");
}

static void print_item(const struct cJSON *item, bool pretty, size_t depth, struct strbuf *out);

static void print_container(const struct cJSON *container, bool pretty, size_t depth, struct strbuf *out)
{
    bool is_object = cJSON_IsObject(container);

    strbuf_add_char(out, is_object ? '{' : '[');
    for (const struct cJSON *item = container->child; item; item = item->next) {
        print_break(pretty, depth + 1, out);
        if (is_object) {
            print_string(item->string, out);
            strbuf_add_text(out, pretty ? ": " : ":");
        }
        print_item(item, pretty, depth + 1, out);
        if (item->next)
            strbuf_add_char(out, ',');
    }
    if (container->child)
        print_break(pretty, depth, out);
    strbuf_add_char(out, is_object ? '}' : ']');
}

static void print_item(const struct cJSON *item, bool pretty, size_t depth, struct strbuf *out)
{
    if (cJSON_IsObject(item) || cJSON_IsArray(item))
        print_container(item, pretty, depth, out);
    else if (cJSON_IsString(item))
        print_string(item->valuestring, out);
    else if (cJSON_IsNumber(item))
        print_number(item->valuedouble, out);
    else if (cJSON_IsBool(item))
        strbuf_add_text(out, cJSON_IsTrue(item) ? "true" : "false");
    else
        strbuf_add_text(out, "null");
}

char *json_print(const struct cJSON *tree)
{
    struct strbuf out = STRBUF_EMPTY;
    print_item(tree, false, 0, &out);
    return strbuf_take(&out, NULL);
}

char *json_print_pretty(const struct cJSON *tree)
{
    struct strbuf out = STRBUF_EMPTY;
    print_item(tree, true, 0, &out);
    strbuf_add_char(&out, '\n');
    return strbuf_take(&out, NULL);
}
