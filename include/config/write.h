/* Writing config.toml as `register` leaves it (docs/reference/dataops.md, "Configuration of the stock runner"). Pure.
 */
#ifndef CONFIG_WRITE_H
#define CONFIG_WRITE_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

struct config_entry {
    const char *name, *url, *token, *executor; /* executor as it was asked for ("docker", "kubernetes") */
    uint64_t id;
    const char *token_obtained_at, *token_expires_at; /* RFC 3339, left out when it is none, or NULL */
    const char *tls_ca_file, *tls_cert_file, *tls_key_file;
    const char *docker_image, *kubernetes_image, *kubernetes_namespace, *service_account;
    const char *const *environment;    /* NULL-ended or NULL */
    const char *const *docker_volumes; /* NULL-ended, or NULL: ["/cache"] as the stock runner writes it */
    const char *kubernetes_lines;      /* whole lines for [runners.kubernetes] (config_write_settings), or NULL */
    int64_t limit;
};
/* A key of [runners.kubernetes] as a flag names it: "memory-limit" for memory_limit. */
struct config_setting {
    const char *name, *value;
};
/* Appends one line for each key, values typed by the schema: lists take a key's repetitions and commas, tables
 * "name:value" or JSON. BLAME_INPUT for a key that does not exist or has no effect here, with the flag's whole name. */
int config_write_settings(const struct config_setting *settings, size_t count, struct strbuf *lines,
                          struct error *error) MUST_CHECK;
/* 0 when [runners.docker] knows the key that a flag names ("tls-verify"), whatever it means here; else BLAME_INPUT. */
int config_check_docker_setting(const char *name, struct error *error) MUST_CHECK;
/* A whole new file with its global part (concurrent, check_interval, ... in the stock runner's order and form: sed
 * lines `concurrent = .*`, `check_interval = .*` and ` volumes = .*` hit it). */
void config_write_new(const struct config_entry *entry, struct strbuf *out);
/* Existing TOML text with one more [[runners]] at its end; the rest stays byte for byte. */
void config_write_more(const char *existing, const struct config_entry *entry, struct strbuf *out);
/* Existing TOML text without the index-th [[runners]] (0-based) with all its sub-tables; the rest stays. false when
 * there is none. */
bool config_write_less(const char *existing, size_t index, struct strbuf *out);

#endif
