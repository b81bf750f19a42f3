/* The one place that makes TLS contexts (SSL_CTX) and says in words why a handshake failed: who has to change what.
 * ws.c gets its contexts here, because libwebsockets 4.1 can neither read more than one CA certificate nor verify an
 * address. libcurl makes its own contexts from the same struct http_tls (http_options.c) and has its failures put into
 * words here. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "io/http.h"
#include "text/digest.h"

struct ssl_ctx_st;
struct tls_context;

/* Gives a context for connections to host: TLS 1.2 at least, trusting what tls names, verifying tls->server_name or
 * host, as an address where it is one, and resuming the newest session. NULL with error set when tls cannot be used.
 * Copies what it keeps. */
struct tls_context *tls_context_new(const struct http_tls *tls, const char *host, struct error *error);
/* Frees the context; a library that still holds its native part must be gone. NULL is fine. */
void tls_context_free(struct tls_context *context);
/* The SSL_CTX, borrowed, for a library that speaks TLS with it. */
struct ssl_ctx_st *tls_context_native(const struct tls_context *context);
/* Sets error to the reason why the last handshake with this context failed, and gives true. False when TLS was not the
 * reason. Ask in the callback in which the library reports the failure: the next handshake overwrites the answer.
 * place: how to name the server, for people. */
bool tls_context_explain(const struct tls_context *context, const char *place, struct error *error);

/* Sets key to the same text for the same host under the same trust, and to another one otherwise. */
void tls_key(char key[DIGEST_HEX], const struct http_tls *tls, const char *host);

/* Sets error for a certificate of place that was refused. verify: the number in which OpenSSL's verification ended;
 * libcurl hands it on. detail: the library's own words, for results without words here. ca_key may be NULL. */
void tls_refused(struct error *error, const char *place, long verify, const char *ca_key, const char *detail);
/* Sets error for a handshake that failed before a certificate was judged; detail holds the library's words. */
void tls_failed(struct error *error, const char *place, const char *detail);
/* Sets error for a CA file that holds no certificate, and gives -1. ca_key may be NULL. */
int tls_no_authority(struct error *error, const char *ca_key);
/* Sets error for a client certificate that does not fit its key or is no PEM, and gives -1. detail: the library's words
 * or NULL. */
int tls_bad_client(struct error *error, const char *detail);

#endif
