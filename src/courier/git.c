#include "git.h"

#include "context.h"
#include "git_settings.h"
#include "io/child.h"
#include "io/file.h"
#include "job/plan.h"
#include "text/digest.h"
#include "text/quote.h"
#include "text/url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAME_MOST 300

struct git {
    const struct context *context;
    char *url, *origin;
    char *login; /* the header, or NULL */
    struct words environment;
    struct words files; /* paths below scratch that the child reads */
    unsigned configs;
};

/* How courier wants git, besides what git_settings.c stops. */
static const struct git_setting own_configs[] = {
    { "init.defaultBranch", "none", GIT_BY_VALUE },
    { "advice.detachedHead", "false", GIT_BY_VALUE },
    { "clean.requireForce", "false", GIT_BY_VALUE },
    { "fetch.unpackLimit", "1", GIT_BY_VALUE }, /* packs can be proven in the next job, loose objects cannot (tidy.c) */
    { "safe.directory", "*", GIT_BY_VALUE },
};

/* So that `git lfs pull` finds itself installed; the checkout before it leaves pointers (GIT_LFS_SKIP_SMUDGE). */
static const struct git_setting lfs_configs[] = {
    { "filter.lfs.clean", "git-lfs clean -- %f", GIT_BY_VALUE },
    { "filter.lfs.smudge", "git-lfs smudge -- %f", GIT_BY_VALUE },
    { "filter.lfs.process", "git-lfs filter-process", GIT_BY_VALUE },
    { "filter.lfs.required", "true", GIT_BY_VALUE },
};

/* Variables of the job that say how to reach the server. Others stay out: GIT_SSH_COMMAND and the like are programs. */
static const char *const passed_on[] = {
    "HTTP_PROXY",  "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",          "http_proxy",
    "https_proxy", "all_proxy",   "no_proxy",  "GIT_SSL_NO_VERIFY",
};

void words_add(struct words *words, const char *word)
{
    words->items = mem_grow(words->items, (words->count + 2) * sizeof *words->items);
    words->items[words->count++] = mem_text(word);
    words->items[words->count] = NULL;
}

static void words_keep(struct words *words, char *word)
{
    words_add(words, NULL);
    words->items[words->count - 1] = word;
}

void words_clear(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        mem_wipe_free(words->items[i], words->items[i] ? strlen(words->items[i]) : 0);
    mem_free(words->items);
    *words = (struct words){ 0 };
}

bool git_is_object_name(const char *text)
{
    const size_t length = text ? strspn(text, "0123456789abcdef") : 0;
    return (length == 40 || length == 64) && text[length] == 0;
}

bool git_has_lfs(void)
{
    OWNED_TEXT char *program = child_program_find("git-lfs");
    return program != NULL;
}

/* --- environment --- */

static void config_add_to(struct words *environment, unsigned *configs, const char *key, const char *value)
{
    words_keep(environment, mem_format("GIT_CONFIG_KEY_%u=%s", *configs, key));
    words_keep(environment, mem_format("GIT_CONFIG_VALUE_%u=%s", *configs, value));
    ++*configs;
}

static void configs_add(struct words *environment, unsigned *configs, const struct git_setting *settings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (settings[i].value)
            config_add_to(environment, configs, settings[i].key, settings[i].value);
}

static void config_add(struct git *git, const char *key, const char *value)
{
    config_add_to(&git->environment, &git->configs, key, value);
}

static void config_add_scoped(struct git *git, const char *origin, const char *name, const char *value)
{
    OWNED_TEXT char *key = mem_format("http.%s/.%s", origin, name);
    config_add(git, key, value);
}

static int config_add_file(struct git *git, const char *origin, const char *name, const char *pem, struct error *error)
{
    if (!pem || !*pem)
        return 0;
    char *path = mem_format("%s/%s.pem", git->context->scratch, name);
    words_keep(&git->files, path);
    if (file_write(path, pem, strlen(pem), 0600, error) < 0)
        return -1;
    config_add_scoped(git, origin, name, path);
    return 0;
}

/* Sent with the first request, so that there is no round trip for a 401; scoped, so that no other server sees it. */
static void config_add_login(struct git *git, const char *origin, const struct url *url)
{
    if (!url->user && !url->password)
        return;
    struct strbuf header = STRBUF_EMPTY;
    char *login = mem_format("%s:%s", url->user ? url->user : "", url->password ? url->password : "");
    strbuf_add_text(&header, "Authorization: Basic ");
    base64_encode(login, strlen(login), &header);
    config_add_scoped(git, origin, "extraHeader", strbuf_text(&header));
    git->login = mem_text(strbuf_text(&header));
    mem_wipe_free(login, strlen(login));
    strbuf_wipe(&header);
}

/* What every git child gets: no file of the system or of a user, and nobody to ask. */
static void environment_quiet(struct words *environment)
{
    static const char *const quiet[] = { "LANG=C.UTF-8",
                                         "GIT_TERMINAL_PROMPT=0",
                                         "GIT_ASKPASS=",
                                         "SSH_ASKPASS=",
                                         "GCM_INTERACTIVE=Never",
                                         "GIT_CONFIG_NOSYSTEM=1",
                                         "GIT_CONFIG_GLOBAL=/dev/null",
                                         "GIT_ATTR_NOSYSTEM=1",
                                         "GIT_NO_REPLACE_OBJECTS=1",
                                         "GIT_SSH_COMMAND=false",
                                         "GIT_EDITOR=false",
                                         "GIT_PAGER=cat" };
    for (size_t i = 0; i < COUNT_OF(quiet); i++)
        words_add(environment, quiet[i]);
}

static void environment_begin(struct git *git)
{
    struct words *environment = &git->environment;
    words_add(environment, "PATH=" CHILD_PATH);
    words_keep(environment, mem_format("HOME=%s/home", git->context->scratch));
    environment_quiet(environment);
    words_add(environment, "GIT_LFS_SKIP_SMUDGE=1");
    words_add(environment, "GIT_ALLOW_PROTOCOL=http:https"); /* all others start a program */
    for (size_t i = 0; i < COUNT_OF(passed_on); i++) {
        const char *value = context_variable(git->context, passed_on[i]);
        if (!value)
            value = getenv(passed_on[i]);
        if (value && *value)
            words_keep(environment, mem_format("%s=%s", passed_on[i], value));
    }
}

static int environment_fill(struct git *git, const struct url *url, struct error *error)
{
    const struct plan *plan = git->context->plan;
    OWNED_TEXT char *origin = url_origin(url);
    OWNED_TEXT char *agent = mem_format("dataops-runner %s linux/%s", plan->version ? plan->version : DATAOPS_VERSION,
#if defined(__aarch64__)
                                        "arm64"
#else
                                        "amd64"
#endif
    );
    environment_begin(git);
    configs_add(&git->environment, &git->configs, git_settings, git_setting_count);
    configs_add(&git->environment, &git->configs, own_configs, COUNT_OF(own_configs));
    if (plan->lfs && git_has_lfs())
        configs_add(&git->environment, &git->configs, lfs_configs, COUNT_OF(lfs_configs));
    config_add(git, "http.userAgent", agent);
    config_add_login(git, origin, url);
    if (config_add_file(git, origin, "sslCAInfo", plan->ca_pem, error) < 0 ||
        config_add_file(git, origin, "sslCert", plan->cert_pem, error) < 0 ||
        config_add_file(git, origin, "sslKey", plan->key_pem, error) < 0)
        return error_within(error, "make git ready");
    words_keep(&git->environment, mem_format("GIT_CONFIG_COUNT=%u", git->configs));
    git->url = mem_format("%s%s", origin, url->path);
    git->origin = mem_text(origin);
    return 0;
}

struct git *git_new(const struct context *context, struct error *error)
{
    struct url url = URL_EMPTY;
    if (!context->plan->git_url || url_parse(context->plan->git_url, &url, error) < 0) {
        error_within(error, "repository URL");
        return NULL;
    }
    struct git *git = mem_new(sizeof *git);
    git->context = context;
    const int filled = environment_fill(git, &url, error);
    url_clear(&url);
    if (filled < 0) {
        git_free(git);
        return NULL;
    }
    return git;
}

int git_give_files(struct git *git, struct error *error)
{
    const struct context *context = git->context;
    if (!context->is_root || !context->user_known)
        return 0;
    for (size_t i = 0; i < git->files.count; i++)
        if (chown(git->files.items[i], context->uid, context->gid) < 0)
            return error_errno(error, "give %s to the job's user", git->files.items[i]);
    return 0;
}

const char *const *git_environment(const struct git *git)
{
    return (const char *const *)git->environment.items;
}

const char *git_url(const struct git *git)
{
    return git->url;
}

const char *git_login(const struct git *git)
{
    return git->login;
}

int git_move(struct git *git, const char *refs_url, char **place, bool *is_elsewhere, struct error *error)
{
    struct url url = URL_EMPTY;
    if (url_parse(refs_url, &url, error) < 0)
        return error_within(error, "where the repository is now");
    const size_t length = strlen(url.path), tail = strlen(GIT_REFS_PATH);
    const bool names_refs = length > tail && strcmp(url.path + length - tail, GIT_REFS_PATH) == 0;
    OWNED_TEXT char *origin = url_origin(&url);
    *place = names_refs ? mem_format("%s%.*s", origin, (int)(length - tail), url.path) : NULL;
    url_clear(&url);
    if (!names_refs)
        return error_set(error, BLAME_REMOTE, 0, "the redirect does not lead to a repository");
    *is_elsewhere = strcmp(origin, git->origin) != 0;
    OWNED_TEXT char *key = mem_format("url.%s.insteadOf", *place);
    struct words *environment = &git->environment;
    mem_free(environment->items[--environment->count]); /* how many settings there are */
    config_add(git, key, git->url);
    words_keep(environment, mem_format("GIT_CONFIG_COUNT=%u", git->configs));
    return 0;
}

void git_free(struct git *git)
{
    if (!git)
        return;
    for (size_t i = 0; i < git->files.count; i++)
        unlink(git->files.items[i]);
    words_clear(&git->files);
    words_clear(&git->environment);
    mem_wipe_free(git->login, git->login ? strlen(git->login) : 0);
    mem_free(git->url);
    mem_free(git->origin);
    mem_free(git);
}

void git_environment_hostile(const char *project_dir, struct words *environment)
{
    unsigned configs = 0;
    words_add(environment, "PATH=" CHILD_PATH);
    words_add(environment, "HOME=/nonexistent");
    environment_quiet(environment);
    /* objects that are missing would be fetched from where, and with what, the repository says */
    words_add(environment, "GIT_ALLOW_PROTOCOL=none");
    words_add(environment, "GIT_NO_LAZY_FETCH=1");
    if (project_dir) {
        words_keep(environment, mem_format("GIT_DIR=%s/.git", project_dir));
        words_keep(environment, mem_format("GIT_WORK_TREE=%s", project_dir));
    }
    configs_add(environment, &configs, git_settings, git_setting_count);
    configs_add(environment, &configs, own_configs, COUNT_OF(own_configs));
    words_keep(environment, mem_format("GIT_CONFIG_COUNT=%u", configs));
}

/* --- what the job chose --- */

/* A proxy without user and password: scheme, host and port. */
static void proxy_for_people(const char *proxy, struct strbuf *out)
{
    const char *host = strstr(proxy, "://");
    host = host ? host + 3 : proxy;
    const size_t length = strcspn(host, "/?#");
    OWNED_TEXT char *authority = mem_copy(host, length);
    const char *at = strrchr(authority, '@');
    OWNED_TEXT char *shown = mem_format("%.*s%s", (int)(host - proxy), proxy, at ? at + 1 : authority);
    quote_for_people(shown, NAME_MOST, out);
}

void git_routes_for_people(const struct context *context, struct strbuf *out)
{
    for (size_t i = 0; i < COUNT_OF(passed_on); i++) {
        const char *value = context_variable(context, passed_on[i]);
        if (!value || !*value)
            continue;
        strbuf_add_text(out, out->length ? ", " : "");
        if (strcmp(passed_on[i], "GIT_SSL_NO_VERIFY") == 0) {
            strbuf_add_text(out, "GIT_SSL_NO_VERIFY, so that the certificate of the server is not checked");
        } else if (strcasecmp(passed_on[i], "no_proxy") == 0) {
            strbuf_add_text(out, passed_on[i]);
        } else {
            strbuf_format(out, "%s=", passed_on[i]);
            proxy_for_people(value, out);
        }
    }
}

/* --- arguments --- */

void git_init_words(const struct plan *plan, struct words *words)
{
    words_add(words, "git");
    words_add(words, "init");
    if (plan->object_format && *plan->object_format && strcmp(plan->object_format, "sha1") != 0)
        words_keep(words, mem_format("--object-format=%s", plan->object_format));
    words_add(words, "--");
    words_add(words, plan->project_dir);
}

/* --- words for people --- */

static const struct {
    const char *said, *meaning;
    bool is_servers; /* the server, or the way to it, and not what lies in the folder */
} meanings[] = {
    { "Git credentials for",
      "the server of the large files (LFS) wants a login; the job's is for the repository's own server alone", true },
    { "resolves to a file:// URL", "large files (LFS) are fetched by http and https only, and lfs.url says otherwise",
      true },
    { "batch request: exit status", "large files (LFS) are fetched by http and https only, and lfs.url says otherwise",
      true },
    { "Authentication failed", "the server refused the job's credentials for the repository", true },
    { "could not read Username", "the server refused the job's credentials for the repository", true },
    { "error: 401", "the server refused the job's credentials for the repository", true },
    { "error: 403", "the job's token may not read the repository", true },
    { "error: 404", "the repository was not found, or the job's token may not see it", true },
    { "error: 30", "the repository's server sends git elsewhere, where git does not go", true },
    { "not found", "the repository was not found, or the job's token may not see it", true },
    { "couldn't find remote ref", "the ref is not in the repository any more (deleted, or rewritten by a force push)",
      true },
    { "reference is not a tree",
      "the commit is not among the fetched history: the branch was rewritten, or the depth is too small", false },
    { "unable to read tree",
      "the commit is not among the fetched history: the branch was rewritten, or the depth is too small", false },
    { "not our ref", "the commit is not in the repository any more", true },
    { "Could not resolve host", "the repository's host name is not known inside the pod", true },
    { "Could not resolve proxy", "the proxy's host name is not known inside the pod", true },
    { "certificate", "the server's certificate is not trusted: set tls-ca-file to its CA", true },
    { "wrong version number", "the server speaks plain HTTP where HTTPS was asked for", true },
    { "Connection refused", "the repository's server refuses the connection", true },
    { "Failed to connect", "the repository's server cannot be reached from the pod", true },
    { "timed out", "the repository's server did not answer in time", true },
    { "No space left on device", "the builds volume is full", false },
    { "Permission denied", "the job's user may not write the project folder", false },
};

const char *git_explain(const char *last_words)
{
    for (size_t i = 0; i < COUNT_OF(meanings); i++)
        if (strstr(last_words, meanings[i].said))
            return meanings[i].meaning;
    return NULL;
}

bool git_is_sent_on(const char *last_words)
{
    return strstr(last_words, "returned error: 30") != NULL;
}

bool git_is_servers_word(const char *last_words)
{
    for (size_t i = 0; i < COUNT_OF(meanings); i++)
        if (strstr(last_words, meanings[i].said))
            return meanings[i].is_servers;
    return false;
}
