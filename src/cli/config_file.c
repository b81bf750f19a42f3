#include "config_file.h"

#include "io/file.h"
#include "pod/texts.h"
#include "secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *config_file_path(const struct options *options)
{
    const char *given = options_text(options, "config"), *home = getenv("HOME");

    if (given != NULL)
        return mem_text(given);
    if (geteuid() == 0 || home == NULL)
        return mem_text("/etc/gitlab-runner/config.toml");
    return mem_format("%s/.gitlab-runner/config.toml", home);
}

void config_file_each_warning(const struct strbuf *warnings, void (*warn)(const char *line))
{
    for (const char *at = strbuf_text(warnings); *at != '\0';) {
        size_t length = strcspn(at, "\n");
        OWNED_TEXT char *line = mem_copy(at, length);

        if (length > 0)
            warn(line);
        at += length + (at[length] == '\n' ? 1 : 0);
    }
}

int config_file_load(struct config_file *file, const struct options *options, void (*warn)(const char *line),
                     struct error *error)
{
    *file = (struct config_file){ .path = config_file_path(options), .text = STRBUF_UP_TO(CONFIG_MOST) };
    if (!file_exists(file->path))
        return error_set(error, BLAME_CONFIG, 0, "%s does not exist: run register, or name another file with --config",
                         file->path);
    if (file_read(file->path, &file->text, error) < 0) {
        error->blame = BLAME_CONFIG;
        return -1;
    }
    file->config =
        config_load(strbuf_text(&file->text), file->text.length, config_syntax_of(file->path), file->path, error);
    if (file->config == NULL)
        return -1;
    for (size_t i = 0; i < file->config->runner_count; i++)
        pod_texts_check(&file->config->runners[i], file->path, &file->config->warnings);
    if (warn != NULL)
        config_file_each_warning(&file->config->warnings, warn);
    return 0;
}

void config_file_clear(struct config_file *file)
{
    mem_free(file->path);
    strbuf_wipe(&file->text);
    config_free(file->config);
    *file = CONFIG_FILE_EMPTY;
}

/* The folder part of a path; "." when it has none. Gives a text. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_text(".");
    return slash == path ? mem_text("/") : mem_copy(path, (size_t)(slash - path));
}

int config_file_prepare(const char *path, struct error *error)
{
    OWNED_TEXT char *folder = folder_of(path);

    if (file_make_folders(folder, 0700, error) < 0)
        return -1;
    return access(folder, W_OK | X_OK) == 0 ? 0 : error_errno(error, "write into %s", folder);
}

int config_file_save(const char *path, const struct strbuf *text, struct error *error)
{
    struct config *config = config_load(strbuf_text(text), text->length, config_syntax_of(path), path, error);

    if (config == NULL)
        return -1;
    config_free(config);
    return file_write(path, strbuf_text(text), text->length, 0600, error);
}

char *config_file_token(const struct config_runner *runner, struct error *error)
{
    if (runner->token_file == NULL || runner->token_file[0] == '\0') {
        if (runner->token != NULL && runner->token[0] != '\0')
            return mem_text(runner->token);
        error_set(error, BLAME_CONFIG, 0, "no token: set token or token_file, or run register");
        return NULL;
    }
    char *token = secret_from_file(runner->token_file, error);
    if (token == NULL) {
        error->blame = BLAME_CONFIG;
        error_within(error, "token_file");
    }
    return token;
}
