#include "system_id.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void only_the_known_form_is_valid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        { "s_0123456789ab", true },
        { "r_aZ0123456789", true },
        { "s_0123456789a", false },
        { "s_0123456789abc", false },
        { "x_0123456789ab", false },
        { "s-0123456789ab", false },
        { "s_012345678_ab", false },
        { "", false },
        { "s", false },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(system_id_is_valid(rows[i].text), rows[i].valid);
}

/* printf gitlab-runner | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef */
static void the_id_of_a_machine_is_the_stock_runners(void **state)
{
    (void)state;
    char id[SYSTEM_ID_SIZE];

    system_id_of_machine("0123456789abcdef0123456789abcdef", id);
    assert_string_equal(id, "s_ee3af03959fe");
}

/* printf dataops/site-a/0 | sha256sum */
static void the_id_of_a_slot_follows_from_its_names(void **state)
{
    (void)state;
    char id[SYSTEM_ID_SIZE], other[SYSTEM_ID_SIZE];

    system_id_of_slot("dataops", "site-a", 0, id);
    assert_string_equal(id, "s_00901075e206");
    assert_true(system_id_is_valid(id));
    system_id_of_slot("dataops", "site-a", 1, other);
    assert_string_not_equal(id, other);
}

struct folder {
    char path[64], config[96], id_file[96];
};

static void folder_make(struct folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "/tmp/system_id_test.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->config, sizeof(folder->config), "%s/config.toml", folder->path);
    snprintf(folder->id_file, sizeof(folder->id_file), "%s/.runner_system_id", folder->path);
}

static void folder_remove(struct folder *folder)
{
    unlink(folder->id_file);
    assert_int_equal(rmdir(folder->path), 0);
}

static void write_id(const struct folder *folder, const char *text)
{
    FILE *file = fopen(folder->id_file, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void the_id_is_kept_beside_the_configuration(void **state)
{
    (void)state;
    struct folder folder;
    struct error error = ERROR_NONE;
    char first[SYSTEM_ID_SIZE], second[SYSTEM_ID_SIZE];
    struct stat facts;

    folder_make(&folder);
    assert_int_equal(system_id_load(folder.config, first, &error), 0);
    assert_true(system_id_is_valid(first));
    assert_int_equal(stat(folder.id_file, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_int_equal(system_id_load(folder.config, second, &error), 0);
    assert_string_equal(first, second);
    write_id(&folder, "r_keepThisOne1\n");
    assert_int_equal(system_id_load(folder.config, second, &error), 0);
    assert_string_equal(second, "r_keepThisOne1");
    folder_remove(&folder);
}

static void a_malformed_id_is_made_anew(void **state)
{
    (void)state;
    static const char *const malformed[] = { "", "s_short", "r_keepThisOne1 and more of it s_", "nonsense\n" };
    struct folder folder;
    struct error error = ERROR_NONE;

    folder_make(&folder);
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        char id[SYSTEM_ID_SIZE], again[SYSTEM_ID_SIZE];

        write_id(&folder, malformed[i]);
        assert_int_equal(system_id_load(folder.config, id, &error), 0);
        assert_true(system_id_is_valid(id));
        assert_int_equal(system_id_load(folder.config, again, &error), 0);
        assert_string_equal(id, again);
    }
    folder_remove(&folder);
}

static void an_id_that_cannot_be_kept_still_holds(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    char id[SYSTEM_ID_SIZE];

    assert_int_equal(system_id_load("/dev/null/config.toml", id, &error), -1);
    assert_true(system_id_is_valid(id));
    assert_int_not_equal(error.blame, BLAME_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_known_form_is_valid),
        cmocka_unit_test(the_id_of_a_machine_is_the_stock_runners),
        cmocka_unit_test(the_id_of_a_slot_follows_from_its_names),
        cmocka_unit_test(the_id_is_kept_beside_the_configuration),
        cmocka_unit_test(a_malformed_id_is_made_anew),
        cmocka_unit_test(an_id_that_cannot_be_kept_still_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
