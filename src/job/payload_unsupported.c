/* What a job asks for and this version cannot do: such a job fails with the reason, it never runs without. */
#include "payload.h"
#include "text/json.h"
#include "text/quote.h"

#include <string.h>

#define NAME_SHOWN 120u

/* Words job->unsupported unless something was found before; detail is foreign text. */
static void refuse(struct job *job, const char *what, const char *asks_for, const char *detail)
{
    OWNED_STRBUF struct strbuf shown = STRBUF_EMPTY;

    if (job->unsupported)
        return;
    quote_for_people(detail, NAME_SHOWN, &shown);
    job->unsupported =
        mem_format("%s not supported yet by this runner (job %s%s)", what, asks_for, strbuf_text(&shown));
}

static void read_services(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "services");

    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "services", index, item))
            continue;
        OWNED_TEXT char *name = read_text_or(read, item, "name", "");
        OWNED_TEXT char *user = NULL;
        payload_read_executor_opts(read, item, &user);
        job->service_count++;
        refuse(job, "services are", "asks for ", *name ? name : "a service without a name");
    }
}

/* DataOps sends an entry for every cache block; one without paths keeps nothing. */
static void read_cache(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_at(read, "", -1);
    const struct cJSON *array = read_array(read, tree, "cache");

    long index = 0;
    for (const struct cJSON *item = json_first(array); item && !read->failed; item = json_next(item), index++) {
        if (!read_element(read, "cache", index, item))
            continue;
        OWNED_TEXT char *key = read_text_or(read, item, "key", "");
        bool untracked = read_bool(read, item, "untracked", false);
        if (json_count(read_array(read, item, "paths")) == 0 && !untracked)
            continue;
        job->cache_count++;
        refuse(job, "cache is", "asks for the key ", *key ? key : "default");
    }
}

/* `run` is a text that holds a list; a list itself is taken too. */
static bool asks_to_run(const struct cJSON *tree)
{
    const struct cJSON *run = json_get(tree, "run");
    const char *text = json_item_text(run);

    if (!text)
        return json_count(run) > 0;
    text += strspn(text, " \t\r\n");
    return *text != '\0' && strcmp(text, "[]") != 0 && strcmp(text, "null") != 0;
}

static bool is_interpolated(const struct job *job)
{
    static const char mark[] = "${{";

    for (size_t i = 0; i < job->step_count; i++) {
        for (size_t j = 0; j < job->steps[i].line_count; j++) {
            if (strstr(job->steps[i].lines[j], mark))
                return true;
        }
    }
    for (size_t i = 0; i < job->artifact_count; i++) {
        if (strstr(job->artifacts[i].name, mark))
            return true;
        for (size_t j = 0; j < job->artifacts[i].path_count; j++) {
            if (strstr(job->artifacts[i].paths[j], mark))
                return true;
        }
    }
    return strstr(job->image.name, mark) != NULL;
}

static void check_steps(struct job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        const struct job_step *step = &job->steps[i];
        if (strcmp(step->name, "script") != 0 && strcmp(step->name, "after_script") != 0 && step->line_count > 0)
            refuse(job, "steps besides script and after_script are", "has the step ", step->name);
    }
}

void payload_read_unsupported(struct read *read, const struct cJSON *tree, struct job *job)
{
    read_services(read, tree, job);
    read_cache(read, tree, job);
    read_at(read, "", -1);
    const struct cJSON *secrets = read_object(read, tree, "secrets");
    const struct cJSON *inputs = read_array(read, tree, "inputs");
    if (read->failed)
        return;
    const struct cJSON *first = json_first(secrets);
    job->has_secrets = first != NULL;
    job->has_run = asks_to_run(tree);
    if (job->has_run)
        refuse(job, "native steps (run) are", "has them", "");
    if (first)
        refuse(job, "secrets are", "asks for ", json_item_name(first) ? json_item_name(first) : "one");
    if (json_count(inputs) > 0 && is_interpolated(job))
        refuse(job, "job inputs are", "uses ", "${{ ... }}");
    check_steps(job);
}
