#include "register.h"

#include "config_file.h"
#include "io/file.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

int register_read_file(struct registering *registering, struct error *error)
{
    if (config_syntax_of(registering->config_path) != CONFIG_TOML)
        return error_set(error, BLAME_INPUT, 0,
                         "--config: register writes TOML; %s is YAML, add the entry there by hand",
                         registering->config_path);
    registering->extends = file_exists(registering->config_path);
    if (!registering->extends)
        return 0;
    if (file_read(registering->config_path, &registering->existing, error) == 0)
        return 0;
    error->blame = BLAME_CONFIG;
    return -1;
}

/* The image goes where the executor that was asked for looks for it; with kubernetes a --docker-image counts as its
 * own. */
static void fill_images(const struct options *options, bool is_docker, struct config_entry *entry)
{
    entry->docker_image = options_text(options, "docker-image");
    entry->kubernetes_image = options_text(options, "kubernetes-image");
    if (!is_docker && entry->kubernetes_image == NULL)
        entry->kubernetes_image = entry->docker_image;
}

/* The file is read from other working folders than this one. Gives a text, or NULL for NULL. */
static char *absolute(const char *path)
{
    char folder[PATH_MAX];

    if (path == NULL || path[0] == '/' || getcwd(folder, sizeof(folder)) == NULL)
        return mem_text(path);
    return mem_format("%s/%s", folder, path);
}

void register_render(const struct registering *registering, struct strbuf *out)
{
    const struct options *options = registering->options;
    OWNED_TEXT char *ca_file = absolute(options_text(options, "tls-ca-file"));
    OWNED_TEXT char *cert_file = absolute(options_text(options, "tls-cert-file"));
    OWNED_TEXT char *key_file = absolute(options_text(options, "tls-key-file"));
    struct config_entry entry = {
        .name = options_text(options, "description"),
        .url = options_text(options, "url"),
        .token = registering->runner_token != NULL ? registering->runner_token : "trial",
        .executor = options_text(options, "executor"),
        .id = registering->id,
        .token_obtained_at = registering->obtained_at[0] != '\0' ? registering->obtained_at : NULL,
        .token_expires_at = registering->expires_at,
        .tls_ca_file = ca_file,
        .tls_cert_file = cert_file,
        .tls_key_file = key_file,
        .kubernetes_namespace = options_text(options, "kubernetes-namespace"),
        .service_account = options_text(options, "kubernetes-service-account"),
        .environment = options_list(options, "env"),
        .docker_volumes = options_list(options, "docker-volumes"),
        .kubernetes_lines = strbuf_text(&registering->settings),
        .limit = options_number(options, "limit"),
    };

    fill_images(options, strcmp(entry.executor, "docker") == 0, &entry);
    if (registering->extends)
        config_write_more(strbuf_text(&registering->existing), &entry, out);
    else
        config_write_new(&entry, out);
}
