/* One call to DataOps, waited for: a loop of its own runs until the answer is there. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "command.h"
#include "config/config.h"
#include "dataops/api.h"

struct remote {
    struct loop *loop;
    struct http *http;
    struct dataops *dataops;
    char *ca_pem, *cert_pem, *key_pem;
    /* the last answer */
    int status;
    struct strbuf body; /* may hold a token: wiped */
    struct error error;
    int signal; /* INT or TERM came while waiting; 0 */
    bool answered, patient;
};

struct remote_place {
    const char *url, *token, *system_id;
    const char *tls_ca_file, *tls_cert_file, *tls_key_file; /* paths or NULL */
};
/* --tls-ca-file and the other two. */
/* clang-format off */
#define OPTIONS_TLS                                                                                                    \
    { .name = "tls-ca-file", .kind = OPTION_TEXT, .env = "CI_SERVER_TLS_CA_FILE", .value = "FILE",                     \
      .help = "CA certificates (PEM) that DataOps' certificate may come from" },                                       \
    { .name = "tls-cert-file", .kind = OPTION_TEXT, .env = "CI_SERVER_TLS_CERT_FILE", .value = "FILE",                 \
      .help = "client certificate (PEM) for DataOps" },                                                                \
    { .name = "tls-key-file", .kind = OPTION_TEXT, .env = "CI_SERVER_TLS_KEY_FILE", .value = "FILE",                   \
      .help = "its key (PEM)" }
/* clang-format on */

/* Reads the TLS files and prepares the calls (remote_close, also after a failure). */
int remote_open(struct remote *remote, const struct remote_place *place, struct error *error) MUST_CHECK;
void remote_close(struct remote *remote);

/* Each waits for its answer and leaves it in remote. INT or TERM is kept in remote->signal; the calls that change
 * something at DataOps still wait for their answer then (what it did must be known), until the second signal. */
void remote_verify(struct remote *remote);
void remote_register(struct remote *remote, const struct dataops_register *wish);
void remote_unregister(struct remote *remote);

/* What the answer means for the exit code; END_DONE for a 2xx. */
enum end remote_end(const struct remote *remote);

#endif
