#include "tls_words.h"

#include <string.h>

static void unknown_ca(struct error *error, const char *host, const char *ca_key)
{
    if (ca_key)
        error_set(error, BLAME_CONFIG, 0,
                  "TLS: the certificate of %s comes from an unknown CA: put the CA certificate (PEM) into the file "
                  "named by %s",
                  host, ca_key);
    else
        error_set(error, BLAME_CONFIG, 0, "TLS: the certificate of %s comes from an unknown CA", host);
}

void tls_refused(struct error *error, const char *host, long verify, const char *ca_key, const char *detail)
{
    switch (verify) {
    case TLS_VERIFY_NO_ISSUER:
    case TLS_VERIFY_SELF_SIGNED:
    case TLS_VERIFY_SELF_SIGNED_IN_CHAIN:
    case TLS_VERIFY_NO_LOCAL_ISSUER:
    case TLS_VERIFY_NO_LEAF:
        unknown_ca(error, host, ca_key);
        return;
    case TLS_VERIFY_EXPIRED:
        error_set(error, BLAME_REMOTE, 0,
                  "TLS: the certificate of %s has expired: it must be renewed there (or our clock is wrong)", host);
        return;
    case TLS_VERIFY_NOT_YET:
        error_set(error, BLAME_REMOTE, 0, "TLS: the certificate of %s is not valid yet: is the clock right?", host);
        return;
    case TLS_VERIFY_REVOKED:
        error_set(error, BLAME_REMOTE, 0, "TLS: the certificate of %s was revoked", host);
        return;
    case TLS_VERIFY_OK:
    case TLS_VERIFY_UNSPECIFIED:
    case TLS_VERIFY_WRONG_HOST:
    case TLS_VERIFY_WRONG_ADDRESS:
        error_set(error, BLAME_CONFIG, 0,
                  "TLS: the certificate was issued for another name than %s: use a name that stands in it", host);
        return;
    default:
        error_set(error, BLAME_REMOTE, 0, "TLS: the certificate of %s was refused: %s", host, detail);
    }
}

void tls_failed(struct error *error, const char *host, const char *detail)
{
    /* what OpenSSL says when the first bytes it reads are "HTTP/1.1 400" */
    if (strstr(detail, "wrong version number") || strstr(detail, "packet length too long"))
        error_set(error, BLAME_CONFIG, 0, "TLS: %s answers in plain HTTP: should the URL begin with http://?", host);
    else if (strstr(detail, "alert certificate required") || strstr(detail, "alert handshake failure") ||
             strstr(detail, "alert bad certificate") || strstr(detail, "alert unknown ca"))
        error_set(error, BLAME_CONFIG, 0, "TLS: %s refused our client certificate, or wants one: %s", host, detail);
    else
        error_set(error, BLAME_REMOTE, 0, "TLS: the handshake with %s failed: %s", host, detail);
}
