#include "text/duration.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000u
#define MOST_NS   (UINT64_C(10) * 365 * 24 * 3600 * SECOND_NS) /* 10 years */

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    /* longer names first: "ms" is no "m" */
    { "ns", 1 },
    { "us", 1000 },
    { "\xC2\xB5s", 1000 }, /* micro sign */
    { "\xCE\xBCs", 1000 }, /* Greek mu */
    { "ms", 1000000 },
    { "s", SECOND_NS },
    { "m", UINT64_C(60) * SECOND_NS },
    { "h", UINT64_C(3600) * SECOND_NS },
};

static uint64_t take_unit(const char **text)
{
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return units[i].ns;
        }
    }
    return 0;
}

/* One number with its unit: "1.5h". */
static int take_part(const char **text, uint64_t *ns)
{
    size_t whole_digits = strspn(*text, "0123456789"), fraction_digits = 0;
    const char *digits = *text, *fraction = NULL;
    uint64_t whole = 0, part = 0, scale = 1;

    *text += whole_digits;
    if (**text == '.') {
        fraction = ++*text;
        fraction_digits = strspn(fraction, "0123456789");
        *text += fraction_digits;
    }
    if (whole_digits + fraction_digits == 0)
        return -1;
    uint64_t unit = take_unit(text);
    if (unit == 0)
        return -1;
    for (size_t i = 0; i < whole_digits; i++) {
        whole = whole * 10 + (uint64_t)(digits[i] - '0');
        if (whole > MOST_NS / unit)
            return -1;
    }
    for (size_t i = 0; i < fraction_digits && scale < unit; i++) {
        part = part * 10 + (uint64_t)(fraction[i] - '0');
        scale *= 10;
    }
    *ns = whole * unit + (uint64_t)((double)part / (double)scale * (double)unit); /* Go counts in a double here, too */
    return 0;
}

int duration_parse_ms(const char *text, uint64_t *ms)
{
    uint64_t sum = 0, ns;

    if (*text == '+')
        text++;
    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return 0;
    }
    if (*text == '\0')
        return -1;
    while (*text) {
        if (take_part(&text, &ns) < 0 || ns > MOST_NS - sum)
            return -1;
        sum += ns;
    }
    *ms = sum / 1000000;
    return 0;
}

void duration_print(uint64_t seconds, char out[32])
{
    uint64_t hours = seconds / 3600, minutes = seconds / 60 % 60;

    if (hours > 0)
        snprintf(out, 32, "%" PRIu64 "h%" PRIu64 "m%" PRIu64 "s", hours, minutes, seconds % 60);
    else if (minutes > 0)
        snprintf(out, 32, "%" PRIu64 "m%" PRIu64 "s", minutes, seconds % 60);
    else
        snprintf(out, 32, "%" PRIu64 "s", seconds);
}

int boolean_parse(const char *text, bool *value)
{
    static const char *const words[] = { "0", "f", "false", "1", "t", "true" };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i >= 3;
            return 0;
        }
    }
    return -1;
}
