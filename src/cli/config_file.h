/* config.toml on disk: where it is, reading it, writing it back, and what lies beside it. */
#ifndef CLI_CONFIG_FILE_H
#define CLI_CONFIG_FILE_H

#include "config/config.h"
#include "options.h"

#define CONFIG_MOST (4u * MIB)

/* The option --config, for each command's table. */
/* clang-format off */
#define OPTION_CONFIG                                                                                                  \
    {                                                                                                                  \
        .name = "config", .letter = 'c', .kind = OPTION_TEXT, .env = "CONFIG_FILE", .value = "FILE",                   \
        .help = "configuration; as root /etc/gitlab-runner/config.toml, else ~/.gitlab-runner/config.toml"             \
    }
/* clang-format on */

struct config_file {
    char *path;
    struct strbuf text; /* as on disk; wiped when cleared: it holds tokens */
    struct config *config;
};
#define CONFIG_FILE_EMPTY ((struct config_file){ 0 })

/* --config, or where it is by default. Gives a text. */
char *config_file_path(const struct options *options);
/* Reads and checks the file; its warnings go to warn (BLAME_CONFIG; config_file_clear, also after a failure). */
int config_file_load(struct config_file *file, const struct options *options, void (*warn)(const char *line),
                     struct error *error) MUST_CHECK;
/* Makes the file's folder (0700) when it is missing, and says whether a file can be made there. */
int config_file_prepare(const char *path, struct error *error) MUST_CHECK;
/* Checks text as the file's new content and writes it (mode 0600, by rename). */
int config_file_save(const char *path, const struct strbuf *text, struct error *error) MUST_CHECK;
void config_file_clear(struct config_file *file);
/* Calls warn for each line of a text. */
void config_file_each_warning(const struct strbuf *warnings, void (*warn)(const char *line));

/* A runner entry's token: from token_file, else token; trimmed. Gives a text (a secret), or NULL and an error. */
char *config_file_token(const struct config_runner *runner, struct error *error);

#endif
