/* What TLS failures are called, and what makes two trusts the same. Whole handshakes: ws_test.c and http_test.c. */
#include "tls.h"

#include "io/certificates.h"

#include <openssl/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

static void a_refused_certificate_says_who_has_to_change_what(void **state)
{
    (void)state;
    static const struct {
        long verify;
        enum blame blame;
        const char *words;
    } cases[] = {
        { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, BLAME_CONFIG, "unknown CA" },
        { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, BLAME_CONFIG, "unknown CA" },
        { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, BLAME_CONFIG, "unknown CA" },
        { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, BLAME_CONFIG, "named by tls-ca-file" },
        { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, BLAME_CONFIG, "named by tls-ca-file" },
        { X509_V_ERR_CERT_HAS_EXPIRED, BLAME_REMOTE, "has expired" },
        { X509_V_ERR_CERT_NOT_YET_VALID, BLAME_REMOTE, "not valid yet" },
        { X509_V_ERR_CERT_REVOKED, BLAME_REMOTE, "was revoked" },
        { X509_V_ERR_HOSTNAME_MISMATCH, BLAME_CONFIG, "another name than host" },
        { X509_V_ERR_IP_ADDRESS_MISMATCH, BLAME_CONFIG, "another name than host" },
        { X509_V_ERR_UNSPECIFIED, BLAME_CONFIG, "another name than host" },
        { X509_V_OK, BLAME_CONFIG, "another name than host" },
        { X509_V_ERR_CERT_CHAIN_TOO_LONG, BLAME_REMOTE, "was refused: the library's words" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error error = ERROR_NONE;
        tls_refused(&error, "host", cases[i].verify, "tls-ca-file", "the library's words");
        assert_non_null(strstr(error.text, cases[i].words));
        assert_int_equal(error.blame, cases[i].blame);
    }
}

static void a_ca_without_a_key_of_its_own_names_none(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    tls_refused(&error, "host", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, NULL, "");
    assert_string_equal(error.text, "TLS: the certificate of host comes from an unknown CA");
    assert_int_equal(tls_no_authority(&error, NULL), -1);
    assert_string_equal(error.text, "TLS: the CA holds no usable CA certificate (PEM)");
}

static void a_failed_handshake_is_explained_by_what_openssl_says(void **state)
{
    (void)state;
    static const struct {
        const char *detail, *words;
        enum blame blame;
    } cases[] = {
        { "error:0A00010B:SSL routines::wrong version number", "answers in plain HTTP", BLAME_CONFIG },
        { "error:0A0000C6:SSL routines::packet length too long", "answers in plain HTTP", BLAME_CONFIG },
        { "error:0A00045C:SSL routines::tlsv13 alert certificate required", "our client certificate", BLAME_CONFIG },
        { "error:0A000410:SSL routines::sslv3 alert handshake failure", "our client certificate", BLAME_CONFIG },
        { "error:0A00042E:SSL routines::tlsv1 alert protocol version", "the handshake with host", BLAME_REMOTE },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error error = ERROR_NONE;
        tls_failed(&error, "host", cases[i].detail);
        assert_non_null(strstr(error.text, cases[i].words));
        assert_int_equal(error.blame, cases[i].blame);
    }
}

static void a_context_before_its_first_handshake_has_nothing_to_explain(void **state)
{
    (void)state;
    struct error error = ERROR_NONE;
    struct tls_context *context = tls_context_new(&(struct http_tls){ 0 }, "host", &error);
    assert_non_null(context);
    assert_non_null(tls_context_native(context));
    assert_false(tls_context_explain(context, "host", &error));
    assert_int_equal(error.blame, BLAME_NONE);
    tls_context_free(context);
    tls_context_free(NULL);
}

/* A key that does not belong to the certificate, and texts that are no PEM. */
static void what_cannot_be_used_gives_no_context(void **state)
{
    (void)state;
    struct identity ca = identity_make(NULL, "Test CA", NULL, 3600);
    struct identity one = identity_make(&ca, "one", NULL, 3600), two = identity_make(&ca, "two", NULL, 3600);
    OWNED_TEXT char *cert_pem = identity_certificate_pem(&one);
    OWNED_TEXT char *key_pem = identity_key_pem(&one);
    OWNED_TEXT char *other_key_pem = identity_key_pem(&two);
    const struct http_tls wrong[] = {
        { .ca_pem = "nonsense", .ca_key = "tls-ca-file" },
        { .cert_pem = cert_pem, .key_pem = other_key_pem },
        { .cert_pem = cert_pem, .key_pem = "nonsense" },
        { .cert_pem = "nonsense", .key_pem = key_pem },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct error error = ERROR_NONE;
        assert_null(tls_context_new(&wrong[i], "host", &error));
        assert_int_equal(error.blame, BLAME_CONFIG);
        assert_non_null(strstr(error.text, i == 0 ? "tls-ca-file holds no usable CA" : "client certificate"));
        assert_int_equal(ERR_peek_error(), 0); /* would be taken for the reason of a later failure */
    }
    struct error error = ERROR_NONE;
    struct tls_context *context =
        tls_context_new(&(struct http_tls){ .cert_pem = cert_pem, .key_pem = key_pem }, "host", &error);
    assert_non_null(context);
    tls_context_free(context);
    identity_clear(&ca);
    identity_clear(&one);
    identity_clear(&two);
}

static void only_the_same_host_under_the_same_trust_has_the_same_key(void **state)
{
    (void)state;
    const struct http_tls trusts[] = {
        { 0 },
        { .ca_pem = "a" },
        { .ca_pem = "b" },
        { .ca_pem = "a", .ca_only = true },
        { .cert_pem = "a" },
        { .cert_pem = "a", .key_pem = "b" },
        { .cert_pem = "a", .key_pem = "c" },
        { .server_name = "a" },
        { .insecure = true },
    };
    char keys[2 * COUNT_OF(trusts)][DIGEST_HEX];
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        tls_key(keys[i], &trusts[i / 2], i % 2 ? "host" : "other");
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        char again[DIGEST_HEX];
        tls_key(again, &trusts[i / 2], i % 2 ? "host" : "other");
        for (size_t k = 0; k < COUNT_OF(keys); k++)
            assert_int_equal(strcmp(again, keys[k]) == 0, i == k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_certificate_says_who_has_to_change_what),
        cmocka_unit_test(a_ca_without_a_key_of_its_own_names_none),
        cmocka_unit_test(a_failed_handshake_is_explained_by_what_openssl_says),
        cmocka_unit_test(a_context_before_its_first_handshake_has_nothing_to_explain),
        cmocka_unit_test(what_cannot_be_used_gives_no_context),
        cmocka_unit_test(only_the_same_host_under_the_same_trust_has_the_same_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
