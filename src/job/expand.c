#include "expand.h"

#include <string.h>

/* What the stock runner's language takes as a one-character name. */
static bool is_special(char c)
{
    return c != '\0' && strchr("*#$@!?-0123456789", c) != NULL;
}

static bool is_name(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Finds the name behind a $. Sets *length (0: nothing is referred to) and gives how many bytes the reference takes. */
static size_t find_name(const char *text, const char **name, size_t *length)
{
    *name = text;
    *length = 0;
    if (*text == '{') {
        const char *end = strchr(text + 1, '}');
        if (!end)
            return 1; /* not closed: only the brace goes, as with the stock runner */
        *name = text + 1;
        *length = (size_t)(end - text) - 1;
        return *length + 2;
    }
    if (is_special(*text)) {
        *length = 1;
        return 1;
    }
    while (is_name(text[*length]))
        (*length)++;
    return *length;
}

static void add_value(const char *name, size_t length, expand_value *value, const void *owner, struct strbuf *out)
{
    if (length == 1 && *name == '$') {
        strbuf_add_char(out, '$');
        return;
    }
    OWNED_TEXT char *copy = mem_copy(name, length);
    const char *text = value(owner, copy);
    if (text)
        strbuf_add_text(out, text);
}

int expand(const char *text, expand_value *value, const void *owner, struct strbuf *out)
{
    while (*text) {
        const char *dollar = strchr(text, '$'), *name;
        size_t plain = dollar ? (size_t)(dollar - text) : strlen(text), length;

        if (strbuf_add(out, text, plain) < 0 || out->overflowed)
            return -1;
        text += plain;
        if (!dollar)
            break;
        size_t taken = text[1] ? find_name(text + 1, &name, &length) : 0;
        if (taken == 0)
            strbuf_add_char(out, '$');
        else if (length > 0)
            add_value(name, length, value, owner, out);
        text += 1 + taken;
    }
    return out->overflowed ? -1 : 0;
}
