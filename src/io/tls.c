/* OpenSSL's side of TLS. Everything that names an SSL_, X509_ or BIO_ function stands here; scripts/wrappers sees to
 * it. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

struct tls_context {
    SSL_CTX *native;
    SSL_SESSION *session; /* the newest one, to resume: the server's chain was verified under this very trust */
    char *name;           /* server name to send, NULL when the host is an address */
    char *ca_key;         /* for error texts */
    /* of the last handshake */
    long verify;
    char failure[160];
};

/* --- failures in words --- */

static void unknown_ca(struct error *error, const char *place, const char *ca_key)
{
    if (ca_key)
        error_set(error, BLAME_CONFIG, 0,
                  "TLS: the certificate of %s comes from an unknown CA: put the CA certificate (PEM) into the file "
                  "named by %s",
                  place, ca_key);
    else
        error_set(error, BLAME_CONFIG, 0, "TLS: the certificate of %s comes from an unknown CA", place);
}

void tls_refused(struct error *error, const char *place, long verify, const char *ca_key, const char *detail)
{
    switch (verify) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        unknown_ca(error, place, ca_key);
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        error_set(error, BLAME_REMOTE, 0,
                  "TLS: the certificate of %s has expired: it must be renewed there (or our clock is wrong)", place);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        error_set(error, BLAME_REMOTE, 0, "TLS: the certificate of %s is not valid yet: is the clock right?", place);
        return;
    case X509_V_ERR_CERT_REVOKED:
        error_set(error, BLAME_REMOTE, 0, "TLS: the certificate of %s was revoked", place);
        return;
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* what libcurl leaves when its own look at the name failed */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        error_set(error, BLAME_CONFIG, 0,
                  "TLS: the certificate was issued for another name than %s: use a name that stands in it", place);
        return;
    default:
        error_set(error, BLAME_REMOTE, 0, "TLS: the certificate of %s was refused: %s", place, detail);
    }
}

void tls_failed(struct error *error, const char *place, const char *detail)
{
    /* what OpenSSL says when the first bytes it reads are "HTTP/1.1 400" */
    if (strstr(detail, "wrong version number") || strstr(detail, "packet length too long"))
        error_set(error, BLAME_CONFIG, 0, "TLS: %s answers in plain HTTP: should the URL begin with http://?", place);
    else if (strstr(detail, "alert certificate required") || strstr(detail, "alert handshake failure") ||
             strstr(detail, "alert bad certificate") || strstr(detail, "alert unknown ca"))
        error_set(error, BLAME_CONFIG, 0, "TLS: %s refused our client certificate, or wants one: %s", place, detail);
    else
        error_set(error, BLAME_REMOTE, 0, "TLS: the handshake with %s failed: %s", place, detail);
}

int tls_no_authority(struct error *error, const char *ca_key)
{
    return error_set(error, BLAME_CONFIG, 0, "TLS: %s holds no usable CA certificate (PEM)",
                     ca_key ? ca_key : "the CA");
}

int tls_bad_client(struct error *error, const char *detail)
{
    return error_set(error, BLAME_CONFIG, 0, "TLS: the client certificate or its key cannot be used%s%s",
                     detail ? ": " : "", detail ? detail : "");
}

bool tls_context_explain(const struct tls_context *context, const char *place, struct error *error)
{
    if (context->verify != X509_V_OK)
        tls_refused(error, place, context->verify, context->ca_key, X509_verify_cert_error_string(context->verify));
    else if (context->failure[0])
        tls_failed(error, place, context->failure);
    else
        return false;
    return true;
}

/* --- what a context does during its handshakes --- */

static void handshake_news(const SSL *ssl, int where, int result)
{
    /* OpenSSL's type for this callback is const, and yet a handshake's start is the moment to give it its name */
    SSL *same = (SSL *)(uintptr_t)ssl;
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (where & SSL_CB_HANDSHAKE_START) {
        context->verify = X509_V_OK;
        context->failure[0] = '\0';
        SSL_set_tlsext_host_name(same, context->name);
        if (context->session)
            SSL_set_session(same, context->session);
    } else if ((where & SSL_CB_EXIT) && result <= 0) {
        unsigned long number = ERR_peek_last_error();
        context->verify = SSL_get_verify_result(ssl);
        if (number)
            ERR_error_string_n(number, context->failure, sizeof context->failure);
    }
}

/* Most of a handshake is the server's certificates; the next connection goes without them. A copy is kept, because a
 * connection that is cut spoils its own session. */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(context->session);
    context->session = SSL_SESSION_dup(session);
    return 0;
}

/* --- a context --- */

/* Adds every certificate of a PEM text; false when there is none. */
static bool add_authorities(X509_STORE *store, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    bool any = false;
    for (X509 *one = PEM_read_bio_X509(bio, NULL, NULL, NULL); one; one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) {
        any |= X509_STORE_add_cert(store, one) == 1;
        X509_free(one);
    }
    BIO_free(bio);
    ERR_clear_error();
    return any;
}

static bool use_client_certificate(SSL_CTX *native, const char *cert_pem, const char *key_pem)
{
    BIO *bio = BIO_new_mem_buf(cert_pem, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool good = leaf && SSL_CTX_use_certificate(native, leaf) == 1;
    X509_free(leaf);
    for (X509 *one = PEM_read_bio_X509(bio, NULL, NULL, NULL); one; one = PEM_read_bio_X509(bio, NULL, NULL, NULL))
        SSL_CTX_add_extra_chain_cert(native, one);
    BIO_free(bio);
    bio = BIO_new_mem_buf(key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    good = good && key && SSL_CTX_use_PrivateKey(native, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return good;
}

static bool is_address(const char *host)
{
    unsigned char binary[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

static int context_fill(SSL_CTX *native, const struct http_tls *tls, const char *name, struct error *error)
{
    X509_VERIFY_PARAM *judge = SSL_CTX_get0_param(native);
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    if (!tls->ca_pem || !tls->ca_only)
        SSL_CTX_set_default_verify_paths(native);
    if (tls->ca_pem && !add_authorities(SSL_CTX_get_cert_store(native), tls->ca_pem))
        return tls_no_authority(error, tls->ca_key);
    if (tls->cert_pem && tls->key_pem && !use_client_certificate(native, tls->cert_pem, tls->key_pem))
        return tls_bad_client(error, NULL);
    if (tls->insecure)
        return 0;
    X509_VERIFY_PARAM_set_hostflags(judge, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int set =
        is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(judge, name) : X509_VERIFY_PARAM_set1_host(judge, name, 0);
    if (set != 1)
        return error_set(error, BLAME_INPUT, 0, "TLS: %s cannot be verified", name);
    return 0;
}

struct tls_context *tls_context_new(const struct http_tls *tls, const char *host, struct error *error)
{
    const char *name = tls->server_name ? tls->server_name : host;
    SSL_CTX *native = SSL_CTX_new(TLS_client_method());
    if (!native) {
        error_set(error, BLAME_SYSTEM, 0, "TLS: OpenSSL gives no context");
        return NULL;
    }
    if (context_fill(native, tls, name, error) < 0) {
        SSL_CTX_free(native);
        return NULL;
    }
    struct tls_context *context = mem_new(sizeof *context);
    context->native = native;
    context->name = is_address(name) ? NULL : mem_text(name);
    context->ca_key = mem_text(tls->ca_key);
    SSL_CTX_set_app_data(native, context);
    SSL_CTX_set_info_callback(native, handshake_news);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(native, session_came);
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_SESSION_free(context->session);
    SSL_CTX_free(context->native);
    mem_free(context->name);
    mem_free(context->ca_key);
    mem_free(context);
}

struct ssl_ctx_st *tls_context_native(const struct tls_context *context)
{
    return context->native;
}

void tls_key(char key[DIGEST_HEX], const struct http_tls *tls, const char *host)
{
    const char *parts[] = { host, tls->server_name, tls->ca_pem, tls->cert_pem, tls->key_pem };
    OWNED_STRBUF struct strbuf all = STRBUF_EMPTY;
    strbuf_format(&all, "%d%d", tls->insecure, tls->ca_only);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        strbuf_format(&all, "\n%s", parts[i] ? parts[i] : "-");
    digest_sha256_hex(strbuf_text(&all), all.length, key);
    explicit_bzero(all.bytes, all.length);
}
