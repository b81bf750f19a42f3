/* tests/golden/NAME/{payload.json,config.toml,pod.json}: payload and configuration give this pod, byte for byte.
 * DATAOPS_GOLDEN=write writes what is rendered; look at the diff before you commit it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "config/config.h"
#include "job/variables.h"
#include "pod/render.h"
#include "text/json.h"

static char *read_whole(const char *folder, const char *name)
{
    OWNED_TEXT char *path = mem_format("golden/%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    struct strbuf text = STRBUF_EMPTY;
    char piece[4096];
    size_t length;

    if (file == NULL)
        return mem_text("");
    while ((length = fread(piece, 1, sizeof(piece), file)) > 0)
        strbuf_add(&text, piece, length);
    fclose(file);
    return strbuf_take(&text, NULL);
}

static void write_whole(const char *folder, const char *text)
{
    OWNED_TEXT char *path = mem_format("golden/%s/pod.json", folder);
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct cJSON *render(const struct job *job, const struct config_runner *runner)
{
    struct error error = ERROR_NONE;
    struct cJSON *pod = NULL;
    struct job_facts facts = { 0 };
    struct variables variables = { 0 };
    const struct pod_merge_input merge = {
        .job = job, .runner = runner, .short_token = "AbCdEfGhI", .version = "1", .revision = "r"
    };
    struct pod_input input = {
        .job = job,
        .facts = &facts,
        .variables = &variables,
        .runner = runner,
        .ns = "jobs",
        .release = "site-a",
        .slot = "0",
        .short_token = "AbCdEfGhI",
        .version = "1",
        .attempt = 1,
    };

    if (pod_merge(&merge, &facts, &variables, &error) < 0 || pod_render(&input, &pod, &error) < 0)
        fail_msg("%s", error.text);
    variables_clear(&variables);
    job_facts_clear(&facts);
    return pod;
}

static void check_folder(const char *folder)
{
    struct error error = ERROR_NONE;
    OWNED_TEXT char *payload = read_whole(folder, "payload.json"), *toml = read_whole(folder, "config.toml"),
                    *wanted = read_whole(folder, "pod.json");
    uint64_t id;
    char *token = NULL;
    struct job *job = job_parse(payload, strlen(payload), &id, &token, &error);
    struct config *config = config_load(toml, strlen(toml), CONFIG_TOML, "config.toml", &error);
    struct cJSON *pod;
    char *text;

    mem_free(token);
    if (job == NULL || config == NULL)
        fail_msg("%s: %s", folder, error.text);
    pod = render(job, &config->runners[0]);
    text = json_print_pretty(pod);
    if (getenv("DATAOPS_GOLDEN") != NULL)
        write_whole(folder, text);
    else if (strcmp(text, wanted) != 0)
        fail_msg("%s: the pod is another one:\n%s", folder, text);
    mem_free(text);
    json_free(pod);
    config_free(config);
    job_free(job);
}

static void payload_and_configuration_give_this_pod(void **state)
{
    DIR *golden = opendir("golden");
    unsigned count = 0;

    (void)state;
    assert_non_null(golden);
    for (struct dirent *entry; (entry = readdir(golden)) != NULL;)
        if (entry->d_name[0] != '.') {
            check_folder(entry->d_name);
            count++;
        }
    closedir(golden);
    assert_true(count >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(payload_and_configuration_give_this_pod) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
