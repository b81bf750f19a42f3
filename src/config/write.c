/* config.toml as text: written once by us, then edited by people and sed, so what stands there already is never
 * rendered anew: an entry is put behind it or cut out of it. */
#include "config/write.h"

#include "schema.h"
#include "text/duration.h"
#include "text/json.h"
#include "text/quote.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- values --- */

static void add_string(struct strbuf *out, const char *text)
{
    strbuf_add_char(out, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            strbuf_format(out, "\\%c", c);
        else if (c == '\n')
            strbuf_add_text(out, "\\n");
        else if (c == '\t')
            strbuf_add_text(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            strbuf_format(out, "\\u%04x", c);
        else
            strbuf_add_char(out, (char)c);
    }
    strbuf_add_char(out, '"');
}

static void add_line(struct strbuf *out, const char *indent, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    strbuf_format(out, "%s%s = ", indent, key);
    add_string(out, value);
    strbuf_add_char(out, '\n');
}

static void add_list(struct strbuf *out, const char *indent, const char *key, const char *const *texts)
{
    if (texts == NULL || texts[0] == NULL)
        return;
    strbuf_format(out, "%s%s = [", indent, key);
    for (size_t i = 0; texts[i] != NULL; i++) {
        strbuf_add_text(out, i > 0 ? ", " : "");
        add_string(out, texts[i]);
    }
    strbuf_add_text(out, "]\n");
}

/* "2027-01-31T00:00:00.000Z": it comes from outside and is written without quotes. */
static bool is_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t i = 0;

    for (; form[i] != '\0'; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    text += i;
    if (*text == '.' && isdigit((unsigned char)text[1]))
        text += 1 + strspn(text + 1, "0123456789");
    if (strcmp(text, "Z") == 0)
        return true;
    return (text[0] == '+' || text[0] == '-') && strlen(text) == 6 && text[3] == ':' &&
           strspn(text + 1, "0123456789") == 2 && strspn(text + 4, "0123456789") == 2;
}

static void add_time(struct strbuf *out, const char *key, const char *time)
{
    if (time != NULL && is_time(time))
        strbuf_format(out, "  %s = %s\n", key, time);
}

/* --- settings by name --- */

static bool same_key(const char *flag, const char *key)
{
    for (; *flag != '\0' && *key != '\0'; flag++, key++)
        if (*flag != *key && !(*flag == '-' && *key == '_'))
            return false;
    return *flag == *key;
}

/* "unknown option --kubernetes-cpu-limt; did you mean --kubernetes-cpu-limit?" */
static int unknown_setting(const struct schema *schema, const char *prefix, const char *flag, struct error *error)
{
    const char *names[256];
    size_t count = 0;
    OWNED_TEXT char *key = mem_text(flag);

    for (char *c = key; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c;
    for (; count < schema->count && count < COUNT_OF(names); count++)
        names[count] = schema->keys[count].name;
    OWNED_TEXT char *near = mem_text(quote_nearest(key, names, count));
    for (char *c = near; c != NULL && *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    if (near != NULL)
        return error_set(error, BLAME_INPUT, 0, "unknown option --%s-%.80s; did you mean --%s-%s?", prefix, flag,
                         prefix, near);
    return error_set(error, BLAME_INPUT, 0, "unknown option --%s-%.80s", prefix, flag);
}

int config_check_docker_setting(const char *name, struct error *error)
{
    for (size_t i = 0; i < schema_docker.count; i++) {
        const struct schema_key *key = &schema_docker.keys[i];
        if (same_key(name, key->name) && key->kind == KEY_LATER && key->ignored != IGNORED_HARMLESS)
            return error_set(error, BLAME_INPUT, 0,
                             "--docker-%s restricts what a job can do and is not supported yet: leave it out, or keep "
                             "the stock runner",
                             name);
        if (same_key(name, key->name))
            return 0;
    }
    return unknown_setting(&schema_docker, "docker", name, error);
}

static const struct schema_key *setting_key(const struct config_setting *setting, struct error *error)
{
    const struct schema_key *key = NULL;

    for (size_t i = 0; i < schema_kubernetes.count && key == NULL; i++)
        if (same_key(setting->name, schema_kubernetes.keys[i].name))
            key = &schema_kubernetes.keys[i];
    if (key == NULL)
        unknown_setting(&schema_kubernetes, "kubernetes", setting->name, error);
    else if (key->kind == KEY_SECTION)
        error_set(error, BLAME_INPUT, 0, "--kubernetes-%s has no form as a flag: write it into the file",
                  setting->name);
    else if (key->kind == KEY_LATER)
        error_set(error, BLAME_INPUT, 0, "--kubernetes-%s is not supported yet", setting->name);
    else
        return key;
    return NULL;
}

/* One value of a repeated flag may itself be a list with commas. */
static void add_list_items(struct strbuf *out, const char *text, bool *first)
{
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        OWNED_TEXT char *item = mem_copy(text, length);

        if (length > 0) {
            strbuf_add_text(out, *first ? "" : ", ");
            add_string(out, item);
            *first = false;
        }
        text += length + (text[length] == ',' ? 1 : 0);
    }
}

static void add_pair(struct strbuf *out, const char *name, const char *value, bool *first)
{
    strbuf_add_text(out, *first ? " " : ", ");
    add_string(out, name);
    strbuf_add_text(out, " = ");
    add_string(out, value);
    *first = false;
}

static int add_pairs(struct strbuf *out, const struct config_setting *setting, bool *first, struct error *error)
{
    const char *colon = strrchr(setting->value, ':'), *cut = colon != NULL ? colon : strchr(setting->value, '=');

    if (setting->value[0] == '{') {
        OWNED_JSON struct cJSON *tree = json_parse(setting->value, strlen(setting->value), error);
        if (tree == NULL)
            return error_within(error, "--kubernetes-%s", setting->name);
        for (const struct cJSON *item = json_first(tree); item != NULL; item = json_next(item))
            add_pair(out, json_item_name(item), json_item_text(item) != NULL ? json_item_text(item) : "", first);
        return 0;
    }
    if (cut == NULL)
        return error_set(error, BLAME_INPUT, 0, "--kubernetes-%s: \"%.60s\" is not of the form name:value",
                         setting->name, setting->value);
    OWNED_TEXT char *name = mem_copy(setting->value, (size_t)(cut - setting->value));
    add_pair(out, name, cut + 1, first);
    return 0;
}

/* All values of one key, wherever its flag stands. */
static int add_many(const struct config_setting *settings, size_t count, const struct schema_key *key,
                    struct strbuf *out, struct error *error)
{
    bool first = true, is_list = key->kind == KEY_TEXTS;

    strbuf_add_text(out, is_list ? "[" : "{");
    for (size_t i = 0; i < count; i++) {
        if (!same_key(settings[i].name, key->name))
            continue;
        if (is_list)
            add_list_items(out, settings[i].value, &first);
        else if (add_pairs(out, &settings[i], &first, error) < 0)
            return -1;
    }
    strbuf_add_text(out, is_list ? "]" : first ? "}" : " }");
    return 0;
}

static int add_bare(const struct config_setting *setting, const struct schema_key *key, struct strbuf *out,
                    struct error *error)
{
    bool yes;
    char *end;

    if (key->kind == KEY_BOOLEAN) {
        if (boolean_parse(setting->value, &yes) < 0)
            return error_set(error, BLAME_INPUT, 0, "--kubernetes-%s: \"%.60s\" is neither true nor false",
                             setting->name, setting->value);
        return strbuf_add_text(out, yes ? "true" : "false");
    }
    long long number = strtoll(setting->value, &end, 10);
    if (end == setting->value || *end != '\0')
        return error_set(error, BLAME_INPUT, 0, "--kubernetes-%s: \"%.60s\" is not a whole number", setting->name,
                         setting->value);
    return strbuf_format(out, "%lld", number);
}

/* Repeated flags: a list is written at the first, of anything else the last one holds. */
static bool is_written_elsewhere(const struct config_setting *settings, size_t count, size_t which, bool many)
{
    for (size_t i = 0; i < count; i++)
        if ((many ? i < which : i > which) && strcmp(settings[i].name, settings[which].name) == 0)
            return true;
    return false;
}

static int add_setting(const struct config_setting *settings, size_t count, size_t which, struct strbuf *lines,
                       struct error *error)
{
    const struct schema_key *key = setting_key(&settings[which], error);
    bool many = key != NULL && (key->kind == KEY_TEXTS || key->kind == KEY_PAIRS);
    int result = 0;

    if (key == NULL)
        return -1;
    if (key->kind == KEY_SILENT || is_written_elsewhere(settings, count, which, many))
        return 0;
    strbuf_format(lines, "    %s = ", key->name);
    if (many)
        result = add_many(settings, count, key, lines, error);
    else if (key->kind == KEY_BOOLEAN || key->kind == KEY_INTEGER)
        result = add_bare(&settings[which], key, lines, error);
    else
        add_string(lines, settings[which].value);
    strbuf_add_char(lines, '\n');
    return result;
}

int config_write_settings(const struct config_setting *settings, size_t count, struct strbuf *lines,
                          struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (add_setting(settings, count, i, lines, error) < 0)
            return -1;
    return 0;
}

/* --- one entry --- */

static void write_docker(const struct config_entry *entry, struct strbuf *out)
{
    static const char *const stock[] = { "/cache", NULL };

    strbuf_add_text(out, "  [runners.docker]\n");
    add_line(out, "    ", "image", entry->docker_image);
    add_list(out, "    ", "volumes", entry->docker_volumes != NULL ? entry->docker_volumes : stock);
}

static void write_kubernetes(const struct config_entry *entry, struct strbuf *out)
{
    strbuf_add_text(out, "  [runners.kubernetes]\n");
    add_line(out, "    ", "namespace", entry->kubernetes_namespace);
    add_line(out, "    ", "image", entry->kubernetes_image);
    add_line(out, "    ", "service_account", entry->service_account);
    strbuf_add_text(out, entry->kubernetes_lines != NULL ? entry->kubernetes_lines : "");
}

static void write_entry(const struct config_entry *entry, struct strbuf *out)
{
    bool is_docker = strcmp(entry->executor, "docker") == 0;

    strbuf_add_text(out, "[[runners]]\n");
    add_line(out, "  ", "name", entry->name);
    add_line(out, "  ", "url", entry->url);
    strbuf_format(out, "  id = %" PRIu64 "\n", entry->id);
    add_line(out, "  ", "token", entry->token);
    add_time(out, "token_obtained_at", entry->token_obtained_at);
    add_time(out, "token_expires_at", entry->token_expires_at);
    add_line(out, "  ", "tls-ca-file", entry->tls_ca_file);
    add_line(out, "  ", "tls-cert-file", entry->tls_cert_file);
    add_line(out, "  ", "tls-key-file", entry->tls_key_file);
    add_line(out, "  ", "executor", entry->executor);
    if (entry->limit > 0)
        strbuf_format(out, "  limit = %" PRId64 "\n", entry->limit);
    add_list(out, "  ", "environment", entry->environment);
    if (is_docker)
        write_docker(entry, out);
    if (!is_docker || entry->kubernetes_namespace != NULL || entry->kubernetes_image != NULL ||
        entry->service_account != NULL || (entry->kubernetes_lines != NULL && entry->kubernetes_lines[0] != '\0'))
        write_kubernetes(entry, out);
}

void config_write_new(const struct config_entry *entry, struct strbuf *out)
{
    strbuf_add_text(out, "concurrent = 1\ncheck_interval = 3\nshutdown_timeout = 30\n\n");
    write_entry(entry, out);
}

void config_write_more(const char *existing, const struct config_entry *entry, struct strbuf *out)
{
    size_t length = strlen(existing);

    strbuf_add(out, existing, length);
    if (length > 0)
        strbuf_add_text(out, existing[length - 1] == '\n' ? "\n" : "\n\n");
    write_entry(entry, out);
}
