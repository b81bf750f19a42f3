/* `register`, in parts: what is asked of a person, what is checked, what is written. */
#ifndef CLI_REGISTER_H
#define CLI_REGISTER_H

#include "command.h"
#include "config/write.h"

struct registering {
    struct options *options;
    char *token;          /* a secret */
    bool by_runner_token; /* the runner exists in DataOps: verify, never POST /runners */
    char *config_path;
    struct strbuf existing; /* the file as it is; wiped */
    bool extends;           /* there is such a file */
    struct strbuf settings; /* lines for [runners.kubernetes] */
    /* from DataOps */
    uint64_t id;
    char *runner_token, *expires_at;
    char obtained_at[32];
};

/* register_ask.c: the token from where it was given, then what is missing, by questions unless --non-interactive. */
int register_find_token(struct registering *registering, struct error *error) MUST_CHECK;
int register_ask(struct registering *registering, struct error *error) MUST_CHECK;

/* register_check.c: everything that can be wrong before DataOps is asked; BLAME_INPUT (command line) or BLAME_CONFIG
 * (file). Warns about what has no effect. */
int register_check(struct registering *registering, struct error *error) MUST_CHECK;

/* register_file.c: the file's new content. A token of NULL stands for a trial without one. */
void register_render(const struct registering *registering, struct strbuf *out);
int register_read_file(struct registering *registering, struct error *error) MUST_CHECK;

/* NULL-ended: what only DataOps can change for a runner that exists already. */
extern const char *const register_server_side[];

#endif
