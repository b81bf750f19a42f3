/* `lint`: is the configuration right, and does it give a DataOps job what it expects to find? */
#include "command.h"

#include "config_file.h"
#include "screen.h"

#include <string.h>

static const struct option items[] = { OPTION_CONFIG };

/* What every DataOps job expects; without them its first or second step fails. */
static const struct {
    const char *path, *why;
} expected[] = {
    { "/secrets", "jobs look for vault.yml and vault.salt there: mount a Secret that holds them" },
    { "/agent_cache", "jobs of a pipeline hand the vault on there: mount a claim that all job pods share" },
    { "/local_config", "jobs look for local settings there: mount an empty_dir when there are none" },
};

static void warn_line(const char *line)
{
    screen_warn("%s", line);
}

static bool is_mounted(const struct config_volumes *volumes, const char *path)
{
    for (size_t i = 0; i < volumes->count; i++) {
        const char *mounted = volumes->items[i].mount_path;
        size_t length = strlen(path);

        if (strncmp(mounted, path, length) == 0 && (mounted[length] == '\0' || strcmp(mounted + length, "/") == 0))
            return true;
    }
    return false;
}

static void note_runner(const struct config_runner *runner)
{
    const struct config_kubernetes *kubernetes = &runner->kubernetes;

    for (size_t i = 0; i < COUNT_OF(expected); i++)
        if (!is_mounted(&kubernetes->volumes, expected[i].path))
            screen_note("note: runner %s mounts nothing at %s; %s", runner->name, expected[i].path, expected[i].why);
    if (is_mounted(&kubernetes->volumes, "/cache"))
        screen_note("note: runner %s mounts a volume at /cache; DataOps jobs make a link there themselves",
                    runner->name);
    if (kubernetes->image == NULL && runner->docker_image == NULL)
        screen_note("note: runner %s has no image: a job that names none fails", runner->name);
    if ((runner->token == NULL || runner->token[0] == '\0') &&
        (runner->token_file == NULL || runner->token_file[0] == '\0'))
        screen_note("note: runner %s has neither token nor token_file", runner->name);
}

static int lint_run(struct options *options)
{
    struct config_file file = CONFIG_FILE_EMPTY;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    struct error error = ERROR_NONE;
    int end = END_CONFIG;

    if (config_file_load(&file, options, warn_line, &error) < 0) {
        screen_fail("%s", error.text);
    } else {
        for (size_t i = 0; i < file.config->runner_count; i++)
            note_runner(&file.config->runners[i]);
        if (file.config->runner_count == 0)
            screen_note("note: there is no [[runners]] entry: run register");
        strbuf_format(&text, "%s: valid, %zu runner%s\n", file.path, file.config->runner_count,
                      file.config->runner_count == 1 ? "" : "s");
        end = screen_print(&text);
    }
    config_file_clear(&file);
    return end;
}

const struct command command_lint = {
    .name = "lint",
    .summary = "check the configuration",
    .words = "",
    .about =
        "Checks the configuration: syntax, unknown keys (with the nearest known one), values, and whether jobs will\n"
        "find the folders that DataOps projects expect. Warnings and notes leave the exit code at 0; an error is 3.",
    .examples = "  dataops-runner lint --config config.toml\n"
                "  dataops-runner lint && dataops-runner run\n",
    .options = { items, COUNT_OF(items) },
    .run = lint_run,
};
