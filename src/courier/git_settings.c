#include "git_settings.h"

#include "base/mem.h"

#define SET(key, value)                                                                                                \
    {                                                                                                                  \
        key, value, GIT_BY_VALUE                                                                                       \
    }
#define FILES(key)                                                                                                     \
    {                                                                                                                  \
        key, NULL, GIT_BY_FILES                                                                                        \
    }
#define COMMAND(key)                                                                                                   \
    {                                                                                                                  \
        key, NULL, GIT_BY_COMMAND                                                                                      \
    }

/* "false" and "true" are programs: they are what git starts where a setting cannot be empty. */
const struct git_setting git_settings[] = {
    /* programs that git itself starts */
    SET("core.alternateRefsCommand", "true"),
    SET("core.askPass", ""),
    SET("core.editor", "false"),
    SET("core.fsmonitor", "false"),
    SET("core.gitProxy", "none"),
    SET("core.hooksPath", "/dev/null"),
    SET("core.pager", "cat"),
    SET("core.sshCommand", "false"),
    SET("credential.helper", ""), /* empties the list, helpers of credential.<url>.helper too */
    SET("credential.interactive", "never"),
    SET("diff.external", ""),
    SET("gpg.program", "false"),
    SET("gpg.ssh.defaultKeyCommand", "false"),
    SET("gpg.ssh.program", "false"),
    SET("gpg.x509.program", "false"),
    SET("interactive.diffFilter", "false"),
    SET("sequence.editor", "false"),
    SET("uploadpack.packObjectsHook", "false"),
    SET("web.browser", "false"),
    SET("instaweb.browser", "false"),
    SET("help.browser", "false"),
    SET("man.viewer", "false"),
    SET("sendemail.toCmd", "false"),
    SET("sendemail.ccCmd", "false"),
    SET("diff.tool", "none"),
    SET("diff.guitool", "none"),
    SET("merge.tool", "none"),
    SET("merge.guitool", "none"),
    /* what leads git into other repositories, or to other programs and servers */
    SET("fetch.recurseSubmodules", "false"),
    SET("submodule.recurse", "false"),
    SET("push.recurseSubmodules", "no"),
    SET("core.attributesFile", "/dev/null"),
    SET("core.excludesFile", "/dev/null"),
    SET("init.templateDir", ""),
    SET("commit.template", "/dev/null"),
    SET("protocol.allow", "never"),
    SET("protocol.http.allow", "always"), /* GIT_ALLOW_PROTOCOL, where it is set, says the same */
    SET("protocol.https.allow", "always"),
    SET("protocol.ext.allow", "never"),
    SET("protocol.file.allow", "never"),
    SET("protocol.git.allow", "never"),
    SET("protocol.ssh.allow", "never"),
    SET("http.followRedirects", "false"), /* the login is chosen once, and would follow (see git_move) */
    SET("http.cookieFile", ""),
    SET("http.saveCookies", "false"),
    SET("gc.auto", "0"),
    SET("maintenance.auto", "false"),
    /* git-lfs */
    SET("lfs.standalonetransferagent", ""),
    SET("lfs.customtransfer.lfs-standalone-file.path", "false"), /* what a file: URL would start */
    SET("lfs.sshtransfer", "never"),
    /* any name may stand in these, so that no value can win over them */
    FILES("alias.*"), /* and none replaces a command of git's own */
    FILES("credential.<url>.*"),
    FILES("diff.<driver>.command"),
    FILES("diff.<driver>.textconv"),
    FILES("filter.<driver>.clean"),
    FILES("filter.<driver>.smudge"),
    FILES("filter.<driver>.process"),
    FILES("gpg.<format>.program"),
    FILES("http.<url>.*"),
    FILES("http.proxy"), /* a job chooses its proxy by variables, which the log names */
    FILES("include.path"),
    FILES("includeIf.<condition>.path"),
    FILES("merge.<driver>.driver"),
    FILES("pager.<cmd>"), /* and none starts: the output is no terminal */
    FILES("protocol.<name>.allow"),
    FILES("remote.<name>.proxy"),
    FILES("remote.<name>.pushurl"),
    FILES("remote.<name>.receivepack"),
    FILES("remote.<name>.uploadpack"),
    FILES("remote.<name>.url"),
    FILES("remote.<name>.vcs"),
    FILES("submodule.<name>.fetchRecurseSubmodules"), /* --no-recurse-submodules stands last, too */
    FILES("submodule.<name>.update"),
    FILES("submodule.<name>.url"),
    FILES("url.<base>.insteadOf"),
    FILES("url.<base>.pushInsteadOf"),
    FILES("core.worktree"), /* and GIT_WORK_TREE, where the repository's files are read */
    FILES("extensions.worktreeConfig"),
    FILES("trace2.normalTarget"), /* git reads these from the system's and the user's files alone */
    FILES("trace2.perfTarget"),
    FILES("trace2.eventTarget"),
    FILES("lfs.customtransfer.<name>.path"), /* .lfsconfig is no such file: git-lfs takes none of these from it */
    FILES("lfs.<url>.standalonetransferagent"),
    FILES("lfs.extension.<name>.clean"),
    FILES("lfs.extension.<name>.smudge"),
    /* settings of commands that courier never runs */
    COMMAND("browser.<tool>.cmd"),
    COMMAND("browser.<tool>.path"),
    COMMAND("difftool.<tool>.cmd"),
    COMMAND("difftool.<tool>.path"),
    COMMAND("guitool.<name>.cmd"),
    COMMAND("instaweb.httpd"),
    COMMAND("instaweb.modulePath"),
    COMMAND("imap.tunnel"),
    COMMAND("man.<tool>.cmd"),
    COMMAND("man.<tool>.path"),
    COMMAND("mergetool.<tool>.cmd"),
    COMMAND("mergetool.<tool>.path"),
    COMMAND("sendemail.smtpServer"),
    COMMAND("trailer.<token>.cmd"),
    COMMAND("trailer.<token>.command"),
    COMMAND("tar.<format>.command"),
};

const size_t git_setting_count = COUNT_OF(git_settings);
