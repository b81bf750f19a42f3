/* Finding id and token in a payload that cannot be parsed: cut off, over the ceiling, or wrong somewhere behind them.
 * Walks the bytes once, keeps nothing, and stops as soon as both were seen. */
#include "job/payload.h"

#include "payload.h"

#include <string.h>

#define PEEK_MOST  (1u * MIB) /* id and token stand first; what comes later is not worth a walk */
#define TEXT_MOST  8192u
#define DEPTH_MOST 200

struct peek {
    const char *at, *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct peek *peek)
{
    while (peek->at < peek->end && is_blank(*peek->at))
        peek->at++;
}

static bool take(struct peek *peek, char c)
{
    skip_blanks(peek);
    if (peek->at == peek->end || *peek->at != c)
        return false;
    peek->at++;
    return true;
}

/* Reads a string; -1 when there is none or it does not end. What is escaped other than \/ \" and \\ makes it unusable:
 * "". */
static int read_string(struct peek *peek, char *out, size_t size)
{
    size_t length = 0;
    bool usable = true;

    if (!take(peek, '"'))
        return -1;
    for (; peek->at < peek->end && *peek->at != '"'; peek->at++) {
        if (*peek->at == '\\') {
            if (++peek->at == peek->end)
                return -1;
            usable = usable && (*peek->at == '/' || *peek->at == '"' || *peek->at == '\\');
        }
        if (length + 1 < size)
            out[length++] = *peek->at;
        else
            usable = false;
    }
    if (peek->at == peek->end)
        return -1;
    peek->at++;
    out[usable ? length : 0] = '\0';
    return 0;
}

static bool read_number(struct peek *peek, uint64_t *number)
{
    uint64_t value = 0;
    const char *start;

    skip_blanks(peek);
    for (start = peek->at; peek->at < peek->end && *peek->at >= '0' && *peek->at <= '9'; peek->at++) {
        if (value > UINT64_MAX / 100)
            return false;
        value = value * 10 + (uint64_t)(*peek->at - '0');
    }
    /* a number that is cut off may be another one */
    if (peek->at == start || peek->at == peek->end || (*peek->at != ',' && *peek->at != '}' && !is_blank(*peek->at)))
        return false;
    *number = value;
    return value > 0;
}

/* Skips one value of any kind up to the "," or "}" behind it. */
static int skip_value(struct peek *peek)
{
    int depth = 0;
    char ignored[2];

    for (;;) {
        skip_blanks(peek);
        if (peek->at == peek->end)
            return -1;
        char c = *peek->at;
        if (c == '"') {
            if (read_string(peek, ignored, sizeof(ignored)) < 0)
                return -1;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return 0;
        if ((c == '{' || c == '[') && ++depth > DEPTH_MOST)
            return -1;
        if (c == '}' || c == ']')
            depth--;
        peek->at++;
    }
}

/* Reads the value of a member into id or token when it is one of the two; peek is left where it was. */
static void look_at(struct peek peek, const char *name, uint64_t *id, char **token)
{
    char value[TEXT_MOST];

    if (strcmp(name, "id") == 0 && *id == 0)
        read_number(&peek, id);
    else if (strcmp(name, "token") == 0 && !*token && read_string(&peek, value, sizeof(value)) == 0 &&
             payload_is_token(value))
        *token = mem_text(value);
}

bool job_peek(const char *text, size_t length, uint64_t *id, char **token)
{
    struct peek peek = { text, length == 0 ? text : text + (length < PEEK_MOST ? length : PEEK_MOST) };
    char name[16];

    *id = 0;
    *token = NULL;
    if (length == 0 || !take(&peek, '{'))
        return false;
    do {
        if (read_string(&peek, name, sizeof(name)) < 0 || !take(&peek, ':'))
            break;
        look_at(peek, name, id, token);
        if (*id > 0 && *token)
            return true;
    } while (skip_value(&peek) == 0 && take(&peek, ','));
    return false;
}
