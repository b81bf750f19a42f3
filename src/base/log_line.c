/* The fields of an event as text. One way of escaping serves logfmt and JSON: what stands between the quotes of a
 * logfmt value is read by the rules of a JSON string (go-logfmt, Loki and logrus do it so). */
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define VALUE_MOST  1024u
#define VALUES_MOST 2048u /* of one line together */
#define CUT_MARK    "..."
#define EXACT_MOST  (UINT64_C(1) << 53) /* the last whole number that every reader of JSON keeps */

/* Reads the character at c; gives how many bytes it has, 0 when they are not valid UTF-8. */
static size_t character_at(const unsigned char *c, size_t left, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;

    *code = c[0];
    if (length < 2)
        return length;
    if (length > left)
        return 0;
    *code = c[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (c[i] & 0x3F);
    }
    return *code < least[length] || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000) ? 0 : length;
}

/* Control characters (both ranges), separators of lines, and what turns the direction of text: a terminal or a viewer
 * would act on them. */
static bool must_be_named(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* Puts the first character of text, escaped, into out (with a NUL); gives how many bytes of text it took. */
static size_t escape_character(const char *text, size_t left, char out[8])
{
    static const char named[] = "\"\"\\\\\nn\rr\tt"; /* pairs: the character, its name behind a backslash */
    uint32_t code;
    size_t wide = character_at((const unsigned char *)text, left, &code);

    if (wide == 0) {
        memcpy(out, "\xEF\xBF\xBD", 4);
        return 1;
    }
    for (const char *pair = named; *pair != '\0'; pair += 2) {
        if (code == (uint32_t)*pair) {
            snprintf(out, 8, "\\%c", pair[1]);
            return wide;
        }
    }
    if (must_be_named(code)) {
        snprintf(out, 8, "\\u%04" PRIx32, code & 0xFFFF);
    } else {
        memcpy(out, text, wide);
        out[wide] = '\0';
    }
    return wide;
}

size_t log_add_value(struct strbuf *line, const char *text, size_t most, bool json)
{
    OWNED_STRBUF struct strbuf value = STRBUF_EMPTY;
    size_t left = strlen(text), fits = 0; /* fits: how much may stand in front of the mark of a cut */
    bool quoted = json || left == 0;
    char next[8];

    while (left > 0) {
        size_t took = escape_character(text, left, next);
        if (value.length + strlen(next) > most) {
            strbuf_cut(&value, fits);
            strbuf_add_text(&value, CUT_MARK);
            break;
        }
        quoted = quoted || next[0] == '\\' || next[0] == ' ' || next[0] == '=' || took != strlen(next);
        strbuf_add_text(&value, next);
        if (value.length + strlen(CUT_MARK) <= most)
            fits = value.length;
        text += took;
        left -= took;
    }
    strbuf_format(line, quoted ? "\"%s\"" : "%s", strbuf_text(&value));
    return value.length;
}

/* Digits; in JSON as text where a reader would round the number. */
static void add_whole(struct strbuf *line, bool negative, uint64_t size, bool json)
{
    const char *quote = json && size > EXACT_MOST ? "\"" : "";

    strbuf_format(line, "%s%s%" PRIu64 "%s", quote, negative ? "-" : "", size, quote);
}

/* Gives how many bytes of the texts' share the value took. */
static size_t add_field_value(struct strbuf *line, const struct log_field *field, size_t most, bool json)
{
    switch (field->kind) {
    case LOG_KIND_TEXT:
        if (field->text != NULL)
            return log_add_value(line, field->text, most, json);
        strbuf_add_text(line, json ? "null" : "");
        break;
    case LOG_KIND_SIGNED:
        add_whole(line, field->with_sign < 0,
                  field->with_sign < 0 ? 0 - (uint64_t)field->with_sign : (uint64_t)field->with_sign, json);
        break;
    case LOG_KIND_UNSIGNED:
        add_whole(line, false, field->without_sign, json);
        break;
    case LOG_KIND_SECONDS:
        strbuf_format(line, "%.3f", isfinite(field->seconds) ? field->seconds : 0.0);
        break;
    case LOG_KIND_TRUTH:
        strbuf_add_text(line, field->truth ? "true" : "false");
        break;
    }
    return 0;
}

/* How many fields in front of this one have its key. */
static unsigned count_before(const struct log_field *fields, size_t index)
{
    const char *key = fields[index].key;
    unsigned count = strcmp(key, "time") == 0 || strcmp(key, "level") == 0 || strcmp(key, "event") == 0;

    for (size_t i = 0; i < index; i++)
        count += strcmp(fields[i].key, key) == 0;
    return count;
}

void log_add_fields(struct strbuf *line, const struct log_field *fields, size_t count, bool json)
{
    size_t left = VALUES_MOST;

    for (size_t i = 0; i < count; i++) {
        unsigned before = count_before(fields, i);
        strbuf_format(line, json ? ",\"%s" : " %s", fields[i].key);
        if (before > 0)
            strbuf_format(line, "_%u", before + 1);
        strbuf_add_text(line, json ? "\":" : "=");
        size_t took = add_field_value(line, &fields[i], left < VALUE_MOST ? left : VALUE_MOST, json);
        left -= took < left ? took : left; /* a mark alone may take more than was left */
    }
}
