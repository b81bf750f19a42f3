/* Copies of struct http_tls that outlive the call they were given to. */
#include "io/http.h"

#include <string.h>

enum { TLS_TEXTS = 5 };

static void texts_of(struct http_tls *tls, const char **texts[TLS_TEXTS])
{
    const char **all[TLS_TEXTS] = { &tls->ca_pem, &tls->cert_pem, &tls->key_pem, &tls->server_name, &tls->ca_key };
    memcpy(texts, all, sizeof all);
}

void http_tls_copy(struct http_tls_owned *copy, const struct http_tls *from)
{
    *copy = (struct http_tls_owned){ .view = *from };
    const char **texts[TLS_TEXTS];
    size_t sizes[TLS_TEXTS];
    texts_of(&copy->view, texts);
    for (size_t i = 0; i < TLS_TEXTS; i++) {
        sizes[i] = *texts[i] ? strlen(*texts[i]) + 1 : 0;
        copy->block_bytes += sizes[i];
    }
    if (copy->block_bytes == 0)
        return;
    copy->block = mem_new(copy->block_bytes);
    char *at = copy->block;
    for (size_t i = 0; i < TLS_TEXTS; i++) {
        if (sizes[i] == 0)
            continue;
        memcpy(at, *texts[i], sizes[i]);
        *texts[i] = at;
        at += sizes[i];
    }
}

void http_tls_clear(struct http_tls_owned *copy)
{
    mem_wipe_free(copy->block, copy->block_bytes);
    *copy = (struct http_tls_owned){ 0 };
}

void http_tls_drop_client(struct http_tls_owned *copy)
{
    struct http_tls rest = copy->view;
    struct http_tls_owned without;
    rest.cert_pem = rest.key_pem = rest.server_name = NULL;
    http_tls_copy(&without, &rest);
    http_tls_clear(copy);
    *copy = without;
}
