/* A repository that an earlier job left: nothing in it makes git run a program in courier, hides what the commit says,
 * or stops the jobs that come after. */
#include "courier/repository.h"

#define IDENTITY "git -c user.name=a -c user.email=a@b "

static void hook(struct repository *all, const char *line)
{
    struct cJSON *hooks = json_get(all->pod.plan, "hooks");
    struct cJSON *lines = json_get(hooks, "pre_get_sources");
    json_add_text(lines ? lines : json_set_array(hooks, "pre_get_sources"), line);
}

static void fetch_flags(struct repository *all, const char *first, const char *second)
{
    struct cJSON *flags = json_set_array(git_of(all), "fetch_flags");
    json_add_text(flags, first);
    if (second)
        json_add_text(flags, second);
}

static void nothing_ran(const struct repository *all)
{
    if (access(pod_path(&all->pod, "/builds/attacked"), F_OK) == 0)
        fail_msg("a program of the job ran in courier:\n%s", strbuf_text(&all->pod.trace));
}

/* A job whose hook leaves a repository with a populated repository below, which names a program. */
static void nested_make(struct repository *all, const char *setting)
{
    char line[1024];
    repository_make(all);
    json_set_text(git_of(all), "strategy", "fetch");
    plan_variable(&all->pod, "B", all->pod.builds);
    hook(all, "printf \"#!/bin/sh\\ntouch $B/attacked\\nexit 1\\n\" > $B/evil; chmod 755 $B/evil; mkdir -p g/p; cd "
              "g/p; git init "
              "-q; git init -q sub");
    hook(all, IDENTITY
         "-C sub commit -q --allow-empty -m x; git init -q --bare $B/bare; git -C $B/bare config core.bare true; "
         "echo $B/bare/objects > sub/.git/objects/info/alternates");
    snprintf(line, sizeof line,
             "git -C sub config %s $B/evil; git -C sub remote add origin http://127.0.0.1:%u/g/%s.git", setting,
             all->web.port, strcmp(setting, "core.askPass") == 0 ? "none" : "p");
    hook(all, line);
    hook(all, "printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = ./sub\\n' > .gitmodules; git update-index --add "
              "--cacheinfo "
              "160000,$(git -C sub rev-parse HEAD),sub");
    plan_step_line(&all->pod, "script", "cat file");
}

static void a_nested_repository_makes_git_run_nothing(void **state)
{
    static const char *const settings[] = { "core.alternateRefsCommand", "core.askPass" };
    static const char *const flags[][2] = {
        { "--recurse-submodules", NULL },
        { "--recurse-submodules=yes", "--jobs=2" },
        { "--recurse-sub=on-demand", "-f" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        for (size_t k = 0; k < COUNT_OF(flags); k++) {
            struct repository all;
            nested_make(&all, settings[i]);
            if (i == 1)
                json_set_text(git_of(&all), "url", "http://gitlab-ci-token:" TOKEN "@127.0.0.1:9/g/p.git");
            fetch_flags(&all, flags[k][0], flags[k][1]);
            pod_run(&all.pod, job_user());
            nothing_ran(&all);
            repository_clear(&all);
        }
}

static void a_flag_that_git_does_not_get_is_named(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    fetch_flags(&all, "--upload-pack=/bin/evil", "--prune");
    plan_step_line(&all.pod, "script", "cat file");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod,
              "WARNING: GIT_FETCH_EXTRA_FLAGS: not passed to git fetch: --upload-pack=/bin/evil. The flags that may "
              "be given are: -p --prune");
    repository_clear(&all);
}

static void variables_that_change_how_git_reaches_the_server_are_named(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    plan_variable(&all.pod, "HTTPS_PROXY", "http://me:geheim@proxy.example:3128/x");
    plan_variable(&all.pod, "all_proxy", "me:g@eheim@other.example:1080");
    plan_variable(&all.pod, "no_proxy", "127.0.0.1");
    plan_variable(&all.pod, "GIT_SSL_NO_VERIFY", "0");
    plan_step_line(&all.pod, "script", "cat file");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod,
              "WARNING: git follows variables of the job: HTTPS_PROXY=http://proxy.example:3128, "
              "all_proxy=other.example:1080, no_proxy, GIT_SSL_NO_VERIFY, so that the certificate of the server is "
              "not checked");
    trace_has_no(&all.pod, "eheim");
    repository_clear(&all);
}

/* --- an earlier job's repository --- */

/* Leaves a clone of the first commit, as the job's user has it, and what commands in it add. */
static void left_make(struct repository *all, const char *commands)
{
    repository_make(all);
    json_set_text(git_of(all), "strategy", "fetch");
    shell("set -e; export GIT_CONFIG_GLOBAL=/dev/null SHA=%s OLD=%s; cd %s/builds; mkdir g; git clone -q --no-tags -b "
          "main "
          "file://$PWD/../web/git/g/p.git g/p; cd g/p; git checkout -q $OLD; umask 022; %s",
          all->sha, all->old_sha, all->pod.root, commands);
    shell("chown -R %u:%u %s/builds/g", job_user(), job_user(), all->pod.root);
}

static void what_an_earlier_job_planted_does_not_reach_the_next(void **state)
{
    static const struct {
        const char *name, *commands;
    } plants[] = {
        { "an index that looks away", "echo POISONED > file; git update-index --skip-worktree file" },
        { "an index that believes",
          "git checkout -q $SHA; echo POISONED > file; git update-index --assume-unchanged file" },
        { "a loose object under another's name",
          "id=$(git rev-parse $SHA:file); evil=$(echo POISONED | git hash-object -w --stdin); cd .git/objects; "
          "for p in pack/*.pack; do mv $p ../p; git unpack-objects -q < ../p; done; rm -f pack/*; "
          "cp -f $(echo $evil | sed 's,..,&/,') $(echo $id | sed 's,..,&/,')" },
        { "a pack whose index lies",
          "id=$(git rev-parse $SHA:file); evil=$(echo POISONED | git hash-object -w --stdin); cd .git/objects; "
          "for p in pack/*.pack; do mv $p ../p; rm -f pack/*; git unpack-objects -q < ../p; done; "
          "n=$(echo $evil | git pack-objects -q pack/pack); chmod u+w pack/*; rm -f $(echo $id | sed 's,..,&/,'); "
          "python3 -c 'import sys, struct; p, i = sys.argv[1:]; d = bytearray(open(p, \"rb\").read()); i = "
          "bytes.fromhex(i); d[8:1032] = b\"\".join(struct.pack(\">I\", k >= i[0]) for k in range(256)); d[1032:1052] "
          "= i; "
          "open(p, \"wb\").write(d)' pack/pack-$n.idx $id; test \"$(git cat-file -p $id)\" = POISONED" },
        { "a replaced object", "git replace $(git rev-parse $SHA:file) $(echo POISONED | git hash-object -w --stdin)" },
        { "attributes that no commit has",
          "echo '* text eol=crlf' > .gitattributes; echo /.gitattributes > .gitignore" },
        { "a configuration of a work tree", "git config extensions.worktreeConfig true; git config --worktree "
                                            "core.autocrlf true; git config core.eol crlf" },
        { "a shared folder", "cp -r .git ../other; mv .git/objects ../objects; echo ../../other > .git/commondir" },
        { "a history that ends early", "echo $OLD > .git/shallow; echo $SHA >> .git/shallow" },
        { "a tag",
          "git -c user.name=a -c user.email=a@b tag -a -m x v9 $OLD; git update-ref refs/remotes/origin/evil $OLD" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plants); i++) {
        struct repository all;
        left_make(&all, plants[i].commands);
        json_set_array(git_of(&all), "clean_flags");
        plan_step_line(
            &all.pod, "script",
            "od -c file | head -1; git status --short -uno; git rev-list --count HEAD; git tag; git "
            "for-each-ref | wc -l; "
            "git count-objects; (find .git/objects/info .git/refs/replace -type f 2> /dev/null || true) | wc -l");
        pod_run(&all.pod, job_user());
        if (!strstr(strbuf_text(&all.pod.trace), "\n0000000   3  \\n\n3\n1\n0 objects, 0 kilobytes\n0\n"))
            fail_msg("%s reached the next job:\n%s", plants[i].name, trace_end(&all.pod));
        assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
        repository_clear(&all);
    }
}

/* The earlier job names a shell's command, which leaves a mark: where Landlock is, the kernel refuses a program that
 * lies in the builds volume, and would stop what these tests are about. */
static void what_an_earlier_job_left_starts_nothing(void **state)
{
#define NAMES_EVIL                                                                                                     \
    "for k in core.fsmonitor core.sshCommand core.askPass core.alternateRefsCommand credential.helper "                \
    "filter.e.smudge filter.e.clean diff.e.textconv diff.e.command alias.fetch alias.checkout; do "                    \
    "git config --file $F $k \"$EVIL\"; done; "
    static const struct {
        const char *name, *commands;
    } roads[] = {
        { "include.path", "F=$B/included; " NAMES_EVIL "git config include.path $B/included" },
        { "includeIf", "F=$B/included; " NAMES_EVIL "git config includeIf.gitdir:/**.path $B/included" },
        { "a file as .git", "F=.git/config; " NAMES_EVIL "mv .git $B/elsewhere; echo gitdir: $B/elsewhere > .git" },
        { "commondir", "cp -r .git $B/common; F=$B/common/config; " NAMES_EVIL
                       "mkdir -p $B/common/info; cp .git/info/attributes $B/common/info/; echo $B/common > "
                       ".git/commondir" },
        { "the configuration of a work tree",
          "git config extensions.worktreeConfig true; F=.git/config.worktree; " NAMES_EVIL "true" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(roads); i++) {
        struct repository all;
        char commands[1800];
        snprintf(commands, sizeof commands,
                 "B=$(cd ..; pwd); chmod 777 ../..; EVIL=\"touch $(cd ../..; pwd)/attacked; cat\"; mkdir -p .git/info; "
                 "echo '* filter=e diff=e' > .git/info/attributes; echo left > untracked; %s",
                 roads[i].commands);
        left_make(&all, commands);
        plan_step_line(&all.pod, "script", "cat file");
        pod_run(&all.pod, job_user());
        nothing_ran(&all);
        if (!strstr(strbuf_text(&all.pod.trace), "\n3\n"))
            fail_msg("%s stops the next job:\n%s", roads[i].name, trace_end(&all.pod));
        repository_clear(&all);
    }
}

/* Whether some request to the server held the words. */
static bool was_asked(const struct repository *all, const char *words)
{
    bool found = false;
    for (unsigned i = 1; i < 10 && !found; i++) {
        char path[32];
        snprintf(path, sizeof path, "/web/body-%u", i);
        char *body = file_text(pod_path(&all->pod, path));
        found = body && strstr(body, words);
        mem_free(body);
    }
    return found;
}

static void what_is_proven_is_not_fetched_again(void **state)
{
    struct repository all;
    char have[80];
    (void)state;
    left_make(&all, "true");
    plan_step_line(&all.pod, "script", "cat file; git rev-list --count HEAD");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\n3\n3\n");
    assert_false(was_asked(&all, "want "));
    repository_clear(&all);

    left_make(&all, "git update-ref -d refs/remotes/origin/main; git update-ref -d refs/heads/main; git remote remove "
                    "origin; git tag old $OLD; "
                    "rm -rf .git/logs .git/*_HEAD; git repack -adq; git prune");
    plan_step_line(&all.pod, "script", "cat file; git rev-list --count HEAD");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\n3\n3\n");
    trace_has_no(&all.pod, "cannot be proven");
    snprintf(have, sizeof have, "have %s", all.old_sha);
    assert_true(was_asked(&all, "want "));
    assert_true(was_asked(&all, have));
    repository_clear(&all);
}

static void a_file_that_the_commit_has_no_more_goes(void **state)
{
    struct repository all;
    (void)state;
    left_make(&all, "echo x > gone; git add gone; git -c user.name=a -c user.email=a@b commit -q -m gone; git gc -q; "
                    "echo x > mine");
    json_set_array(git_of(&all), "clean_flags");
    plan_step_line(&all.pod, "script", "ls");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\nfile\nmine\nrun.sh\n");
    repository_clear(&all);
}

static void a_folder_that_stands_in_the_way_is_fetched_anew(void **state)
{
    static const struct {
        const char *name, *commands;
        bool is_said;
    } leftovers[] = {
        { "no repository", "rm -rf .git", true },
        { "a file as .git", "rm -rf .git; echo 'gitdir: /nowhere' > .git", false },
        { "a symlink as .git", "mv .git ../x; ln -s ../x .git", false },
        { "half a repository", "rm -rf .git/HEAD .git/refs; rm -rf .git/objects; touch .git/objects", false },
        { "a repository that nobody may enter", "chmod 000 .git", true },
        { "a folder that nobody may enter", "mkdir shut; touch shut/x; chmod 000 shut", true },
        { "a file in the place of a folder's parent", "rm -rf file; mkdir -p file/deep; chmod 500 file", false },
        { "a missing pack", "rm -f .git/objects/pack/*", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(leftovers); i++) {
        struct repository all;
        left_make(&all, leftovers[i].commands);
        shell("cd %s/builds/g/p; touch made; chown %u made", all.pod.root, job_user());
        plan_step_line(&all.pod, "script", "cat file; ls");
        pod_run(&all.pod, job_user());
        if (!strstr(strbuf_text(&all.pod.trace), "\n3\nfile\nrun.sh\n"))
            fail_msg("%s stops the next job:\n%s", leftovers[i].name, trace_end(&all.pod));
        if (leftovers[i].is_said)
            trace_has(&all.pod, "WARNING: What an earlier job left in the project folder stands in the way");
        repository_clear(&all);
    }
}

static void a_server_that_says_no_costs_no_folder(void **state)
{
    struct repository all;
    (void)state;
    left_make(&all, "echo left > untracked");
    json_add_text(json_set_array(git_of(&all), "refspecs"), "+refs/heads/gone:refs/remotes/origin/gone");
    plan_step_line(&all.pod, "script", "true");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(access(pod_path(&all.pod, "/builds/g/p/untracked"), F_OK), 0);
    repository_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nested_repository_makes_git_run_nothing),
        cmocka_unit_test(what_an_earlier_job_planted_does_not_reach_the_next),
        cmocka_unit_test(what_an_earlier_job_left_starts_nothing),
        cmocka_unit_test(what_is_proven_is_not_fetched_again),
        cmocka_unit_test(a_file_that_the_commit_has_no_more_goes),
        cmocka_unit_test(a_folder_that_stands_in_the_way_is_fetched_anew),
        cmocka_unit_test(a_server_that_says_no_costs_no_folder),
        cmocka_unit_test(a_flag_that_git_does_not_get_is_named),
        cmocka_unit_test(variables_that_change_how_git_reaches_the_server_are_named),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
