#include "remote.h"

#include "io/file.h"
#include "io/loop.h"
#include "secret.h"

#include <signal.h>
#include <string.h>

#define PEM_MOST (1 * MIB)

static void remote_signalled(void *owner, int number)
{
    struct remote *remote = owner;

    if (remote->signal != 0 || !remote->patient)
        loop_stop(remote->loop);
    remote->signal = number;
}

int remote_open(struct remote *remote, const struct remote_place *place, struct error *error)
{
    struct dataops_place dataops = {
        .url = place->url,
        .token = place->token,
        .system_id = place->system_id,
        .executor = "kubernetes",
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
    };

    *remote = (struct remote){ .body = STRBUF_EMPTY };
    if (file_read_named(place->tls_ca_file, "tls-ca-file", PEM_MOST, &remote->ca_pem, error) < 0 ||
        file_read_named(place->tls_cert_file, "tls-cert-file", PEM_MOST, &remote->cert_pem, error) < 0 ||
        file_read_named(place->tls_key_file, "tls-key-file", PEM_MOST, &remote->key_pem, error) < 0)
        return -1;
    dataops.tls = (struct http_tls){
        .ca_pem = remote->ca_pem,
        .cert_pem = remote->cert_pem,
        .key_pem = remote->key_pem,
        .ca_key = "tls-ca-file",
    };
    remote->loop = loop_new();
    loop_on_signal(remote->loop, SIGINT, remote_signalled, remote);
    loop_on_signal(remote->loop, SIGTERM, remote_signalled, remote);
    remote->http = http_new(remote->loop, "dataops-runner/" DATAOPS_VERSION);
    remote->dataops = dataops_new(remote->loop, remote->http, &dataops, error);
    return remote->dataops != NULL ? 0 : -1;
}

void remote_close(struct remote *remote)
{
    dataops_free(remote->dataops);
    if (remote->http != NULL)
        http_free(remote->http);
    if (remote->loop != NULL)
        loop_free(remote->loop);
    mem_free(remote->ca_pem);
    mem_free(remote->cert_pem);
    secret_free(remote->key_pem);
    strbuf_wipe(&remote->body);
    *remote = (struct remote){ .body = STRBUF_EMPTY };
}

static void remote_answered(void *owner, const struct dataops_answer *answer)
{
    struct remote *remote = owner;

    remote->answered = true;
    remote->status = answer->status;
    remote->error = answer->error;
    if (answer->reply != NULL)
        strbuf_add(&remote->body, strbuf_text(&answer->reply->body), answer->reply->body.length);
    loop_stop(remote->loop);
}

static void remote_wait(struct remote *remote, struct dataops_call *call)
{
    loop_run(remote->loop);
    if (!remote->answered) {
        dataops_cancel(call);
        error_set(&remote->error, BLAME_REMOTE, 0, "interrupted while waiting for DataOps");
    }
}

static void remote_reset(struct remote *remote, bool patient)
{
    remote->patient = patient;
    strbuf_wipe(&remote->body);
    remote->status = 0;
    remote->answered = false;
    remote->error = ERROR_NONE;
}

void remote_register(struct remote *remote, const struct dataops_register *wish)
{
    remote_reset(remote, true);
    remote_wait(remote, dataops_register(remote->dataops, wish, remote_answered, remote));
}

void remote_verify(struct remote *remote)
{
    remote_reset(remote, false);
    remote_wait(remote, dataops_verify(remote->dataops, remote_answered, remote));
}

void remote_unregister(struct remote *remote)
{
    remote_reset(remote, true);
    remote_wait(remote, dataops_unregister(remote->dataops, remote_answered, remote));
}

enum end remote_end(const struct remote *remote)
{
    if (remote->status >= 200 && remote->status < 300 && remote->error.blame == BLAME_NONE)
        return END_DONE;
    if (!remote->answered)
        return (enum end)(END_SIGNAL + remote->signal);
    switch (remote->status) {
    case 401:
    case 403:
    case 404:
    case 410:
    case 422:
        return END_TOKEN;
    case 0:
    case 429:
        return END_PLATFORM;
    default:
        return remote->status >= 500 ? END_PLATFORM : END_FAILED;
    }
}
