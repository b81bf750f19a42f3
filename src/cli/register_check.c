#include "register.h"

#include "config_file.h"
#include "screen.h"
#include "secret.h"
#include "text/url.h"

#include <string.h>

#define TIMEOUT_LEAST_S 600 /* DataOps refuses less */

const char *const register_server_side[] = {
    "tag-list", "run-untagged", "locked", "access-level", "maximum-timeout", "paused", "maintenance-note", NULL,
};

static int check_url(const struct options *options, struct error *error)
{
    const char *url = options_text(options, "url");
    OWNED_TEXT char *root = url_api_root(url, error);

    if (root == NULL)
        return error_within(error, "--url");
    if (url_is_in_clear(url))
        screen_warn("--url: %s", CONFIG_URL_IN_CLEAR);
    return 0;
}

static int check_executor(const struct options *options, struct error *error)
{
    const char *executor = options_text(options, "executor");

    if (strcmp(executor, "docker") == 0)
        screen_warn("executor docker is read as kubernetes: each job becomes a pod");
    else if (strcmp(executor, "kubernetes") != 0)
        return error_set(error, BLAME_INPUT, 0,
                         "--executor: \"%.60s\" is not supported; each job runs as a pod: use kubernetes", executor);
    return 0;
}

/* With a runner token DataOps knows these already: by --token they are an error, in the old place a warning. */
static int check_server_side(const struct registering *registering, struct error *error)
{
    const struct options *options = registering->options;
    bool by_flag = options_source(options, "token") == OPTION_FROM_FLAG;
    OWNED_STRBUF struct strbuf ignored = STRBUF_EMPTY;

    if (!registering->by_runner_token)
        return 0;
    for (size_t i = 0; register_server_side[i] != NULL; i++) {
        const char *name = register_server_side[i];

        if (by_flag && options_source(options, name) == OPTION_FROM_FLAG)
            return error_set(
                error, BLAME_INPUT, 0,
                "--%s cannot be given with a runner token: it was set in DataOps where the runner was created", name);
        if (options_given(options, name))
            strbuf_format(&ignored, "%s--%s", ignored.length > 0 ? ", " : "", name);
    }
    if (ignored.length > 0)
        screen_warn(
            "this is a runner token, so these are ignored (they were set in DataOps where the runner was created): %s",
            strbuf_text(&ignored));
    return 0;
}

static int check_new_runner(const struct registering *registering, struct error *error)
{
    const struct options *options = registering->options;
    const char *tags = options_text(options, "tag-list");
    bool has_tags = tags != NULL && strspn(tags, ", ") < strlen(tags);
    int64_t timeout_s = options_number(options, "maximum-timeout");

    if (registering->by_runner_token)
        return 0;
    if (!has_tags && options_given(options, "run-untagged") && !options_switch(options, "run-untagged"))
        return error_set(error, BLAME_INPUT, 0,
                         "--run-untagged=false without tags: such a runner would never get a job; give --tag-list");
    if (timeout_s != 0 && timeout_s < TIMEOUT_LEAST_S)
        return error_set(error, BLAME_INPUT, 0, "--maximum-timeout: DataOps takes no less than %d seconds",
                         TIMEOUT_LEAST_S);
    return 0;
}

/* What the stock runner knows for Docker is passed over, so that documented lines work; a slip is not. */
static int check_docker_flag(const char *name, struct error *error)
{
    if (config_check_docker_setting(name, error) < 0)
        return -1;
    screen_warn("--docker-%s has no effect: each job becomes a pod", name);
    return 0;
}

/* --docker-x and --kubernetes-x flags without a table entry. */
static int check_settings(struct registering *registering, struct error *error)
{
    static const char kubernetes[] = "kubernetes-";
    const struct options *options = registering->options;
    const char *const *secrets = options_list(options, "kubernetes-image-pull-secrets");
    struct config_setting *settings = mem_new_array(options->other_count + 64, sizeof(*settings));
    size_t count = 0;
    int result = 0;

    for (size_t i = 0; secrets != NULL && secrets[i] != NULL && i < 64; i++)
        settings[count++] = (struct config_setting){ .name = "image-pull-secrets", .value = secrets[i] };
    for (size_t i = 0; i < options->other_count && result == 0; i++) {
        const struct option_other *other = &options->others[i];

        if (strncmp(other->name, kubernetes, strlen(kubernetes)) != 0)
            result = check_docker_flag(other->name + strlen("docker-"), error);
        else
            settings[count++] =
                (struct config_setting){ .name = other->name + strlen(kubernetes), .value = other->value };
    }
    if (result == 0)
        result = config_write_settings(settings, count, &registering->settings, error);
    mem_free(settings);
    return result;
}

static int check_text(const struct registering *registering, const struct strbuf *text, struct error *error)
{
    struct config *config = config_load(strbuf_text(text), text->length, CONFIG_TOML, registering->config_path, error);

    config_free(config);
    return config != NULL ? 0 : -1;
}

/* The whole file as it will be, but for the token: wrong values show now, not when a runner has been made. */
static int check_file(struct registering *registering, struct error *error)
{
    OWNED_STRBUF struct strbuf trial = STRBUF_EMPTY;

    if (register_read_file(registering, error) < 0 || config_file_prepare(registering->config_path, error) < 0 ||
        check_text(registering, &registering->existing, error) < 0)
        return -1;
    register_render(registering, &trial);
    if (check_text(registering, &trial, error) == 0)
        return 0;
    error->blame = BLAME_INPUT; /* the file was right without the new entry */
    return error_within(error, "these options make no valid entry");
}

int register_check(struct registering *registering, struct error *error)
{
    const struct options *options = registering->options;

    if (options_given(options, "template-config"))
        return error_set(error, BLAME_INPUT, 0,
                         "--template-config is not supported: put its keys into the file that register writes");
    if (check_url(options, error) < 0 || check_executor(options, error) < 0 ||
        check_server_side(registering, error) < 0 || check_new_runner(registering, error) < 0 ||
        check_settings(registering, error) < 0)
        return -1;
    return check_file(registering, error);
}
