#include "config/config.h"

#include "schema.h"

static const char *kind_word(const struct schema_key *key)
{
    switch (key->kind) {
    case KEY_INTEGER:
        return "number";
    case KEY_BOOLEAN:
        return "true/false";
    case KEY_DURATION:
        return "duration";
    case KEY_QUANTITY:
        return "quantity";
    case KEY_BYTES:
        return "bytes";
    case KEY_TEXTS:
        return "list of texts";
    case KEY_PAIRS:
        return "table of texts";
    case KEY_TEXT:
    case KEY_SECTION:
    case KEY_SILENT:
    case KEY_LATER:
        break;
    }
    return "text";
}

/* Keys that are known by name only, in one paragraph. */
static void add_names(const struct schema *schema, enum key_kind kind, enum key_ignored ignored, const char *intro,
                      struct strbuf *out)
{
    bool first = true;

    for (size_t i = 0; i < schema->count; i++) {
        const struct schema_key *key = &schema->keys[i];
        if (key->kind != kind || key->ignored != ignored)
            continue;
        strbuf_format(out, "%s`%s`", first ? intro : ", ", key->name);
        first = false;
    }
    strbuf_add_text(out, first ? "" : ".\n");
}

static void add_later(const struct schema *schema, struct strbuf *out)
{
    add_names(schema, KEY_LATER, IGNORED_HARMLESS,
              "\nNot supported yet, a value other than empty, 0 or false gives a warning: ", out);
    add_names(
        schema, KEY_LATER, IGNORED_UNSAFE,
        "\nNot supported yet and not safe to pass over, because it restricts what a job can do: a value other than "
        "empty, 0 or false (and other than one that lets everything pass) is an error: ",
        out);
}

static void describe(const struct schema *schema, struct strbuf *out)
{
    strbuf_format(out, "\n## %s\n\n| key | type | default | what |\n|---|---|---|---|\n", schema->title);
    for (size_t i = 0; i < schema->count; i++) {
        const struct schema_key *key = &schema->keys[i];

        if (key->kind == KEY_SILENT || key->kind == KEY_LATER || key->kind == KEY_SECTION)
            continue;
        strbuf_format(out, "| `%s` | %s | %s | %s%s%s%s |\n", key->name, kind_word(key),
                      key->otherwise != NULL ? key->otherwise : "-", key->help,
                      key->choices != NULL ? " (one of: " : "", key->choices != NULL ? key->choices : "",
                      key->choices != NULL ? ")" : "");
    }
    add_later(schema, out);
    add_names(schema, KEY_SILENT, IGNORED_UNDECIDED, "\nWithout meaning here, passed over in silence: ", out);
}

/* The names are those of job/facts.h; a test compares. */
static const char expanded_texts[] =
    "\n## What is expanded\n\n"
    "Where the tables say \"expanded\", `$NAME`, `${NAME}` and `$$` are read as in a job. What counts there is what "
    "cannot be\n"
    "written into a project's `.gitlab-ci.yml`: a job's own variables do not, also where they have one of these names. "
    "So "
    "no\n"
    "project chooses another one's folder, claim or label. These names have a value:\n\n"
    "- set by DataOps: `CI_JOB_ID`, `CI_JOB_URL`, `CI_PIPELINE_ID`, `CI_PROJECT_ID`, `CI_PROJECT_NAME`, "
    "`CI_PROJECT_TITLE`,\n"
    "  `CI_PROJECT_PATH`, `CI_PROJECT_PATH_SLUG`, `CI_PROJECT_NAMESPACE`, `CI_PROJECT_ROOT_NAMESPACE`, "
    "`CI_PROJECT_URL`,\n"
    "  `CI_SERVER_URL`, `CI_SERVER_HOST`, `CI_RUNNER_ID`, `CI_RUNNER_DESCRIPTION`\n"
    "- set by this runner: `CI_RUNNER_SHORT_TOKEN`, `CI_BUILDS_DIR`, `CI_PROJECT_DIR`, `CI_CONCURRENT_ID` and\n"
    "  `CI_CONCURRENT_PROJECT_ID` (both 0 for every job), `CI_SERVER`, `CI_JOB_STATUS`, `CI_JOB_TIMEOUT`,\n"
    "  `CI_DISPOSABLE_ENVIRONMENT`, `CI_RUNNER_VERSION`, `CI_RUNNER_REVISION`, `CI_RUNNER_EXECUTABLE_ARCH`,\n"
    "  `RUNNER_TEMP_PROJECT_DIR`\n"
    "- true, but chosen by whoever writes to the project: `CI_JOB_NAME`, `CI_JOB_STAGE`, `CI_COMMIT_REF_NAME`,\n"
    "  `CI_COMMIT_REF_SLUG`, `CI_COMMIT_BRANCH`, `CI_COMMIT_TAG`, `CI_COMMIT_SHA`, `CI_COMMIT_SHORT_SHA`,\n"
    "  `CI_COMMIT_BEFORE_SHA`; in a path or a name put `$CI_PROJECT_ID` in front of these\n"
    "- set by you: what stands in `environment` of `[[runners]]`, with the value that it has there\n\n"
    "Any other name is empty in a label or an annotation. In `mount_path`, `sub_path`, the name of a claim and "
    "`helper_image` the\n"
    "job fails instead, with the key and the name, and so it does when a value leads out of the volume (`..`), or is "
    "no "
    "name\n"
    "that Kubernetes takes. `lint` and the start warn of both, and of a variable in a key that is not expanded.\n";

void config_reference(struct strbuf *out)
{
    strbuf_add_text(
        out,
        "# Configuration reference\n\nMade from the schema table; names and defaults are gitlab-runner's.\n\n"
        "The file is TOML, or the same tree as YAML when its name ends in `.yaml` or `.yml`. An empty text counts as\n"
        "not written. `dataops-runner lint` names every unknown key (a warning, with the nearest known name) and "
        "every\n"
        "wrong value (an error).\n");
    strbuf_add_text(out, expanded_texts);
    describe(&schema_global, out);
    describe(&schema_runner, out);
    describe(&schema_kubernetes, out);
    strbuf_add_text(out, "\n### Keys of a security context\n");
    add_later(&schema_context, out);
    for (size_t i = 0; i < 5; i++)
        describe(&schema_volumes[i], out);
    describe(&schema_docker, out);
    strbuf_add_text(out,
                    "\nErrors of this section come only with `executor = \"docker\"`: with another executor the stock "
                    "runner does not read it either.\n");
}
