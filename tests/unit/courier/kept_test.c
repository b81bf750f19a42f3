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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nested_repository_makes_git_run_nothing),
        cmocka_unit_test(a_flag_that_git_does_not_get_is_named),
        cmocka_unit_test(variables_that_change_how_git_reaches_the_server_are_named),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
