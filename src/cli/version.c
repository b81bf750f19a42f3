#include "command.h"

#include "screen.h"
#include "text/json.h"
#include "text/yaml.h"

#include <string.h>

/* clang-format off */
static const struct option items[] = {
    { .name = "output", .letter = 'o', .kind = OPTION_TEXT, .value = "FORMAT", .choices = "text json yaml",
      .otherwise = "text", .help = "form of the answer" },
};
/* clang-format on */

static int version_run(struct options *options)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    OWNED_JSON struct cJSON *tree = json_object();
    const char *form = options_text(options, "output");

    json_set_text(tree, "name", "dataops-runner");
    json_set_text(tree, "version", DATAOPS_VERSION);
    json_set_text(tree, "revision", DATAOPS_REVISION);
    json_set_text(tree, "platform", "linux");
    if (strcmp(form, "json") == 0) {
        screen_add_json(tree, &text);
    } else if (strcmp(form, "yaml") == 0) {
        yaml_print(tree, &text);
    } else {
        strbuf_format(&text, "dataops-runner %s (%s)\n", DATAOPS_VERSION, DATAOPS_REVISION);
    }
    return screen_print(&text);
}

const struct command command_version = {
    .name = "version",
    .summary = "print version and revision",
    .words = "",
    .about = "Prints the version of this program. --version and -v do the same.",
    .examples = "  dataops-runner version\n"
                "  dataops-runner version -o json\n",
    .options = { items, COUNT_OF(items) },
    .run = version_run,
};
