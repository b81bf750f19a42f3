/* How courier calls git: environment, arguments, and what its words mean. Credentials travel in the environment of the
 * child only, scoped to the server; nothing that a repository says makes git run a program (docs/design.md section 1).
 */
#ifndef COURIER_GIT_H
#define COURIER_GIT_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>

struct context;
struct git;

/* Makes ready for calls: writes CA and client certificate below the context's scratch folder. Borrows context. */
struct git *git_new(const struct context *context, struct error *error);
void git_free(struct git *git);
/* The files that git reads with the job's user change to that owner. */
int git_give_files(struct git *git, struct error *error) MUST_CHECK;
/* Borrows the environment of a git child, NULL-ended. */
const char *const *git_environment(const struct git *git);
/* The remote's URL without user, password and query. Borrows. */
const char *git_url(const struct git *git);
/* The header with the job's login, or NULL. Borrows; secret. */
const char *git_login(const struct git *git);
/* git asks at the place that a redirect of GIT_REFS_PATH named, from its next call on. What is secret stays bound to
 * the origin of git_url. Gives the place for people (mem_free), and whether it is another origin. BLAME_REMOTE when it
 * is no repository's URL. */
#define GIT_REFS_PATH "/info/refs"
int git_move(struct git *git, const char *refs_url, char **place, bool *is_elsewhere, struct error *error) MUST_CHECK;

/* A list of words, NULL-ended. */
struct words {
    char **items;
    size_t count;
};

/* The environment of a git child that works on the job's repository after the script began: no credentials, no CA;
 * appends "NAME=value" entries. project_dir NULL: git looks for the repository from its working folder. Pure. */
void git_environment_hostile(const char *project_dir, struct words *environment);
/* Appends the job's variables that change how git reaches the server and whether it checks it, without passwords;
 * nothing when there are none. */
void git_routes_for_people(const struct context *context, struct strbuf *out);

/* Whether git can find `git lfs`. */
bool git_has_lfs(void);

void words_add(struct words *words, const char *word);
void words_clear(struct words *words);

/* Arguments of the calls (words_clear). All from the plan. */
struct plan;
void git_init_words(const struct plan *plan, struct words *words);
/* Below .git: names of commits that a kept repository proved to have, one a line (tidy.c). */
#define GIT_TIPS "dataops-kept"
/* Of the flags that the job adds only those of a list pass, and ours come behind them; the others go to refused. */
struct git_kept {
    bool is_shallow;
    const char *tips; /* content of GIT_TIPS, or NULL */
};
void git_fetch_words(const struct plan *plan, const struct git_kept *kept, struct words *words, struct words *refused);
void git_clean_words(const struct plan *plan, struct words *words, struct words *refused);
/* What a person is told of flags that did not pass, or NULL when there are none; mem_free. */
char *git_refused_for_people(bool is_fetch, const struct words *refused);
/* What a person should know about git's last words, or NULL. Static text. */
const char *git_explain(const char *last_words);
/* Whether they say that the server answered with a redirect. */
bool git_is_sent_on(const char *last_words);
/* Whether they repeat what the server (or the way to it) said, so that a new repository would not help. */
bool git_is_servers_word(const char *last_words);
/* A full object name: 40 or 64 hexadecimal digits. */
bool git_is_object_name(const char *text);

#endif
