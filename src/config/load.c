#include "config/config.h"

#include "read.h"
#include "text/duration.h"
#include "text/toml.h"
#include "text/url.h"
#include "text/yaml.h"
#include "volumes.h"

#include <stdlib.h>
#include <string.h>

enum config_syntax config_syntax_of(const char *file_name)
{
    const char *dot = strrchr(file_name, '.');

    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0) ? CONFIG_YAML : CONFIG_TOML;
}

/* Where a key stands; the line of its section when it is not written. */
static unsigned line_of(const struct tree *section, const char *key)
{
    const struct tree *value = tree_get(section, key);

    return value != NULL ? value->line : section->line;
}

static int check_executor(const struct reading *reading, const struct tree *table, struct config_runner *runner)
{
    unsigned line = line_of(table, "executor");

    if (strcmp(runner->executor, "docker") == 0) {
        read_warn(reading, line, "executor = \"docker\" is read as kubernetes: each job becomes a pod");
        mem_free(runner->executor);
        runner->executor = mem_text("kubernetes");
    }
    if (strcmp(runner->executor, "kubernetes") != 0)
        return read_fail(
            reading, line,
            "executor: \"%s\" is not supported: this runner makes each job a pod, set executor = \"kubernetes\"",
            runner->executor);
    return 0;
}

static int check_url(const struct reading *reading, const struct tree *table, const struct config_runner *runner)
{
    struct url url = URL_EMPTY;
    struct error why = ERROR_NONE;
    int result;

    if (runner->url == NULL || runner->url[0] == '\0')
        return read_fail(reading, table->line, "url is missing in [[runners]]");
    result = url_parse(runner->url, &url, &why);
    url_clear(&url);
    if (url_is_in_clear(runner->url))
        read_warn(reading, line_of(table, "url"), "url: %s", CONFIG_URL_IN_CLEAR);
    return result < 0 ? read_fail(reading, line_of(table, "url"), "url: %s", why.text) : 0;
}

static int check_volumes(const struct reading *reading, const struct config_runner *runner)
{
    const struct config_volumes *volumes = &runner->kubernetes.volumes;

    for (size_t i = 0; i < volumes->count; i++) {
        for (size_t j = 0; j < i; j++)
            if (strcmp(volumes->items[i].mount_path, volumes->items[j].mount_path) == 0)
                return read_fail(reading, runner->line, "volumes %s and %s are both mounted at %s",
                                 volumes->items[j].name, volumes->items[i].name, volumes->items[i].mount_path);
    }
    return 0;
}

static int check_runner(const struct reading *reading, const struct tree *table, struct config_runner *runner)
{
    static const char *const policies[] = { "always", "if-not-present", "never" };
    const struct config_texts *wished = &runner->kubernetes.pull_policy;

    if (check_executor(reading, table, runner) < 0 || check_url(reading, table, runner) < 0 ||
        check_volumes(reading, runner) < 0)
        return -1;
    if (runner->builds_dir[0] != '/')
        return read_fail(reading, line_of(table, "builds_dir"), "builds_dir: \"%s\" is not an absolute path",
                         runner->builds_dir);
    for (size_t i = 0; i < wished->count; i++) {
        size_t j = 0;
        while (j < COUNT_OF(policies) && strcmp(policies[j], wished->items[i]) != 0)
            j++;
        if (j == COUNT_OF(policies))
            return read_fail(reading, line_of(tree_get(table, "kubernetes"), "pull_policy"),
                             "pull_policy: \"%s\" is not one of: always if-not-present never", wished->items[i]);
    }
    for (size_t i = 0; i < runner->environment.count; i++)
        if (strchr(runner->environment.items[i], '=') == NULL)
            /* its text is not shown: it may be half of a secret */
            return read_fail(reading, line_of(table, "environment"),
                             "environment: text %zu is not of the form KEY=value", i + 1);
    return 0;
}

static int load_runner(const struct reading *reading, const struct tree *table, struct config_runner *runner)
{
    const struct tree *kubernetes = tree_get(table, "kubernetes"), *docker = tree_get(table, "docker"), *volumes;

    runner->line = table->line;
    read_defaults(&schema_runner, runner);
    read_defaults(&schema_kubernetes, &runner->kubernetes);
    if (read_table(reading, &schema_runner, table, runner) < 0)
        return -1;
    if (kubernetes != NULL) {
        if (read_table(reading, &schema_kubernetes, kubernetes, &runner->kubernetes) < 0)
            return -1;
        volumes = tree_get(kubernetes, "volumes");
        if (volumes != NULL && volumes_read(reading, volumes, &runner->kubernetes.volumes) < 0)
            return -1;
    }
    if (docker != NULL && volumes_read_docker(reading, docker, runner) < 0)
        return -1;
    return check_runner(reading, table, runner);
}

static int load_runners(const struct reading *reading, const struct tree *list, struct config *config)
{
    size_t count = 0;

    if (list->kind != TREE_LIST)
        return read_fail(reading, list->line, "runners: write it as [[runners]], a list of tables");
    for (const struct tree *item = list->first; item != NULL; item = item->next)
        count++;
    config->runners = mem_new_array(count + 1, sizeof(*config->runners));
    for (const struct tree *item = list->first; item != NULL; item = item->next)
        if (load_runner(reading, item, &config->runners[config->runner_count++]) < 0)
            return -1;
    return 0;
}

/* host:port, the host may be left out. */
static int check_listen_address(const struct reading *reading, const struct tree *tree, const struct config *config)
{
    const char *address = config->listen_address, *colon = address != NULL ? strrchr(address, ':') : NULL;
    size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;

    if (address == NULL ||
        (digits > 0 && digits <= 5 && colon[1 + digits] == '\0' && strtol(colon + 1, NULL, 10) < 65536))
        return 0;
    return read_fail(reading, line_of(tree, "listen_address"),
                     "listen_address: \"%s\" is not of the form host:port, such as \":9252\"", address);
}

static int load_tree(const struct reading *reading, const struct tree *tree, struct config *config)
{
    const struct tree *runners = tree_get(tree, "runners");

    read_defaults(&schema_global, config);
    if (read_table(reading, &schema_global, tree, config) < 0 || check_listen_address(reading, tree, config) < 0)
        return -1;
    if (config->check_interval_s < 1)
        config->check_interval_s = 3; /* as the stock runner reads it */
    return runners != NULL ? load_runners(reading, runners, config) : 0;
}

struct config *config_load(const char *text, size_t length, enum config_syntax syntax, const char *file_name,
                           struct error *error)
{
    OWNED_TREE struct tree *tree =
        syntax == CONFIG_YAML ? yaml_parse(text, length, error) : toml_parse(text, length, error);
    struct config *config;
    struct reading reading = { .file_name = file_name, .error = error };

    if (tree == NULL) {
        error_within(error, "%s", file_name);
        return NULL;
    }
    config = mem_new(sizeof(*config));
    reading.warnings = &config->warnings;
    /* An empty YAML document is null: a configuration without runners. */
    if (tree->kind == TREE_NULL)
        tree->kind = TREE_TABLE;
    if (load_tree(&reading, tree, config) < 0) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->runner_count; i++) {
        struct config_runner *runner = &config->runners[i];

        volumes_clear(&runner->kubernetes.volumes);
        read_clear(&schema_kubernetes, &runner->kubernetes);
        read_clear(&schema_docker, runner);
        read_clear(&schema_runner, runner);
    }
    mem_free(config->runners);
    read_clear(&schema_global, config);
    strbuf_clear(&config->warnings);
    mem_free(config);
}

int config_runner_flag(const struct config_runner *runner, const char *flag)
{
    bool value;

    for (size_t i = 0; i < runner->feature_flags.count; i++)
        if (strcmp(runner->feature_flags.items[i].key, flag) == 0 &&
            boolean_parse(runner->feature_flags.items[i].value, &value) == 0)
            return value;
    return -1;
}

char **config_runner_flags(const struct config_runner *runner)
{
    char **flags = mem_new_array(runner->feature_flags.count + 1, sizeof(*flags));

    for (size_t i = 0; i < runner->feature_flags.count; i++)
        flags[i] = mem_format("%s=%s", runner->feature_flags.items[i].key, runner->feature_flags.items[i].value);
    return flags;
}

void config_free_flags(char **flags)
{
    for (size_t i = 0; flags[i] != NULL; i++)
        mem_free(flags[i]);
    mem_free(flags);
}
