/* `run`: the controller, with what the environment and the place it runs in add to the configuration. */
#include "command.h"

#include "base/log.h"
#include "config_file.h"
#include "controller/controller.h"
#include "io/descriptors.h"
#include "io/file.h"
#include "screen.h"
#include "secret.h"
#include "system_id.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* clang-format off */
static const struct option items[] = {
    OPTION_CONFIG,
    { .name = "listen-address", .kind = OPTION_TEXT, .env = "LISTEN_ADDRESS", .value = "HOST:PORT",
      .help = "where /healthz, /readyz and /metrics answer; over listen_address of the configuration" },
    { .name = "namespace", .letter = 'n', .kind = OPTION_TEXT, .env = "POD_NAMESPACE", .value = "NAMESPACE",
      .help = "where job pods run when the configuration names none" },
    { .name = "release", .kind = OPTION_TEXT, .env = "DATAOPS_RELEASE", .value = "NAME",
      .help = "name that this installation's pods, Leases and state Secret carry; made from the system id when unset" },
    { .name = "kubeconfig", .kind = OPTION_TEXT, .env = "KUBECONFIG", .value = "FILE",
      .help = "how to reach Kubernetes; in a pod its service account is enough, and ~/.kube/config comes last" },
    { .name = "context", .kind = OPTION_TEXT, .value = "NAME", .help = "context of the kubeconfig" },
    /* How a first start in the cluster registers; flags for these belong to register. */
    { .name = "registration-token-file", .kind = OPTION_TEXT, .env = "REGISTRATION_TOKEN_FILE", .value = "FILE",
      .help = "registration token, used once when the token_file of an entry does not exist" },
    { .name = "description", .alias = "name", .kind = OPTION_TEXT, .env = "RUNNER_NAME", .value = "NAME",
      .help = "for that registration: the runner's name" },
    { .name = "tag-list", .kind = OPTION_TEXT, .env = "RUNNER_TAG_LIST", .value = "TAGS", .help = "its tags" },
    { .name = "access-level", .kind = OPTION_TEXT, .env = "REGISTER_ACCESS_LEVEL", .value = "LEVEL",
      .choices = "not_protected ref_protected", .otherwise = "not_protected", .help = "its access level" },
    { .name = "run-untagged", .kind = OPTION_SWITCH, .env = "REGISTER_RUN_UNTAGGED", .otherwise = "false",
      .help = "also takes jobs without tags" },
    { .name = "locked", .kind = OPTION_SWITCH, .env = "REGISTER_LOCKED", .otherwise = "false",
      .help = "locked to its project" },
    { .name = "maximum-timeout", .kind = OPTION_NUMBER, .env = "REGISTER_MAXIMUM_TIMEOUT", .value = "SECONDS",
      .help = "longest time limit of its jobs" },
    /* The stock runner's service units pass these. */
    { .name = "working-directory", .letter = 'd', .kind = OPTION_TEXT, .value = "FOLDER" },
    { .name = "user", .letter = 'u', .kind = OPTION_TEXT, .value = "USER" },
    { .name = "service", .letter = 's', .kind = OPTION_TEXT, .value = "NAME" },
    { .name = "syslog", .kind = OPTION_SWITCH },
};
/* clang-format on */

#define FILES_OF_JOB 2 /* the stream of its log, and a connection to DataOps */
#define FILES_SPARE                                                                                                    \
    512 /* 256 visitors of the port for probes, requests to Kubernetes, watches, polls, our own files                  \
         */

struct run_place {
    char id[SYSTEM_ID_SIZE];
    char *release, *kubeconfig;
    char *registration_token;
    struct controller_registration registration;
};

/* Tokens of jobs go through this process: nobody but root may look into it, and no core file may keep them. */
static void harden(void)
{
    const struct rlimit none = { 0, 0 };

    if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
        log_event(LOG_WARN, "not_hardened", LOG_TEXT("why", "this process may be dumped"));
}

static void setup_log(const struct options *options, const struct config *config)
{
    enum log_level level = LOG_INFO;
    enum log_format format = LOG_AS_RUNNER;
    const char *wish = options_text(options, "log-level"), *form = options_text(options, "log-format");

    if (wish == NULL)
        wish = options_switch(options, "debug") ? "debug" : config != NULL ? config->log_level : NULL;
    if (form == NULL && config != NULL)
        form = config->log_format;
    if (wish != NULL)
        log_level_parse(wish, &level);
    if (form != NULL)
        log_format_parse(form, &format);
    log_setup(level, format, screen_has_colours());
}

static void warn_config(const char *line)
{
    log_event(LOG_WARN, "configuration", LOG_TEXT("warning", line));
}

/* The namespace of this pod; NULL outside a cluster. Gives a text. */
static char *own_namespace(const struct options *options)
{
    struct error ignored = ERROR_NONE;
    const char *given = options_text(options, "namespace");

    if (!file_exists(SERVICE_ACCOUNT "/token"))
        return NULL;
    return given != NULL ? mem_text(given) : secret_from_file(SERVICE_ACCOUNT "/namespace", &ignored);
}

/* In a cluster the id follows from names that survive the pod; elsewhere it lies beside the configuration. */
static void find_system_id(const struct options *options, const char *config_path, struct run_place *place)
{
    struct error error = ERROR_NONE;
    const char *release = options_text(options, "release");
    OWNED_TEXT char *ns = own_namespace(options);

    if (release != NULL && ns != NULL)
        system_id_of_slot(ns, release, 0, place->id);
    else if (system_id_load(config_path, place->id, &error) < 0)
        log_event(LOG_WARN, "system_id_not_kept", LOG_TEXT("system_id", place->id), LOG_TEXT("error", error.text));
    place->release = release != NULL ? mem_text(release) : mem_format("runner-%s", place->id + 2);
}

static void find_kubernetes(const struct options *options, struct run_place *place, struct kube_place *kube)
{
    const char *kubeconfig = options_text(options, "kubeconfig"), *home = getenv("HOME");

    kube->service_host = getenv("KUBERNETES_SERVICE_HOST");
    kube->service_port = getenv("KUBERNETES_SERVICE_PORT");
    kube->context = options_text(options, "context");
    kube->user_agent = "dataops-runner/" DATAOPS_VERSION;
    if (kubeconfig != NULL) {
        place->kubeconfig = mem_text(kubeconfig);
    } else if (kube->service_host == NULL && home != NULL) {
        place->kubeconfig = mem_format("%s/.kube/config", home);
        if (!file_exists(place->kubeconfig)) {
            mem_free(place->kubeconfig);
            place->kubeconfig = NULL;
        }
    }
    kube->kubeconfig = place->kubeconfig;
}

/* A registration token is there: the controller registers once, when an entry has no token of its own. */
static int find_registration(const struct options *options, struct run_place *place, struct controller_options *given,
                             struct error *error)
{
    const char *path = options_text(options, "registration-token-file"), *tags = options_text(options, "tag-list");

    /* Secrets as the stock chart has them hold both tokens, one of them empty */
    if (path == NULL || !file_is_filled(path))
        return 0;
    place->registration_token = secret_from_file(path, error);
    if (place->registration_token == NULL)
        return error_within(error, "registration token");
    place->registration = (struct controller_registration){
        .token = place->registration_token,
        .description =
            options_text(options, "description") != NULL ? options_text(options, "description") : place->release,
        .tag_list = tags,
        .access_level = options_text(options, "access-level"),
        .run_untagged = options_switch(options, "run-untagged"),
        .locked = options_switch(options, "locked"),
        .maximum_timeout_s = options_number(options, "maximum-timeout"),
    };
    if (tags == NULL && !options_given(options, "run-untagged"))
        place->registration.run_untagged = true;
    given->registration = &place->registration;
    return 0;
}

static enum end end_of(const struct error *error)
{
    switch (error->blame) {
    case BLAME_CONFIG:
    case BLAME_INPUT:
        return END_CONFIG;
    case BLAME_DENIED:
    case BLAME_REMOTE:
        return END_KUBERNETES;
    case BLAME_TIMEOUT:
        return END_TIMEOUT;
    case BLAME_NONE:
    case BLAME_SCRIPT:
    case BLAME_SYSTEM:
        break;
    }
    return END_FAILED;
}

/* At most so many jobs run at once, whatever is waiting. */
static int64_t jobs_most(const struct config *config)
{
    int64_t sum = 0;

    for (size_t i = 0; i < config->runner_count; i++) {
        if (config->runners[i].limit == 0)
            return config->concurrent;
        sum += config->runners[i].limit;
    }
    return sum < config->concurrent ? sum : config->concurrent;
}

/* A job that finds no descriptor for its log would look as if it were silent. */
static int find_descriptors(const struct config *config, struct error *error)
{
    uint64_t most = descriptors_raise(), needed = (uint64_t)jobs_most(config) * FILES_OF_JOB + FILES_SPARE;

    if (needed <= most)
        return 0;
    return error_set(error, BLAME_CONFIG, 0,
                     "concurrent = %" PRId64 " needs %" PRIu64 " open files (%d for each job, %d besides), and this "
                     "process may have %" PRIu64 ": write concurrent = %" PRIu64 ", or raise the limit to %" PRIu64
                     " (ulimit -Hn %" PRIu64 "; systemd: LimitNOFILE=%" PRIu64 "; in a pod it is the node's container "
                     "runtime that sets it)",
                     config->concurrent, needed, FILES_OF_JOB, FILES_SPARE, most,
                     most > FILES_SPARE + FILES_OF_JOB ? (most - FILES_SPARE) / FILES_OF_JOB : 1, needed, needed,
                     needed);
}

static int run_controller(const struct options *options, const struct config_file *file, struct run_place *place)
{
    struct error error = ERROR_NONE;
    struct controller_options given = {
        .config = file->config,
        .ns = options_text(options, "namespace"),
        .listen_address = options_text(options, "listen-address"),
    };
    struct controller *controller;
    int end;

    if (find_descriptors(file->config, &error) < 0) {
        log_event(LOG_ERROR, "cannot_start", LOG_TEXT("error", error.text));
        return END_CONFIG;
    }
    find_system_id(options, file->path, place);
    find_kubernetes(options, place, &given.place);
    given.release = place->release;
    given.system_id = place->id;
    if (find_registration(options, place, &given, &error) < 0) {
        log_event(LOG_ERROR, "cannot_start", LOG_TEXT("error", error.text));
        return END_CONFIG;
    }
    controller = controller_new(&given, &error);
    if (controller == NULL) {
        log_event(LOG_ERROR, "cannot_start", LOG_TEXT("error", error.text));
        return (int)end_of(&error);
    }
    end = (int)controller_run(controller); /* 0, 1, or 128 and the signal that forced it */
    controller_free(controller);
    return end;
}

static int run_run(struct options *options)
{
    struct config_file file = CONFIG_FILE_EMPTY;
    struct run_place place = { .id = "" };
    struct error error = ERROR_NONE;
    int end = END_CONFIG;

    setup_log(options, NULL);
    harden();
    if (config_file_load(&file, options, NULL, &error) < 0) {
        log_event(LOG_ERROR, "configuration_invalid", LOG_TEXT("error", error.text));
    } else {
        setup_log(options, file.config);
        config_file_each_warning(&file.config->warnings, warn_config);
        end = run_controller(options, &file, &place);
    }
    mem_free(place.release);
    mem_free(place.kubeconfig);
    secret_free(place.registration_token);
    config_file_clear(&file);
    return end;
}

const struct command command_run = {
    .name = "run",
    .summary = "take jobs from DataOps and run them as pods",
    .words = "",
    .about = "Asks DataOps for jobs, runs each as a pod, streams its log and reports how it ended.\n"
             "TERM and INT hand running jobs over (their pods stay) and end soon; QUIT waits for them; a second\n"
             "signal ends at once.",
    .examples = "  dataops-runner run --config /etc/gitlab-runner/config.toml\n"
                "  dataops-runner run --kubeconfig ~/.kube/config -n dataops --debug\n",
    .options = { items, COUNT_OF(items) },
    .run = run_run,
};
