/* Tokens on their way in: from a file, from stdin; and what kind they are. */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include "base/error.h"

#include <stdbool.h>

/* The file's content without blanks and line ends around it. Gives a text (secret_free), or NULL and an error when it
 * cannot be read or is empty. "-" is stdin, its first line. */
char *secret_from_file(const char *path, struct error *error);
/* Overwrites and frees; NULL is fine. */
void secret_free(char *secret);
void secret_free_text(char **secret);
#define OWNED_SECRET __attribute__((cleanup(secret_free_text)))

/* An authentication token of a runner that exists (docs/reference/dataops.md, "Tokens"), as opposed to a registration
 * token; a whole instance may put its own prefix before it. */
bool secret_is_runner_token(const char *token);

#endif
