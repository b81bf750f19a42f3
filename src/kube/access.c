#include "access.h"

#include "io/file.h"
#include "text/url.h"

#include <ctype.h>
#include <string.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

enum { FILE_MOST = 1024 * 1024 };

char *access_read_file(const char *path, struct error *error)
{
    struct strbuf text = STRBUF_UP_TO(FILE_MOST);
    char *given = NULL;
    if (file_read(path, &text, error) < 0) {
        if (error)
            error->blame = BLAME_CONFIG;
    } else {
        const char *start = strbuf_text(&text);
        while (isspace((unsigned char)*start))
            start++;
        size_t length = strlen(start);
        while (length > 0 && isspace((unsigned char)start[length - 1]))
            length--;
        if (length > 0)
            given = mem_copy(start, length);
        else
            error_set(error, BLAME_CONFIG, 0, "%s is empty", path);
    }
    strbuf_wipe(&text);
    return given;
}

static void forget(char **secret)
{
    mem_wipe_free(*secret, *secret ? strlen(*secret) : 0);
    *secret = NULL;
}

void access_clear(struct kube_access *access)
{
    forget(&access->token);
    forget(&access->key_pem);
    mem_free(access->server);
    mem_free(access->ns);
    mem_free(access->token_file);
    mem_free(access->ca_pem);
    mem_free(access->ca_file);
    mem_free(access->cert_pem);
    mem_free(access->server_name);
    *access = (struct kube_access){ 0 };
}

static void replace(char **value, char *with)
{
    if (!with)
        return;
    forget(value);
    *value = with;
}

void access_refresh(struct kube_access *access)
{
    struct error ignored = ERROR_NONE;
    if (access->token_file)
        replace(&access->token, access_read_file(access->token_file, &ignored));
    if (access->ca_file)
        replace(&access->ca_pem, access_read_file(access->ca_file, &ignored));
}

/* Reads *file into *content when a file is named. */
static int read_named(const char *file, const char *key, char **content, struct error *error)
{
    if (!file || !*file)
        return 0;
    *content = access_read_file(file, error);
    return *content ? 0 : error_within(error, "%s", key);
}

/* As client-go: without a scheme it is https when TLS is configured. */
static int from_host(struct kube_access *access, const struct kube_place *place, struct error *error)
{
    bool tls = place->ca_file || place->cert_file;
    access->server =
        strstr(place->host, "://") ? mem_text(place->host) : mem_format("%s://%s", tls ? "https" : "http", place->host);
    access->ca_key = "ca_file";
    if (place->bearer_token && *place->bearer_token)
        access->token = mem_text(place->bearer_token);
    if (place->ca_file && *place->ca_file)
        access->ca_file = mem_text(place->ca_file);
    if (read_named(place->ca_file, "ca_file", &access->ca_pem, error) < 0 ||
        read_named(place->cert_file, "cert_file", &access->cert_pem, error) < 0 ||
        read_named(place->key_file, "key_file", &access->key_pem, error) < 0)
        return -1;
    if (!access->cert_pem != !access->key_pem)
        return error_set(error, BLAME_CONFIG, 0, "cert_file and key_file belong together: set both or none");
    return 0;
}

static int from_service_account(struct kube_access *access, const struct kube_place *place, struct error *error)
{
    const char *folder = place->service_account ? place->service_account : SERVICE_ACCOUNT;
    const char *host = place->service_host;
    struct error ignored = ERROR_NONE;
    if (!host || !*host || !place->service_port || !*place->service_port)
        return error_set(error, BLAME_CONFIG, 0,
                         "no cluster is known: set host in [runners.kubernetes] or KUBECONFIG, or run in a pod "
                         "(KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set)");
    bool ipv6 = strchr(host, ':') && host[0] != '[';
    access->server = mem_format("https://%s%s%s:%s", ipv6 ? "[" : "", host, ipv6 ? "]" : "", place->service_port);
    access->token_file = mem_format("%s/token", folder);
    access->ca_file = mem_format("%s/ca.crt", folder);
    access->token = access_read_file(access->token_file, error);
    if (!access->token)
        return error_within(error, "service account (automountServiceAccountToken must be on)");
    access->ca_pem = access_read_file(access->ca_file, error);
    if (!access->ca_pem)
        return error_within(error, "service account");
    OWNED_TEXT char *ns_file = mem_format("%s/namespace", folder);
    access->ns = access_read_file(ns_file, &ignored);
    return 0;
}

/* Here, where the configuration can be blamed, and not at each request. */
static int server_check(const struct kube_access *access, struct error *error)
{
    struct url url = URL_EMPTY;
    struct error why = ERROR_NONE;
    const int done = url_parse(access->server, &url, &why);
    url_clear(&url);
    if (done == 0)
        return 0;
    OWNED_TEXT char *shown = url_for_people(access->server);
    return error_set(error, BLAME_CONFIG, 0, "the address of the cluster, \"%.200s\", is no http or https URL: %s",
                     shown, why.text);
}

int access_find(struct kube_access *access, const struct kube_place *place, struct error *error)
{
    *access = (struct kube_access){ 0 };
    int result;
    if (place->host && *place->host)
        result = from_host(access, place, error);
    else if (place->kubeconfig && *place->kubeconfig)
        result = kubeconfig_load(access, place->kubeconfig, place->context, error);
    else
        result = from_service_account(access, place, error);
    if (result < 0)
        return -1;
    size_t length = strlen(access->server);
    while (length > 0 && access->server[length - 1] == '/')
        access->server[--length] = '\0';
    return server_check(access, error);
}
