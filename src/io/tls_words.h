/* TLS failures in words, the same for http and ws: who has to change what. */
#ifndef IO_TLS_WORDS_H
#define IO_TLS_WORDS_H

#include "io/http.h"

/* What OpenSSL's verification can say (x509_vfy.h), as far as it gets words of its own. */
enum tls_verify {
    TLS_VERIFY_OK = 0,
    TLS_VERIFY_UNSPECIFIED = 1, /* what libcurl leaves when its own look at the name failed */
    TLS_VERIFY_NO_ISSUER = 2,
    TLS_VERIFY_NOT_YET = 9,
    TLS_VERIFY_EXPIRED = 10,
    TLS_VERIFY_SELF_SIGNED = 18,
    TLS_VERIFY_SELF_SIGNED_IN_CHAIN = 19,
    TLS_VERIFY_NO_LOCAL_ISSUER = 20,
    TLS_VERIFY_NO_LEAF = 21,
    TLS_VERIFY_REVOKED = 23,
    TLS_VERIFY_WRONG_HOST = 62,
    TLS_VERIFY_WRONG_ADDRESS = 64,
};

/* Sets error for a certificate of host that was refused. verify: one of the above or another X509_V_ERR number.
 * detail: the library's own words, for numbers without words here. ca_key may be NULL. */
void tls_refused(struct error *error, const char *host, long verify, const char *ca_key, const char *detail);
/* The handshake failed before a certificate was judged; detail holds the library's words. */
void tls_failed(struct error *error, const char *host, const char *detail);

#endif
