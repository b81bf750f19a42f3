/* A configuration in either syntax: refused with file and line, or complete enough that everybody may read it without
 * asking. */
#include "fuzz.h"

#include <string.h>

#include "config/config.h"

static void check_runner(const struct config_runner *runner)
{
    const struct config_volumes *volumes = &runner->kubernetes.volumes;

    EXPECT(runner->url && runner->executor && runner->shell && runner->builds_dir && runner->builds_dir[0] == '/');
    EXPECT(strcmp(runner->executor, "kubernetes") == 0);
    EXPECT(runner->output_limit_kib >= 1 && runner->kubernetes.poll_timeout_s >= 1);
    for (size_t i = 0; i < volumes->count; i++)
        EXPECT(volumes->items[i].name && volumes->items[i].mount_path);
    for (size_t i = 0; i < runner->environment.count; i++)
        EXPECT(strchr(runner->environment.items[i], '='));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_NONE;

    if (size == 0)
        return 0;
    enum config_syntax syntax = data[0] == 'y' ? CONFIG_YAML : CONFIG_TOML;
    struct config *config = config_load((const char *)data + 1, size - 1, syntax, "f", &error);
    EXPECT(config || (error.blame == BLAME_CONFIG && error.text[0] == 'f'));
    if (config) {
        EXPECT(config->concurrent >= 1 && config->check_interval_s >= 1 && config->log_level && config->log_format);
        for (size_t i = 0; i < config->runner_count; i++)
            check_runner(&config->runners[i]);
    }
    config_free(config);
    return 0;
}
