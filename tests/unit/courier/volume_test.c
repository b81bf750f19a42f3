/* A builds volume that outlives its jobs, and repositories and settings that try to run something in courier. */
#include "courier/repository.h"

static void variables_of_an_earlier_job_are_not_handed_on(void **state)
{
    struct pod pod;
    (void)state;
    pod_init(&pod);
    shell("mkdir -p %s.tmp; echo COLOUR=stale > %s.tmp/gitlab_runner_env; chown -R %u %s.tmp", pod.project, pod.project,
          job_user(), pod.project);
    plan_step_line(&pod, "script", "echo \"colour <${COLOUR-}>\"; echo TASTE=sweet >> $GITLAB_ENV");
    plan_step_line(&pod, "after_script", "echo it is $TASTE");
    pod_run(&pod, job_user());
    trace_has(&pod, "\ncolour <>\n");
    trace_has(&pod, "\nit is sweet\n");
    pod_clear(&pod);
}

static void a_hook_may_hand_variables_on(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_add_text(json_set_array(json_get(all.pod.plan, "hooks"), "pre_get_sources"), "echo TASTE=sour >> $GITLAB_ENV");
    plan_step_line(&all.pod, "script", "echo it is $TASTE");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\nit is sour\n");
    repository_clear(&all);
}

/* Folders of an earlier job that ran as another user. */
static void leave_folders_of_another_user(const struct repository *all)
{
    shell("set -e; cd %s/builds; mkdir g; git clone -q --no-hardlinks ../work g/p 2>/dev/null; mkdir g/p.tmp; "
          "echo left > g/p/untracked; chmod -R go-w g; chown -R 54321:54321 g",
          all->pod.root);
}

static void only_as_root(void)
{
    if (geteuid() != 0) {
        print_message("[ NOTE ] not root: there is only one user\n");
        skip();
    }
}

static void a_repository_of_another_user_is_cloned_anew(void **state)
{
    struct repository all;
    (void)state;
    only_as_root();
    repository_make(&all);
    json_set_text(git_of(&all), "strategy", "fetch");
    leave_folders_of_another_user(&all);
    plan_step_line(&all.pod, "script",
                   "cat file; ls; touch new; echo A=b >> $GITLAB_ENV; find . ! -user $(id -u) | wc -l");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod, "\n3\nfile\nrun.sh\n0\n");
    repository_clear(&all);
}

static void a_folder_of_another_user_can_be_written_without_git_as_well(void **state)
{
    struct repository all;
    (void)state;
    only_as_root();
    repository_make(&all);
    json_set_text(git_of(&all), "strategy", "none");
    leave_folders_of_another_user(&all);
    plan_step_line(&all.pod, "script", "touch new; echo A=b >> $GITLAB_ENV; ls");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod, "\nfile\nnew\nrun.sh\nuntracked\n");
    repository_clear(&all);
}

static void users_without_a_passwd_entry_commit_and_keep_their_files(void **state)
{
    struct repository all;
    (void)state;
    only_as_root();
    repository_make(&all);
    json_set_int(git_of(&all), "depth", 1);
    plan_step_line(&all.pod, "script",
                   "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m new; git log -1 --format=%s; "
                   "find . ! -user 54321 | wc -l");
    pod_run(&all.pod, 54321);
    trace_has(&all.pod, "\nnew\n0\n");
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    repository_clear(&all);
}

static void a_folder_that_cannot_be_made_is_tried_again_without_git_as_well(void **state)
{
    static const char *const strategies[] = { "none", "empty" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(strategies); i++) {
        struct pod pod;
        pod_init(&pod);
        json_set_text(json_get(pod.plan, "git"), "strategy", strategies[i]);
        json_set_int(json_get(pod.plan, "git"), "attempts", 2);
        shell("mkdir -p %s/builds/g %s/builds/other; ln -s ../other %s/builds/h", pod.root, pod.root, pod.root);
        char project[300];
        snprintf(project, sizeof project, "%s/h/p", pod.builds);
        json_set_text(pod.plan, "project_dir", project);
        plan_step_line(&pod, "script", "ls -A; echo script ran");
        plan_store(&pod);
        pod_start_courier(&pod);
        pod_start_step(&pod, job_user());
        pod_read_until(&pod, "WARNING: Retrying...");
        shell("rm %s/builds/h", pod.root);
        pod_finish(&pod);
        assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
        trace_has(&pod, "script ran\033[0;m\nscript ran\n");
        pod_clear(&pod);
    }
}

static void the_jobs_user_can_read_the_certificates_that_git_needs(void **state)
{
    struct pod pod;
    char command[500];
    unsigned port;
    (void)state;
    pod_init(&pod);
    const int silent = silent_server(&port);
    snprintf(command, sizeof command, "https://127.0.0.1:%u/g/p.git", port);
    json_set_text(json_get(pod.plan, "git"), "url", command);
    json_set_text(json_get(pod.plan, "git"), "strategy", "clone");
    json_set_text(json_get(pod.plan, "server"), "ca", "a certificate\n");
    json_add_text(json_set_array(json_get(pod.plan, "hooks"), "pre_get_sources"), "true"); /* so it is fetched late */
    plan_step_line(&pod, "script", "true");
    plan_store(&pod);
    pod_start_courier(&pod);
    pod_start_step(&pod, job_user());
    pod_read_until(&pod, "Created fresh repository.");
    snprintf(command, sizeof command,
             "until pid=$(pgrep -P %d -f '^git fetch'); do sleep 0.05; done; "
             "file=$(tr '\\0' '\\n' < /proc/$pid/environ | sed -n 's/^[^=]*=\\(\\/.*sslCAInfo.pem\\)$/\\1/p'); "
             "test \"$(stat -c %%u $file)\" = %u",
             (int)pod.courier, (unsigned)job_user());
    shell("%s", command);
    close(silent);
    pod_clear(&pod);
}

static void nothing_was_run(const struct pod *pod)
{
    assert_int_equal(access(pod_path(pod, "/attacked"), F_OK), -1);
}

static void extra_flags_of_fetch_name_no_program(void **state)
{
    static const char *const spellings[] = { "--upload-pack=", "--upl=" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(spellings); i++) {
        struct repository all;
        char flag[300], place[300];
        repository_make(&all);
        snprintf(flag, sizeof flag, "%stouch${IFS}%s/attacked;false", spellings[i], all.pod.root);
        snprintf(place, sizeof place, "%s/web/git/g/p.git", all.pod.root);
        struct cJSON *flags = json_set_array(git_of(&all), "fetch_flags");
        json_add_text(flags, flag);
        json_add_text(flags, place);
        plan_step_line(&all.pod, "script", "true");
        pod_run(&all.pod, job_user());
        nothing_was_run(&all.pod);
        repository_clear(&all);
    }
}

static void an_extra_flag_may_have_a_word_of_its_own(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    struct cJSON *flags = json_set_array(git_of(&all), "fetch_flags");
    json_add_text(flags, "-j");
    json_add_text(flags, "2");
    plan_step_line(&all.pod, "script", "cat file");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    repository_clear(&all);
}

static void a_hook_leaves_nothing_running_while_git_works(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    plan_variable(&all.pod, "ROOT", all.pod.root);
    shell("mkdir -m 777 %s/open", all.pod.root);
    json_add_text(json_set_array(json_get(all.pod.plan, "hooks"), "pre_get_sources"),
                  "setsid sh -c 'while :; do : > $ROOT/open/alive; sleep 0.02; done' > /dev/null 2>&1 & sleep 0.2; ls "
                  "$ROOT/open");
    plan_step_line(&all.pod, "script", "rm -f $ROOT/open/alive; sleep 0.3; ls $ROOT/open; echo quiet");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\033[0;m\nalive\n");
    trace_has(&all.pod, "\033[0;m\nquiet\n");
    repository_clear(&all);
}

/* Git reads a folder of its index from a remote that the job wrote, when it lists what is untracked. */
static void a_repository_that_lacks_objects_fetches_nothing_in_courier(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_text(git_of(&all), "strategy", "none");
    plan_variable(&all.pod, "ROOT", all.pod.root);
    plan_variable(&all.pod, "OPEN", pod_path(&all.pod, "/open"));
    shell("mkdir -m 777 %s/open", all.pod.root);
    plan_step_line(
        &all.pod, "script",
        "export GIT_CONFIG_GLOBAL=/dev/null; git init -q .; mkdir -p a/b c; echo 1 > a/b/f; echo 2 > c/g; git add .; "
        "git -c user.name=a -c user.email=a@b commit -q -m 1; git sparse-checkout init --cone --sparse-index; "
        "git sparse-checkout set c; tree=$(git rev-parse HEAD:a); rm -f .git/objects/${tree:0:2}/${tree:2}; "
        "git config core.repositoryformatversion 1; git config extensions.partialClone origin; "
        "git config remote.origin.url $ROOT/builds/g/p; git config remote.origin.promisor true; "
        "git config remote.origin.uploadpack \"touch $OPEN/attacked; false\"; mkdir -p a; echo x > a/x");
    struct cJSON *artifact = plan_artifact_add(&all.pod, "nothing");
    json_set_array(artifact, "paths");
    json_set_bool(artifact, "untracked", true);
    pod_run(&all.pod, job_user());
    assert_int_equal(access(pod_path(&all.pod, "/open/attacked"), F_OK), -1);
    trace_has(&all.pod, "Uploading artifacts");
    repository_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_of_an_earlier_job_are_not_handed_on),
        cmocka_unit_test(a_hook_may_hand_variables_on),
        cmocka_unit_test(a_repository_of_another_user_is_cloned_anew),
        cmocka_unit_test(a_folder_of_another_user_can_be_written_without_git_as_well),
        cmocka_unit_test(users_without_a_passwd_entry_commit_and_keep_their_files),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_tried_again_without_git_as_well),
        cmocka_unit_test(the_jobs_user_can_read_the_certificates_that_git_needs),
        cmocka_unit_test(extra_flags_of_fetch_name_no_program),
        cmocka_unit_test(an_extra_flag_may_have_a_word_of_its_own),
        cmocka_unit_test(a_hook_leaves_nothing_running_while_git_works),
        cmocka_unit_test(a_repository_that_lacks_objects_fetches_nothing_in_courier),
    };
    return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
