#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define RUNNER "[[runners]]\nurl = \"https://x\"\ntoken = \"t\"\nexecutor = \"kubernetes\"\n"

static struct config *load(const char *text, enum config_syntax syntax)
{
    struct error error = ERROR_NONE;
    struct config *config = config_load(text, strlen(text), syntax, "f", &error);

    if (config == NULL)
        fail_msg("%s", error.text);
    return config;
}

static void defaults_are_the_stock_runners(void **state)
{
    struct config *config = load(RUNNER, CONFIG_TOML);
    const struct config_runner *runner = &config->runners[0];

    (void)state;
    assert_int_equal(config->concurrent, 1);
    assert_int_equal(config->check_interval_s, 3);
    assert_int_equal(config->shutdown_timeout_s, 30);
    assert_string_equal(config->log_level, "info");
    assert_int_equal(runner->request_concurrency, 1);
    assert_int_equal(runner->limit, 0);
    assert_int_equal(runner->output_limit_kib, 4096);
    assert_int_equal(runner->unhealthy_requests_limit, 3);
    assert_int_equal(runner->unhealthy_interval_ms, 3600000);
    assert_string_equal(runner->builds_dir, "/builds");
    assert_string_equal(runner->shell, "bash");
    assert_int_equal(runner->kubernetes.poll_timeout_s, 180);
    assert_true(runner->kubernetes.mask_mounted_secrets);
    assert_int_equal(config->warnings.length, 0);
    config_free(config);
}

static void the_same_tree_may_be_written_in_yaml(void **state)
{
    struct config *config =
        load("concurrent: 8\nrunners:\n- url: https://x\n  token: t\n  feature_flags: {FF_TIMESTAMPS: true}\n  "
             "kubernetes:\n    namespace: jobs\n"
             "    volumes:\n      secret:\n      - {name: vault, mount_path: /secrets, read_only: true}\n",
             CONFIG_YAML);

    (void)state;
    assert_int_equal(config->concurrent, 8);
    assert_string_equal(config->runners[0].kubernetes.ns, "jobs");
    assert_int_equal(config_runner_flag(&config->runners[0], "FF_TIMESTAMPS"), 1);
    assert_int_equal(config_runner_flag(&config->runners[0], "FF_OTHER"), -1);
    assert_int_equal(config->runners[0].kubernetes.volumes.count, 1);
    assert_true(config->runners[0].kubernetes.volumes.items[0].read_only);
    config_free(config);
}

static void bytes_are_read_with_their_unit(void **state)
{
    static const char *const wrong[] = {
        "\"12x\"", "\"0\"", "\"-1\"", "\"1.5Gi\"", "0", "\"99999999999Ti\"", "\"100m\""
    };
    struct config *config =
        load(RUNNER "[runners.kubernetes]\nartifact_upload_limit = \"300Mi\"\nartifact_download_limit = 5000\n",
             CONFIG_TOML);
    const struct config_kubernetes *kubernetes = &config->runners[0].kubernetes;

    (void)state;
    assert_int_equal(kubernetes->artifact_upload_limit, 300 * 1024 * 1024);
    assert_int_equal(kubernetes->artifact_download_limit, 5000);
    assert_int_equal(kubernetes->artifact_unpacked_limit, INT64_C(64) << 30);
    assert_int_equal(kubernetes->artifact_memory_limit, INT64_C(1) << 30);
    assert_int_equal(kubernetes->artifact_ratio_limit, 200);
    assert_int_equal(kubernetes->artifact_entries_limit, 2000000);
    config_free(config);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        OWNED_TEXT char *text = mem_format(RUNNER "[runners.kubernetes]\nartifact_upload_limit = %s\n", wrong[i]);
        struct error error = ERROR_NONE;
        assert_null(config_load(text, strlen(text), CONFIG_TOML, "f", &error));
        assert_non_null(strstr(error.text, "artifact_upload_limit: \""));
        assert_non_null(strstr(error.text, "is no number of bytes such as 512Mi"));
    }
}

static void an_unknown_key_warns_with_its_line_and_the_nearest_name(void **state)
{
    struct config *config =
        load("concurent = 4\n" RUNNER "[runners.kubernetes]\nnamespac = \"a\"\nzzzzzzzz = 1\n", CONFIG_TOML);

    (void)state;
    assert_non_null(strstr(strbuf_text(&config->warnings),
                           "f:1: unknown key concurent in global section: did you mean concurrent?"));
    assert_non_null(strstr(strbuf_text(&config->warnings),
                           "f:7: unknown key namespac in [runners.kubernetes]: did you mean namespace?"));
    assert_non_null(strstr(strbuf_text(&config->warnings), "zzzzzzzz in [runners.kubernetes] has no effect"));
    config_free(config);
}

static void a_wrong_value_is_an_error_with_file_line_and_key(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "concurrent = 0\n", "f:1: concurrent: 0 is not between 1" },
        { "concurrent = \"8\"\n", "f:1: concurrent: a whole number is expected" },
        { "log_level = \"loud\"\n", "f:1: log_level: \"loud\" is not one of" },
        { "[[runners]]\ntoken = \"t\"\n", "url is missing" },
        { "[[runners]]\nurl = \"ftp://x\"\n", "f:2: url" },
        { "listen_address = \"9252\"\n", "f:1: listen_address: \"9252\" is not of the form host:port" },
        { "listen_address = \"x:99999\"\n", "f:1: listen_address" },
        { RUNNER "builds_dir = \"b\"\n", "f:5: builds_dir" },
        { RUNNER "[[runners.kubernetes.volumes.secret]]\nname = \"a\"\nmount_path = \"s\"\n", "f:5: " },
        { RUNNER "limit = -1\n", "f:5: limit: -1 is not between 0" },
        { RUNNER "unhealthy_interval = \"soon\"\n", "f:5: unhealthy_interval: \"soon\" is no duration" },
        { RUNNER "[runners.kubernetes]\ncpu_limit = \"lots\"\n", "f:6: cpu_limit: \"lots\" is no quantity" },
        { RUNNER "[runners.kubernetes]\npull_policy = \"sometimes\"\n",
          "f:6: pull_policy: \"sometimes\" is not one of" },
        { RUNNER "[[runners.kubernetes.volumes.secret]]\nname = \"a\"\n", "mount_path is missing" },
        { RUNNER "[runners.kubernetes.volumes]\nsecret = \"vault\"\n",
          "f:6: [[runners.kubernetes.volumes.secret]]: a list" },
        { RUNNER "[[runners.kubernetes.volumes.nfs]]\nname = \"a\"\n", "volumes.nfs is not supported" },
        { RUNNER "environment = [\"A=1\", \"NOVALUE\"]\n", "f:5: environment: text 2 is not of the form KEY=value" },
        { RUNNER "strict_check_interval = \"no\"\n", "f:5: strict_check_interval: true or false is expected" },
        { RUNNER "[runners.feature_flags]\nFF_X = \"maybe\"\n", "f:6: feature_flags: \"maybe\" of FF_X is not one of" },
        { RUNNER "[runners.kubernetes.node_tolerations]\n\"a=b\" = \"NoShedule\"\n",
          "f:6: node_tolerations: \"NoShedule\" of a=b is not one of: NoSchedule" },
        { RUNNER "docker = \"utils\"\n", "f:5: [runners.docker]: a table is expected" },
        { RUNNER "[runners.docker]\nimage = 5\n", "f:6: image: a text is expected" },
        { RUNNER "[runners.docker]\nvolumes = [5]\n", "f:6: volumes: only texts may stand in this list" },
        { RUNNER "[runners.docker]\nvolumes = [\"/a:/secrets:rq\"]\n", "f:6: volumes: \"/a:/secrets:rq\": mode rq" },
        { "[[runners]]\nurl = \"https://x\"\nexecutor = \"shell\"\n", "f:3: executor: \"shell\" is not supported" },
        { "[runners]\n", "write it as [[runners]]" },
        { "concurrent = \n", "line 1" },
        { RUNNER "[[runners.kubernetes.volumes.secret]]\nname = \"a\"\nmount_path = "
                 "\"/s\"\n[[runners.kubernetes.volumes.pvc]]\nname = \"b\"\nmount_path = \"/s\"\n",
          "both mounted at /s" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        struct config *config = config_load(rows[i].text, strlen(rows[i].text), CONFIG_TOML, "f", &error);
        if (config != NULL || error.blame != BLAME_CONFIG || strstr(error.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, config != NULL ? "accepted" : error.text);
    }
}

static void a_docker_file_is_read_as_kubernetes_with_one_warning(void **state)
{
    struct config *config = load("[[runners]]\nurl = \"https://x\"\ntoken = \"t\"\nexecutor = "
                                 "\"docker\"\n[runners.docker]\nimage = \"utils\"\nprivileged = false\n"
                                 "volumes = [\"/cache\", \"/app:/local_config:rw\", \"/agent_cache:/agent_cache:rw\", "
                                 "\"/secrets:/secrets:ro\", \"/etc/x:/etc/x\"]\n",
                                 CONFIG_TOML);
    const struct config_volumes *volumes = &config->runners[0].kubernetes.volumes;

    (void)state;
    assert_string_equal(config->runners[0].executor, "kubernetes");
    assert_string_equal(config->runners[0].docker_image, "utils");
    assert_int_equal(volumes->count, 3);
    assert_int_equal(volumes->items[0].kind, VOLUME_EMPTY_DIR);
    assert_string_equal(volumes->items[0].mount_path, "/local_config");
    assert_int_equal(volumes->items[1].kind, VOLUME_PVC);
    assert_false(volumes->items[1].read_only);
    assert_int_equal(volumes->items[2].kind, VOLUME_SECRET);
    assert_true(volumes->items[2].read_only);
    assert_non_null(strstr(strbuf_text(&config->warnings), "f:4: executor = \"docker\" is read as kubernetes"));
    assert_non_null(strstr(strbuf_text(&config->warnings), "/etc/x:/etc/x"));
    config_free(config);
}

static void assert_not_shown(const char *text, const char *secret)
{
    struct error error = ERROR_NONE;

    assert_null(config_load(text, strlen(text), CONFIG_TOML, "f", &error));
    assert_null(strstr(error.text, secret));
}

static void an_error_shows_no_value_that_may_be_a_secret(void **state)
{
    (void)state;
    assert_not_shown(RUNNER "environment = [\"hunter2hunter2\"]\n", "hunter2");
    assert_not_shown("[[runners]]\nurl = \"https://me:hunter2@x:port\"\n", "hunter2");
    assert_not_shown("[[runners]]\ntoken = \"hunter2\n", "hunter2");
    assert_not_shown("[[runners]]\ntoken = hunter2\n", "hunter2");
}

/* As the stock runner's `register --executor kubernetes` leaves it. */
static void an_empty_value_counts_as_not_written(void **state)
{
    struct config *config = load(RUNNER "builds_dir = \"\"\nshell = \"\"\nclone_url = \"\"\n"
                                        "[runners.cache]\nMaxUploadedArchiveSize = 0\n[runners.cache.s3]\n"
                                        "[runners.kubernetes]\nhost = \"\"\nbearer_token_overwrite_allowed = false\n"
                                        "image = \"\"\nnamespace = \"\"\nnamespace_overwrite_allowed = \"\"\n"
                                        "privileged = false\npull_policy = \"\"\nhelper_image = \"\"\n"
                                        "[runners.kubernetes.pod_security_context]\n[runners.kubernetes.volumes]\n",
                                 CONFIG_TOML);
    const struct config_runner *runner = &config->runners[0];

    (void)state;
    assert_string_equal(strbuf_text(&config->warnings), "");
    assert_string_equal(runner->builds_dir, "/builds");
    assert_string_equal(runner->shell, "bash");
    assert_null(runner->clone_url);
    assert_null(runner->kubernetes.host);
    assert_null(runner->kubernetes.ns);
    assert_null(runner->kubernetes.image);
    assert_int_equal(runner->kubernetes.pull_policy.count, 0);
    assert_int_not_equal(runner->kubernetes.helper_image[0], '\0');
    config_free(config);
}

static void a_value_that_is_not_supported_yet_warns(void **state)
{
    struct config *config = load(RUNNER "[runners.kubernetes]\nprivileged = true\n"
                                        "[runners.kubernetes.pod_security_context]\nfs_group = 5\n",
                                 CONFIG_TOML);

    (void)state;
    assert_non_null(strstr(strbuf_text(&config->warnings), "f:6: privileged in [runners.kubernetes] is not supported"));
    assert_non_null(strstr(strbuf_text(&config->warnings),
                           "f:8: fs_group in pod_security_context of [runners.kubernetes] is not supported"));
    config_free(config);
}

static void words_may_be_written_in_capitals(void **state)
{
    struct config *config =
        load("log_level = \"INFO\"\n" RUNNER "[runners.feature_flags]\nFF_X = \"True\"\n", CONFIG_TOML);

    (void)state;
    assert_string_equal(config->log_level, "info");
    assert_int_equal(config_runner_flag(&config->runners[0], "FF_X"), 1);
    config_free(config);
}

static void a_misspelt_docker_key_warns_and_the_stock_ones_do_not(void **state)
{
    struct config *config = load(RUNNER "[runners.docker]\ntls_verify = false\nshm_size = 0\nextra_hosts = [\"a:1\"]\n"
                                        "imag = \"x\"\nvolumse = []\n",
                                 CONFIG_TOML);

    (void)state;
    assert_string_equal(strbuf_text(&config->warnings),
                        "f:9: unknown key imag in [runners.docker]: did you mean image?\n"
                        "f:10: unknown key volumse in [runners.docker]: did you mean volumes?\n");
    config_free(config);
}

static void docker_volumes_may_have_a_slash_at_the_end_and_several_modes(void **state)
{
    struct config *config = load(RUNNER "[runners.docker]\nvolumes = [\"/s:/secrets/:ro\", \"/a:/agent_cache:z,ro\", "
                                        "\"/l:/local_config:rw,Z\"]\n",
                                 CONFIG_TOML);
    const struct config_volumes *volumes = &config->runners[0].kubernetes.volumes;

    (void)state;
    assert_string_equal(strbuf_text(&config->warnings), "");
    assert_int_equal(volumes->count, 3);
    assert_string_equal(volumes->items[0].mount_path, "/secrets");
    assert_true(volumes->items[1].read_only);
    assert_false(volumes->items[2].read_only);
    config_free(config);
}

static void a_mount_given_for_the_same_path_wins_over_docker_volumes(void **state)
{
    struct config *config =
        load(RUNNER "[runners.docker]\nvolumes = [\"/s:/secrets:ro\"]\n[[runners.kubernetes.volumes.secret]]\nname = "
                    "\"own\"\nmount_path = \"/secrets\"\n",
             CONFIG_TOML);

    (void)state;
    assert_int_equal(config->runners[0].kubernetes.volumes.count, 1);
    assert_string_equal(config->runners[0].kubernetes.volumes.items[0].name, "own");
    config_free(config);
}

/* docs/configuration.md is made from the schema table; DATAOPS_GOLDEN=write makes it anew. */
static void the_reference_page_in_docs_is_the_schema_table(void **state)
{
    static const char path[] = "../docs/configuration.md";
    struct strbuf page = STRBUF_EMPTY, kept = STRBUF_EMPTY;
    bool writes = getenv("DATAOPS_GOLDEN") != NULL;
    FILE *file = fopen(path, writes ? "wb" : "rb");
    char piece[4096];
    size_t length;

    (void)state;
    assert_non_null(file);
    config_reference(&page);
    if (writes)
        fwrite(page.bytes, 1, page.length, file);
    while (!writes && (length = fread(piece, 1, sizeof(piece), file)) > 0)
        strbuf_add(&kept, piece, length);
    fclose(file);
    if (!writes)
        assert_string_equal(strbuf_text(&kept), strbuf_text(&page));
    assert_non_null(strstr(strbuf_text(&page), "`mask_mounted_secrets`"));
    assert_non_null(strstr(strbuf_text(&page), "`volumes` | list of texts | - | host:container:mode"));
    assert_non_null(strstr(strbuf_text(&page), "Not supported yet"));
    strbuf_clear(&page);
    strbuf_clear(&kept);
}

static void an_address_without_tls_warns_unless_it_is_this_machine(void **state)
{
    static const struct {
        const char *url;
        bool warns;
    } rows[] = { { "http://dataops.example/ci", true },
                 { "https://dataops.example/ci", false },
                 { "http://127.0.0.1:8080", false },
                 { "http://localhost", false } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        OWNED_TEXT char *text =
            mem_format("[[runners]]\nname = \"a\"\nexecutor = \"kubernetes\"\nurl = \"%s\"\n", rows[i].url);
        struct config *config = config_load(text, strlen(text), CONFIG_TOML, "f", &error);
        assert_non_null(config);
        assert_int_equal(strstr(strbuf_text(&config->warnings), "f:4: url: " CONFIG_URL_IN_CLEAR) != NULL,
                         rows[i].warns);
        config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_stock_runners),
        cmocka_unit_test(the_same_tree_may_be_written_in_yaml),
        cmocka_unit_test(bytes_are_read_with_their_unit),
        cmocka_unit_test(an_unknown_key_warns_with_its_line_and_the_nearest_name),
        cmocka_unit_test(a_wrong_value_is_an_error_with_file_line_and_key),
        cmocka_unit_test(a_docker_file_is_read_as_kubernetes_with_one_warning),
        cmocka_unit_test(an_error_shows_no_value_that_may_be_a_secret),
        cmocka_unit_test(an_empty_value_counts_as_not_written),
        cmocka_unit_test(a_value_that_is_not_supported_yet_warns),
        cmocka_unit_test(words_may_be_written_in_capitals),
        cmocka_unit_test(a_misspelt_docker_key_warns_and_the_stock_ones_do_not),
        cmocka_unit_test(docker_volumes_may_have_a_slash_at_the_end_and_several_modes),
        cmocka_unit_test(a_mount_given_for_the_same_path_wins_over_docker_volumes),
        cmocka_unit_test(an_address_without_tls_warns_unless_it_is_this_machine),
        cmocka_unit_test(the_reference_page_in_docs_is_the_schema_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
