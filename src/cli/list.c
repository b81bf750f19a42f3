/* `list`: the runners of the configuration, tokens shortened as in the DataOps UI. */
#include "command.h"

#include "config_file.h"
#include "pod/name.h"
#include "screen.h"
#include "secret.h"
#include "text/json.h"
#include "text/url.h"
#include "text/yaml.h"

#include <inttypes.h>
#include <string.h>

/* clang-format off */
static const struct option items[] = {
    OPTION_CONFIG,
    { .name = "output", .letter = 'o', .kind = OPTION_TEXT, .value = "FORMAT", .choices = "table wide json yaml name",
      .otherwise = "table", .help = "form of the list" },
    { .name = "show-tokens", .kind = OPTION_SWITCH, .otherwise = "false", .help = "print whole tokens" },
};
/* clang-format on */

static void warn_line(const char *line)
{
    screen_warn("%s", line);
}

/* The token as it may be shown. Gives a text (secret_free). */
static char *shown_token(const struct config_runner *runner, bool whole)
{
    struct error error = ERROR_NONE;
    OWNED_SECRET char *token = config_file_token(runner, &error);

    if (token == NULL)
        return mem_text("-");
    return whole ? mem_text(token) : pod_short_token(token);
}

static const char *filled(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "-";
}

static const char *image_of(const struct config_runner *runner)
{
    return runner->kubernetes.image != NULL ? runner->kubernetes.image : runner->docker_image;
}

/* One table of texts, for every form but "name". */
static struct cJSON *describe(const struct config *config, bool whole_tokens)
{
    struct cJSON *list = json_array();

    for (size_t i = 0; i < config->runner_count; i++) {
        const struct config_runner *runner = &config->runners[i];
        OWNED_SECRET char *token = shown_token(runner, whole_tokens);
        OWNED_TEXT char *url = url_for_people(runner->url);
        struct cJSON *item = json_add_object(list);

        json_set_text(item, "name", runner->name);
        json_set_int(item, "id", runner->id);
        json_set_text(item, "token", token);
        json_set_text(item, "url", url);
        json_set_text(item, "executor", runner->executor);
        json_set_int(item, "limit", runner->limit);
        json_set_text(item, "namespace", runner->kubernetes.ns != NULL ? runner->kubernetes.ns : "");
        json_set_text(item, "image", image_of(runner) != NULL ? image_of(runner) : "");
    }
    return list;
}

static void add_table(const struct cJSON *list, bool wide, struct strbuf *text)
{
    int name_width = 4, token_width = 5;

    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item)) {
        int name = (int)strlen(json_text(item, "name", "")), token = (int)strlen(json_text(item, "token", ""));

        name_width = name > name_width ? name : name_width;
        token_width = token > token_width ? token : token_width;
    }
    strbuf_format(text, "%-*s  %-8s  %-*s  %-10s  ", name_width, "NAME", "ID", token_width, "TOKEN", "EXECUTOR");
    strbuf_add_text(text, wide ? "LIMIT  NAMESPACE         IMAGE                                     URL\n" : "URL\n");
    for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item)) {
        strbuf_format(text, "%-*s  %-8" PRId64 "  %-*s  %-10s  ", name_width, json_text(item, "name", ""),
                      json_int(item, "id", 0), token_width, json_text(item, "token", ""),
                      json_text(item, "executor", ""));
        if (wide)
            strbuf_format(text, "%-5" PRId64 "  %-16s  %-40s  ", json_int(item, "limit", 0),
                          filled(json_text(item, "namespace", "")), filled(json_text(item, "image", "")));
        strbuf_format(text, "%s\n", json_text(item, "url", ""));
    }
}

static void add_list(const struct cJSON *list, const char *form, struct strbuf *text)
{
    if (strcmp(form, "json") == 0) {
        screen_add_json(list, text);
    } else if (strcmp(form, "yaml") == 0) {
        yaml_print(list, text);
    } else if (strcmp(form, "name") == 0) {
        for (const struct cJSON *item = json_first(list); item != NULL; item = json_next(item))
            strbuf_format(text, "%s\n", json_text(item, "name", ""));
    } else {
        add_table(list, strcmp(form, "wide") == 0, text);
    }
}

static int list_run(struct options *options)
{
    struct config_file file = CONFIG_FILE_EMPTY;
    struct strbuf text = STRBUF_EMPTY;
    struct error error = ERROR_NONE;
    int end = END_CONFIG;

    if (config_file_load(&file, options, warn_line, &error) < 0) {
        screen_fail("%s", error.text);
    } else {
        OWNED_JSON struct cJSON *list = describe(file.config, options_switch(options, "show-tokens"));
        add_list(list, options_text(options, "output"), &text);
        end = screen_print(&text);
    }
    strbuf_wipe(&text);
    config_file_clear(&file);
    return end;
}

const struct command command_list = {
    .name = "list",
    .summary = "list the runners of the configuration",
    .words = "",
    .about = "Lists the runners of the configuration. Tokens are shortened to the nine characters that DataOps shows.",
    .examples = "  dataops-runner list\n"
                "  dataops-runner list -o json --config /etc/gitlab-runner/config.toml\n",
    .options = { items, COUNT_OF(items) },
    .run = list_run,
};
