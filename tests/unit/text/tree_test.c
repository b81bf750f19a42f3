#include "text/tree.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void members_are_found_in_tables_only(void **state)
{
    (void)state;
    OWNED_TREE struct tree *root = tree_new(TREE_TABLE, NULL, 1);
    struct tree *list = tree_new(TREE_LIST, "list", 2);
    tree_append(root, list);
    tree_append(root, tree_new(TREE_NULL, "none", 3));
    tree_append(list, tree_new(TREE_NULL, NULL, 2));
    assert_ptr_equal(tree_get(root, "list"), list);
    assert_int_equal(tree_get(root, "none")->line, 3);
    assert_ptr_equal(root->last, tree_get(root, "none"));
    assert_null(tree_get(root, "None"));
    assert_null(tree_get(list, "x"));
    assert_null(tree_get(NULL, "x"));
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(tree_kind_name(TREE_TABLE), "table");
    assert_string_equal(tree_kind_name(TREE_NULL), "null");
    assert_string_equal(tree_kind_name((enum tree_kind)77), "unknown");
    tree_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_in_tables_only),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
