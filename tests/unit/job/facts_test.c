#include "job/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_dir(const char *builds_dir, const char *url, const char *expected)
{
    struct error error = ERROR_NONE;
    OWNED_TEXT char *given = job_project_dir(builds_dir, url, &error);

    if (!expected) {
        assert_null(given);
        assert_int_equal(error.blame, BLAME_INPUT);
        return;
    }
    assert_non_null(given);
    assert_string_equal(given, expected);
}

static void the_project_folder_never_leaves_the_builds_folder(void **state)
{
    (void)state;
    check_dir("/builds", "https://u:p@git.example.com/acme/warehouse.git", "/builds/acme/warehouse");
    check_dir("/builds/", "http://10.0.0.1:8999/git/warehouse.git/", "/builds/git/warehouse");
    check_dir("/builds", "https://h//a///b.git", "/builds/a/b");
    check_dir("/builds", "https://h/a/b.c..d", "/builds/a/b.c..d");
    check_dir("/builds", "https://h/../etc.git", NULL);
    check_dir("/builds", "https://h/a/../../etc", NULL);
    check_dir("/builds", "https://h/a/..", NULL);
    check_dir("/builds", "https://h/a/...git", NULL);
    check_dir("/builds", "https://h/a/..git", NULL);
    check_dir("/builds", "https://h/.git", NULL);
    check_dir("/builds", "https://h/a/.git", NULL);
    check_dir("/builds", "https://h/", NULL);
    check_dir("/builds", "https://h", NULL);
    check_dir("/builds", "file:///etc", NULL);
    check_dir("/builds", "ext::sh -c x", NULL);
    check_dir("/builds", "", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_project_folder_never_leaves_the_builds_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
