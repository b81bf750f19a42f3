#include "base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
    int number;
    struct list node;
};

static void keeps_order_and_lets_go(void **state)
{
    (void)state;
    LIST_HEAD(head);
    struct item items[4];
    assert_true(list_is_empty(&head));
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        list_append(&head, &items[i].node);
    }
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    int sum = 0;
    LIST_EACH(node, &head)
    sum = sum * 10 + list_of(node, struct item, node)->number;
    assert_int_equal(sum, 23); /* 0, 2, 3 */
    LIST_EACH_SAFE(node, &head)
    list_remove(node);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_order_and_lets_go) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
