#include "register.h"

#include "screen.h"
#include "secret.h"
#include "text/url.h"

#include <string.h>
#include <unistd.h>

#define NAME_MOST 256

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Of the three places for a token the one that was given most clearly: a flag before the environment. */
static const char *token_place(const struct options *options, struct error *error)
{
    static const char *const places[] = { "token", "registration-token", "token-file" };
    const char *best = NULL;

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        enum option_source source = options_source(options, places[i]);

        if (source == OPTION_FROM_FLAG && best != NULL && options_source(options, best) == OPTION_FROM_FLAG) {
            error_set(error, BLAME_INPUT, 0, "--%s and --%s: give one of them", best, places[i]);
            return NULL;
        }
        if (source >= OPTION_FROM_ENV && (best == NULL || source > options_source(options, best)))
            best = places[i];
    }
    return best;
}

int register_find_token(struct registering *registering, struct error *error)
{
    const struct options *options = registering->options;
    const char *place = token_place(options, error), *text;
    bool is_file;

    if (place == NULL)
        return error->blame == BLAME_NONE ? 0 : -1;
    text = options_text(options, place);
    is_file = strcmp(place, "token-file") == 0;
    registering->token = is_file || strcmp(text, "-") == 0 ? secret_from_file(text, error) : mem_text(text);
    if (registering->token == NULL)
        return error_within(error, "--%s", place);
    if (registering->token[0] == '\0')
        return error_set(error, BLAME_INPUT, 0, "--%s is empty: is the variable set that it was taken from?", place);
    registering->by_runner_token = strcmp(place, "token") == 0 || secret_is_runner_token(registering->token) ||
                                   (is_file && begins(registering->token, "glrtr-"));
    return 0;
}

/* --- questions --- */

static char *host_name(void)
{
    char name[NAME_MOST];

    if (gethostname(name, sizeof(name)) < 0)
        return mem_text("dataops-runner");
    name[sizeof(name) - 1] = '\0';
    return mem_text(name);
}

static int ask_option(struct registering *registering, const char *name, const char *question, const char *otherwise,
                      struct error *error)
{
    struct options *options = registering->options;

    if (options_given(options, name))
        return 0;
    OWNED_TEXT char *answer = screen_ask(question, otherwise != NULL ? otherwise : options_text(options, name), false);
    if (answer == NULL)
        return error_set(error, BLAME_INPUT, 0,
                         "the input ended before --%s was answered; give it as an option, or use --non-interactive",
                         name);
    if (answer[0] != '\0')
        options_set(options, name, answer);
    return 0;
}

static int ask_token(struct registering *registering, struct error *error)
{
    if (registering->token != NULL)
        return 0;
    registering->token =
        screen_ask("Registration token of the group or project, or runner token (glrt-...)", NULL, true);
    if (registering->token == NULL || registering->token[0] == '\0')
        return error_set(error, BLAME_INPUT, 0, "no token: give --token, --registration-token or --token-file");
    registering->by_runner_token = secret_is_runner_token(registering->token);
    return 0;
}

/* What DataOps keeps about a runner, asked only when the runner is made here. */
static int ask_server_side(struct registering *registering, struct error *error)
{
    if (registering->by_runner_token)
        return 0;
    if (ask_option(registering, "tag-list", "Tags (comma separated; a job's tags must be among them)", NULL, error) < 0)
        return -1;
    return ask_option(registering, "maintenance-note", "Note for administrators (optional)", NULL, error);
}

static int ask_image(struct registering *registering, struct error *error)
{
    const char *executor = options_text(registering->options, "executor");
    bool is_docker = strcmp(executor, "docker") == 0;

    if (options_given(registering->options, "docker-image") || options_given(registering->options, "kubernetes-image"))
        return 0;
    return ask_option(registering, is_docker ? "docker-image" : "kubernetes-image", "Image for jobs that name none",
                      "dataopslive/dataops-utils-runner", error);
}

/* A person at a terminal gets another chance to type the address. */
static int ask_url(struct registering *registering, struct error *error)
{
    struct options *options = registering->options;
    struct error why = ERROR_NONE;
    bool given = options_given(options, "url");

    while (ask_option(registering, "url", "Address of DataOps", NULL, error) == 0) {
        OWNED_TEXT char *root = url_api_root(options_text(options, "url"), &why);

        if (root != NULL || given || !isatty(STDIN_FILENO))
            return 0; /* what is wrong with it register_check says */
        screen_fail("%s", why.text);
        options_unset(options, "url");
    }
    return -1;
}

int register_ask(struct registering *registering, struct error *error)
{
    OWNED_TEXT char *host = host_name();

    if (options_switch(registering->options, "non-interactive")) {
        if (registering->token == NULL)
            return error_set(error, BLAME_INPUT, 0, "no token: give --token, --registration-token or --token-file");
        if (!options_given(registering->options, "description"))
            options_set(registering->options, "description", host);
        return 0;
    }
    if (ask_url(registering, error) < 0 || ask_token(registering, error) < 0 ||
        ask_option(registering, "description", "Name of this runner", host, error) < 0 ||
        ask_server_side(registering, error) < 0 ||
        ask_option(registering, "executor", "Executor (kubernetes, or docker, which is read as kubernetes)", NULL,
                   error) < 0)
        return -1;
    return ask_image(registering, error);
}
