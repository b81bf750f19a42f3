#include "plan_settings.h"

#include "text/duration.h"
#include "text/json.h"

#include <string.h>

#define ATTEMPTS_MOST 10u

static const char *const strategies[] = {
    [PLAN_CLONE] = "clone", [PLAN_FETCH] = "fetch", [PLAN_NONE] = "none", [PLAN_EMPTY] = "empty"
};

const char *plan_strategy_name(enum plan_strategy strategy)
{
    return strategies[strategy];
}

int plan_strategy_parse(const char *name, enum plan_strategy *strategy)
{
    for (size_t i = 0; i < COUNT_OF(strategies); i++) {
        if (strcmp(name, strategies[i]) == 0) {
            *strategy = (enum plan_strategy)i;
            return 0;
        }
    }
    return -1;
}

enum plan_strategy plan_strategy_of(const struct job *job, const struct variables *variables)
{
    enum plan_strategy strategy;
    const char *wish = variables_get(variables, "GIT_STRATEGY");

    if (wish && plan_strategy_parse(wish, &strategy) == 0)
        return strategy;
    return job->allow_git_fetch ? PLAN_FETCH : PLAN_CLONE;
}

unsigned plan_attempts(const struct variables *variables, const char *key)
{
    const char *text = variables_get(variables, key);
    unsigned value = 0;

    for (; text && *text >= '0' && *text <= '9' && value <= ATTEMPTS_MOST; text++)
        value = value * 10 + (unsigned)(*text - '0');
    if (!text || (*text && value <= ATTEMPTS_MOST) || value == 0)
        return 1;
    return value < ATTEMPTS_MOST ? value : ATTEMPTS_MOST;
}

int64_t plan_seconds(const struct variables *variables, const char *key, int64_t otherwise, int64_t most_s)
{
    const char *text = variables_get(variables, key);
    uint64_t ms;

    if (!text || duration_parse_ms(text, &ms) < 0 || ms == 0 || ms / 1000 > (uint64_t)most_s)
        return otherwise;
    return (int64_t)((ms + 999) / 1000);
}

void plan_set_flags(struct cJSON *object, const char *name, const struct variables *variables, const char *key,
                    const char *otherwise)
{
    static const char blanks[] = " \t\r\n";
    struct cJSON *array = json_set_array(object, name);
    const char *text = variables_get(variables, key);

    if (!text || !*text)
        text = otherwise;
    if (strcmp(text, "none") == 0)
        return;
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t length = strcspn(text, blanks);
        OWNED_TEXT char *word = mem_copy(text, length);
        json_add_text(array, word);
        text += length;
    }
}

static void add_value(struct cJSON *array, const char *value)
{
    if (value && *value)
        json_add_text(array, value);
}

void plan_set_mask(struct cJSON *tree, const struct job *job, const struct variables *variables,
                   const char *const *folders)
{
    /* the first always, the rest with FF_MASK_ALL_DEFAULT_TOKENS */
    static const char *const prefixes[] = { "glpat-",           "gloas-", "gldt-",  "glrt-",    "glcbt-",  "glrtr-",
                                            "glptt-",           "glft-",  "glimt-", "glagent-", "glsoat-", "glffct-",
                                            "_gitlab_session=", "gltok-" };
    struct cJSON *mask = json_set_object(tree, "mask");
    struct cJSON *values = json_set_array(mask, "values");

    for (size_t i = 0; i < variables->count; i++) {
        const struct variable *variable = &variables->items[i];
        if (variable->masked)
            add_value(values, variable->file_content ? variable->file_content : variable->value);
    }
    add_value(values, job->token);
    for (size_t i = 0; i < job->dependency_count; i++)
        add_value(values, job->dependencies[i].token);
    struct cJSON *list = json_set_array(mask, "prefixes");
    bool all = variables_bool(variables, "FF_MASK_ALL_DEFAULT_TOKENS", true);
    for (size_t i = 0; i < (all ? COUNT_OF(prefixes) : 1); i++)
        json_add_text(list, prefixes[i]);
    for (size_t i = 0; i < job->mask_prefix_count; i++)
        add_value(list, job->mask_prefixes[i]);
    list = json_set_array(mask, "folders");
    for (; folders && *folders; folders++)
        json_add_text(list, *folders);
}

const char *plan_compression(const struct variables *variables)
{
    static const char *const levels[] = { "fastest", "fast", "default", "slow", "slowest" };
    const char *text = variables_get(variables, "ARTIFACT_COMPRESSION_LEVEL");

    for (size_t i = 0; text && i < COUNT_OF(levels); i++) {
        if (strcmp(text, levels[i]) == 0)
            return levels[i];
    }
    return "default";
}
