/* Keys that are known and not supported yet: those that restrict what a job can do are never passed over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config/write.h"
#include "schema.h"

static const struct {
    const struct schema *schema;
    const char *executor, *section; /* lines before the key, which stands in line 5 */
} tables[] = {
    { &schema_runner, "kubernetes", "" },
    { &schema_kubernetes, "kubernetes", "[runners.kubernetes]" },
    { &schema_context, "kubernetes", "[runners.kubernetes.pod_security_context]" },
    { &schema_docker, "docker", "[runners.docker]" },
};

/* The executor's and the section's lines, then `key = value` in line 5; error is of no blame when it was read. */
static struct config *load(size_t table, const char *executor, const char *key, const char *value, struct error *error)
{
    OWNED_TEXT char *text = mem_format("[[runners]]\nurl = \"https://x\"\nexecutor = \"%s\"\n%s\n%s = %s\n", executor,
                                       tables[table].section, key, value);

    *error = ERROR_NONE;
    return config_load(text, strlen(text), CONFIG_TOML, "f", error);
}

static void each_key_that_is_not_supported_has_a_decision(void **state)
{
    static const struct schema *const all[] = { &schema_global, &schema_runner, &schema_kubernetes, &schema_context,
                                                &schema_docker };
    unsigned walked = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (size_t j = 0; j < all[i]->count; j++) {
            const struct schema_key *key = &all[i]->keys[j];
            if (key->kind == KEY_LATER && key->ignored == IGNORED_UNDECIDED)
                fail_msg("%s in %s: is it harmless or unsafe to pass over?", key->name, all[i]->title);
            if (key->kind != KEY_LATER && key->ignored != IGNORED_UNDECIDED)
                fail_msg("%s in %s is not one that is passed over", key->name, all[i]->title);
            walked += key->kind == KEY_LATER;
        }
    assert_in_range(walked, 100, 1000);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), most = strlen(end);

    return length >= most && strcmp(text + length - most, end) == 0;
}

/* Names that say that they restrict are in neither of the silent kinds, wherever they stand. */
static void no_key_whose_name_restricts_is_passed_over(void **state)
{
    static const char *const allows[] = { "bearer_token_overwrite_allowed", "allowed_privileged_images",
                                          "allowed_privileged_services" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (size_t j = 0; j < tables[i].schema->count; j++) {
            const struct schema_key *key = &tables[i].schema->keys[j];
            bool restricts = strncmp(key->name, "allowed_", 8) == 0 || ends_with(key->name, "_overwrite_allowed") ||
                             ends_with(key->name, "security_context") || strcmp(key->name, "cap_drop") == 0;
            for (size_t k = 0; k < COUNT_OF(allows); k++)
                restricts = restricts && strcmp(allows[k], key->name) != 0;
            if (restricts && (key->kind == KEY_SILENT || (key->kind == KEY_LATER && key->ignored != IGNORED_UNSAFE)))
                fail_msg("%s in %s is passed over", key->name, tables[i].schema->title);
        }
}

static void check_key(size_t table, const struct schema_key *key)
{
    const char *value = key->section != NULL ? "{ run_as_user = 5 }" : "[\"x\"]";
    struct error error;
    struct config *config = load(table, tables[table].executor, key->name, value, &error);

    if (key->ignored == IGNORED_HARMLESS) {
        if (config == NULL || strstr(strbuf_text(&config->warnings), "is not supported yet and has no effect") == NULL)
            fail_msg("%s: %s", key->name, config == NULL ? error.text : "passed over in silence");
    } else if (config != NULL || error.blame != BLAME_CONFIG || strncmp(error.text, "f:5: ", 5) != 0 ||
               (key->section == NULL && strstr(error.text, key->name) != error.text + 5) ||
               strstr(error.text, "restricts what a job can do and is not supported yet: remove it") == NULL) {
        fail_msg("%s: %s", key->name, config == NULL ? error.text : "accepted");
    }
    config_free(config);
    config = load(table, tables[table].executor, key->name, "[]", &error);
    if (config == NULL || strstr(strbuf_text(&config->warnings), key->name) != NULL)
        fail_msg("%s with nothing in it: %s", key->name, config == NULL ? error.text : strbuf_text(&config->warnings));
    config_free(config);
}

static void a_guard_refuses_with_line_and_what_to_do_and_others_only_warn(void **state)
{
    unsigned guards = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (size_t j = 0; j < tables[i].schema->count; j++)
            if (tables[i].schema->keys[j].kind == KEY_LATER) {
                check_key(i, &tables[i].schema->keys[j]);
                guards += tables[i].schema->keys[j].ignored == IGNORED_UNSAFE;
            }
    assert_in_range(guards, 40, 1000);
}

static void check(size_t table, const char *key, const char *value, const char *refused)
{
    struct error error;
    struct config *config = load(table, tables[table].executor, key, value, &error);

    if ((config == NULL) != (refused != NULL) || (refused != NULL && strstr(error.text, refused) == NULL))
        fail_msg("%s = %s: %s", key, value, config == NULL ? error.text : "accepted");
    config_free(config);
}

static void what_restricts_nothing_is_no_guard(void **state)
{
    (void)state;
    check(1, "namespace_overwrite_allowed", "\".*\"", NULL);
    check(1, "namespace_overwrite_allowed", "\"ci-.*\"", "namespace_overwrite_allowed in [runners.kubernetes]");
    check(1, "allowed_pull_policies", "[\"never\", \"always\", \"if-not-present\"]", NULL);
    check(1, "allowed_pull_policies", "[\"always\", \"never\"]", "pull_policy lists what a job may ask for");
    check(1, "allowed_images", "[\"**/*\"]", NULL);
    check(1, "allowed_images", "[\"registry.internal/*\"]", "or keep the stock runner for this entry");
    check(1, "cpu_limit_overwrite_max_allowed", "\"4\"", NULL);
    check(1, "namespace_per_job", "true", "namespace_per_job");
    check(1, "namespace_per_job", "false", NULL);
}

static void a_security_context_is_decided_key_by_key(void **state)
{
    (void)state;
    check(2, "run_as_user", "1000", "f:5: run_as_user in pod_security_context of [runners.kubernetes] restricts");
    check(2, "run_as_non_root", "true", "pod_security = \"restricted\"");
    check(2, "run_as_non_root", "false", NULL);
    check(2, "fs_group", "65533", NULL);
    check(2, "privileged", "true", NULL);
    check(2, "newly_invented", "true", "f:5: newly_invented in pod_security_context of [runners.kubernetes] restricts");
    check(1, "build_container_security_context", "{ capabilities = { drop = [\"ALL\"] } }", "capabilities in build_");
}

/* With another executor the stock runner does not read the section: nothing was guarded by it. */
static void dockers_guards_count_where_docker_is_the_executor(void **state)
{
    struct error error;
    struct config *config = load(3, "kubernetes", "allowed_images", "[\"x\"]", &error);

    (void)state;
    assert_non_null(config);
    assert_string_equal(strbuf_text(&config->warnings), "");
    config_free(config);
    check(3, "allowed_images", "[\"x\"]", "f:5: allowed_images in [runners.docker] restricts");
    check(3, "network_mode", "\"bridge\"", NULL);
    check(3, "memory", "\"2g\"", "memory_limit of [runners.kubernetes]");
}

static void a_flag_of_register_that_restricts_is_refused(void **state)
{
    static const struct config_setting setting = { "allowed-images", "x" };
    struct error error = ERROR_NONE;
    struct strbuf lines = STRBUF_EMPTY;

    (void)state;
    assert_int_equal(config_write_settings(&setting, 1, &lines, &error), -1);
    assert_non_null(strstr(error.text, "--kubernetes-allowed-images is not supported yet"));
    assert_int_equal(config_check_docker_setting("cap-drop", &error), -1);
    assert_non_null(strstr(error.text, "--docker-cap-drop restricts what a job can do"));
    assert_int_equal(config_check_docker_setting("privileged", &error), 0);
    strbuf_clear(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_that_is_not_supported_has_a_decision),
        cmocka_unit_test(no_key_whose_name_restricts_is_passed_over),
        cmocka_unit_test(a_guard_refuses_with_line_and_what_to_do_and_others_only_warn),
        cmocka_unit_test(what_restricts_nothing_is_no_guard),
        cmocka_unit_test(a_security_context_is_decided_key_by_key),
        cmocka_unit_test(dockers_guards_count_where_docker_is_the_executor),
        cmocka_unit_test(a_flag_of_register_that_restricts_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
