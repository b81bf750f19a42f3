#include "targets.h"

#include "config/write.h"
#include "io/file.h"
#include "pod/name.h"
#include "screen.h"
#include "secret.h"
#include "text/url.h"

#include <string.h>

static struct target *add_target(struct targets *targets)
{
    targets->items = mem_grow(targets->items, (targets->count + 1) * sizeof(*targets->items));
    targets->items[targets->count] = (struct target){ .error = ERROR_NONE };
    return &targets->items[targets->count++];
}

/* Addresses are the same with and without a slash at the end. */
static bool same_url(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);

    while (a_length > 0 && a[a_length - 1] == '/')
        a_length--;
    while (b_length > 0 && b[b_length - 1] == '/')
        b_length--;
    return a_length == b_length && strncmp(a, b, a_length) == 0;
}

static void find_in_file(struct targets *targets, const struct options *options)
{
    const char *name = options_text(options, "name"), *url = options_text(options, "url");

    for (size_t i = 0; i < targets->file.config->runner_count; i++) {
        const struct config_runner *runner = &targets->file.config->runners[i];
        struct error error = ERROR_NONE;
        char *token;

        if ((name != NULL && strcmp(runner->name, name) != 0) || (url != NULL && !same_url(runner->url, url)))
            continue;
        token = config_file_token(runner, &error);
        if (targets->token != NULL && (token == NULL || strcmp(token, targets->token) != 0)) {
            secret_free(token);
            continue;
        }
        *add_target(targets) = (struct target){
            .name = runner->name,
            .url = runner->url,
            .token = token,
            .error = error,
            .short_token = token != NULL ? pod_short_token(token) : mem_text("-"),
            .tls_ca_file = runner->tls_ca_file,
            .tls_cert_file = runner->tls_cert_file,
            .tls_key_file = runner->tls_key_file,
            .in_file = true,
            .index = i,
        };
    }
}

/* --token with --url names a runner wherever it was registered. */
static void add_given(struct targets *targets, const struct options *options)
{
    const char *name = options_text(options, "name");

    *add_target(targets) = (struct target){
        .name = name != NULL ? name : "runner",
        .url = options_text(options, "url"),
        .token = mem_text(targets->token),
        .short_token = pod_short_token(targets->token),
        .tls_ca_file = options_text(options, "tls-ca-file"),
        .tls_cert_file = options_text(options, "tls-cert-file"),
        .tls_key_file = options_text(options, "tls-key-file"),
    };
}

static int find_token(struct targets *targets, const struct options *options, struct error *error)
{
    const char *token = options_text(options, "token"), *path = options_text(options, "token-file");

    if (path != NULL)
        targets->token = secret_from_file(path, error);
    else if (token != NULL)
        targets->token = strcmp(token, "-") == 0 ? secret_from_file(token, error) : mem_text(token);
    return targets->token != NULL || (path == NULL && token == NULL) ? 0 : -1;
}

static int nothing_fits(const struct targets *targets, const struct options *options, struct error *error)
{
    const char *name = options_text(options, "name"), *url = options_text(options, "url");

    if (targets->file.config != NULL && targets->file.config->runner_count == 0)
        return error_set(error, BLAME_CONFIG, 0, "%s has no [[runners]] entry: run register", targets->file.path);
    if (targets->token != NULL)
        return error_set(error, BLAME_INPUT, 0, "no entry of %s has this token; with --url it needs none",
                         targets->file.path);
    OWNED_STRBUF struct strbuf asked = STRBUF_EMPTY;
    if (name != NULL)
        strbuf_format(&asked, "the name %.80s", name);
    if (url != NULL)
        strbuf_format(&asked, "%sthe address %.200s", asked.length > 0 ? " and " : "", url);
    return error_set(error, BLAME_INPUT, 0, "no entry of %s has %s; list shows them", targets->file.path,
                     strbuf_text(&asked));
}

int targets_find(struct targets *targets, const struct options *options, void (*warn)(const char *line),
                 struct error *error)
{
    bool by_token;

    if (find_token(targets, options, error) < 0)
        return -1;
    by_token = targets->token != NULL && options_text(options, "url") != NULL;
    OWNED_TEXT char *path = config_file_path(options);
    if (!by_token || file_exists(path)) {
        if (config_file_load(&targets->file, options, by_token ? NULL : warn, error) < 0)
            return -1;
        find_in_file(targets, options);
    } else {
        targets->file.path = mem_text(path);
    }
    if (targets->count == 0 && by_token)
        add_given(targets, options);
    for (size_t i = 0; by_token && i < targets->count; i++) /* elsewhere the file's own warning says it */
        if (url_is_in_clear(targets->items[i].url))
            screen_warn("%s: %s", targets->items[i].name, CONFIG_URL_IN_CLEAR);
    return targets->count > 0 ? 0 : nothing_fits(targets, options, error);
}

int targets_forget(struct targets *targets, struct error *error)
{
    struct strbuf text = STRBUF_EMPTY;
    int result = 0;
    bool changed = false;

    strbuf_add(&text, strbuf_text(&targets->file.text), targets->file.text.length);
    /* From the last to the first, so that an index means the same in every round. */
    for (size_t i = targets->count; i-- > 0;) {
        const struct target *target = &targets->items[i];
        struct strbuf less = STRBUF_EMPTY;

        if (!target->in_file || !target->forget)
            continue;
        if (config_syntax_of(targets->file.path) != CONFIG_TOML ||
            !config_write_less(strbuf_text(&text), target->index, &less)) {
            result = error_set(error, BLAME_CONFIG, 0, "%s: take the entry of %s out by hand", targets->file.path,
                               target->name);
        } else {
            strbuf_wipe(&text);
            text = less;
            less = STRBUF_EMPTY;
            changed = true;
        }
        strbuf_wipe(&less);
    }
    if (changed && config_file_save(targets->file.path, &text, error) < 0)
        result = -1;
    strbuf_wipe(&text);
    return result;
}

void targets_clear(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        secret_free(targets->items[i].token);
        mem_free(targets->items[i].short_token);
    }
    mem_free(targets->items);
    secret_free(targets->token);
    config_file_clear(&targets->file);
    *targets = TARGETS_EMPTY;
}

struct remote_place target_place(const struct target *target, const char *system_id)
{
    return (struct remote_place){
        .url = target->url,
        .token = target->token,
        .system_id = system_id,
        .tls_ca_file = target->tls_ca_file,
        .tls_cert_file = target->tls_cert_file,
        .tls_key_file = target->tls_key_file,
    };
}
