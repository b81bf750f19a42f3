/* One list of the operator's texts; what a job's pod makes of each is decided by its rule. */
#include "pod/texts.h"

#include "parts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_MOST 253

/* --- what an expanded text must be --- */

/* Below the volume, whatever the values were: no part is "", "." or "..". */
static bool is_below(const char *path)
{
    do {
        size_t length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += length + (path[length] == '/');
        if (*path == '\0')
            return path[-1] != '/';
    } while (true);
}

static bool is_path(const char *path)
{
    return path[0] == '/' && strchr(path, ':') == NULL && (path[1] == '\0' || is_below(path + 1));
}

/* As Kubernetes wants the name of an object. */
static bool is_object_name(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '-' && name[i] != '.')
            return false;
    return length > 0 && length <= NAME_MOST && isalnum((unsigned char)name[0]) &&
           isalnum((unsigned char)name[length - 1]);
}

static bool is_image(const char *image)
{
    size_t length = strlen(image);

    return length > 0 && strpbrk(image, " \t\n") == NULL && image[0] != ':' && image[length - 1] != ':';
}

static const struct {
    bool (*is_right)(const char *text); /* NULL: any text will do */
    bool is_place;                      /* decides what a job reaches: a name without a value is no empty text there */
    const char *wanted;
} rules[] = {
    [TEXT_LITERAL] = { NULL, false, NULL },
    [TEXT_SHOWN] = { NULL, false, NULL },
    [TEXT_SUB_PATH] = { is_below, true, "a path below the volume, without empty parts, . and .." },
    [TEXT_MOUNT_PATH] = { is_path, true, "an absolute path without empty parts, . and .." },
    [TEXT_OBJECT_NAME] = { is_object_name, true, "a name of lower-case letters, digits, - and ." },
    [TEXT_IMAGE] = { is_image, true, "an image name" },
};

/* "/builds/" is "/builds". */
static char *without_slashes_at_end(char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return path;
}

char *pod_text(const struct job_facts *facts, enum pod_text_rule rule, const char *key, const char *text,
               struct error *error)
{
    OWNED_TEXT char *unset = NULL;
    char *value = job_facts_expand(facts, text, &unset);

    if (rule == TEXT_MOUNT_PATH)
        without_slashes_at_end(value);
    if (rules[rule].is_place && unset != NULL)
        error_set(error, BLAME_CONFIG, 0,
                  "%s \"%s\": $%s has no value for this job; what DataOps, the runner and environment of [[runners]] "
                  "define counts here, a job's own variables do not",
                  key, text, unset);
    else if (rules[rule].is_right != NULL && !rules[rule].is_right(value))
        error_set(error, BLAME_CONFIG, 0, "%s \"%s\" is \"%s\" for this job, which is not %s", key, text, value,
                  rules[rule].wanted);
    else
        return value;
    mem_free(value);
    return NULL;
}

/* --- the list of them --- */

typedef void each_text(void *owner, enum pod_text_rule rule, const char *key, const char *text);

static void each_pairs(const struct config_pairs *pairs, enum pod_text_rule rule, const char *key, each_text *each,
                       void *owner)
{
    for (size_t i = 0; i < pairs->count; i++) {
        OWNED_TEXT char *whole = mem_format("%s.%s", key, pairs->items[i].key);
        each(owner, rule, whole, pairs->items[i].value);
    }
}

static void each_volume(const struct config_volume *volume, each_text *each, void *owner)
{
    const struct {
        const char *key, *text;
        enum pod_text_rule rule;
    } texts[] = {
        { "name", volume->name, volume->kind == VOLUME_PVC ? TEXT_OBJECT_NAME : TEXT_LITERAL },
        { "mount_path", volume->mount_path, TEXT_MOUNT_PATH },
        { "sub_path", volume->sub_path, TEXT_SUB_PATH },
        { "host_path", volume->host_path, TEXT_LITERAL },
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        OWNED_TEXT char *key = pod_volume_key(volume, texts[i].key);
        if (texts[i].text != NULL)
            each(owner, texts[i].rule, key, texts[i].text);
    }
}

static void each_of_runner(const struct config_runner *runner, each_text *each, void *owner)
{
    const struct config_kubernetes *wish = &runner->kubernetes;
    const struct {
        const char *key, *text;
        enum pod_text_rule rule;
    } texts[] = {
        { "helper_image", wish->helper_image, TEXT_IMAGE },         { "namespace", wish->ns, TEXT_LITERAL },
        { "service_account", wish->service_account, TEXT_LITERAL }, { "builds_dir", runner->builds_dir, TEXT_LITERAL },
        { "clone_url", runner->clone_url, TEXT_LITERAL },
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (texts[i].text != NULL)
            each(owner, texts[i].rule, texts[i].key, texts[i].text);
    for (size_t i = 0; i < wish->image_pull_secrets.count; i++)
        each(owner, TEXT_LITERAL, "image_pull_secrets", wish->image_pull_secrets.items[i]);
    each_pairs(&wish->node_selector, TEXT_LITERAL, "node_selector", each, owner);
    each_pairs(&wish->pod_labels, TEXT_SHOWN, "pod_labels", each, owner);
    each_pairs(&wish->pod_annotations, TEXT_SHOWN, "pod_annotations", each, owner);
    for (size_t i = 0; i < wish->volumes.count; i++)
        each_volume(&wish->volumes.items[i], each, owner);
}

/* --- what lint says --- */

struct checking {
    const struct config_runner *runner;
    const char *file_name;
    struct strbuf *warnings;
    enum pod_text_rule rule;
    const char *key, *text;
};

static void warn(const struct checking *checking, const char *what, const char *name, const char *advice)
{
    strbuf_format(checking->warnings, "%s:%u: %s \"%s\": $%s %s: %s\n", checking->file_name, checking->runner->line,
                  checking->key, checking->text, name, what, advice);
}

static void check_name(void *owner, const char *name)
{
    const struct checking *checking = owner;
    bool is_place = rules[checking->rule].is_place;

    switch (fact_owner_in_texts(name, (const char *const *)checking->runner->environment.items)) {
    case FACT_OF_NOBODY:
    case FACT_OF_SHELL:
        warn(checking, is_place ? "has no value here, and each job fails" : "has no value here and stays empty", name,
             "a job's own variables do not count; use one that DataOps or the runner defines, or set it in environment "
             "of [[runners]]");
        break;
    case FACT_OF_PROJECT:
        if (is_place)
            warn(checking, "is chosen by each project itself", name,
                 "put $CI_PROJECT_ID in front of it where projects must not meet");
        break;
    case FACT_OF_RUNNER:
        if (is_place && (strcmp(name, fact_name(FACT_CONCURRENT_ID)) == 0 ||
                         strcmp(name, fact_name(FACT_CONCURRENT_PROJECT_ID)) == 0))
            warn(checking, "is 0 for every job", name,
                 "jobs that run at the same time share what it names; a claim for each of them is not supported yet");
        break;
    case FACT_OF_DATAOPS:
    case FACT_OF_OPERATOR:
        break;
    }
}

static void check_literal(void *owner, const char *name)
{
    warn(owner, "is not expanded in this key", name, "write the value itself");
}

static void check_text(void *owner, enum pod_text_rule rule, const char *key, const char *text)
{
    struct checking *checking = owner;

    checking->rule = rule;
    checking->key = key;
    checking->text = text;
    fact_names_in_text(text, rule == TEXT_LITERAL ? check_literal : check_name, checking);
}

void pod_texts_check(const struct config_runner *runner, const char *file_name, struct strbuf *warnings)
{
    struct checking checking = { .runner = runner, .file_name = file_name, .warnings = warnings };

    each_of_runner(runner, check_text, &checking);
}
