/* The table of git's settings that start programs, against what the installed git knows. */
#include "courier/pod.h"

#include "context.h"
#include "git.h"
#include "git_settings.h"
#include "job/plan.h"

#include <fnmatch.h>
#include <regex.h>
#include <strings.h>

/* A name that looks as if it started a program, named one, or named a file or server that leads to one. */
#define SUSPECT                                                                                                        \
    "command|cmd|program|path|helper|driver|editor|pager|hook|proxy|askpass|tool|textconv|external|process|clean|"     \
    "smudge|exec|uploadpack|receivepack|vcs|browser|viewer|template|alias|include|allow|tunnel|httpd|server|script|"   \
    "fsmonitor|file|url|instead|target|worktree|recurse|redirect|cookie|filter|update$"

/* Names that look so and are harmless, with the reason. fnmatch patterns, in any case. */
static const struct {
    const char *key, *reason;
} harmless[] = {
    { "advice.*", "switches texts for people" },
    { "color.*", "colours" },
    { "column.*", "columns of lists" },
    { "fsck.*", "how fsck grades what it finds, which courier does not run" },
    { "receive.*", "what a receiving server accepts" },
    { "fetch.fsck.*", "how objects are graded that are fetched" },
    { "transfer.*", "how objects are graded and refs hidden" },
    { "uploadarchive.*", "what an archive server allows" },
    { "uploadpack.allow*", "what a server allows" },
    { "uploadpack.hideRefs", "refs that a server hides" },
    { "uploadpack.keepAlive", "a time of a server" },
    { "uploadpackfilter.*", "what a server allows" },
    { "blame.*", "blame is not run" },
    { "clean.requireForce", "whether clean wants -f" },
    { "clone.*", "clone is not run" },
    { "commit.cleanup", "text of messages" },
    { "commitGraph.*", "how the commit graph is read" },
    { "completion.commands", "completion of a shell" },
    { "core.bigFileThreshold", "a size" },
    { "core.fileMode", "whether the executable bit counts" },
    { "core.filesRefLockTimeout", "a time" },
    { "core.fsmonitorHookVersion", "the version of a hook that is off" },
    { "core.fsyncObjectFiles", "when data is flushed" },
    { "core.hideDotFiles", "Windows only" },
    { "core.ignoreStat", "how changes are seen" },
    { "core.quotePath", "how names are printed" },
    { "core.sparseCheckout*", "what a working tree holds; the list of paths goes with the kept repository" },
    { "credential.useHttpPath", "how helpers are asked, of which there is none" },
    { "diff.*.binary", "how a diff is shown" },
    { "diff.*.wordRegex", "how a diff is shown" },
    { "diff.*.xfuncname", "how a diff is shown" },
    { "http.curloptResolve", "set in files only" },
    { "repack.*", "repack is not run" },
    { "diff.*.cachetextconv", "whether a result is kept" },
    { "diff.orderFile", "order of a diff" },
    { "difftool.*", "difftool is not run" },
    { "mergetool.*", "mergetool is not run" },
    { "feature.*", "bundles of harmless defaults" },
    { "filter.*.required", "whether a failure of a filter counts" },
    { "format.*", "format-patch is not run" },
    { "fsmonitor.*", "where the daemon, which is off, has its socket" },
    { "gc.*", "gc is not run" },
    { "gitcvs.*", "the CVS server is not run" },
    { "gitweb.*", "gitweb is not run" },
    { "gpg.ssh.*File", "files that a verification reads" },
    { "gui.*", "the graphical program is not run" },
    { "guitool.*", "the graphical program is not run" },
    { "help.htmlPath", "help is not run" },
    { "http.proxy*", "how the proxy is spoken to that variables name" },
    { "http.sslCertPasswordProtected", "whether a password is asked for, and none can be" },
    { "http.sslCAPath", "which certificates count; set in files only" },
    { "imap.*", "imap-send is not run" },
    { "instaweb.*", "instaweb is not run" },
    { "log.*", "log is not run" },
    { "mailmap.*", "names of authors" },
    { "merge.*", "merge is not run; drivers and tools stand in the table" },
    { "notes.*", "notes are not written" },
    { "pack.*", "how packs are written" },
    { "push.*", "push is not run" },
    { "rebase.*", "rebase is not run" },
    { "remote.*.proxyAuthMethod", "how the proxy is spoken to" },
    { "remote.*.partialclonefilter", "which objects are left out" },
    { "remote.*.skipFetchAll", "for fetch --all" },
    { "remote.*.skipDefaultUpdate", "for remote update" },
    { "safe.*", "read from protected settings alone" },
    { "sendemail.*", "send-email is not run" },
    { "sparse.*", "how a sparse tree is compared" },
    { "splitIndex.*", "how an index is stored" },
    { "stash.*", "stash is not run" },
    { "status.*", "what status prints" },
    { "submodule.fetchJobs", "a number" },
    { "submodule.alternate*", "for clones of submodules, which are not made" },
    { "worktree.*", "worktree is not run" },
    { "trace2.*", "what a trace holds that has no target" },
    { "core.excludesFile", "stands in the table" },
    { "interactive.singleKey", "keys of a person" },
    { "index.*", "how an index is stored" },
    { "branch.*", "defaults of pull, rebase and merge, which are not run" },
    { "remotes.*", "groups of remotes; the remote is named" },
    { "user.*", "names of authors" },
    { "rerere.*", "merge is not run" },
    { "am.*", "am is not run" },
    { "tar.umask", "archive is not run" },
    { "versionsort.*", "order of tags" },
    { "protocol.version", "a number" },
};

/* Whether key and the table's key name the same, the parts of any name aside. */
static bool same_key(const char *key, const char *known)
{
    while (*key && *known) {
        if (*key == '<' && *known == '<') {
            key += strcspn(key, ">");
            known += strcspn(known, ">");
        } else if (strncasecmp(key, known, 1) != 0) {
            return false;
        }
        key++, known++;
    }
    return *key == *known;
}

static bool is_in_table(const char *key)
{
    for (size_t i = 0; i < git_setting_count; i++)
        if (same_key(key, git_settings[i].key))
            return true;
    return false;
}

static bool is_harmless(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(harmless); i++)
        if (fnmatch(harmless[i].key, key, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

static void every_setting_that_may_start_a_program_is_known(void **state)
{
    char key[256];
    regex_t suspect;
    unsigned keys = 0, missing = 0;
    (void)state;
    assert_int_equal(regcomp(&suspect, SUSPECT, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
    FILE *list = popen("git help --config", "r");
    assert_non_null(list);
    while (fgets(key, sizeof key, list)) {
        key[strcspn(key, " \n")] = 0;
        if (!strchr(key, '.'))
            continue;
        keys++;
        if (regexec(&suspect, key, 0, NULL, 0) == 0 && !is_in_table(key) && !is_harmless(key)) {
            print_error("git's setting %s may start a program: put it into the table or say why not\n", key);
            missing++;
        }
    }
    pclose(list);
    regfree(&suspect);
    assert_true(keys > 500);
    assert_int_equal(missing, 0);
}

static bool has(const struct words *words, const char *entry)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->items[i], entry) == 0)
            return true;
    return false;
}

static void each_value_of_the_table_is_on_the_commands_level(void **state)
{
    struct words words = { 0 };
    unsigned count = 0;
    char entry[256];
    (void)state;
    git_environment_hostile("/builds/g/p", &words);
    for (size_t i = 0; i < git_setting_count; i++) {
        assert_int_equal(git_settings[i].means == GIT_BY_VALUE, git_settings[i].value != NULL);
        if (!git_settings[i].value)
            continue;
        snprintf(entry, sizeof entry, "GIT_CONFIG_KEY_%u=%s", count, git_settings[i].key);
        assert_true(has(&words, entry));
        snprintf(entry, sizeof entry, "GIT_CONFIG_VALUE_%u=%s", count++, git_settings[i].value);
        assert_true(has(&words, entry));
    }
    assert_true(has(&words, "GIT_ASKPASS="));
    assert_true(has(&words, "SSH_ASKPASS="));
    for (size_t i = 0; i < words.count; i++)
        if (strncmp(words.items[i], "GIT_CONFIG_COUNT=", 17) == 0)
            assert_true(strtoul(words.items[i] + 17, NULL, 10) >= count);
    words_clear(&words);
}

/* Each setting whose key ends so is for the origin alone, and there are that many. */
static void is_scoped(const struct git *git, const char *name, unsigned wanted)
{
    static const char scope[] = "http.https://git.example:8443/.";
    unsigned count = 0;
    for (const char *const *entry = git_environment(git); *entry; entry++) {
        const char *key = strncmp(*entry, "GIT_CONFIG_KEY_", 15) == 0 ? strchr(*entry, '=') + 1 : NULL;
        const char *last = key ? strrchr(key, '.') : NULL;
        if (!last || strcasecmp(last + 1, name) != 0)
            continue;
        if (strncmp(key, scope, strlen(scope)) != 0 || strcmp(key + strlen(scope), name) != 0)
            fail_msg("%s is not for the repository's server alone", key);
        count++;
    }
    assert_int_equal(count, wanted);
}

static void what_is_secret_is_for_the_repositorys_server_alone(void **state)
{
    static const char *const names[] = { "extraHeader", "sslCert", "sslKey", "sslCAInfo" };
    char scratch[] = "/tmp/dataops-git-XXXXXX";
    char url[] = "https://gitlab-ci-token:secret@git.example:8443/g/old", ca[] = "ca", cert[] = "cert", key[] = "key";
    struct plan plan = { .git_url = url, .ca_pem = ca, .cert_pem = cert, .key_pem = key };
    struct error error = ERROR_NONE;
    char *place;
    bool is_elsewhere;
    (void)state;
    assert_non_null(mkdtemp(scratch));
    const struct context context = { .plan = &plan, .scratch = scratch };
    struct git *git = git_new(&context, &error);
    assert_non_null(git);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        is_scoped(git, names[i], 1);
    assert_int_equal(git_move(git, "https://other.example:8443/g/p.git/info/refs", &place, &is_elsewhere, &error), 0);
    assert_true(is_elsewhere);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        is_scoped(git, names[i], 1);
    mem_free(place);
    git_free(git);
    assert_int_equal(rmdir(scratch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_that_may_start_a_program_is_known),
        cmocka_unit_test(each_value_of_the_table_is_on_the_commands_level),
        cmocka_unit_test(what_is_secret_is_for_the_repositorys_server_alone),
    };
    return cmocka_run_group_tests_name("git_settings", tests, NULL, NULL);
}
