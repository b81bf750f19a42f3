/* Where a server sends git: git itself follows no redirect, because it would take the job's login along. */
#ifndef COURIER_REDIRECT_H
#define COURIER_REDIRECT_H

#include "base/error.h"

#include <stdbool.h>

struct context;
struct git;
struct redirect;

/* git goes on at place, with the job's login when that is not elsewhere (git_move was called). place NULL: it cannot,
 * and error says why. Called once, never before redirect_ask returned. */
typedef void redirect_moved(void *owner, const char *place, bool is_elsewhere, const struct error *error);

/* Asks the repository's server as git does, with the login; secrets stay behind where a step leads to another origin.
 * Borrows context and git. Gives the question (redirect_free). */
struct redirect *redirect_ask(const struct context *context, struct git *git, redirect_moved *moved, void *owner);
/* Ends it; moved is not called any more. NULL is fine. */
void redirect_free(struct redirect *redirect);

#endif
