#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

#define PATTERN_MOST    (4u * KIB)
#define STEPS_MOST      100000u
#define HEAP_MOST_KIB   1024u
#define COMPILE_OPTIONS (PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C)

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static int compile(struct pattern *pattern, const char *text, struct error *error)
{
    int number;
    uint32_t references = 0;
    PCRE2_SIZE at;

    if (strlen(text) > PATTERN_MOST)
        return error_set(error, BLAME_CONFIG, 0, "pattern: longer than 4 KiB");
    pattern->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, COMPILE_OPTIONS, &number, &at, NULL);
    if (!pattern->code) {
        char why[200];
        pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof(why));
        return error_set(error, BLAME_CONFIG, 0, "pattern \"%.100s\": %s at character %zu", text, why, at + 1);
    }
    pcre2_pattern_info(pattern->code, PCRE2_INFO_BACKREFMAX, &references);
    if (references > 0)
        return error_set(error, BLAME_CONFIG, 0, "pattern \"%.100s\": back references are not supported", text);
    pattern->data = pcre2_match_data_create(1, NULL);
    pattern->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(pattern->limits, STEPS_MOST);
    pcre2_set_heap_limit(pattern->limits, HEAP_MOST_KIB);
    return 0;
}

struct pattern *pattern_new(const char *text, struct error *error)
{
    struct pattern *pattern = mem_new(sizeof(*pattern));
    if (compile(pattern, text, error) == 0)
        return pattern;
    pattern_free(pattern);
    return NULL;
}

bool pattern_search(const struct pattern *pattern, const char *text)
{
    /* 0 says that it matched and the one slot was too few for the groups, which nobody wants */
    return pcre2_match(pattern->code, (PCRE2_SPTR)text, strlen(text), 0, 0, pattern->data, pattern->limits) >= 0;
}

void pattern_free(struct pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->limits);
    pcre2_match_data_free(pattern->data);
    pcre2_code_free(pattern->code);
    mem_free(pattern);
}
