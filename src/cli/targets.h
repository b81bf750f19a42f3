/* Which runners `verify` and `unregister` mean: entries of the configuration, or one given by address and token. */
#ifndef CLI_TARGETS_H
#define CLI_TARGETS_H

#include "config_file.h"
#include "remote.h"

struct target {
    const char *name, *url;    /* borrowed from file or options */
    char *token, *short_token; /* token: a secret; NULL when it could not be read (error) */
    const char *tls_ca_file, *tls_cert_file, *tls_key_file;
    struct error error;
    bool in_file;
    size_t index; /* of the [[runners]] entry, when in_file */
    bool forget;  /* targets_forget takes its entry out of the file */
};
struct targets {
    struct config_file file;
    struct target *items;
    size_t count;
    char *token; /* --token or --token-file; a secret */
};
#define TARGETS_EMPTY ((struct targets){ 0 })

/* Their options. */
/* clang-format off */
#define OPTIONS_TARGET                                                                                                 \
    OPTION_CONFIG,                                                                                                     \
        { .name = "name", .kind = OPTION_TEXT, .env = "RUNNER_NAME", .value = "NAME",                                  \
          .help = "only entries of this name" },                                                                       \
        { .name = "url", .letter = 'u', .kind = OPTION_TEXT, .env = "CI_SERVER_URL", .value = "URL",                   \
          .help = "only entries of this address; with --token also a runner that no file knows" },                     \
        { .name = "token", .letter = 't', .kind = OPTION_SECRET, .env = "CI_SERVER_TOKEN", .value = "TOKEN",           \
          .help = "only the entry with this runner token; - reads it from stdin" },                                    \
        { .name = "token-file", .kind = OPTION_TEXT, .value = "FILE", .help = "file with that token" }
/* clang-format on */

/* Fills targets (targets_clear, also after a failure): all entries that fit --name, --url and --token. None is an
 * error: BLAME_INPUT for what was asked for, BLAME_CONFIG for the file. */
int targets_find(struct targets *targets, const struct options *options, void (*warn)(const char *line),
                 struct error *error) MUST_CHECK;
/* Writes the file without the entries that are marked. */
int targets_forget(struct targets *targets, struct error *error) MUST_CHECK;
void targets_clear(struct targets *targets);
/* Where a target is and who asks, for remote_open. */
struct remote_place target_place(const struct target *target, const char *system_id);

#endif
