/* get_sources against a real git server: strategies, refspecs, depth, owner, and what a person is told when it fails.
 */
#include "courier/repository.h"

static void a_clone_has_the_commit_the_depth_and_the_jobs_owner(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_int(git_of(&all), "depth", 2);
    plan_step_line(&all.pod, "script",
                   "git rev-parse HEAD; git rev-list --count HEAD; git status --porcelain -b | head -1; cat file; "
                   "find . ! -user $(id -u) | wc -l; ls -ld .. | awk '{print $3 == \"root\"}'; "
                   "stat -c %a file run.sh");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    char wanted[200];
    snprintf(wanted, sizeof wanted, "\n%s\n2\n## HEAD (no branch)\n3\n0\n0\n644\n755\n", all.sha);
    trace_has(&all.pod, wanted);
    trace_has(&all.pod, "\033[32;1mFetching changes with git depth set to 2...\033[0;m\n");
    trace_has(&all.pod, "\033[32;1mCreated fresh repository.\033[0;m\n");
    snprintf(wanted, sizeof wanted, "\033[32;1mChecking out %.8s as detached HEAD (ref is main)...\033[0;m\n", all.sha);
    trace_has(&all.pod, wanted);
    repository_clear(&all);
}

static void the_token_is_in_no_file_of_the_repository(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    plan_step_line(&all.pod, "script",
                   "git config remote.origin.url; (grep -r glcbt . || true) | wc -l; env | grep -c glcbt || true");
    pod_run(&all.pod, job_user());
    char wanted[200];
    snprintf(wanted, sizeof wanted, "\nhttp://127.0.0.1:%u/g/p.git\n0\n0\n", all.web.port);
    trace_has(&all.pod, wanted);
    trace_has_no(&all.pod, TOKEN);
    assert_true(web_count(&all.web, "User-Agent: dataops-runner 0.1.0 linux/") > 0);
    repository_clear(&all);
}

static void the_fetch_does_not_wait_for_build(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    plan_step_line(&all.pod, "script", "cat file");
    plan_store(&all.pod);
    pod_start_courier(&all.pod);
    const uint64_t last_ms = now_ms() + PATIENCE_MS;
    while (web_count(&all.web, "POST /g/p.git/git-upload-pack") == 0 && now_ms() < last_ms)
        usleep(10000);
    assert_true(web_count(&all.web, "POST /g/p.git/git-upload-pack") > 0);
    pod_start_step(&all.pod, job_user());
    pod_finish(&all.pod);
    trace_has(&all.pod, "Created fresh repository.");
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    repository_clear(&all);
}

static void expect_failure(struct repository *all, const char *words)
{
    plan_step_line(&all->pod, "script", "echo script ran");
    pod_run(&all->pod, job_user());
    assert_int_equal(all->pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(all->pod.result.reason, REASON_SCRIPT);
    assert_int_equal(all->pod.result.exit_code, 1);
    trace_has(&all->pod, words);
    trace_has(&all->pod, "ERROR: Job failed: command terminated with exit code 1");
    trace_has_no(&all->pod, "script ran");
    trace_has_no(&all->pod, TOKEN);
    repository_clear(all);
}

static void wrong_credentials_are_named(void **state)
{
    struct repository all;
    char url[200];
    (void)state;
    repository_make(&all);
    snprintf(url, sizeof url, "http://gitlab-ci-token:wrong@127.0.0.1:%u/g/p.git", all.web.port);
    json_set_text(git_of(&all), "url", url);
    expect_failure(&all, "Getting the sources failed: the server refused the job's credentials for the repository");
}

static void a_missing_ref_is_named(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_add_text(json_set_array(git_of(&all), "refspecs"), "+refs/heads/gone:refs/remotes/origin/gone");
    expect_failure(&all, "Getting the sources failed: the ref is not in the repository any more");
}

static void a_missing_commit_is_named(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_text(git_of(&all), "sha", "1111111111111111111111111111111111111111");
    expect_failure(&all, "Getting the sources failed: the commit is not among the fetched history");
}

static void an_unknown_host_is_named(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_text(git_of(&all), "url", "http://gitlab-ci-token:" TOKEN "@no-such-host.invalid/g/p.git");
    expect_failure(&all, "Getting the sources failed: the repository's host name is not known inside the pod");
}

static void a_failed_attempt_is_repeated(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_int(git_of(&all), "attempts", 2);
    json_set_text(git_of(&all), "sha", "1111111111111111111111111111111111111111");
    plan_step_line(&all.pod, "script", "true");
    pod_run(&all.pod, job_user());
    const char *first = strstr(strbuf_text(&all.pod.trace), "Created fresh repository.");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "Created fresh repository."));
    repository_clear(&all);
}

static void fetch_keeps_the_work_but_nothing_that_steers_git(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_text(git_of(&all), "strategy", "fetch");
    shell(
        "set -e; cd %s/builds; mkdir g; git clone -q --no-hardlinks ../work g/p 2>/dev/null; cd g/p; git checkout -q "
        "%s; echo left > untracked; "
        "git config core.fsmonitor 'touch %s/attacked; false'; git config filter.x.smudge 'touch %s/attacked; cat'; "
        "printf '#!/bin/sh\\ntouch %s/attacked\\n' > .git/hooks/post-checkout; chmod 755 .git/hooks/post-checkout; "
        "echo '* filter=x' > .git/info/attributes; touch .git/index.lock .git/refs/heads/main.lock; chown -R %u:%u ..",
        all.pod.root, all.old_sha, all.pod.root, all.pod.root, all.pod.root, job_user(), job_user());
    plan_step_line(&all.pod, "script", "cat file; ls");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod, "\n3\nfile\nrun.sh\nsection_end");
    assert_int_equal(access(pod_path(&all.pod, "/attacked"), F_OK), -1);
    repository_clear(&all);
}

static void clone_begins_with_an_empty_folder(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    shell("mkdir -p %s/builds/g/p; touch %s/builds/g/p/left", all.pod.root, all.pod.root);
    plan_step_line(&all.pod, "script", "ls");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\nfile\nrun.sh\nsection_end");
    repository_clear(&all);
}

static void none_leaves_the_folder_and_empty_clears_it(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_text(git_of(&all), "strategy", "none");
    shell("mkdir -p %s/builds/g/p; touch %s/builds/g/p/left", all.pod.root, all.pod.root);
    plan_step_line(&all.pod, "script", "ls; echo .");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\nleft\n.\n");
    repository_clear(&all);

    repository_make(&all);
    json_set_text(git_of(&all), "strategy", "empty");
    shell("mkdir -p %s/builds/g/p; touch %s/builds/g/p/left", all.pod.root, all.pod.root);
    plan_step_line(&all.pod, "script", "ls; echo .");
    pod_run(&all.pod, job_user());
    trace_has_no(&all.pod, "\nleft\n");
    assert_int_equal(web_count(&all.web, "/g/p.git"), 0);
    repository_clear(&all);
}

static void hooks_run_around_the_clone(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_add_text(json_set_array(json_get(all.pod.plan, "hooks"), "pre_get_sources"),
                  "echo before; test -e g/p || echo none");
    json_add_text(json_set_array(json_get(all.pod.plan, "hooks"), "post_get_sources"), "echo behind; cat file");
    plan_step_line(&all.pod, "script", "true");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\nbefore\nnone\n");
    trace_has(&all.pod, "\nbehind\n3\n");
    repository_clear(&all);

    repository_make(&all);
    json_add_text(json_set_array(json_get(all.pod.plan, "hooks"), "pre_get_sources"), "exit 7");
    plan_step_line(&all.pod, "script", "echo script ran");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.exit_code, 7);
    trace_has_no(&all.pod, "script ran");
    assert_int_equal(web_count(&all.web, "/g/p.git"), 0);
    repository_clear(&all);
}

static void without_checkout_there_is_only_the_repository(void **state)
{
    struct repository all;
    (void)state;
    repository_make(&all);
    json_set_bool(git_of(&all), "checkout", false);
    plan_step_line(&all.pod, "script", "ls -A; git rev-parse refs/remotes/origin/main");
    pod_run(&all.pod, job_user());
    trace_has(&all.pod, "\n.git\n");
    trace_has(&all.pod, "Skipping Git checkout");
    repository_clear(&all);
}

/* Asks for the repository by a path that the server sends on to location. */
static void moved_make(struct repository *all, const char *location)
{
    char url[200];
    static char header[300];
    snprintf(header, sizeof header, "Location: %s\r\n", location);
    repository_make_with(all,
                         (const struct web_rule[]){
                             { .method = "GET", .path = "/g/old/info/refs", .status = 302, .headers = header },
                         },
                         1);
    snprintf(url, sizeof url, "http://gitlab-ci-token:" TOKEN "@127.0.0.1:%u/g/old", all->web.port);
    json_set_text(git_of(all), "url", url);
    plan_step_line(&all->pod, "script", "cat file; git config remote.origin.url");
}

static void a_redirect_within_the_server_is_followed(void **state)
{
    struct repository all;
    (void)state;
    moved_make(&all, "/g/p.git/info/refs?service=git-upload-pack");
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod, "/g/p.git: git asks there.");
    trace_has(&all.pod, "\n3\n");
    repository_clear(&all);
}

static void a_redirect_to_another_server_gets_no_login(void **state)
{
    struct repository all;
    struct pod other_pod;
    struct web other = { 0 };
    char location[200], copy[600];
    (void)state;
    pod_init(&other_pod);
    web_start(&other, &other_pod); /* anybody may fetch there */
    snprintf(location, sizeof location, "http://127.0.0.1:%u/g/p.git/info/refs?service=git-upload-pack", other.port);
    moved_make(&all, location);
    snprintf(copy, sizeof copy, "cp -r %s/web/git %s/web/git", all.pod.root, other_pod.root);
    shell("%s", copy);
    pod_run(&all.pod, job_user());
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&all.pod,
              "git asks there, without the job's login and the client certificate, because that is another server.");
    trace_has(&all.pod, "\n3\n");
    assert_true(web_count(&other, "POST /g/p.git/git-upload-pack") > 0);
    assert_int_equal(web_count(&other, "Authorization"), 0);
    web_stop(&other);
    pod_clear(&other_pod);
    repository_clear(&all);
}

static void courier_without_root_works_as_the_jobs_user(void **state)
{
    struct repository all;
    (void)state;
    if (geteuid() != 0) {
        print_message("[ NOTE ] not root: every other test tries this already\n");
        skip();
    }
    repository_make(&all);
    all.pod.courier_uid = job_user();
    plan_file(&all.pod, "KEY_FILE", "content");
    plan_step_line(&all.pod, "script", "cat file $KEY_FILE; echo; id -u; find . ! -user $(id -u) | wc -l");
    plan_store(&all.pod);
    shell("chown %u %s/.dataops-plan/plan %s/dev/termination-log", job_user(), all.pod.root, all.pod.root);
    pod_start_courier(&all.pod);
    pod_start_step(&all.pod, job_user());
    pod_finish(&all.pod);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "\n3\ncontent\n%u\n0\n", job_user());
    trace_has(&all.pod, wanted);
    assert_int_equal(all.pod.result.outcome, OUTCOME_SUCCESS);
    repository_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clone_has_the_commit_the_depth_and_the_jobs_owner),
        cmocka_unit_test(the_token_is_in_no_file_of_the_repository),
        cmocka_unit_test(the_fetch_does_not_wait_for_build),
        cmocka_unit_test(wrong_credentials_are_named),
        cmocka_unit_test(a_missing_ref_is_named),
        cmocka_unit_test(a_missing_commit_is_named),
        cmocka_unit_test(an_unknown_host_is_named),
        cmocka_unit_test(a_failed_attempt_is_repeated),
        cmocka_unit_test(fetch_keeps_the_work_but_nothing_that_steers_git),
        cmocka_unit_test(clone_begins_with_an_empty_folder),
        cmocka_unit_test(none_leaves_the_folder_and_empty_clears_it),
        cmocka_unit_test(hooks_run_around_the_clone),
        cmocka_unit_test(without_checkout_there_is_only_the_repository),
        cmocka_unit_test(a_redirect_within_the_server_is_followed),
        cmocka_unit_test(a_redirect_to_another_server_gets_no_login),
        cmocka_unit_test(courier_without_root_works_as_the_jobs_user),
    };
    return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
