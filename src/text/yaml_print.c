/* JSON trees as block YAML, for people; any YAML reader, 1.1 or 1.2, reads the same values back. */
#include "text/yaml.h"

#include "text/json.h"
#include "text/utf8.h"

#include <string.h>

/* Words that some reader takes for something else than text. */
static bool is_reserved(const char *text)
{
    static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false", "null" };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* Only what nobody can mistake: begins like a name and holds nothing that means something to YAML. */
static bool is_plain(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-@+=:";

    if (*text == '\0' || !strchr(first, *text) || text[strspn(text, rest)] != '\0' || is_reserved(text))
        return false;
    return text[strlen(text) - 1] != ':'; /* inside, a colon is followed by no blank: there is none */
}

/* Characters that a reader refuses, drops or takes for a line's end. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 || code == 0xFEFF ||
           (code & 0xFFFE) == 0xFFFE;
}

static void print_escaped(uint32_t code, struct strbuf *out)
{
    if (code == '"' || code == '\\')
        strbuf_format(out, "\\%c", (char)code);
    else if (code == '\n' || code == '\t')
        strbuf_add_text(out, code == '\n' ? "\\n" : "\\t");
    else
        strbuf_format(out, code > 0xFFFF ? "\\U%08X" : "\\u%04X", (unsigned)code);
}

static void print_text(const char *text, struct strbuf *out)
{
    if (is_plain(text)) {
        strbuf_add_text(out, text);
        return;
    }
    strbuf_add_char(out, '"');
    for (size_t length; *text; text += length) {
        uint32_t code = utf8_code(text, strnlen(text, 4), &length);
        if (length == 1 && code >= 0x80)
            strbuf_add_text(out, "\\uFFFD");
        else if (code == '"' || code == '\\' || is_hidden(code))
            print_escaped(code, out);
        else
            strbuf_add(out, text, length);
    }
    strbuf_add_char(out, '"');
}

static void print_indent(size_t depth, struct strbuf *out)
{
    for (size_t i = 0; i < depth; i++)
        strbuf_add_text(out, "  ");
}

static void print_container(const struct cJSON *container, size_t depth, bool first_is_placed, struct strbuf *out);

/* What stands behind "key:" or "-", and the line's end. */
static void print_value(const struct cJSON *item, size_t depth, bool in_list, struct strbuf *out)
{
    const char *text = json_item_text(item);

    if (json_first(item) && in_list && json_is_object(item)) {
        strbuf_add_char(out, ' ');
        print_container(item, depth, true, out);
        return;
    }
    if (json_first(item)) {
        strbuf_add_char(out, '\n');
        print_container(item, depth, false, out);
        return;
    }
    strbuf_add_char(out, ' ');
    if (text) {
        print_text(text, out);
    } else {
        OWNED_TEXT char *printed = json_print(item); /* a number, true, null, {} or [] */
        strbuf_add_text(out, printed);
    }
    strbuf_add_char(out, '\n');
}

static void print_container(const struct cJSON *container, size_t depth, bool first_is_placed, struct strbuf *out)
{
    bool is_list = json_is_array(container);

    for (const struct cJSON *item = json_first(container); item; item = json_next(item)) {
        if (!first_is_placed)
            print_indent(depth, out);
        first_is_placed = false;
        if (is_list) {
            strbuf_add_char(out, '-');
        } else {
            print_text(json_item_name(item), out);
            strbuf_add_char(out, ':');
        }
        print_value(item, depth + 1, is_list, out);
    }
}

void yaml_print(const struct cJSON *tree, struct strbuf *out)
{
    struct strbuf value = STRBUF_EMPTY;

    if (json_first(tree)) {
        print_container(tree, 0, false, out);
        return;
    }
    print_value(tree, 0, false, &value);
    strbuf_add_text(out, strbuf_text(&value) + 1); /* without the blank that divides it from its key */
    strbuf_clear(&value);
}
