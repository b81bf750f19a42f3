/* A job that uses the build volume against courier: nothing of the plan leaks, nothing of the job runs in courier. */
#include "courier/web.h"

#include "io/confine.h"

#define TOKEN "glcbt-job-token-1234"

/* A job of courier's own user, the worst case: only the ways of opening files keep it out. */
static void attack(struct pod *pod, struct web *web, const char *script)
{
    *web = (struct web){ .rules = { { .method = "POST", .path = "/api/v4/jobs/90210/artifacts", .status = 201 } },
                         .rule_count = 1 };
    pod_init(pod);
    web_start(web, pod);
    plan_variable(pod, "ROOT", pod->root);
    plan_step_line(pod, "script", script);
}

static void no_upload_holds(const struct web *web, const char *bytes, size_t length)
{
    for (unsigned i = 1; i < 10; i++) {
        char path[300];
        struct stat status;
        snprintf(path, sizeof path, "%s/body-%u", web->folder, i);
        char *body = file_text(path);
        if (!body)
            return;
        assert_int_equal(stat(path, &status), 0);
        assert_null(memmem(body, (size_t)status.st_size, bytes, length));
        mem_free(body);
    }
}

/* The plan's file as it lies in courier's mount, packed, and the token in it: neither was sent. Stored as raw or level
 * 0 they would stand in the upload as they are. */
static void nothing_leaked(const struct pod *pod, const struct web *web)
{
    char *plan = file_text(pod_path(pod, "/.dataops-plan/plan"));
    struct stat status;
    assert_int_equal(stat(pod_path(pod, "/.dataops-plan/plan"), &status), 0);
    assert_true(status.st_size > 64);
    no_upload_holds(web, plan + 16, 32);
    no_upload_holds(web, TOKEN, strlen(TOKEN));
    trace_has_no(pod, TOKEN);
    mem_free(plan);
}

static void stored(struct cJSON *artifact)
{
    json_set_text(artifact, "level", "fastest");
}

static void a_symlink_under_an_artifact_path_is_not_followed(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web, "ln -s $ROOT/.dataops-plan out; echo fine > fine");
    stored(plan_artifact_add(&pod, "out/plan"));
    stored(plan_artifact_add(&pod, "out/*"));
    stored(plan_artifact_add(&pod, "**/plan"));
    stored(plan_artifact_add(&pod, "../../../.dataops-plan/plan"));
    pod_run(&pod, geteuid());
    trace_has(&pod, "WARNING: out/plan: a symlink leads out of the project folder, not followed");
    trace_has(&pod, "WARNING: ../../../.dataops-plan/plan: lies outside of the project folder");
    nothing_leaked(&pod, &web);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_kernel_without_openat2_opens_nothing_outside_either(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web,
           "ln -s $ROOT/.dataops-plan out; ln -s $ROOT/.dataops-plan/plan file; mkdir -p a/b; echo fine > a/b/fine; "
           "ln -s fine a/b/link");
    pod.old_kernel = true;
    stored(plan_artifact_add(&pod, "out/plan"));
    stored(plan_artifact_add(&pod, "out/*"));
    stored(plan_artifact_add(&pod, "**/plan"));
    stored(plan_artifact_add(&pod, "a"));
    json_set_text(plan_artifact_add(&pod, "file"), "format", "raw");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "WARNING: out/plan: a symlink leads out of the project folder, not followed");
    trace_has(&pod, "\na: found 4 matching artifact files and directories\n");
    nothing_leaked(&pod, &web);
    assert_int_equal(web_count(&web, "POST "), 1);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_project_folder_that_became_a_symlink_is_not_entered(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web, "cd ..; mv p q; ln -s $ROOT/.dataops-plan p");
    stored(plan_artifact_add(&pod, "plan"));
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    nothing_leaked(&pod, &web);
    assert_int_equal(web_count(&web, "POST "), 0);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_group_folder_that_became_a_symlink_is_not_entered(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web,
           "cd ../..; mv g h; mkdir $ROOT/trap; ln -s $ROOT/.dataops-plan $ROOT/trap/p; ln -s $ROOT/trap g");
    stored(plan_artifact_add(&pod, "plan"));
    pod_run(&pod, geteuid());
    nothing_leaked(&pod, &web);
    assert_int_equal(web_count(&web, "POST "), 0);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_raw_report_cannot_be_a_symlink(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web, "ln -s $ROOT/.dataops-plan/plan report; ln -s /proc/self/environ env");
    json_set_text(plan_artifact_add(&pod, "report"), "format", "raw");
    json_set_text(plan_artifact_add(&pod, "env"), "format", "gzip");
    pod_run(&pod, geteuid());
    nothing_leaked(&pod, &web);
    assert_int_equal(web_count(&web, "POST "), 0);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_shared_variables_file_that_is_a_symlink_is_not_read(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(
        &pod, &web,
        "echo SECRET=from-elsewhere > $ROOT/elsewhere; rm -f $GITLAB_ENV; ln -s $ROOT/elsewhere $GITLAB_ENV; touch a");
    stored(plan_artifact_add(&pod, "a$SECRET"));
    pod_run(&pod, geteuid());
    trace_has_no(&pod, "afrom-elsewhere");
    web_stop(&web);
    pod_clear(&pod);
}

static void git_settings_of_the_job_run_nothing_in_courier(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web,
           "git init -q .; git config core.fsmonitor \"touch $ROOT/attacked; false\"; git config core.hooksPath "
           "$ROOT/hooks; "
           "git config core.pager \"touch $ROOT/attacked\"; git config credential.helper \"!touch $ROOT/attacked\"; "
           "echo new > untracked");
    struct cJSON *artifact = plan_artifact_add(&pod, "nothing");
    json_set_array(artifact, "paths");
    json_set_bool(artifact, "untracked", true);
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "\nuntracked: found 1 files\n");
    assert_int_equal(web_count(&web, "POST "), 1);
    assert_int_equal(access(pod_path(&pod, "/attacked"), F_OK), -1);
    web_stop(&web);
    pod_clear(&pod);
}

static void special_files_and_odd_names_do_not_stop_packing(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web,
           "mkdir out; mkfifo out/pipe; printf x > \"out/$(printf 'a\\033[31mb\\nc')\"; ln -s out out/self; "
           "echo fine > out/fine; chmod 000 out/pipe");
    plan_artifact_add(&pod, "out");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "WARNING: out/pipe: is neither file, folder nor symlink, left out");
    assert_int_equal(web_count(&web, "POST "), 1);
    web_stop(&web);
    pod_clear(&pod);
}

static void files_that_come_and_go_while_packing_do_not_stop_it(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web,
           "mkdir out; head -c 20000000 /dev/zero > out/a; for i in $(seq 500); do echo $i > out/f$i; done; "
           "(sleep 0.1; while :; do for i in $(seq 500); do rm -f out/f$i; ln -s $ROOT/.dataops-plan/plan out/f$i; rm "
           "-f out/f$i; "
           "echo $i > out/f$i; : > out/a; done; done) > /dev/null 2>&1 &");
    stored(plan_artifact_add(&pod, "out"));
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    assert_int_equal(web_count(&web, "POST "), 1);
    nothing_leaked(&pod, &web);
    web_stop(&web);
    pod_clear(&pod);
}

static void the_socket_is_gone_when_the_script_looks_for_it(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    attack(&pod, &web, "ls $ROOT/.dataops; test ! -e $ROOT/.dataops/socket");
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    web_stop(&web);
    pod_clear(&pod);
}

/* For the controller, which tells the operator once what a node's kernel lacks. */
static void the_end_record_says_what_confines_couriers_children(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pod pod;
        pod_init(&pod);
        pod.no_landlock = i == 1;
        plan_step_line(&pod, "script", "true");
        pod_run(&pod, geteuid() == 0 ? 1000 : geteuid());
        assert_true(pod.result.says_landlock);
        assert_int_equal(pod.result.landlock_abi, pod.no_landlock ? 0 : confine_abi());
        assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
        pod_clear(&pod);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_symlink_under_an_artifact_path_is_not_followed),
        cmocka_unit_test(a_kernel_without_openat2_opens_nothing_outside_either),
        cmocka_unit_test(a_project_folder_that_became_a_symlink_is_not_entered),
        cmocka_unit_test(a_group_folder_that_became_a_symlink_is_not_entered),
        cmocka_unit_test(a_raw_report_cannot_be_a_symlink),
        cmocka_unit_test(a_shared_variables_file_that_is_a_symlink_is_not_read),
        cmocka_unit_test(git_settings_of_the_job_run_nothing_in_courier),
        cmocka_unit_test(special_files_and_odd_names_do_not_stop_packing),
        cmocka_unit_test(files_that_come_and_go_while_packing_do_not_stop_it),
        cmocka_unit_test(the_socket_is_gone_when_the_script_looks_for_it),
        cmocka_unit_test(the_end_record_says_what_confines_couriers_children),
    };
    return cmocka_run_group_tests_name("attack", tests, NULL, NULL);
}
