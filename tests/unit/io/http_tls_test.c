/* Copies of struct http_tls: whole, of their own, and nothing of a client key left behind. */
#include "io/http.h"

#include "io/leftovers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs some of the above */
#include <cmocka.h>

static void a_copy_holds_everything_and_owns_it(void **state)
{
    (void)state;
    char ca[] = "ca", cert[] = "certificate", key[] = "key", name[] = "name.test", ca_key[] = "tls-ca-file";
    struct http_tls_owned copy;
    http_tls_copy(&copy, &(struct http_tls){ .ca_pem = ca,
                                             .ca_only = true,
                                             .cert_pem = cert,
                                             .key_pem = key,
                                             .server_name = name,
                                             .insecure = true,
                                             .ca_key = ca_key });
    ca[0] = cert[0] = key[0] = name[0] = ca_key[0] = 'X';
    assert_string_equal(copy.view.ca_pem, "ca");
    assert_string_equal(copy.view.cert_pem, "certificate");
    assert_string_equal(copy.view.key_pem, "key");
    assert_string_equal(copy.view.server_name, "name.test");
    assert_string_equal(copy.view.ca_key, "tls-ca-file");
    assert_true(copy.view.ca_only && copy.view.insecure);
    http_tls_clear(&copy);
    assert_null(copy.view.ca_pem);
    assert_false(copy.view.insecure);
    http_tls_clear(&copy);
}

static void what_is_missing_stays_missing(void **state)
{
    (void)state;
    struct http_tls_owned copy;
    http_tls_copy(&copy, &(struct http_tls){ 0 });
    assert_null(copy.view.ca_pem);
    assert_null(copy.view.key_pem);
    http_tls_clear(&copy);
    http_tls_copy(&copy, &(struct http_tls){ .server_name = "", .key_pem = "key" });
    assert_null(copy.view.cert_pem);
    assert_string_equal(copy.view.server_name, "");
    assert_string_equal(copy.view.key_pem, "key");
    http_tls_clear(&copy);
}

static void a_key_is_wiped_with_its_copy(void **state)
{
    (void)state;
    char *key = leftover_secret();
    struct http_tls_owned copy;
    http_tls_copy(&copy, &(struct http_tls){ .cert_pem = "certificate", .key_pem = key });
    mem_wipe_free(key, strlen(key));
    assert_int_equal(leftovers(), 1);
    http_tls_clear(&copy);
    assert_int_equal(leftovers(), 0);
}

static void dropping_the_client_keeps_the_trust_and_wipes_the_key(void **state)
{
    (void)state;
    char *key = leftover_secret();
    struct http_tls_owned copy;
    http_tls_copy(&copy, &(struct http_tls){ .ca_pem = "ca",
                                             .ca_only = true,
                                             .cert_pem = "certificate",
                                             .key_pem = key,
                                             .server_name = "name.test",
                                             .ca_key = "tls-ca-file" });
    mem_wipe_free(key, strlen(key));
    assert_int_equal(leftovers(), 1);
    http_tls_drop_client(&copy);
    assert_int_equal(leftovers(), 0);
    assert_null(copy.view.cert_pem);
    assert_null(copy.view.key_pem);
    assert_null(copy.view.server_name);
    assert_string_equal(copy.view.ca_pem, "ca");
    assert_string_equal(copy.view.ca_key, "tls-ca-file");
    assert_true(copy.view.ca_only);
    http_tls_clear(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_holds_everything_and_owns_it),
        cmocka_unit_test(what_is_missing_stays_missing),
        cmocka_unit_test(a_key_is_wiped_with_its_copy),
        cmocka_unit_test(dropping_the_client_keeps_the_trust_and_wipes_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
