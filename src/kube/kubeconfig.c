/* A kubeconfig, or several of which the first that defines a name wins. */
#include "access.h"

#include "io/file.h"
#include "text/digest.h"
#include "text/yaml.h"

#include <stdio.h>
#include <string.h>

enum { FILES_MOST = 8, KUBECONFIG_MOST = 4 * 1024 * 1024 };

struct kubeconfig {
    struct {
        struct tree *tree;
        char *folder; /* relative paths in the file begin here */
    } files[FILES_MOST];
    size_t count;
};

/* An entry and the folder of the file it stands in. */
struct entry {
    const struct tree *tree;
    const char *folder;
};

static void kubeconfig_clear(struct kubeconfig *config)
{
    for (size_t i = 0; i < config->count; i++) {
        tree_free(config->files[i].tree);
        mem_free(config->files[i].folder);
    }
}

static const char *text_of(const struct tree *table, const char *key)
{
    const struct tree *member = table ? tree_get(table, key) : NULL;
    if (!member || !member->text || member->kind == TREE_NULL || member->text[0] == '\0')
        return NULL;
    return member->text;
}

static int add_file(struct kubeconfig *config, const char *path, struct error *error)
{
    struct strbuf text = STRBUF_UP_TO(KUBECONFIG_MOST);
    int result = -1;
    if (config->count == FILES_MOST) {
        error_set(error, BLAME_CONFIG, 0, "kubeconfig: more than %d files", FILES_MOST);
    } else if (file_read(path, &text, error) == 0) {
        struct tree *tree = yaml_parse(strbuf_text(&text), text.length, error);
        const char *slash = strrchr(path, '/');
        if (tree) {
            config->files[config->count].tree = tree;
            config->files[config->count].folder = slash ? mem_copy(path, (size_t)(slash - path) + 1) : mem_text("");
            config->count++;
            result = 0;
        } else {
            error_within(error, "%s", path);
        }
    }
    if (result < 0 && error)
        error->blame = BLAME_CONFIG;
    strbuf_wipe(&text);
    return result;
}

/* In a list a file may be missing; a single one may not. */
static int add_files(struct kubeconfig *config, const char *files, struct error *error)
{
    bool several = strchr(files, ':') != NULL;
    while (*files) {
        size_t length = strcspn(files, ":");
        OWNED_TEXT char *path = mem_copy(files, length);
        if (length > 0 && !(several && !file_exists(path)) && add_file(config, path, error) < 0)
            return -1;
        files += length;
        files += *files == ':';
    }
    return config->count ? 0 : error_set(error, BLAME_CONFIG, 0, "KUBECONFIG: none of its files exists");
}

static struct entry find(const struct kubeconfig *config, const char *list, const char *name, const char *member)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct tree *all = tree_get(config->files[i].tree, list);
        for (const struct tree *one = all ? all->first : NULL; one; one = one->next) {
            const char *its = text_of(one, "name");
            if (its && strcmp(its, name) == 0)
                return (struct entry){ tree_get(one, member), config->files[i].folder };
        }
    }
    return (struct entry){ NULL, NULL };
}

static const char *current_context(const struct kubeconfig *config)
{
    for (size_t i = 0; i < config->count; i++) {
        const char *name = text_of(config->files[i].tree, "current-context");
        if (name)
            return name;
    }
    return NULL;
}

static char *path_of(const struct entry *entry, const char *path)
{
    return path[0] == '/' ? mem_text(path) : mem_format("%s%s", entry->folder, path);
}

/* "KEY-data" (base64) or, when that is missing, the file named by KEY, into *content. */
static int data_or_file(const struct entry *entry, const char *key, char **content, char **file, struct error *error)
{
    char data_key[64];
    snprintf(data_key, sizeof data_key, "%s-data", key);
    const char *data = text_of(entry->tree, data_key);
    const char *named = text_of(entry->tree, key);
    if (data) {
        struct strbuf bytes = STRBUF_UP_TO(MIB);
        if (base64_decode(data, strlen(data), &bytes) < 0) {
            strbuf_wipe(&bytes);
            return error_set(error, BLAME_CONFIG, 0, "kubeconfig: %s is not base64", data_key);
        }
        *content = strbuf_take(&bytes, NULL);
        return 0;
    }
    if (!named)
        return 0;
    OWNED_TEXT char *path = path_of(entry, named);
    *content = access_read_file(path, error);
    if (!*content)
        return error_within(error, "kubeconfig: %s", key);
    if (file)
        *file = mem_text(path);
    return 0;
}

static int take_cluster(struct kube_access *access, const struct entry *cluster, struct error *error)
{
    const char *server = text_of(cluster->tree, "server");
    const struct tree *insecure = cluster->tree ? tree_get(cluster->tree, "insecure-skip-tls-verify") : NULL;
    if (!server)
        return error_set(error, BLAME_CONFIG, 0, "kubeconfig: the cluster has no server");
    access->server = strstr(server, "://") ? mem_text(server) : mem_format("https://%s", server);
    access->server_name = mem_text(text_of(cluster->tree, "tls-server-name"));
    access->ca_key = "certificate-authority (kubeconfig)";
    access->insecure = insecure && insecure->kind == TREE_BOOLEAN && insecure->integer;
    return data_or_file(cluster, "certificate-authority", &access->ca_pem, &access->ca_file, error);
}

static int take_user(struct kube_access *access, const struct entry *user, struct error *error)
{
    static const char *const unsupported[] = { "exec", "auth-provider", "username", "as" };
    for (size_t i = 0; i < COUNT_OF(unsupported); i++)
        if (user->tree && tree_get(user->tree, unsupported[i]))
            return error_set(error, BLAME_CONFIG, 0,
                             "kubeconfig: the user has %s, which is not supported: use token, tokenFile or "
                             "client-certificate",
                             unsupported[i]);
    const char *token_file = text_of(user->tree, "tokenFile");
    const char *token = text_of(user->tree, "token");
    if (token_file) {
        access->token_file = path_of(user, token_file);
        access->token = access_read_file(access->token_file, error);
        if (!access->token)
            return error_within(error, "kubeconfig: tokenFile");
    } else if (token) {
        access->token = mem_text(token);
    }
    if (data_or_file(user, "client-certificate", &access->cert_pem, NULL, error) < 0 ||
        data_or_file(user, "client-key", &access->key_pem, NULL, error) < 0)
        return -1;
    if (!access->cert_pem != !access->key_pem)
        return error_set(error, BLAME_CONFIG, 0, "kubeconfig: client-certificate and client-key belong together");
    return 0;
}

static int take_context(struct kube_access *access, const struct kubeconfig *config, const char *name,
                        struct error *error)
{
    if (!name)
        name = current_context(config);
    if (!name)
        return error_set(error, BLAME_CONFIG, 0, "kubeconfig: no current-context");
    struct entry context = find(config, "contexts", name, "context");
    const char *cluster_name = text_of(context.tree, "cluster");
    const char *user_name = text_of(context.tree, "user");
    if (!cluster_name)
        return error_set(error, BLAME_CONFIG, 0, "kubeconfig: there is no context %s with a cluster", name);
    struct entry cluster = find(config, "clusters", cluster_name, "cluster");
    struct entry user = user_name ? find(config, "users", user_name, "user") : (struct entry){ NULL, NULL };
    access->ns = mem_text(text_of(context.tree, "namespace"));
    if (take_cluster(access, &cluster, error) < 0)
        return error_within(error, "context %s", name);
    return take_user(access, &user, error);
}

int kubeconfig_load(struct kube_access *access, const char *files, const char *context, struct error *error)
{
    struct kubeconfig config = { .count = 0 };
    int result = add_files(&config, files, error);
    if (result == 0)
        result = take_context(access, &config, context && *context ? context : NULL, error);
    kubeconfig_clear(&config);
    return result;
}
