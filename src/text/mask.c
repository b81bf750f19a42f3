/* Three filters in a row, as the stock runner's (text/mask.h): phrases, then URL parameters, then token prefixes.
 * Only the first one ever holds bytes back: of the others' matches the beginning stays visible, and what follows is
 * swallowed. */
#include "text/mask.h"

#include "trie.h"

#include <string.h>

#define REPLACEMENT    "[MASKED]"
#define PARAMETER_MOST 24u
#define FORMS_MOST     1024u /* longer values stand in no URL, and their forms would cost memory */
#define CUT_MARK       "..."
#define CUT_LEAST      4u /* fewer bytes of a phrase at the end of a cut text tell nothing */

/* A stretch of the stream, in bytes since its start. */
struct range {
    uint64_t from, to;
};

struct mask {
    struct trie phrases, prefixes;
    bool ready;

    /* phrases */
    unsigned phrase_state;
    struct strbuf held;   /* bytes not yet passed on */
    uint64_t held_at;     /* offset of the first held byte */
    uint64_t masked_to;   /* everything before this offset was replaced already */
    struct range *ranges; /* matches in the held bytes: apart, in order */
    size_t range_first, range_count, range_capacity;

    /* URL parameters */
    char name[PARAMETER_MOST];
    size_t name_length;
    bool in_name, in_value;

    /* token prefixes */
    unsigned prefix_state;
    bool after_prefix, in_token;
};

struct mask *mask_new(void)
{
    struct mask *mask = mem_new(sizeof(*mask));
    trie_init(&mask->phrases);
    trie_init(&mask->prefixes);
    return mask;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL;
}

/* As it stands in a URL: everything is encoded but RFC 3986's unreserved characters and those in kept. */
static void add_in_url(struct trie *phrases, const char *bytes, size_t length, const char *kept, const char *digits)
{
    struct strbuf form = STRBUF_EMPTY;

    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        const char code[] = { '%', digits[c >> 4], digits[c & 15] };
        if (c != '\0' && (is_unreserved(bytes[i]) || strchr(kept, c) != NULL))
            strbuf_add_char(&form, bytes[i]);
        else
            strbuf_add(&form, code, sizeof(code));
    }
    trie_add(phrases, form.bytes, form.length);
    strbuf_wipe(&form);
}

/* As it stands in a JSON text, without its quotes. */
static void add_in_json(struct trie *phrases, const char *bytes, size_t length)
{
    static const char escaped[] = "\"\"\\\\\nn\rr\tt\bb\ff"; /* pairs: the character, its name behind a backslash */
    struct strbuf form = STRBUF_EMPTY;

    for (size_t i = 0; i < length; i++) {
        const char *pair = escaped;
        while (*pair != '\0' && *pair != bytes[i])
            pair += 2;
        if (*pair != '\0')
            strbuf_format(&form, "\\%c", pair[1]);
        else if ((unsigned char)bytes[i] < 0x20)
            strbuf_format(&form, "\\u%04x", (unsigned)bytes[i]);
        else
            strbuf_add_char(&form, bytes[i]);
    }
    trie_add(phrases, form.bytes, form.length);
    strbuf_wipe(&form);
}

void mask_add_phrase(struct mask *mask, const char *bytes, size_t length)
{
    /* Which characters are left as they are: curl, git, Go's queries; Python; JavaScript; Go's user and password. */
    static const char *const kept[] = { "", "/", "!'()*", "$&+,;=" };

    while (length > 0 && is_space(bytes[length - 1]))
        length--;
    while (length > 0 && is_space(*bytes)) {
        bytes++;
        length--;
    }
    trie_add(&mask->phrases, bytes, length);
    if (length == 0 || length > FORMS_MOST)
        return;
    /* A form that is equal to another one, as all are of most values, adds nothing. */
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        add_in_url(&mask->phrases, bytes, length, kept[i], "0123456789ABCDEF");
        add_in_url(&mask->phrases, bytes, length, kept[i], "0123456789abcdef");
    }
    add_in_json(&mask->phrases, bytes, length);
}

void mask_add_prefix(struct mask *mask, const char *prefix)
{
    trie_add(&mask->prefixes, prefix, strlen(prefix));
}

static bool is_token_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
           c == '_' || c == '=';
}

/* The third filter. */
static void filter_tokens(struct mask *mask, const char *bytes, size_t length, struct strbuf *out)
{
    size_t plain = 0; /* bytes[plain..i) pass as they are */

    for (size_t i = 0; i < length; i++) {
        if (mask->in_token || mask->after_prefix) {
            if (is_token_byte(bytes[i])) {
                strbuf_add(out, bytes + plain, i - plain);
                if (!mask->in_token)
                    strbuf_add_text(out, REPLACEMENT);
                mask->in_token = true;
                plain = i + 1;
                continue;
            }
            if (mask->in_token)
                mask->prefix_state = TRIE_ROOT;
            mask->in_token = mask->after_prefix = false;
        }
        mask->prefix_state = trie_step(&mask->prefixes, mask->prefix_state, bytes[i]);
        mask->after_prefix = trie_match(&mask->prefixes, mask->prefix_state) > 0;
    }
    strbuf_add(out, bytes + plain, length - plain);
}

static bool is_secret_parameter(const char *name, size_t length)
{
    static const char *const names[] = { "private_token",   "authenticity_token", "rss_token",
                                         "x-amz-signature", "x-amz-credential",   "x-amz-security-token" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
            return true;
    }
    return false;
}

/* One byte outside of a value; true when the value of a secret parameter begins behind it. */
static bool step_name(struct mask *mask, char c)
{
    if (c == '?' || c == '&') {
        mask->in_name = true;
        mask->name_length = 0;
        return false;
    }
    if (!mask->in_name)
        return false;
    if (c == '=' || mask->name_length == sizeof(mask->name)) {
        mask->in_name = false;
        return c == '=' && is_secret_parameter(mask->name, mask->name_length);
    }
    mask->name[mask->name_length++] = c;
    return false;
}

/* The second filter. */
static void filter_parameters(struct mask *mask, const char *bytes, size_t length, struct strbuf *out)
{
    size_t plain = 0;

    for (size_t i = 0; i < length; i++) {
        if (mask->in_value) {
            unsigned char c = (unsigned char)bytes[i];
            if (c != '?' && c != '&' && c > 0x20 && c != 0x7F)
                continue;
            mask->in_value = false;
            plain = i;
        }
        if (step_name(mask, bytes[i])) {
            filter_tokens(mask, bytes + plain, i + 1 - plain, out);
            filter_tokens(mask, REPLACEMENT, strlen(REPLACEMENT), out);
            mask->in_value = true;
        }
    }
    if (!mask->in_value)
        filter_tokens(mask, bytes + plain, length - plain, out);
}

static void pass_held(struct mask *mask, uint64_t to, struct strbuf *out)
{
    size_t count = (size_t)(to - mask->held_at);
    filter_parameters(mask, strbuf_text(&mask->held), count, out);
    strbuf_drop(&mask->held, count);
    mask->held_at = to;
}

static void drop_held(struct mask *mask, uint64_t to)
{
    strbuf_drop(&mask->held, (size_t)(to - mask->held_at));
    mask->held_at = to;
}

static void push_range(struct mask *mask, struct range range)
{
    if (mask->range_count == 0)
        mask->range_first = 0;
    if (mask->range_first + mask->range_count == mask->range_capacity) {
        mask->range_capacity = mask->range_capacity > 0 ? 2 * mask->range_capacity : 16;
        mask->ranges = mem_grow(mask->ranges, mask->range_capacity * sizeof(*mask->ranges));
    }
    mask->ranges[mask->range_first + mask->range_count++] = range;
}

/* A phrase ends here. Matches that share bytes become one: nothing of an overlapping secret stays visible. */
static void add_match(struct mask *mask, size_t phrase_length)
{
    uint64_t here = mask->held_at + mask->held.length;
    struct range range = { here - phrase_length, here };

    if (range.from < mask->masked_to) {
        mask->masked_to = here;
        mask->range_count = 0;
        return;
    }
    while (mask->range_count > 0) {
        const struct range *last = &mask->ranges[mask->range_first + mask->range_count - 1];
        if (last->to <= range.from)
            break;
        if (last->from < range.from)
            range.from = last->from;
        mask->range_count--;
    }
    push_range(mask, range);
}

/* Passes on what is decided: no match to come can begin before `decided`. */
static void settle(struct mask *mask, uint64_t decided, struct strbuf *out)
{
    for (;;) {
        if (mask->held_at < mask->masked_to)
            drop_held(mask, mask->masked_to);
        const struct range *next = mask->range_count > 0 ? &mask->ranges[mask->range_first] : NULL;
        if (!next || next->from > decided)
            break;
        pass_held(mask, next->from, out);
        filter_parameters(mask, REPLACEMENT, strlen(REPLACEMENT), out);
        mask->masked_to = next->to;
        mask->range_first++;
        mask->range_count--;
    }
    if (mask->held_at < decided)
        pass_held(mask, decided, out);
}

static void prepare(struct mask *mask)
{
    trie_finish(&mask->phrases);
    trie_finish(&mask->prefixes);
    mask->ready = true;
}

void mask_feed(struct mask *mask, const char *bytes, size_t length, struct strbuf *out)
{
    if (!mask->ready)
        prepare(mask);
    for (size_t i = 0; i < length; i++) {
        if (mask->phrase_state == TRIE_ROOT && mask->held.length == 0) {
            size_t plain = trie_skip(&mask->phrases, bytes + i, length - i);
            filter_parameters(mask, bytes + i, plain, out);
            mask->held_at += plain;
            i += plain;
            if (i == length)
                break;
        }
        strbuf_add_char(&mask->held, bytes[i]);
        mask->phrase_state = trie_step(&mask->phrases, mask->phrase_state, bytes[i]);
        size_t match = trie_match(&mask->phrases, mask->phrase_state);
        if (match > 0)
            add_match(mask, match);
        uint64_t here = mask->held_at + mask->held.length;
        settle(mask, here - trie_open(&mask->phrases, mask->phrase_state), out);
    }
}

size_t mask_held(const struct mask *mask)
{
    return mask->held.length;
}

void mask_flush(struct mask *mask, struct strbuf *out)
{
    settle(mask, mask->held_at + mask->held.length, out);
    mask->phrase_state = mask->prefix_state = TRIE_ROOT;
    mask->in_name = mask->in_value = mask->after_prefix = mask->in_token = false;
}

void mask_whole(struct mask *mask, const char *text, struct strbuf *out)
{
    size_t length = strlen(text), mark = strlen(CUT_MARK);
    bool marked = length >= mark && strcmp(text + length - mark, CUT_MARK) == 0;

    mask_feed(mask, text, marked ? length - mark : length, out);
    /* what is held back now is a phrase that had begun */
    if (mask->held.length >= CUT_LEAST)
        add_match(mask, mask->held.length);
    mask_flush(mask, out);
    if (marked)
        strbuf_add_text(out, CUT_MARK);
}

void mask_free(struct mask *mask)
{
    if (!mask)
        return;
    trie_clear(&mask->phrases);
    trie_clear(&mask->prefixes);
    strbuf_wipe(&mask->held);
    mem_free(mask->ranges);
    mem_free(mask);
}
