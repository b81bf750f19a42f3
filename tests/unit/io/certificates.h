/* Certificates made on the spot: an authority, and what it signs. */
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

#include "base/mem.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <assert.h>
#include <stdbool.h>

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

static inline void identity_clear(struct identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

static inline void identity_extend(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* issuer NULL: self-signed authority. names: "DNS:localhost,IP:127.0.0.1" or NULL. Valid from an hour before its end or
 * a day before now. */
static inline struct identity identity_make(const struct identity *issuer, const char *common_name, const char *names,
                                            long ends_in_s)
{
    static long serial = 1;
    struct identity made = { .certificate = X509_new(), .key = EVP_EC_gen("P-256") };
    X509 *certificate = made.certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), ends_in_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer->certificate : certificate));
    X509_set_pubkey(certificate, made.key);
    if (names)
        identity_extend(certificate, NID_subject_alt_name, names);
    if (!issuer)
        identity_extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate, issuer ? issuer->key : made.key, EVP_sha256());
    return made;
}

static inline char *identity_pem(BIO *bio)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    char *text = mem_copy(bytes, (size_t)length);
    BIO_free(bio);
    return text;
}

/* Both give a text (mem_free). */
static inline char *identity_certificate_pem(const struct identity *identity)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, identity->certificate);
    return identity_pem(bio);
}

static inline char *identity_key_pem(const struct identity *identity)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL);
    return identity_pem(bio);
}

static inline int identity_choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                                           const unsigned char *offered, unsigned offered_length, void *seen)
{
    (void)ssl;
    /* what the client offered, for the test to look at: one length byte, then the name */
    if (seen) {
        char *text = seen;
        unsigned length = offered_length < 63 ? offered_length : 63;
        memcpy(text, offered, length);
        text[length] = '\0';
    }
    *out = offered + 1;
    *out_length = offered[0];
    return SSL_TLSEXT_ERR_OK;
}

/* A server's context; client_ca: asks for client certificates of that authority. */
static inline SSL_CTX *identity_server(const struct identity *identity, const struct identity *client_ca,
                                       char seen_alpn[64])
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, identity->certificate);
    SSL_CTX_use_PrivateKey(context, identity->key);
    SSL_CTX_set_alpn_select_cb(context, identity_choose_protocol, seen_alpn);
    if (client_ca) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client_ca->certificate);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return context;
}

#endif
