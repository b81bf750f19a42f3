#include "expand.h"

#include <stdbool.h>
#include <string.h>

#define EXPANDED_MOST (64u * KIB)
#define NEST_MOST     8

struct expansion {
    expand_lookup *lookup;
    void *owner;
    struct strbuf *out;
};

static int expand_until(struct expansion *expansion, const char **at, char stop, int nest);

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

static char *name_take(const char **at)
{
    const char *start = *at;
    while (is_name(**at))
        ++*at;
    return mem_copy(start, (size_t)(*at - start));
}

/* Skips a word that is not used; its grammar is checked all the same. */
static int expand_nowhere(struct expansion *expansion, const char **at, int nest)
{
    OWNED_STRBUF struct strbuf nowhere = STRBUF_UP_TO(EXPANDED_MOST);
    struct expansion quiet = *expansion;
    quiet.out = &nowhere;
    return expand_until(&quiet, at, '}', nest);
}

/* Behind "${": NAME, an operator, a word, "}". */
static int expand_braces(struct expansion *expansion, const char **at, int nest)
{
    if (!is_name_start(**at) || nest > NEST_MOST)
        return -1;
    OWNED_TEXT char *name = name_take(at);
    const char *value = expansion->lookup(expansion->owner, name);
    const bool colon = **at == ':';
    if (colon)
        ++*at;
    const char operator= ** at;
    if (operator== '}' && !colon) {
        ++*at;
        return strbuf_add_text(expansion->out, value ? value : "");
    }
    if (operator!= '-' && operator!= '+')
        return -1;
    ++*at;
    const bool set = value && (!colon || *value);
    if (set == (operator== '+'))
        return expand_until(expansion, at, '}', nest + 1);
    if (expand_nowhere(expansion, at, nest + 1) < 0)
        return -1;
    return strbuf_add_text(expansion->out, set ? value : "");
}

static int expand_dollar(struct expansion *expansion, const char **at, int nest)
{
    if (**at == '{') {
        ++*at;
        return expand_braces(expansion, at, nest);
    }
    if (**at == '(')
        return -1; /* commands are never run */
    if (!is_name_start(**at))
        return strbuf_add_char(expansion->out, '$');
    OWNED_TEXT char *name = name_take(at);
    const char *value = expansion->lookup(expansion->owner, name);
    return strbuf_add_text(expansion->out, value ? value : "");
}

/* Reads to the stop character and past it, or to the end when stop is NUL. */
static int expand_until(struct expansion *expansion, const char **at, char stop, int nest)
{
    while (**at != stop) {
        const char c = *(*at)++;
        int done;
        if (c == 0 || c == '`')
            return -1;
        if (c == '$')
            done = expand_dollar(expansion, at, nest);
        else if (c == '\\' && **at && strchr("$`\"\\}", **at))
            done = strbuf_add_char(expansion->out, *(*at)++);
        else
            done = strbuf_add_char(expansion->out, c);
        if (done < 0)
            return -1;
    }
    if (stop)
        ++*at;
    return 0;
}

int expand_text(const char *text, expand_lookup *lookup, void *owner, struct strbuf *out)
{
    OWNED_STRBUF struct strbuf expanded = STRBUF_UP_TO(EXPANDED_MOST);
    struct expansion expansion = { .lookup = lookup, .owner = owner, .out = &expanded };
    if (expand_until(&expansion, &text, 0, 0) < 0)
        return -1;
    return strbuf_add(out, strbuf_text(&expanded), expanded.length);
}
