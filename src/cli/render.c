/* `render`: the Pod that a job's payload would become, without asking anybody. */
#include "command.h"

#include "config_file.h"
#include "io/file.h"
#include "job/payload.h"
#include "job/variables.h"
#include "pod/name.h"
#include "pod/render.h"
#include "screen.h"
#include "secret.h"
#include "text/json.h"
#include "text/yaml.h"

#include <string.h>

/* clang-format off */
static const struct option items[] = {
    OPTION_CONFIG,
    { .name = "job", .letter = 'j', .kind = OPTION_TEXT, .value = "FILE",
      .help = "the job as DataOps hands it over (JSON); - reads stdin" },
    { .name = "name", .kind = OPTION_TEXT, .env = "RUNNER_NAME", .value = "NAME",
      .help = "entry of the configuration to use; the first one when not given" },
    { .name = "namespace", .letter = 'n', .kind = OPTION_TEXT, .env = "POD_NAMESPACE", .value = "NAMESPACE",
      .help = "namespace when the configuration names none" },
    { .name = "release", .kind = OPTION_TEXT, .env = "DATAOPS_RELEASE", .otherwise = "offline", .value = "NAME",
      .help = "name of the installation, for the Pod's label" },
    { .name = "output", .letter = 'o', .kind = OPTION_TEXT, .value = "FORMAT", .choices = "yaml json",
      .otherwise = "yaml", .help = "form of the Pod" },
};
/* clang-format on */

struct rendering {
    const struct config_runner *runner;
    struct strbuf payload; /* wiped: it holds the job's token */
    struct job *job;
    struct job_facts facts;
    struct variables variables;
    char *short_token;
};

static void warn_line(const char *line)
{
    screen_warn("%s", line);
}

static int choose_runner(struct rendering *rendering, const struct config *config, const char *name,
                         struct error *error)
{
    for (size_t i = 0; i < config->runner_count && rendering->runner == NULL; i++)
        if (name == NULL || strcmp(config->runners[i].name, name) == 0)
            rendering->runner = &config->runners[i];
    if (rendering->runner != NULL)
        return 0;
    if (name == NULL)
        return error_set(error, BLAME_CONFIG, 0, "there is no [[runners]] entry");
    return error_set(error, BLAME_INPUT, 0, "--name: no [[runners]] entry is named %.80s", name);
}

static int read_job(struct rendering *rendering, const char *path, struct error *error)
{
    uint64_t id = 0;
    OWNED_SECRET char *token = NULL;

    if (file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, &rendering->payload, error) < 0)
        return -1;
    rendering->job = job_parse(strbuf_text(&rendering->payload), rendering->payload.length, &id, &token, error);
    return rendering->job != NULL ? 0 : error_within(error, "%s", strcmp(path, "-") == 0 ? "stdin" : path);
}

static int merge_variables(struct rendering *rendering, struct error *error)
{
    const struct pod_merge_input input = {
        .job = rendering->job,
        .runner = rendering->runner,
        .short_token = rendering->short_token,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
    };

    return pod_merge(&input, &rendering->facts, &rendering->variables, error);
}

static int print_pod(const struct rendering *rendering, const struct options *options, struct error *error)
{
    const char *ns = rendering->runner->kubernetes.ns;
    struct pod_input input = {
        .job = rendering->job,
        .facts = &rendering->facts,
        .variables = &rendering->variables,
        .runner = rendering->runner,
        .ns = ns != NULL ? ns : options_text(options, "namespace"),
        .release = options_text(options, "release"),
        .slot = "0",
        .short_token = rendering->short_token,
        .version = DATAOPS_VERSION,
        .attempt = 1,
    };
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    struct cJSON *pod = NULL;

    if (input.ns == NULL)
        input.ns = "default";
    if (pod_render(&input, &pod, error) < 0)
        return -1;
    if (strcmp(options_text(options, "output"), "json") == 0)
        screen_add_json(pod, &text);
    else
        yaml_print(pod, &text);
    json_free(pod);
    return screen_print(&text) == 0 ? 0 : error_set(error, BLAME_SYSTEM, 0, "the Pod could not be printed");
}

static int render(struct rendering *rendering, const struct config *config, const struct options *options,
                  struct error *error)
{
    struct error ignored = ERROR_NONE;

    if (choose_runner(rendering, config, options_text(options, "name"), error) < 0 ||
        read_job(rendering, options_text(options, "job"), error) < 0)
        return -1;
    OWNED_SECRET char *token = config_file_token(rendering->runner, &ignored);
    rendering->short_token = pod_short_token(token != NULL ? token : "");
    if (rendering->job->unsupported != NULL)
        screen_warn("this runner would fail the job: %s", rendering->job->unsupported);
    if (merge_variables(rendering, error) < 0)
        return -1;
    return print_pod(rendering, options, error);
}

static int render_run(struct options *options)
{
    struct config_file file = CONFIG_FILE_EMPTY;
    struct rendering rendering = { .payload = STRBUF_UP_TO(JOB_PAYLOAD_MOST) };
    struct error error = ERROR_NONE;
    int end = END_DONE;

    if (options_text(options, "job") == NULL) {
        screen_fail("which job? give its payload with --job FILE");
        return END_USAGE;
    }
    if (config_file_load(&file, options, warn_line, &error) < 0 ||
        render(&rendering, file.config, options, &error) < 0) {
        screen_fail("%s", error.text);
        end = error.blame == BLAME_CONFIG ? END_CONFIG : rendering.runner == NULL ? END_USAGE : END_FAILED;
    }
    job_free(rendering.job);
    variables_clear(&rendering.variables);
    job_facts_clear(&rendering.facts);
    mem_free(rendering.short_token);
    strbuf_wipe(&rendering.payload);
    config_file_clear(&file);
    return end;
}

const struct command command_render = {
    .name = "render",
    .summary = "print the Pod that a job would become",
    .words = "",
    .about =
        "Prints the Pod for a job's payload, offline. The job's plan, which holds its variables and its token, goes\n"
        "into a Secret of its own and is not printed.",
    .examples = "  dataops-runner render --job job.json\n"
                "  dataops-runner render --job job.json --config config.toml -o json\n",
    .options = { items, COUNT_OF(items) },
    .run = render_run,
};
