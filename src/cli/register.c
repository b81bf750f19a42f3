/* `register`: makes a runner at DataOps (or verifies one that exists) and writes it into config.toml. */
#include "register.h"

#include "config_file.h"
#include "pod/name.h"
#include "remote.h"
#include "screen.h"
#include "secret.h"
#include "system_id.h"
#include "text/json.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define DEFAULT_URL "https://app.dataops.live"

/* clang-format off */
static const struct option items[] = {
    { .name = "non-interactive", .letter = 'n', .kind = OPTION_SWITCH, .env = "REGISTER_NON_INTERACTIVE",
      .otherwise = "false", .help = "ask nothing" },
    OPTION_CONFIG,
    { .name = "url", .letter = 'u', .kind = OPTION_TEXT, .env = "CI_SERVER_URL", .otherwise = DEFAULT_URL,
      .value = "URL", .help = "address of DataOps" },
    { .name = "registration-token", .letter = 'r', .kind = OPTION_SECRET, .env = "REGISTRATION_TOKEN", .value = "TOKEN",
      .help = "token of a group or project that a runner is made with; - reads it from stdin" },
    { .name = "token", .letter = 't', .kind = OPTION_SECRET, .env = "CI_SERVER_TOKEN", .value = "TOKEN",
      .help = "token of a runner that was created in DataOps (glrt-...); - reads it from stdin" },
    { .name = "token-file", .kind = OPTION_TEXT, .value = "FILE",
      .help = "file with either token; glrt-... is taken as --token, all else as --registration-token" },
    { .name = "description", .alias = "name", .kind = OPTION_TEXT, .env = "RUNNER_NAME", .value = "NAME",
      .help = "name of the runner; the host's name when not given" },
    { .name = "tag-list", .kind = OPTION_TEXT, .env = "RUNNER_TAG_LIST", .value = "TAGS",
      .help = "tags, separated by commas, case-sensitive" },
    { .name = "run-untagged", .kind = OPTION_SWITCH, .env = "REGISTER_RUN_UNTAGGED",
      .help = "also take jobs without tags; true when the tag list is empty, else false" },
    { .name = "locked", .kind = OPTION_SWITCH, .env = "REGISTER_LOCKED", .otherwise = "false",
      .help = "lock the runner to its project" },
    { .name = "access-level", .kind = OPTION_TEXT, .env = "REGISTER_ACCESS_LEVEL", .value = "LEVEL",
      .choices = "not_protected ref_protected", .help = "ref_protected: only jobs of protected branches and tags" },
    { .name = "maximum-timeout", .kind = OPTION_NUMBER, .env = "REGISTER_MAXIMUM_TIMEOUT", .value = "SECONDS",
      .help = "longest time limit of a job, 600 or more" },
    { .name = "paused", .kind = OPTION_SWITCH, .env = "REGISTER_PAUSED", .otherwise = "false",
      .help = "make the runner paused: it takes no jobs yet" },
    { .name = "maintenance-note", .kind = OPTION_TEXT, .env = "REGISTER_MAINTENANCE_NOTE", .value = "TEXT",
      .help = "note for administrators" },
    { .name = "leave-runner", .kind = OPTION_SWITCH, .env = "REGISTER_LEAVE_RUNNER", .otherwise = "false",
      .help = "keep the runner at DataOps when the file cannot be written" },
    { .name = "executor", .kind = OPTION_TEXT, .env = "RUNNER_EXECUTOR", .otherwise = "kubernetes", .value = "NAME",
      .help = "kubernetes; docker is read as kubernetes" },
    { .name = "docker-image", .kind = OPTION_TEXT, .env = "DOCKER_IMAGE", .value = "IMAGE",
      .help = "image for jobs that name none" },
    { .name = "docker-volumes", .kind = OPTION_LIST, .env = "DOCKER_VOLUMES", .value = "VOLUME",
      .help = "host:container:mode, for /secrets, /agent_cache and /local_config" },
    { .name = "kubernetes-image", .kind = OPTION_TEXT, .env = "KUBERNETES_IMAGE", .value = "IMAGE",
      .help = "image for jobs that name none" },
    { .name = "kubernetes-namespace", .kind = OPTION_TEXT, .env = "KUBERNETES_NAMESPACE", .value = "NAME",
      .help = "namespace of job pods" },
    { .name = "kubernetes-service-account", .kind = OPTION_TEXT, .env = "KUBERNETES_SERVICE_ACCOUNT", .value = "NAME",
      .help = "service account of job pods" },
    { .name = "kubernetes-image-pull-secrets", .kind = OPTION_LIST, .env = "KUBERNETES_IMAGE_PULL_SECRETS",
      .value = "NAME", .help = "registry Secret of job pods" },
    { .name = "limit", .kind = OPTION_NUMBER, .env = "RUNNER_LIMIT", .value = "JOBS",
      .help = "jobs at once of this runner; 0: as many as concurrent allows" },
    { .name = "env", .kind = OPTION_LIST, .env = "RUNNER_ENV", .value = "KEY=VALUE", .may_be_secret = true,
      .help = "variable for every job" },
    { .name = "template-config", .kind = OPTION_TEXT, .env = "TEMPLATE_CONFIG_FILE", .value = "FILE" },
    OPTIONS_TLS,
};
/* clang-format on */

static const char *const open_prefixes[] = { "docker-", "kubernetes-", NULL };

static void now_text(char out[32])
{
    time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* What DataOps made of it: id, the runner's own token, when that ends. */
static int read_answer(struct registering *registering, const struct remote *remote, struct error *error)
{
    OWNED_JSON struct cJSON *tree = json_parse(strbuf_text(&remote->body), remote->body.length, error);
    const char *token = json_text(tree, "token", NULL);

    if (tree == NULL)
        return error_within(error, "the answer of DataOps");
    registering->id = (uint64_t)json_int(tree, "id", 0);
    registering->runner_token = mem_text(token != NULL                  ? token
                                         : registering->by_runner_token ? registering->token
                                                                        : NULL);
    registering->expires_at = mem_text(json_text(tree, "token_expires_at", NULL));
    now_text(registering->obtained_at);
    if (registering->id == 0 || registering->runner_token == NULL)
        return error_set(error, BLAME_REMOTE, 0, "DataOps answered without the runner's %s",
                         registering->id == 0 ? "id" : "token");
    return 0;
}

static void explain_refusal(const struct registering *registering, const struct remote *remote)
{
    screen_fail("%s", remote->error.text);
    if (remote->status == 410)
        screen_note(
            "Registration tokens are switched off there: create a runner in DataOps (group or project, CI/CD, Runners) "
            "and register with --token glrt-...");
    else if (remote->status >= 200 && remote->status < 300 && !registering->by_runner_token)
        screen_note("DataOps may have made the runner all the same: look for %s there and delete it.",
                    options_text(registering->options, "description"));
    else if (remote->status == 404)
        screen_note("That address answers, yet not as DataOps does: is --url right?");
    else if (remote->status == 401 || remote->status == 403)
        screen_note(registering->by_runner_token
                        ? "DataOps does not know this runner token: was the runner deleted, or has the token expired?"
                        : "DataOps does not know this registration token: copy it from the group's or project's CI/CD "
                          "settings.");
}

/* A runner that nobody can use is a dead line in DataOps: it is taken away again, when it was made here. */
static void take_back(const struct registering *registering, struct remote *remote)
{
    if (registering->by_runner_token || registering->runner_token == NULL ||
        options_switch(registering->options, "leave-runner"))
        return;
    dataops_set_token(remote->dataops, registering->runner_token);
    remote_unregister(remote);
    if (remote_end(remote) == END_DONE)
        screen_note("The runner was removed from DataOps again.");
    else
        screen_warn("runner %" PRIu64 " stays at DataOps: %s", registering->id, remote->error.text);
}

static int write_down(const struct registering *registering, struct error *error)
{
    struct strbuf text = STRBUF_EMPTY;
    int result;

    register_render(registering, &text);
    result = config_file_save(registering->config_path, &text, error);
    strbuf_wipe(&text);
    return result;
}

static int tell_done(const struct registering *registering)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    OWNED_TEXT char *short_token = pod_short_token(registering->runner_token);

    strbuf_format(&text, "runner %" PRIu64 " %s\n", registering->id, short_token);
    screen_note("Registered. The runner was written to %s; start it with: dataops-runner run --config %s",
                registering->config_path, registering->config_path);
    return screen_print(&text);
}

static int finish(struct registering *registering, struct remote *remote)
{
    struct error error = ERROR_NONE;
    enum end end = remote_end(remote);

    if (end != END_DONE) {
        explain_refusal(registering, remote);
        return (int)end;
    }
    if (read_answer(registering, remote, &error) < 0) {
        screen_fail("%s", error.text);
        end = END_FAILED;
    } else if (remote->signal != 0) {
        end = (enum end)(END_SIGNAL + remote->signal);
    } else if (write_down(registering, &error) < 0) {
        screen_fail("%s", error.text);
        end = END_FAILED;
    }
    if (end == END_DONE)
        return tell_done(registering);
    take_back(registering, remote);
    return (int)end;
}

static int register_at_dataops(struct registering *registering)
{
    const struct options *options = registering->options;
    struct remote remote = { .status = 0 };
    struct error error = ERROR_NONE;
    char id[SYSTEM_ID_SIZE];
    const struct dataops_register wish = {
        .description = options_text(options, "description"),
        .tag_list = options_text(options, "tag-list"),
        .access_level = options_text(options, "access-level"),
        .maintenance_note = options_text(options, "maintenance-note"),
        .run_untagged = options_switch(options, "run-untagged"),
        .locked = options_switch(options, "locked"),
        .paused = options_switch(options, "paused"),
        .maximum_timeout_s = options_number(options, "maximum-timeout"),
    };
    struct remote_place place = {
        .url = options_text(options, "url"),
        .token = registering->token,
        .system_id = id,
        .tls_ca_file = options_text(options, "tls-ca-file"),
        .tls_cert_file = options_text(options, "tls-cert-file"),
        .tls_key_file = options_text(options, "tls-key-file"),
    };
    int end = END_USAGE;

    if (system_id_load(registering->config_path, id, &error) < 0)
        screen_warn("%s", error.text);
    if (remote_open(&remote, &place, &error) < 0) {
        screen_fail("%s", error.text);
    } else {
        if (registering->by_runner_token)
            remote_verify(&remote);
        else
            remote_register(&remote, &wish);
        end = finish(registering, &remote);
    }
    remote_close(&remote);
    return end;
}

static void registering_clear(struct registering *registering)
{
    secret_free(registering->token);
    secret_free(registering->runner_token);
    mem_free(registering->config_path);
    mem_free(registering->expires_at);
    strbuf_wipe(&registering->existing);
    strbuf_clear(&registering->settings);
}

static int register_run(struct options *options)
{
    struct registering registering = {
        .options = options,
        .config_path = config_file_path(options),
        .existing = STRBUF_UP_TO(CONFIG_MOST),
    };
    struct error error = ERROR_NONE;
    int end;

    if (register_find_token(&registering, &error) < 0 || register_ask(&registering, &error) < 0 ||
        register_check(&registering, &error) < 0) {
        screen_fail("%s", error.text);
        end = error.blame == BLAME_CONFIG ? END_CONFIG : error.blame == BLAME_SYSTEM ? END_FAILED : END_USAGE;
    } else {
        end = register_at_dataops(&registering);
    }
    registering_clear(&registering);
    return end;
}

const struct command command_register = {
    .name = "register",
    .summary = "register a runner at DataOps and write config.toml",
    .words = "",
    .about = "Makes a runner at DataOps and writes it into the configuration, or adds it to the runners that are\n"
             "there. With a runner token (--token glrt-...) the runner exists already: its token is verified and\n"
             "written down. Without --non-interactive it asks for what was not given. Any other key of\n"
             "[runners.kubernetes] may be given as a flag: --kubernetes-memory-limit 2Gi.",
    .examples =
        "  dataops-runner register --non-interactive --url https://app.dataops.live --token-file token --name site-a\n"
        "  dataops-runner register --non-interactive --executor docker --docker-image dataopslive/dataops-utils-runner "
        "\\\n"
        "      --url https://app.dataops.live --registration-token - --description site-a --tag-list site-a \\\n"
        "      --run-untagged=false --locked=false --access-level=not_protected\n",
    .options = { items, COUNT_OF(items) },
    .open_prefixes = open_prefixes,
    .run = register_run,
};
