/* Artifacts up and down through a real HTTP server: what is asked, what is sent, what is unpacked, what is told. */
#include "courier/web.h"

#define TOKEN "glcbt-job-token-1234"

static uid_t job_user(void)
{
    return geteuid() == 0 ? 1000 : geteuid();
}

static void rule(struct web *web, const char *method, const char *path, int status, unsigned times)
{
    web->rules[web->rule_count++] =
        (struct web_rule){ .method = method, .path = path, .status = status, .times = times };
}

/* A job that makes out/a.txt, out/sub/b.txt and a link, and a server that takes uploads. */
static void job_make(struct pod *pod, struct web *web)
{
    *web = (struct web){ .port = 0 };
    pod_init(pod);
    rule(web, "POST", "/api/v4/jobs/90210/artifacts", 201, 0);
    plan_step_line(
        pod, "script",
        "mkdir -p out/sub out/tmp; echo alpha > out/a.txt; echo beta > out/sub/b.txt; chmod 600 out/sub/b.txt; "
        "echo no > out/tmp/c.txt; ln -s a.txt out/link; echo r > report.xml; chmod 755 out/a.txt");
}

/* Gives the content of the part named "file" of the N-th request's body, and its length; mem_free. */
static char *uploaded(const struct web *web, unsigned number, size_t *length)
{
    char path[300];
    struct stat status;
    snprintf(path, sizeof path, "%s/body-%u", web->folder, number);
    char *body = file_text(path);
    assert_non_null(body);
    assert_int_equal(stat(path, &status), 0);
    const char *start = memmem(body, (size_t)status.st_size, "\r\n\r\n", 4);
    assert_non_null(start);
    assert_non_null(strstr(body, "name=\"file\""));
    const size_t boundary = strcspn(body, "\r");
    char *end = body + status.st_size - boundary;
    while (memcmp(end, body, boundary) != 0)
        end--;
    *length = (size_t)(end - 2 - (start + 4));
    char *part = mem_copy(start + 4, *length);
    mem_free(body);
    return part;
}

/* Stores the N-th upload as a file below the pod's root. */
static void uploaded_store(const struct pod *pod, const struct web *web, unsigned number, const char *path)
{
    size_t length;
    char *part = uploaded(web, number, &length);
    file_put(pod_path(pod, path), part, length);
    mem_free(part);
}

static void shell_prints(const char *command, const char *wanted)
{
    char got[4096] = "";
    FILE *stream = popen(command, "r");
    const size_t length = fread(got, 1, sizeof got - 1, stream);
    got[length] = 0;
    pclose(stream);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s printed\n%s\ninstead of\n%s", command, got, wanted);
}

/* What Python's zipfile sees in it: it reads the central directory, as DataOps does. */
static void zip_has(const struct pod *pod, const char *path, const char *wanted)
{
    char command[1024];
    snprintf(command, sizeof command,
             "python3 -c 'import zipfile,sys\nz=zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n"
             "for i in z.infolist(): print(i.filename, oct(i.external_attr>>16), z.read(i).decode().strip())' %s",
             pod_path(pod, path));
    shell_prints(command, wanted);
}

static void an_archive_holds_the_tree_with_modes_and_links(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    job_make(&pod, &web);
    web_start(&web, &pod);
    struct cJSON *artifact = plan_artifact_add(&pod, "out/");
    json_add_text(json_get(artifact, "exclude"), "out/tmp/**");
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    uploaded_store(&pod, &web, 1, "/got.zip");
    zip_has(&pod, "/got.zip",
            "out/ 0o40755 \nout/a.txt 0o100755 alpha\nout/link 0o120777 a.txt\nout/sub/ 0o40755 \nout/sub/b.txt "
            "0o100600 beta\n");
    assert_int_equal(
        web_count(&web,
                  "POST /api/v4/jobs/90210/artifacts?artifact_format=zip&artifact_type=archive&expire_in=1%20week "),
        1);
    assert_int_equal(web_count(&web, "Job-Token: " TOKEN), 1);
    trace_has(&pod, "Uploading artifacts for successful job");
    trace_has(&pod, "\nout/: found 5 matching artifact files and directories\n");
    trace_has(&pod, "Uploading artifacts as \"archive\" to coordinator... 201 Created");
    trace_has_no(&pod, TOKEN);
    web_stop(&web);
    pod_clear(&pod);
}

static void globs_and_variables_choose_the_files(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    job_make(&pod, &web);
    web_start(&web, &pod);
    plan_variable(&pod, "KIND", "txt");
    struct cJSON *artifact = plan_artifact_add(&pod, "out/**/*.$KIND");
    json_add_text(json_get(artifact, "paths"), "${MISSING:-report}.xml");
    json_set_text(artifact, "name", "dir/build-$KIND");
    pod_run(&pod, job_user());
    uploaded_store(&pod, &web, 1, "/got.zip");
    zip_has(
        &pod, "/got.zip",
        "out/a.txt 0o100755 alpha\nout/sub/b.txt 0o100600 beta\nout/tmp/c.txt 0o100644 no\nreport.xml 0o100644 r\n");
    char *body = file_text(pod_path(&pod, "/web/body-1"));
    assert_non_null(strstr(body, "filename=\"build-txt.zip\""));
    mem_free(body);
    web_stop(&web);
    pod_clear(&pod);
}

static void reports_are_gzip_members_with_names_and_raw_is_the_file_itself(void **state)
{
    struct pod pod;
    struct web web;
    char command[512];
    (void)state;
    job_make(&pod, &web);
    web_start(&web, &pod);
    struct cJSON *junit = plan_artifact_add(&pod, "report.xml");
    json_add_text(json_get(junit, "paths"), "out/a.txt");
    json_set_text(junit, "type", "junit");
    json_set_text(junit, "format", "gzip");
    json_set_text(junit, "name", "junit.xml");
    struct cJSON *raw = plan_artifact_add(&pod, "out/a.txt");
    json_set_text(raw, "type", "sast");
    json_set_text(raw, "format", "raw");
    json_set_text(raw, "name", "gl-sast.json");
    pod_run(&pod, job_user());
    uploaded_store(&pod, &web, 1, "/got.gz");
    uploaded_store(&pod, &web, 2, "/got.raw");
    snprintf(command, sizeof command,
             "gzip -dc %s; basename $(gzip -lN %s | awk 'NR==2{print $4}'); od -An -tx1 -N4 %s; cat %s",
             pod_path(&pod, "/got.gz"), pod_path(&pod, "/got.gz"), pod_path(&pod, "/got.gz"),
             pod_path(&pod, "/got.raw"));
    shell_prints(command, "alpha\nr\na.txt\n 1f 8b 08 08\nalpha\n");
    assert_int_equal(web_count(&web, "artifact_format=gzip&artifact_type=junit"), 1);
    assert_int_equal(web_count(&web, "artifact_format=raw&artifact_type=sast"), 1);
    web_stop(&web);
    pod_clear(&pod);
}

static void when_decides_by_the_jobs_result(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    job_make(&pod, &web);
    web_start(&web, &pod);
    plan_step_line(&pod, "release", "exit 9");
    json_set_text(plan_artifact_add(&pod, "out/"), "type", "success-only");
    struct cJSON *failure = plan_artifact_add(&pod, "out/");
    json_set_text(failure, "when", "on_failure");
    json_set_text(failure, "type", "failure-only");
    struct cJSON *always = plan_artifact_add(&pod, "report.xml");
    json_set_text(always, "when", "always");
    json_set_text(always, "type", "for-all");
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.exit_code, 9);
    assert_int_equal(web_count(&web, "success-only"), 0);
    assert_int_equal(web_count(&web, "failure-only"), 1);
    assert_int_equal(web_count(&web, "for-all"), 1);
    trace_has(&pod, ":upload_artifacts_on_failure\r");
    web_stop(&web);
    pod_clear(&pod);
}

static void without_a_match_nothing_is_sent_and_the_job_succeeds(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    job_make(&pod, &web);
    web_start(&web, &pod);
    plan_artifact_add(&pod, "missing/*");
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "WARNING: missing/*: no matching files");
    trace_has(&pod, "ERROR: No files to upload");
    assert_int_equal(web_count(&web, "POST "), 0);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_busy_server_is_tried_six_times_a_full_one_once(void **state)
{
    struct pod pod;
    struct web web;
    (void)state;
    job_make(&pod, &web);
    web.rule_count = 0;
    rule(&web, "POST", "/api/v4/jobs/90210/artifacts", 503, 2);
    rule(&web, "POST", "/api/v4/jobs/90210/artifacts", 201, 0);
    web_start(&web, &pod);
    plan_artifact_add(&pod, "out/");
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    assert_int_equal(web_count(&web, "POST "), 3);
    uploaded_store(&pod, &web, 3, "/got.zip");
    trace_has(&pod, "503 Service Unavailable");
    /* it was packed three times, and said once what it found */
    const char *found = strstr(strbuf_text(&pod.trace), "out/: found");
    assert_non_null(found);
    assert_null(strstr(found + 1, "out/: found"));
    web_stop(&web);
    pod_clear(&pod);

    job_make(&pod, &web);
    web.rule_count = 0;
    rule(&web, "POST", "/api/v4/jobs/90210/artifacts", 413, 0);
    web_start(&web, &pod);
    plan_artifact_add(&pod, "out/");
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(pod.result.exit_code, 1);
    assert_int_equal(web_count(&web, "POST "), 1);
    trace_has(&pod, "ERROR: Uploading artifacts as \"archive\" to coordinator... 413 Request Entity Too Large");
    web_stop(&web);
    pod_clear(&pod);
}

static void dependency(struct pod *pod)
{
    struct cJSON *dependency = json_add_object(json_get(pod->plan, "dependencies"));
    json_set_int(dependency, "id", 90200);
    json_set_text(dependency, "name", "fetch");
    json_set_text(dependency, "token", TOKEN);
    json_set_text(dependency, "filename", "artifacts.zip");
}

/* Packs what a script made under the limits of the plan; the job fails, and the trace names the key. */
static void expect_ceiling(const char *limit, int64_t most, const char *script, const char *words)
{
    struct pod pod;
    struct web web = { .port = 0 };
    pod_init(&pod);
    rule(&web, "POST", "/api/v4/jobs/90210/artifacts", 201, 0);
    web_start(&web, &pod);
    json_set_int(json_set_object(pod.plan, "artifact_limits"), limit, most);
    json_set_text(plan_artifact_add(&pod, "made/"), "level", "fastest");
    plan_step_line(&pod, "script", script);
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    trace_has(&pod, words);
    web_stop(&web);
    pod_clear(&pod);
}

static void what_a_job_packs_has_ceilings_that_name_their_key(void **state)
{
    (void)state;
    expect_ceiling("upload_bytes", 1048576, "mkdir made; head -c 4000000 /dev/urandom > made/r",
                   "the archive has more than 1 MiB: raise artifact_upload_limit in [runners.kubernetes]");
    expect_ceiling("entries", 3, "mkdir made; touch made/1 made/2 made/3",
                   "more than 3 files match: raise artifact_entries_limit in [runners.kubernetes]");
    expect_ceiling("memory_bytes", 40000,
                   "mkdir made; for i in 1 2 3 4 5 6 7 8 9; do touch made/$i$i$i; done; cd made; "
                   "for i in 0 1 2 3 4 5 6 7 8 9; do touch a$i b$i c$i d$i e$i f$i g$i h$i i$i j$i; done",
                   "the names of the files that match take more than 10000 bytes: raise artifact_memory_limit");
}

static void a_sparse_file_is_small_also_when_nothing_is_compressed(void **state)
{
    struct pod pod;
    struct web web = { .port = 0 };
    char path[300];
    struct stat status;
    (void)state;
    pod_init(&pod);
    rule(&web, "POST", "/api/v4/jobs/90210/artifacts", 201, 0);
    web_start(&web, &pod);
    json_set_text(plan_artifact_add(&pod, "big"), "level", "fastest");
    plan_step_line(&pod, "script", "truncate -s 100M big");
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    snprintf(path, sizeof path, "%s/body-1", web.folder);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size < 1024 * 1024);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_download_over_its_ceiling_names_the_key(void **state)
{
    struct pod pod;
    struct web web = { .port = 0 };
    (void)state;
    pod_init(&pod);
    web.rules[0] = (struct web_rule){
        .method = "GET", .path = "/api/v4/jobs/90200/artifacts", .status = 200, .body = "more than ten bytes"
    };
    web.rule_count = 1;
    dependency(&pod);
    plan_step_line(&pod, "script", "echo never");
    json_set_int(json_set_object(pod.plan, "artifact_limits"), "download_bytes", 10);
    json_set_int(pod.plan, "download_attempts", 3);
    web_start(&web, &pod);
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    assert_int_equal(web_count(&web, "GET /api"), 1);
    trace_has(&pod, "it has more than 10 bytes: raise artifact_download_limit in [runners.kubernetes]");
    web_stop(&web);
    pod_clear(&pod);
}

/* A zip made by Python, of names and contents that a well-behaved packer would not write. */
static void zip_make(const struct pod *pod, const char *path, const char *entries)
{
    char command[2048];
    snprintf(
        command, sizeof command,
        "python3 -c 'import zipfile,sys\nz=zipfile.ZipFile(sys.argv[1],\"w\")\n"
        "def put(n,c,m):\n i=zipfile.ZipInfo(n); i.external_attr=m<<16; i.create_system=3; z.writestr(i,c)\n%s' %s",
        entries, pod_path(pod, path));
    if (system(command) != 0)
        fail_msg("%s", command);
}

static void a_dependency_is_unpacked_for_the_jobs_user(void **state)
{
    struct pod pod;
    struct web web = { .port = 0 };
    char location[128], zip[128];
    (void)state;
    pod_init(&pod);
    snprintf(zip, sizeof zip, "%s/dep.zip", pod.root);
    zip_make(&pod, "/dep.zip",
             "put(\"data/\",\"\",0o40555)\nput(\"data/in/x.sh\",\"echo "
             "x\",0o100755)\nput(\"data/l\",\"in/x.sh\",0o120777)\nput(\"old\",\"new\",0o100600)");
    web.rules[0] = (struct web_rule){
        .method = "GET", .path = "/api/v4/jobs/90200/artifacts?direct_download=true", .status = 302, .headers = location
    };
    web.rules[1] = (struct web_rule){ .method = "GET", .path = "/storage", .status = 200, .body_file = zip };
    web.rule_count = 2;
    dependency(&pod);
    plan_step_line(&pod, "script", "sh data/l; cat old; echo; stat -c '%a %u' data/in/x.sh data old; readlink data/l");
    /* the location is told before the server starts: it redirects to itself */
    snprintf(location, sizeof location, "Location: /storage\r\n");
    web_start(&web, &pod);
    pod_run(&pod, job_user());
    char wanted[200];
    snprintf(wanted, sizeof wanted, "\nx\nnew\n755 %u\n555 %u\n600 %u\nin/x.sh\n", job_user(), job_user(), job_user());
    trace_has(&pod, wanted);
    trace_has(&pod, "\033[32;1mDownloading artifacts for fetch (90200)...\033[0;m\n");
    trace_has(&pod, "Downloading artifacts from coordinator... ok  id=90200 responseStatus=200 OK\n");
    web_stop(&web);
    pod_clear(&pod);
}

static void an_archive_that_leads_out_of_the_folder_stays_inside(void **state)
{
    struct pod pod;
    struct web web = { .port = 0 };
    char zip[128], entries[1024];
    (void)state;
    pod_init(&pod);
    snprintf(zip, sizeof zip, "%s/dep.zip", pod.root);
    snprintf(entries, sizeof entries,
             "put(\"../escaped\",\"x\",0o100644)\nput(\"%s/escaped\",\"x\",0o100644)\nput(\"a/../../"
             "escaped\",\"x\",0o100644)\n"
             "put(\"out\",\"%s\",0o120777)\nput(\"out/escaped\",\"x\",0o100644)\nput(\"good\",\"fine\",0o106755)",
             pod.root, pod.root);
    zip_make(&pod, "/dep.zip", entries);
    web.rules[0] =
        (struct web_rule){ .method = "GET", .path = "/api/v4/jobs/90200/artifacts", .status = 200, .body_file = zip };
    web.rule_count = 1;
    dependency(&pod);
    plan_step_line(&pod, "script", "cat good; echo; stat -c %a good");
    web_start(&web, &pod);
    pod_run(&pod, geteuid());
    assert_int_equal(pod.result.outcome, OUTCOME_SUCCESS);
    trace_has(&pod, "WARNING: ../escaped: leads out of the project folder, left out");
    trace_has(&pod, "\nfine\n755\n");
    assert_int_equal(access(pod_path(&pod, "/escaped"), F_OK), -1);
    assert_int_equal(access(pod_path(&pod, "/builds/escaped"), F_OK), -1);
    assert_int_equal(access(pod_path(&pod, "/builds/g/escaped"), F_OK), -1);
    web_stop(&web);
    pod_clear(&pod);
}

static void expect_download_failure(int status, unsigned requests, const char *words)
{
    struct pod pod;
    struct web web = { .port = 0 };
    pod_init(&pod);
    web.rules[0] = (struct web_rule){
        .method = "GET", .path = "/api/v4/jobs/90200/artifacts", .status = status, .body = "{\"message\":\"said so\"}"
    };
    web.rule_count = 1;
    dependency(&pod);
    plan_step_line(&pod, "script", "echo script ran");
    plan_step_line(&pod, "after_script", "echo after ran");
    web_start(&web, &pod);
    pod_run(&pod, job_user());
    assert_int_equal(pod.result.outcome, OUTCOME_FAILED);
    trace_has(&pod, words);
    trace_has_no(&pod, "script ran");
    trace_has_no(&pod, "after ran");
    assert_int_equal(web_count(&web, "GET "), requests);
    assert_int_equal(web_count(&web, "direct_download=true"), 1);
    web_stop(&web);
    pod_clear(&pod);
}

static void a_refused_download_is_final_and_other_trouble_is_tried_thrice(void **state)
{
    (void)state;
    expect_download_failure(
        404, 1, "Downloading artifacts from coordinator... not found  id=90200 status=404 Not Found message=said so");
    expect_download_failure(403, 1, "Downloading artifacts from coordinator... forbidden");
    expect_download_failure(
        500, 3, "Downloading artifacts from coordinator... failed  id=90200 status=500 Internal Server Error");
    expect_download_failure(200, 1, "ERROR: Unpacking the artifacts of fetch failed");
}

/* Pid of the child that packs, once it runs its program; 0 when there is none within a while. */
static pid_t packing_child(const struct pod *pod)
{
    const uint64_t last_ms = now_ms() + 10000;
    char command[200], line[32] = "";
    snprintf(command, sizeof command, "pgrep -P %d -f -- --pack", (int)pod->courier);
    while (!*line && now_ms() < last_ms) {
        FILE *found = popen(command, "r");
        assert_non_null(found);
        if (!fgets(line, sizeof line, found))
            line[0] = 0;
        pclose(found);
    }
    return (pid_t)strtol(line, NULL, 10);
}

static void packing_ends_before_anything_else_when_memory_is_short(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("[ NOTE ] not root: only this user is tried\n");
        skip();
    }
    /* as root, and as the job's own user, who may not write its own score while it cannot be dumped */
    for (uid_t uid = 0; uid <= 1000; uid += 1000) {
        struct pod pod;
        struct web web = { .port = 0 }; /* takes what is packed, so that packing lasts */
        char path[64];
        pod_init(&pod);
        pod.courier_uid = uid;
        assert_int_equal(chown(pod_path(&pod, "/dev/termination-log"), uid, uid), 0);
        json_set_text(plan_artifact_add(&pod, "big"), "level", "slowest");
        plan_step_line(&pod, "script", "head -c 30000000 /dev/urandom > big");
        rule(&web, "POST", "/api/v4/jobs/90210/artifacts", 201, 0);
        web_start(&web, &pod);
        plan_store(&pod);
        assert_int_equal(chown(pod_path(&pod, "/.dataops-plan/plan"), uid, uid), 0);
        pod_start_courier(&pod);
        pod_start_step(&pod, 1000);
        snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)packing_child(&pod));
        char *score = file_text(path);
        assert_string_equal(score ? score : "gone", "500\n");
        mem_free(score);
        web_stop(&web);
        pod_clear(&pod);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_holds_the_tree_with_modes_and_links),
        cmocka_unit_test(globs_and_variables_choose_the_files),
        cmocka_unit_test(reports_are_gzip_members_with_names_and_raw_is_the_file_itself),
        cmocka_unit_test(when_decides_by_the_jobs_result),
        cmocka_unit_test(without_a_match_nothing_is_sent_and_the_job_succeeds),
        cmocka_unit_test(a_busy_server_is_tried_six_times_a_full_one_once),
        cmocka_unit_test(what_a_job_packs_has_ceilings_that_name_their_key),
        cmocka_unit_test(a_sparse_file_is_small_also_when_nothing_is_compressed),
        cmocka_unit_test(a_download_over_its_ceiling_names_the_key),
        cmocka_unit_test(a_dependency_is_unpacked_for_the_jobs_user),
        cmocka_unit_test(an_archive_that_leads_out_of_the_folder_stays_inside),
        cmocka_unit_test(a_refused_download_is_final_and_other_trouble_is_tried_thrice),
        cmocka_unit_test(packing_ends_before_anything_else_when_memory_is_short),
    };
    return cmocka_run_group_tests_name("artifacts", tests, NULL, NULL);
}
