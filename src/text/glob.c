/* Braces are expanded first, one plain pattern after the other; a plain pattern is matched folder by folder. Both kinds
 * of wildcard need only one place to come back to (the last * in a name, the last ** among folders), so a match takes
 * at most pattern times path steps; how many patterns the braces make is bounded by the budget. */
#include "text/glob.h"

#include "base/mem.h"
#include "text/utf8.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define STEPS_MOST  1000000
#define BRACES_MOST 50 /* one inside or behind the other */

struct search {
    long steps_left;
    const char *path;
    bool below; /* look for some path below `path`, instead of path itself */
};

/* A stretch of a pattern or path up to the next slash. */
struct name {
    const char *at;
    size_t length;
};

static struct name name_at(const char *text)
{
    return (struct name){ text, strcspn(text, "/") };
}

/* The name behind this one; at is NULL when there is none. */
static struct name name_after(struct name name)
{
    const char *end = name.at + name.length;
    return *end == '/' ? name_at(end + 1) : (struct name){ NULL, 0 };
}

static bool is_doublestar(struct name name)
{
    return name.length == 2 && name.at[0] == '*' && name.at[1] == '*';
}

/* One character of a class, escaped or not; gives its bytes, 0 at the end. */
static size_t class_character(const char *at, size_t left, uint32_t *code)
{
    size_t escape = left > 1 && *at == '\\', length;
    if (left <= escape)
        return 0;
    *code = utf8_code(at + escape, left - escape, &length);
    return escape + length;
}

/* [...] at the start of pattern; gives its bytes and whether code is in it; 0 when it is malformed. */
static size_t match_class(const char *pattern, size_t left, uint32_t code, bool *matches)
{
    size_t at = 1, length;
    bool inverted = left > 1 && (pattern[1] == '!' || pattern[1] == '^'), inside = false;

    for (at += inverted; at < left && pattern[at] != ']'; at += length) {
        uint32_t low, high;
        length = class_character(pattern + at, left - at, &low);
        if (length == 0)
            return 0;
        high = low;
        if (left - at - length > 1 && pattern[at + length] == '-' && pattern[at + length + 1] != ']') {
            at += length + 1;
            length = class_character(pattern + at, left - at, &high);
        }
        inside = inside || (length > 0 && low <= code && code <= high);
        if (length == 0)
            return 0;
    }
    if (at >= left || at == 1u + inverted)
        return 0; /* no end, or nothing in it */
    *matches = inside != inverted;
    return at + 1;
}

/* What stands at the start of a pattern, other than *, against one character; gives the pattern's bytes, 0 for no
 * match. */
static size_t match_one(const char *pattern, size_t left, uint32_t code)
{
    bool matches = false;
    size_t length, escape;

    if (*pattern == '?')
        return 1;
    if (*pattern == '[') {
        length = match_class(pattern, left, code, &matches);
        return matches ? length : 0;
    }
    escape = *pattern == '\\';
    if (left <= escape)
        return 0;
    return utf8_code(pattern + escape, left - escape, &length) == code ? escape + length : 0;
}

/* One name of the pattern against one of the path. */
static bool match_name(struct search *search, struct name pattern, struct name text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0, length;

    while (t < text.length) {
        if (search->steps_left-- <= 0)
            return false;
        if (p < pattern.length && pattern.at[p] == '*') {
            star = ++p;
            from = t;
            continue;
        }
        uint32_t code = utf8_code(text.at + t, text.length - t, &length);
        size_t taken = p < pattern.length ? match_one(pattern.at + p, pattern.length - p, code) : 0;
        if (taken > 0) {
            p += taken;
            t += length;
        } else if (star != SIZE_MAX) {
            utf8_code(text.at + from, text.length - from, &length);
            from += length;
            t = from;
            p = star;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.at[p] == '*')
        p++;
    return p == pattern.length;
}

/* A pattern without braces against the whole path. */
static bool match_path(struct search *search, const char *pattern)
{
    struct name p = name_at(pattern), t = name_at(search->path), star = { NULL, 0 }, from = t;

    while (t.at) {
        if (search->steps_left-- <= 0)
            return false;
        if (p.at && is_doublestar(p)) {
            star = p = name_after(p);
            from = t;
            if (!p.at)
                return true;
        } else if (p.at && match_name(search, p, t)) {
            p = name_after(p);
            t = name_after(t);
        } else if (star.at) {
            t = from = name_after(from);
            p = star;
        } else {
            return false;
        }
    }
    while (p.at && is_doublestar(p))
        p = name_after(p);
    return !p.at;
}

/* A pattern without braces: could it match below the folder? */
static bool match_below(struct search *search, const char *pattern)
{
    struct name p = name_at(pattern), t = *search->path ? name_at(search->path) : (struct name){ NULL, 0 };

    for (; t.at; p = name_after(p), t = name_after(t)) {
        if (!p.at)
            return false;
        if (is_doublestar(p))
            return true;
        if (!match_name(search, p, t))
            return search->steps_left <= 0;
    }
    return p.at != NULL;
}

/* Bytes of what begins here and means itself to braces: an escaped character or a class; 1 for anything else. */
static size_t skip_one(const char *at)
{
    if (*at == '\\')
        return at[1] ? 2 : 1;
    if (*at != '[')
        return 1;
    size_t length = at[1] == '!' || at[1] == '^' ? 2 : 1;
    while (at[length] && at[length] != ']')
        length += at[length] == '\\' && at[length + 1] ? 2 : 1;
    return at[length] ? length + 1 : 1;
}

/* The first of `stops` outside of inner braces from here on, NULL when there is none. */
static const char *find_outside(const char *at, const char *stops)
{
    for (int depth = 0; *at; at += skip_one(at)) {
        if (depth == 0 && strchr(stops, *at))
            return at;
        if (*at == '{')
            depth++;
        else if (*at == '}' && --depth < 0)
            return NULL;
    }
    return NULL;
}

static bool match_any(struct search *search, const char *pattern, int braces);

/* Tries every alternative of {a,b}: head, the alternative, tail. */
static bool match_alternatives(struct search *search, const char *pattern, const char *open, const char *close,
                               int braces)
{
    const char *from = open + 1, *to;

    do {
        to = find_outside(from, ",}");
        if (!to || (search->steps_left -= (long)strlen(pattern)) <= 0)
            return search->below;
        OWNED_TEXT char *each =
            mem_format("%.*s%.*s%s", (int)(open - pattern), pattern, (int)(to - from), from, close + 1);
        if (match_any(search, each, braces + 1))
            return true;
        from = to + 1;
    } while (to < close);
    return false;
}

static bool match_any(struct search *search, const char *pattern, int braces)
{
    const char *open = find_outside(pattern, "{}");

    if (!open)
        return search->below ? match_below(search, pattern) : match_path(search, pattern);
    const char *close = *open == '{' ? find_outside(open + 1, "}") : NULL;
    if (!close)
        return false; /* malformed */
    if (braces >= BRACES_MOST)
        return search->below;
    return match_alternatives(search, pattern, open, close, braces);
}

bool glob_match(const char *pattern, const char *path)
{
    struct search search = { .steps_left = STEPS_MOST, .path = path };
    return match_any(&search, pattern, 0);
}

bool glob_may_match_below(const char *pattern, const char *folder)
{
    struct search search = { .steps_left = STEPS_MOST, .path = folder, .below = true };
    return match_any(&search, pattern, 0) || search.steps_left <= 0;
}

bool glob_is_plain(const char *pattern)
{
    return !strpbrk(pattern, "*?[{\\");
}
