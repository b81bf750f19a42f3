#include "io/file.h"

#include "io/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/file_test_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    return file_remove_tree(folder, &error);
}

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    struct error error = ERROR_NONE;
    assert_int_equal(file_write(in_folder(name), text, strlen(text), 0640, &error), 0);
}

static void what_is_written_is_read_back_with_its_mode(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf text = STRBUF_UP_TO(100);
    put("a", "first");
    put("a", "second");
    assert_int_equal(file_read(in_folder("a"), &text, &error), 0);
    assert_string_equal(strbuf_text(&text), "second");
    struct stat found;
    assert_int_equal(stat(in_folder("a"), &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
}

static void a_file_over_the_ceiling_is_refused(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf text = STRBUF_UP_TO(5);
    put("five", "12345");
    assert_int_equal(file_read(in_folder("five"), &text, &error), 0);
    assert_string_equal(strbuf_text(&text), "12345");
    strbuf_cut(&text, 0);
    put("six", "123456");
    assert_int_equal(file_read(in_folder("six"), &text, &error), -1);
    assert_int_equal(error.blame, BLAME_INPUT);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    OWNED_STRBUF struct strbuf text = STRBUF_EMPTY;
    assert_int_equal(file_read("/no/such", &text, &error), -1);
    assert_string_equal(error.text, "read /no/such: No such file or directory");
    assert_false(file_exists("/no/such"));
    assert_true(file_exists("/"));
}

static void a_file_that_a_key_names_is_read_and_the_key_is_named_when_it_cannot_be(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    OWNED_TEXT char *unset = NULL;
    OWNED_TEXT char *text = NULL;

    put("ca.pem", "certificate");
    assert_int_equal(file_read_named(NULL, "tls-ca-file", 100, &unset, &error), 0);
    assert_int_equal(file_read_named("", "tls-ca-file", 100, &unset, &error), 0);
    assert_null(unset);
    assert_int_equal(file_read_named(in_folder("ca.pem"), "tls-ca-file", 100, &text, &error), 0);
    assert_string_equal(text, "certificate");
    assert_int_equal(file_read_named(in_folder("ca.pem"), "tls-ca-file", 3, &unset, &error), -1);
    assert_int_equal(file_read_named(in_folder("missing"), "tls-ca-file", 100, &unset, &error), -1);
    assert_int_equal(error.blame, BLAME_CONFIG);
    assert_non_null(strstr(error.text, "tls-ca-file"));
    assert_null(unset);
}

static void a_write_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_int_equal(mkdir(in_folder("taken"), 0700), 0);
    assert_int_equal(file_write(in_folder("taken"), "x", 1, 0600, &error), -1);
    assert_int_equal(rmdir(in_folder("taken")), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_int_equal(file_make_folders(in_folder("a/b/c"), 0755, &error), 0);
    assert_int_equal(file_make_folders(in_folder("a/b/c/"), 0755, &error), 0);
    assert_true(file_exists(in_folder("a/b/c")));
    put("f", "");
    assert_int_equal(file_make_folders(in_folder("f"), 0755, &error), -1);
    assert_int_equal(file_make_folders("", 0755, &error), -1);
}

static void a_tree_is_removed_and_links_are_not_followed(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_int_equal(file_make_folders(in_folder("tree/x/y"), 0755, &error), 0);
    assert_int_equal(file_make_folders(in_folder("outside"), 0755, &error), 0);
    put("outside/keep", "me");
    put("tree/x/file", "gone");
    char target[256];
    snprintf(target, sizeof target, "%s", in_folder("outside"));
    assert_int_equal(symlink(target, in_folder("tree/x/link")), 0);
    assert_int_equal(chmod(in_folder("tree/x/y"), 0), 0);
    assert_int_equal(file_remove_tree(in_folder("tree"), &error), 0);
    assert_false(file_exists(in_folder("tree")));
    assert_true(file_exists(in_folder("outside/keep")));
    assert_int_equal(file_remove_tree(in_folder("tree"), &error), 0);
}

static void a_link_in_place_of_the_tree_is_removed_itself(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    assert_int_equal(file_make_folders(in_folder("outside"), 0755, &error), 0);
    put("outside/keep", "me");
    char target[256];
    snprintf(target, sizeof target, "%s", in_folder("outside"));
    assert_int_equal(symlink(target, in_folder("link")), 0);
    assert_int_equal(file_remove_tree(in_folder("link"), &error), 0);
    assert_true(file_exists(in_folder("outside/keep")));
}

static void a_tree_deeper_than_any_path_is_removed(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    int at = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(at, "deep", 0700), 0);
    int down = openat(at, "deep", O_RDONLY | O_DIRECTORY);
    close(at);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(down, "d", 0700), 0);
        int next = openat(down, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(down);
        down = next;
    }
    close(down);
    assert_int_equal(file_remove_tree(in_folder("deep"), &error), 0);
    assert_false(file_exists(in_folder("deep")));
}

static void a_tree_is_given_without_following_links(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct error error = ERROR_NONE;
    assert_int_equal(file_make_folders(in_folder("tree/sub"), 0755, &error), 0);
    put("tree/sub/file", "x");
    put("mine", "x");
    char target[256];
    snprintf(target, sizeof target, "%s", in_folder("mine"));
    assert_int_equal(symlink(target, in_folder("tree/link")), 0);
    assert_int_equal(file_give_tree(in_folder("tree"), 1234, 4321, &error), 0);
    struct stat found;
    assert_int_equal(stat(in_folder("tree/sub/file"), &found), 0);
    assert_int_equal(found.st_uid, 1234);
    assert_int_equal(found.st_gid, 4321);
    assert_int_equal(lstat(in_folder("tree/link"), &found), 0);
    assert_int_equal(found.st_uid, 1234);
    assert_int_equal(stat(in_folder("mine"), &found), 0);
    assert_int_equal(found.st_uid, 0);
}

static void count_change(void *owner)
{
    (*(unsigned *)owner)++;
}

static void a_swapped_link_in_a_folder_is_noticed(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct error error = ERROR_NONE;
    unsigned changes = 0;
    struct folder_watch *watch = folder_watch_start(loop, folder, count_change, &changes, &error);
    assert_non_null(watch);
    loop_turn(loop, 10);
    assert_int_equal(changes, 0);
    char next[256];
    snprintf(next, sizeof next, "%s", in_folder("..data_tmp"));
    assert_int_equal(symlink("..2024", next), 0);
    assert_int_equal(rename(next, in_folder("..data")), 0);
    loop_turn(loop, 500);
    assert_int_equal(changes, 1);
    folder_watch_stop(watch);
    folder_watch_stop(NULL);
    assert_null(folder_watch_start(loop, "/no/such", count_change, &changes, &error));
    loop_free(loop);
}

static void a_file_without_a_byte_is_not_filled(void **state)
{
    struct error error = ERROR_NONE;
    char path[] = "/tmp/filled-XXXXXX";
    (void)state;
    close(mkstemp(path));
    assert_true(file_exists(path));
    assert_false(file_is_filled(path));
    assert_int_equal(file_write(path, "x", 1, 0600, &error), 0);
    assert_true(file_is_filled(path));
    unlink(path);
    assert_false(file_is_filled(path));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read_back_with_its_mode),
        CASE(a_file_over_the_ceiling_is_refused),
        CASE(a_missing_file_is_named),
        CASE(a_file_that_a_key_names_is_read_and_the_key_is_named_when_it_cannot_be),
        CASE(a_write_that_fails_leaves_nothing_behind),
        CASE(folders_are_made_with_their_parents),
        CASE(a_tree_is_removed_and_links_are_not_followed),
        CASE(a_link_in_place_of_the_tree_is_removed_itself),
        CASE(a_tree_deeper_than_any_path_is_removed),
        CASE(a_tree_is_given_without_following_links),
        CASE(a_swapped_link_in_a_folder_is_noticed),
        cmocka_unit_test(a_file_without_a_byte_is_not_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
