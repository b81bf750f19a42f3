/* Large files: they come from where the repository says, the job's login goes to the repository's own server alone, and
 * neither the repository nor a server makes git-lfs start a program. */
#include "courier/repository.h"

#define LARGE "large\n"

/* One job, the repository's server, and another one that has the large file, too. @OTHER@ stands for its origin. */
struct large {
    struct repository all;
    struct pod other_pod;
    struct web other;
    char oid[65], headers[300], batch[1024];
};

static void need_lfs(void)
{
    if (system("git lfs version > /dev/null 2>&1") != 0) {
        print_message("[ NOTE ] git-lfs is not installed: this test needs it\n");
        skip();
    }
}

/* Gives text with the other server's origin in it; mem_free. */
static char *with_other(const struct large *large, const char *text)
{
    static const char mark[] = "@OTHER@";
    struct strbuf out = STRBUF_EMPTY;
    for (const char *found; (found = strstr(text, mark)); text = found + sizeof mark - 1)
        strbuf_format(&out, "%.*shttp://127.0.0.1:%u", (int)(found - text), text, large->other.port);
    strbuf_add_text(&out, text);
    return strbuf_take(&out, NULL);
}

static void batch_write(const struct large *large, char *batch, size_t size, const char *transfer, const char *href)
{
    snprintf(
        batch, size,
        "{\"transfer\":\"%s\",\"objects\":[{\"oid\":\"%s\",\"size\":6,\"actions\":{\"download\":{\"href\":\"%s\"}}}]}",
        transfer, large->oid, href);
}

#define BATCH_TYPE "Content-Type: application/vnd.git-lfs+json\r\n"

static void other_make(struct large *large, int status)
{
    static char batch[1024];
    batch_write(large, batch, sizeof batch, "basic", "@ORIGIN@/object");
    pod_init(&large->other_pod);
    large->other = (struct web){
        .rule_count = 2,
        .rules = { { .method = "POST", .path = "/", .status = status, .headers = BATCH_TYPE, .body = batch },
                   { .method = "GET", .path = "/object", .status = status, .body = LARGE } }
    };
    if (status == 401)
        large->other.rules[0].headers = large->other.rules[1].headers =
            "WWW-Authenticate: Basic realm=\"x\"\r\nLfs-Authenticate: Basic realm=\"x\"\r\n";
    web_start(&large->other, &large->other_pod);
}

/* How the repository's own server answers. */
struct answers {
    const char *batch_location; /* where the batch request is sent on to, or NULL */
    const char *transfer;       /* the batch's answer, else */
    const char *href;
    const char *object_location; /* where the download is sent on to, or NULL */
};

static void large_make(struct large *large, const char *lfsconfig, const struct answers *answers, int other_status)
{
    memset(large, 0, sizeof *large);
    digest_sha256_hex(LARGE, strlen(LARGE), large->oid);
    other_make(large, other_status);
    const char *location = answers->batch_location ? answers->batch_location : answers->object_location;
    char *there = with_other(large, location ? location : ""), *href = with_other(large, answers->href);
    char *config = with_other(large, lfsconfig ? lfsconfig : "");
    snprintf(large->headers, sizeof large->headers, "Location: %s\r\n", there);
    batch_write(large, large->batch, sizeof large->batch, answers->transfer, href);
    const struct web_rule rules[] = {
        { .method = "POST",
          .path = "/g/p.git/info/lfs/objects/batch",
          .status = answers->batch_location ? 307 : 200,
          .headers = answers->batch_location ? large->headers : BATCH_TYPE,
          .body = large->batch },
        { .method = "GET",
          .path = "/object",
          .status = answers->object_location ? 302 : 200,
          .headers = answers->object_location ? large->headers : NULL,
          .body = answers->object_location ? "" : LARGE },
    };
    repository_make_with(&large->all, rules, COUNT_OF(rules));
    file_put(pod_path(&large->all.pod, "/lfsconfig"), config, strlen(config));
    shell("set -e; cd %s/work; export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1; mkdir sub; "
          "echo '*.bin filter=lfs diff=lfs merge=lfs -text' > sub/.gitattributes; "
          "printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 6\n' > sub/x.bin; "
          "test ! -s ../lfsconfig || cp ../lfsconfig .lfsconfig; git add .; "
          "git -c user.name=a -c user.email=a@b commit -q -m large; "
          "git -C ../web/git/g/p.git fetch -q ../../../../work main:main; git rev-parse HEAD > ../sha-large",
          large->all.pod.root, large->oid);
    text_line(large->all.sha, sizeof large->all.sha, pod_path(&large->all.pod, "/sha-large"));
    json_set_text(git_of(&large->all), "sha", large->all.sha);
    plan_step_line(&large->all.pod, "script", "cat sub/x.bin; test ! -e .git/hooks; echo whole");
    mem_free(there);
    mem_free(href);
    mem_free(config);
}

static void large_clear(struct large *large)
{
    web_stop(&large->other);
    pod_clear(&large->other_pod);
    repository_clear(&large->all);
}

/* Nothing that the other server was told holds the job's login, in any form of it. */
static void other_has_no_login(const struct large *large, const char *name)
{
    struct strbuf login = STRBUF_EMPTY;
    base64_encode("gitlab-ci-token:" TOKEN, strlen("gitlab-ci-token:" TOKEN), &login);
    OWNED_TEXT char *heads = web_requests(&large->other);
    if (strcasestr(heads, "Authorization") || strstr(heads, strbuf_text(&login)) || strstr(heads, TOKEN))
        fail_msg("%s: the other server got the login:\n%s", name, heads);
    strbuf_clear(&login);
}

static const struct answers as_usual = { .transfer = "basic", .href = "@ORIGIN@/object" };

static void large_files_are_fetched_with_the_jobs_login(void **state)
{
    struct large large;
    (void)state;
    need_lfs();
    large_make(&large, NULL, &as_usual, 200);
    pod_run(&large.all.pod, job_user());
    trace_has(&large.all.pod, "\nlarge\nwhole\n");
    assert_int_equal(large.all.pod.result.outcome, OUTCOME_SUCCESS);
    assert_int_equal(web_count(&large.all.web, "POST /g/p.git/info/lfs/objects/batch"), 1);
    assert_int_equal(web_count(&large.other, "HTTP/1.1"), 0);
    large_clear(&large);
}

static void no_road_takes_the_login_to_another_server(void **state)
{
    static const struct {
        const char *name, *lfsconfig;
        struct answers answers;
    } roads[] = {
        { "lfs.url", "[lfs]\n\turl = @OTHER@/x/info/lfs\n", { .transfer = "basic", .href = "@ORIGIN@/object" } },
        { "remote.origin.lfsurl",
          "[remote \"origin\"]\n\tlfsurl = @OTHER@/x/info/lfs\n",
          { .transfer = "basic", .href = "@ORIGIN@/object" } },
        { "a header for another server, by .lfsconfig",
          "[http \"@OTHER@\"]\n\textraHeader = Authorization: x\n[lfs]\n\turl = @OTHER@/x/info/lfs\n\taccess = basic\n",
          { .transfer = "basic", .href = "@ORIGIN@/object" } },
        { "the batch request is sent on",
          NULL,
          { .transfer = "basic", .href = "", .batch_location = "@OTHER@/x/objects/batch" } },
        { "the download is sent on",
          NULL,
          { .transfer = "basic", .href = "@ORIGIN@/object", .object_location = "@OTHER@/object" } },
        { "an object storage", NULL, { .transfer = "basic", .href = "@OTHER@/object" } },
    };
    (void)state;
    need_lfs();
    for (size_t i = 0; i < COUNT_OF(roads); i++) {
        struct large large;
        large_make(&large, roads[i].lfsconfig, &roads[i].answers, 200);
        pod_run(&large.all.pod, job_user());
        if (!strstr(strbuf_text(&large.all.pod.trace), "\nlarge\nwhole\n"))
            fail_msg("%s: no large file:\n%s", roads[i].name, trace_end(&large.all.pod));
        assert_int_equal(web_count(&large.other, "GET /object"), 1);
        other_has_no_login(&large, roads[i].name);
        large_clear(&large);
    }
}

static void another_server_that_asks_for_a_login_gets_none(void **state)
{
    struct large large;
    (void)state;
    need_lfs();
    large_make(&large, "[lfs]\n\turl = @OTHER@/x/info/lfs\n", &as_usual, 401);
    pod_run(&large.all.pod, job_user());
    assert_int_equal(large.all.pod.result.outcome, OUTCOME_FAILED);
    assert_true(web_count(&large.other, "POST /x/info/lfs/objects/batch") > 0);
    other_has_no_login(&large, "401");
    trace_has(&large.all.pod,
              "Getting the sources failed: the server of the large files (LFS) wants a login; the job's "
              "is for the repository's own server alone");
    large_clear(&large);
}

/* Each road would leave the file mark in the project folder, by a program of the system: Landlock, where it is, refuses
 * all others, and would stop what this test is about. @THERE@: a repository on this machine. */
static void no_setting_and_no_server_makes_lfs_start_a_program(void **state)
{
    static const char only_web[] = "large files (LFS) are fetched by http and https only";
    static const struct {
        const char *name, *lfsconfig, *transfer, *says; /* says NULL: the large file comes all the same */
    } roads[] = {
        { "an extension", "[lfs \"extension.e\"]\n\tclean = touch mark\n\tsmudge = touch mark\n\tpriority = 0\n",
          "basic", NULL },
        { "an agent",
          "[lfs]\n\tstandalonetransferagent = e\n[lfs \"customtransfer.e\"]\n\tpath = touch\n\targs = mark\n", "basic",
          NULL },
        { "an agent that the server names",
          "[lfs \"customtransfer.basic\"]\n\tpath = touch\n\targs = mark\n[lfs \"customtransfer.e\"]\n\tpath = "
          "touch\n\targs = mark\n",
          "e", NULL },
        { "the agent for file: URLs, named by the server", NULL, "lfs-standalone-file", "git ended with exit code" },
        { "a file: URL", "[lfs]\n\turl = file://@THERE@\n", "basic", only_web },
        { "a git: URL taken for a file: URL", "[lfs]\n\turl = git://@THERE@\n\tgitprotocol = file\n", "basic",
          only_web },
        { "ssh",
          "[core]\n\tsshCommand = \"touch mark;\"\n[lfs]\n\tsshtransfer = always\n\turl = ssh://git@127.0.0.1/x\n",
          "basic", only_web },
        { "a helper for logins", "[credential]\n\thelper = !touch mark;\n[core]\n\taskPass = touch\n", "basic", NULL },
    };
    (void)state;
    need_lfs();
    for (size_t i = 0; i < COUNT_OF(roads); i++) {
        struct large large;
        char there[64] = "/tmp/dataops-lfs-XXXXXX";
        assert_non_null(mkdtemp(there));
        shell("cd %s; chmod 755 .; git init -q --bare; mkdir -p lfs/objects", there);
        struct strbuf config = STRBUF_EMPTY;
        const char *text = roads[i].lfsconfig ? roads[i].lfsconfig : "";
        for (const char *found; (found = strstr(text, "@THERE@")); text = found + 7)
            strbuf_format(&config, "%.*s%s", (int)(found - text), text, there);
        strbuf_add_text(&config, text);
        large_make(&large, strbuf_text(&config),
                   &(struct answers){ .transfer = roads[i].transfer, .href = "@ORIGIN@/object" }, 200);
        pod_run(&large.all.pod, job_user());
        if (access(pod_path(&large.all.pod, "/builds/g/p/mark"), F_OK) == 0)
            fail_msg("%s started a program:\n%s", roads[i].name, trace_end(&large.all.pod));
        if (!strstr(strbuf_text(&large.all.pod.trace), roads[i].says ? roads[i].says : "\nlarge\nwhole\n"))
            fail_msg("%s:\n%s", roads[i].name, trace_end(&large.all.pod));
        strbuf_clear(&config);
        large_clear(&large);
        shell("rm -rf %s", there);
    }
}

static void what_an_earlier_job_says_to_lfs_does_not_reach_the_next(void **state)
{
    struct large large;
    (void)state;
    need_lfs();
    large_make(&large, NULL, &as_usual, 200);
    json_set_text(git_of(&large.all), "strategy", "fetch");
    json_set_array(git_of(&large.all), "clean_flags");
    shell("set -e; export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1; cd %s/builds; mkdir g; git clone -q "
          "--no-hardlinks ../work g/p 2> /dev/null; cd g/p; "
          "printf '[lfs]\\n\\tfetchexclude = *\\n' > .lfsconfig; chown -R %u:%u ..",
          large.all.pod.root, job_user(), job_user());
    pod_run(&large.all.pod, job_user());
    trace_has(&large.all.pod, "\nlarge\nwhole\n");
    large_clear(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_files_are_fetched_with_the_jobs_login),
        cmocka_unit_test(no_road_takes_the_login_to_another_server),
        cmocka_unit_test(another_server_that_asks_for_a_login_gets_none),
        cmocka_unit_test(what_an_earlier_job_says_to_lfs_does_not_reach_the_next),
        cmocka_unit_test(no_setting_and_no_server_makes_lfs_start_a_program),
    };
    return cmocka_run_group_tests_name("lfs", tests, NULL, NULL);
}
