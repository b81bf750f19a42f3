#include "config/write.h"

#include "config/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const struct config_entry docker = {
    .name = "site-a",
    .url = "https://app.dataops.live",
    .token = "glrtr-abc",
    .executor = "docker",
    .id = 4711,
    .token_obtained_at = "2026-01-02T03:04:05Z",
    .docker_image = "dataopslive/dataops-utils-runner",
};
static const struct config_entry kubernetes = {
    .name = "site \"b\"\\\n",
    .url = "https://app.dataops.live",
    .token = "glrt-t3_xyz",
    .executor = "kubernetes",
    .id = 4712,
    .kubernetes_image = "image:1",
    .kubernetes_namespace = "jobs",
    .service_account = "job",
    .limit = 3,
    .token_expires_at = "2027-01-31T00:00:00Z",
    .tls_ca_file = "/ca.crt",
    .environment = (const char *const[]){ "A=1", "B=\"x\"", NULL },
    .kubernetes_lines = "    memory_limit = \"1Gi\"\n",
};

static struct config *load(const struct strbuf *text)
{
    struct error error = ERROR_NONE;
    struct config *config = config_load(strbuf_text(text), text->length, CONFIG_TOML, "config.toml", &error);

    if (config == NULL)
        fail_msg("%s in:\n%s", error.text, strbuf_text(text));
    return config;
}

static void a_new_file_is_the_stock_runners(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    config_write_new(&docker, &text);
    assert_string_equal(strbuf_text(&text), "concurrent = 1\n"
                                            "check_interval = 3\n"
                                            "shutdown_timeout = 30\n"
                                            "\n"
                                            "[[runners]]\n"
                                            "  name = \"site-a\"\n"
                                            "  url = \"https://app.dataops.live\"\n"
                                            "  id = 4711\n"
                                            "  token = \"glrtr-abc\"\n"
                                            "  token_obtained_at = 2026-01-02T03:04:05Z\n"
                                            "  executor = \"docker\"\n"
                                            "  [runners.docker]\n"
                                            "    image = \"dataopslive/dataops-utils-runner\"\n"
                                            "    volumes = [\"/cache\"]\n");
}

static unsigned lines_holding(const char *text, const char *part)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void the_documented_edits_hit_one_line_each(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    config_write_new(&docker, &text);
    assert_int_equal(lines_holding(strbuf_text(&text), "concurrent = "), 1);
    assert_int_equal(lines_holding(strbuf_text(&text), "check_interval = "), 1);
    assert_int_equal(lines_holding(strbuf_text(&text), " volumes = "), 1);
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    config_write_new(&kubernetes, &text);
    struct config *config = load(&text);
    const struct config_runner *runner = &config->runners[0];
    assert_int_equal(config->runner_count, 1);
    assert_string_equal(runner->name, kubernetes.name);
    assert_string_equal(runner->token, "glrt-t3_xyz");
    assert_int_equal(runner->id, 4712);
    assert_int_equal(runner->limit, 3);
    assert_string_equal(runner->tls_ca_file, "/ca.crt");
    assert_string_equal(runner->environment.items[1], "B=\"x\"");
    assert_string_equal(runner->kubernetes.image, "image:1");
    assert_string_equal(runner->kubernetes.ns, "jobs");
    assert_string_equal(runner->kubernetes.service_account, "job");
    assert_string_equal(runner->kubernetes.build.memory_limit, "1Gi");
    assert_string_equal(strbuf_text(&config->warnings), "");
    config_free(config);
}

/* DataOps may send anything: nothing of it may become a line of the file. */
static void a_time_that_is_none_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *time;
        bool written;
    } rows[] = {
        { "2027-01-31T00:00:00Z", true },
        { "2027-01-31T00:00:00.000Z", true },
        { "2027-01-31T00:00:00.5+02:00", true },
        { "2027-01-31 00:00:00 UTC", false },
        { "2027-01-31", false },
        { "", false },
        { "2027-01-31T00:00:00Z\nurl = 'http://evil'", false },
        { "2027-01-31T00:00:00+02:00x", false },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
        struct config_entry entry = docker;

        entry.token_expires_at = rows[i].time;
        config_write_new(&entry, &text);
        assert_int_equal(strstr(strbuf_text(&text), "token_expires_at") != NULL, rows[i].written);
        config_free(load(&text));
    }
}

static void docker_settings_are_known_by_name(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;

    assert_int_equal(config_check_docker_setting("tls-verify", &error), 0);
    assert_int_equal(config_check_docker_setting("privilegd", &error), -1);
    assert_string_equal(error.text, "unknown option --docker-privilegd; did you mean --docker-privileged?");
    assert_int_equal(error.blame, BLAME_INPUT);
}

static void one_more_leaves_the_rest_as_it_is(void **state)
{
    (void)state;
    static const char existing[] = "# mine\nconcurrent=8 # eight\n[[runners]]\nname='old'\nurl='http://x'";
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    config_write_more(existing, &docker, &text);
    assert_memory_equal(strbuf_text(&text), existing, strlen(existing));
    struct config *config = load(&text);
    assert_int_equal(config->concurrent, 8);
    assert_int_equal(config->runner_count, 2);
    assert_string_equal(config->runners[0].name, "old");
    assert_string_equal(config->runners[1].name, "site-a");
    config_free(config);
}

static void check_less(const char *existing, size_t index, const char *expected)
{
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;

    assert_int_equal(config_write_less(existing, index, &text), expected != NULL);
    if (expected != NULL)
        assert_string_equal(strbuf_text(&text), expected);
}

static void one_less_takes_the_entry_with_its_tables(void **state)
{
    (void)state;
    static const char text[] =
        "concurrent = 1\n\n"
        "[[runners]]\n  name = \"a\"\n  [runners.docker]\n    image = \"x\"\n\n"
        "[[ runners ]]\n  name = \"b\"\n  [[runners.kubernetes.volumes.secret]]\n    name = \"s\"\n"
        "[[runners]]\n  name = \"c\"\n[other]\nx = 1\n";

    check_less(text, 0,
               "concurrent = 1\n\n"
               "[[ runners ]]\n  name = \"b\"\n  [[runners.kubernetes.volumes.secret]]\n    name = \"s\"\n"
               "[[runners]]\n  name = \"c\"\n[other]\nx = 1\n");
    check_less(text, 1,
               "concurrent = 1\n\n[[runners]]\n  name = \"a\"\n  [runners.docker]\n    image = \"x\"\n\n"
               "[[runners]]\n  name = \"c\"\n[other]\nx = 1\n");
    check_less(text, 2,
               "concurrent = 1\n\n[[runners]]\n  name = \"a\"\n  [runners.docker]\n    image = \"x\"\n\n"
               "[[ runners ]]\n  name = \"b\"\n  [[runners.kubernetes.volumes.secret]]\n    name = \"s\"\n"
               "[other]\nx = 1\n");
    check_less(text, 3, NULL);
    check_less("", 0, NULL);
}

static void what_only_looks_like_a_header_is_none(void **state)
{
    (void)state;
    static const char text[] =
        "[[runners]]\nname = '''\n[[runners]]\n'''\nenvironment = [\n  \"A=[[runners]]\",\n  [\n  ]\n]\n"
        "script = \"\"\"\n\\\"\"\"\n[[runners]]\n\"\"\" # [[runners]]\nx = \"#\"\n"
        "[[runners]]\nname = 'b'\n";

    check_less(text, 0, "[[runners]]\nname = 'b'\n");
    check_less(text, 2, NULL);
}

static void comments_above_an_entry_go_and_stay_with_it(void **state)
{
    (void)state;
    static const char text[] =
        "# file\n\n# of a\n[[runners]]\nname = 'a'\n\n# of b\n# more of b\n[[runners]]\nname = 'b'\n";

    check_less(text, 0, "# file\n\n# of b\n# more of b\n[[runners]]\nname = 'b'\n");
    check_less(text, 1, "# file\n\n# of a\n[[runners]]\nname = 'a'\n\n");
}

static void more_and_less_undo_each_other(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf one = STRBUF_EMPTY, two = STRBUF_EMPTY, less = STRBUF_EMPTY;

    config_write_new(&docker, &one);
    config_write_more(strbuf_text(&one), &kubernetes, &two);
    assert_true(config_write_less(strbuf_text(&two), 1, &less));
    assert_memory_equal(strbuf_text(&less), strbuf_text(&one), one.length);
    assert_int_equal(less.length, one.length + 1); /* the empty line between them */
}

static void settings_take_the_type_of_their_key(void **state)
{
    (void)state;
    static const struct config_setting settings[] = {
        { "memory-limit", "1Gi" },
        { "poll-timeout", "300" },
        { "image-pull-secrets", "a" },
        { "automount-service-account-token", "true" },
        { "image-pull-secrets", "b,c" },
        { "node-selector", "kubernetes.io/os:linux" },
        { "node-selector", "{\"a\": \"b:c\"}" },
        { "node-tolerations", "key=value:NoSchedule" },
        { "pod-labels", "team=data" },
        { "memory-limit", "2Gi" },
        { "poll-interval", "3" }, /* known, without effect */
    };
    OWNED_STRBUF struct strbuf lines = STRBUF_EMPTY;
    struct error error = ERROR_NONE;

    assert_int_equal(config_write_settings(settings, COUNT_OF(settings), &lines, &error), 0);
    assert_string_equal(strbuf_text(&lines),
                        "    poll_timeout = 300\n"
                        "    image_pull_secrets = [\"a\", \"b\", \"c\"]\n"
                        "    automount_service_account_token = true\n"
                        "    node_selector = { \"kubernetes.io/os\" = \"linux\", \"a\" = \"b:c\" }\n"
                        "    node_tolerations = { \"key=value\" = \"NoSchedule\" }\n"
                        "    pod_labels = { \"team\" = \"data\" }\n"
                        "    memory_limit = \"2Gi\"\n");
}

static void wrong_settings_name_their_flag(void **state)
{
    (void)state;
    static const struct {
        struct config_setting setting;
        const char *text;
    } rows[] = {
        { { "memory-limt", "1Gi" },
          "unknown option --kubernetes-memory-limt; did you mean --kubernetes-memory-limit?" },
        { { "entirely-different", "1" }, "unknown option --kubernetes-entirely-different" },
        { { "privileged", "true" }, "--kubernetes-privileged is not supported yet" },
        { { "volumes", "x" }, "--kubernetes-volumes has no form as a flag: write it into the file" },
        { { "poll-timeout", "soon" }, "--kubernetes-poll-timeout: \"soon\" is not a whole number" },
        { { "mask-mounted-secrets", "maybe" },
          "--kubernetes-mask-mounted-secrets: \"maybe\" is neither true nor false" },
        { { "node-selector", "word" }, "--kubernetes-node-selector: \"word\" is not of the form name:value" },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_STRBUF struct strbuf lines = STRBUF_EMPTY;
        struct error error = ERROR_NONE;

        assert_int_equal(config_write_settings(&rows[i].setting, 1, &lines, &error), -1);
        assert_string_equal(error.text, rows[i].text);
        assert_int_equal(error.blame, BLAME_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_is_the_stock_runners),
        cmocka_unit_test(the_documented_edits_hit_one_line_each),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_time_that_is_none_is_left_out),
        cmocka_unit_test(docker_settings_are_known_by_name),
        cmocka_unit_test(one_more_leaves_the_rest_as_it_is),
        cmocka_unit_test(one_less_takes_the_entry_with_its_tables),
        cmocka_unit_test(what_only_looks_like_a_header_is_none),
        cmocka_unit_test(comments_above_an_entry_go_and_stay_with_it),
        cmocka_unit_test(more_and_less_undo_each_other),
        cmocka_unit_test(settings_take_the_type_of_their_key),
        cmocka_unit_test(wrong_settings_name_their_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
