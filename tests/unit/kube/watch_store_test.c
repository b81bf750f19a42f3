#include "watch_store.h"

#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#define POD(name, uid, version)                                                                                        \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"ns\",\"uid\":\"" uid "\",\"resourceVersion\":\"" version     \
    "\"}}"

static void the_store_forgets_what_a_list_did_not_name(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    struct watch_store store;
    watch_store_init(&store);
    OWNED_JSON struct cJSON *a = json_parse(POD("a", "u1", "7"), strlen(POD("a", "u1", "7")), &error);
    OWNED_JSON struct cJSON *b = json_parse(POD("b", "u2", "8"), strlen(POD("b", "u2", "8")), &error);
    assert_true(watch_store_put(&store, a));
    assert_true(watch_store_put(&store, b));
    watch_store_begin(&store);
    assert_true(watch_store_put(&store, b));
    size_t position = 0;
    OWNED_JSON struct cJSON *vanished = watch_store_take_vanished(&store, &position);
    assert_string_equal(json_text_at(vanished, "metadata.uid", ""), "u1");
    assert_string_equal(json_text_at(vanished, "metadata.namespace", ""), "ns");
    assert_string_equal(json_text_at(vanished, "metadata.resourceVersion", ""), "7");
    assert_null(watch_store_take_vanished(&store, &position));
    assert_int_equal(watch_store_count(&store), 1);
    watch_store_clear(&store);
}

static void an_object_without_uid_is_not_remembered(void **state)
{
    (void)state;
    struct watch_store store;
    watch_store_init(&store);
    OWNED_JSON struct cJSON *nameless = json_object();
    assert_false(watch_store_put(&store, nameless));
    assert_false(watch_store_put(&store, NULL));
    watch_store_remove(&store, "unknown");
    assert_int_equal(watch_store_count(&store), 0);
    watch_store_clear(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_forgets_what_a_list_did_not_name),
        cmocka_unit_test(an_object_without_uid_is_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
