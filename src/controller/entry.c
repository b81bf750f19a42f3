#include "entry.h"

#include "cluster.h"
#include "dataops/api.h"
#include "io/file.h"
#include "pod/name.h"

#include <string.h>

#define PEM_MOST (1 * MIB)

static int entry_read_token(struct entry *entry, struct error *error)
{
    const struct config_runner *runner = entry->runner;
    struct strbuf text = STRBUF_UP_TO(64 * KIB);

    if (runner->token_file != NULL && runner->token_file[0] != '\0' && !file_is_filled(runner->token_file) &&
        entry->frame->options.registration != NULL)
        return 0; /* the state Secret holds a token, or registration brings one: enroll.c */
    if (runner->token_file == NULL || runner->token_file[0] == '\0') {
        if (runner->token == NULL || runner->token[0] == '\0')
            return error_set(error, BLAME_CONFIG, 0,
                             "[[runners]] %s: no token: set token or token_file, or run register",
                             runner->name != NULL ? runner->name : runner->url);
        entry->token = mem_text(runner->token);
        return 0;
    }
    if (file_read(runner->token_file, &text, error) < 0) {
        strbuf_wipe(&text);
        error->blame = BLAME_CONFIG;
        return error_within(error, "token_file");
    }
    while (text.length > 0 && strchr(" \t\r\n", text.bytes[text.length - 1]) != NULL)
        strbuf_cut(&text, text.length - 1);
    entry->token = strbuf_take(&text, NULL);
    return entry->token == NULL || entry->token[0] == '\0'
               ? error_set(error, BLAME_CONFIG, 0, "token_file %s is empty", runner->token_file)
               : 0;
}

int entry_init(struct entry *entry, const struct frame *frame, struct cluster_set *clusters,
               const struct config_runner *runner, struct error *error)
{
    struct dataops_place place = {
        .url = runner->url,
        .system_id = frame->options.system_id,
        .executor = "kubernetes",
        .shell = runner->shell,
        .version = DATAOPS_VERSION,
        .revision = DATAOPS_REVISION,
    };

    *entry = (struct entry){ .frame = frame, .runner = runner };
    if (entry_read_token(entry, error) < 0 ||
        file_read_named(runner->tls_ca_file, "tls-ca-file", PEM_MOST, &entry->ca_pem, error) < 0 ||
        file_read_named(runner->tls_cert_file, "tls-cert-file", PEM_MOST, &entry->cert_pem, error) < 0 ||
        file_read_named(runner->tls_key_file, "tls-key-file", PEM_MOST, &entry->key_pem, error) < 0)
        return -1;
    entry->short_token = entry->token != NULL ? pod_short_token(entry->token) : NULL;
    place.token = entry->token;
    place.tls = (struct http_tls){
        .ca_pem = entry->ca_pem, .cert_pem = entry->cert_pem, .key_pem = entry->key_pem, .ca_key = "tls-ca-file"
    };
    entry->dataops = dataops_new(frame->loop, frame->http, &place, error);
    if (entry->dataops == NULL)
        return -1;
    entry->cluster = cluster_for(clusters, &runner->kubernetes, error);
    return entry->cluster == NULL ? -1 : 0;
}

void entry_set_token(struct entry *entry, const char *token)
{
    if (entry->token != NULL)
        mem_wipe_free(entry->token, strlen(entry->token));
    mem_free(entry->short_token);
    entry->token = mem_text(token);
    entry->short_token = pod_short_token(token);
    dataops_set_token(entry->dataops, token);
}

void entry_clear(struct entry *entry)
{
    dataops_free(entry->dataops);
    if (entry->token != NULL)
        mem_wipe_free(entry->token, strlen(entry->token));
    mem_free(entry->short_token);
    mem_free(entry->ca_pem);
    mem_free(entry->cert_pem);
    if (entry->key_pem != NULL)
        mem_wipe_free(entry->key_pem, strlen(entry->key_pem));
}
