"""What a payload asks for, and what happens to broken ones: unknown keys and nulls, refspecs and depth, images, bad input."""

import base64
import re

import pytest

from tests.integration.harness.declare import runs, standin_only
from tests.integration.harness.text import marked

MANY = {f"MANY_{n}": f"value {n}" for n in range(10_000)}


class TestTolerance:
    @runs(script=["echo tolerant"], payload={
        "a_new_key": {"deep": [1, None, {"x": "y"}]}, "job_info": {"novelty": 1},
        "run_policies": None, "features": {"something_new": True}})
    def test_unknown_keys_are_ignored(self, job):
        job.succeeds()
        assert "tolerant" in job.script_output()

    def test_nulls_are_taken_as_absent(self, site):
        base = site.job(["echo nulls"], payload={"variables": [
            {"key": "EMPTY", "value": None, "public": True, "masked": None, "file": None},
            {"key": "FULL", "value": "yes"}]})
        base.succeeds()

    @pytest.mark.parametrize("block", ["services", "cache", "credentials", "dependencies", "hooks", "artifacts", "image"])
    @runs(**{block: dict(script=["echo fine"], null=block)
             for block in ("services", "cache", "credentials", "dependencies", "hooks", "artifacts", "image")})
    def test_a_block_may_be_null(self, jobs, block):
        jobs[block].succeeds()


class TestGit:
    @runs(script=["git rev-parse HEAD", "git symbolic-ref -q HEAD || echo detached", "git rev-list --count HEAD"], depth=2)
    def test_the_sha_is_checked_out_detached_with_the_depth(self, job, dataops):
        job.succeeds()
        output = job.script_output()
        assert dataops.job(job.id)["sha"] in output
        assert "detached" in output
        assert output.strip().splitlines()[-1] == "2"

    @runs(script=["git for-each-ref --format='%(refname)'"], refspecs=["+refs/heads/main:refs/remotes/origin/main"])
    def test_exactly_the_refspecs_are_fetched(self, job):
        job.succeeds()
        refs = [line for line in job.script_output().splitlines() if line.startswith("refs/")]
        assert refs == ["refs/remotes/origin/main"]

    @runs(script=["git rev-list --count HEAD"], variables={"GIT_DEPTH": "1"}, depth=3)
    def test_a_git_depth_variable_alone_changes_nothing(self, job):
        job.succeeds()
        assert job.script_output().strip().splitlines()[-1] == "3"

    @runs(script=["git rev-list --count HEAD"], depth=0)
    def test_depth_zero_is_the_whole_history(self, job):
        job.succeeds()
        assert int(job.script_output().strip().splitlines()[-1]) >= 6

    @runs(none=dict(script=["ls -A", "pwd"], variables={"GIT_STRATEGY": "none"}),
          empty=dict(script=["ls -A", "pwd"], variables={"GIT_STRATEGY": "empty"}))
    def test_strategies_none_and_empty_fetch_nothing(self, jobs, dataops):
        for job in jobs.values():
            job.succeeds()
            assert "README.md" not in job.script_output()
            token = base64.b64encode(f"gitlab-ci-token:{job.token}".encode()).decode()
            asked = [r for r in dataops.requests("", r"\.git/") if token in r["headers"].get("Authorization", "")]
            assert asked == []

    @runs(script=["cat README.md", "test ! -e left"], variables={"GIT_STRATEGY": "clone"})
    def test_strategy_clone(self, job):
        job.succeeds()
        assert "# Warehouse" in job.script_output()

    @runs(script=["git rev-parse -q --verify origin/main", "ls -A"], variables={"GIT_CHECKOUT": "false"})
    def test_git_checkout_false_fetches_only(self, job):
        job.succeeds()
        assert "README.md" not in job.script_output()

    @runs(script=["cat marker"], hooks=[
        {"name": "pre_get_sources_script", "script": ["echo hook before"]},
        {"name": "post_get_sources_script", "script": ["echo made by the hook > marker"]}])
    def test_hooks_run_around_the_sources(self, job):
        job.succeeds()
        assert "hook before" in job.section("get_sources")
        assert "made by the hook" in job.script_output()

    @runs(script=["git status --porcelain", "cat 'odd/ünïcode name.txt'", "readlink odd/link", "test -x build.sh"])
    def test_odd_names_links_and_modes_arrive(self, job):
        job.succeeds()
        assert "../README.md" in job.script_output()

    @runs(script=["git config --get-all remote.origin.url; cat .git/config"])
    def test_the_token_is_not_left_in_the_repository(self, job):
        job.succeeds()
        assert job.token.encode() not in job.trace
        assert "[MASKED]@" not in job.script_output()


class TestBadGit:
    @runs(script=["echo never"], sha="1" * 40)
    def test_a_missing_commit_is_named(self, job):
        job.fails(None)
        assert "11111111" in job.text
        assert "never" not in job.script_output()
        assert job.view["failure_reason"] in ("script_failure", "runner_system_failure")

    @runs(script=["echo never"], refspecs=["+refs/heads/nowhere:refs/remotes/origin/nowhere"])
    def test_a_missing_ref_is_named(self, job):
        job.fails(None)
        assert "refs/heads/nowhere" in job.text

    @runs(script=["echo never"], payload={"git_info": {"repo_url": "https://gitlab-ci-token:x@no-such-host.invalid/a/b.git"}})
    def test_an_unknown_host_is_named(self, job):
        job.fails(None)
        assert "no-such-host.invalid" in job.text

    @runs(script=["echo never"], repository="acme/secret")
    def test_a_missing_repository_is_named_without_the_token(self, job):
        job.fails(None)
        assert "acme/secret" in job.text or "not found" in job.text
        assert job.token.encode() not in job.trace

    def test_wrong_credentials_are_named(self, site):
        url = site.dataops.info["url"].replace("https://", "https://gitlab-ci-token:glcbt-wrong@")
        job = site.job(["echo never"], payload={"git_info": {"repo_url": url + "/acme/warehouse.git"}})
        job.fails(None)
        assert "credentials" in job.text and "refused" in job.text
        assert b"glcbt-wrong" not in job.trace


class TestVariables:
    @runs(script=["printf '%s\\n' \"$A\" \"$B\" \"$C\" \"$D\" \"$E\" \"$TWICE\""], variables=[
        {"key": "A", "value": "one $B"}, {"key": "B", "value": "two"}, {"key": "C", "value": "$$B"},
        {"key": "D", "value": "[$NOBODY]"}, {"key": "E", "value": "raw $B $$", "raw": True},
        {"key": "TWICE", "value": "first"}, {"key": "TWICE", "value": "last"}])
    def test_expansion(self, job):
        job.succeeds()
        assert job.script_output().splitlines()[-6:] == ["one two", "two", "$B", "[]", "raw $B $$", "last"]

    @runs(script=["cat \"$FILE\"", "echo \"ref $REF\"", "stat -c %a \"$FILE\"", marked("od -An -tx1 \"$FILE\"")],
          variables={"FILE": {"value": "line 1\r\nno end \"$A' `x`", "file": True, "raw": True}, "REF": "$FILE"})
    def test_a_file_variable_is_a_path_with_exact_content(self, job):
        job.succeeds()
        got = bytes.fromhex(job.between().decode().replace(" ", "").replace("\n", ""))
        assert got == b"line 1\r\nno end \"$A' `x`"
        assert "ref /" in job.script_output()

    @runs(script=["env | grep -E '^CI_(PROJECT_DIR|CONCURRENT_ID|JOB_STATUS|SERVER|DISPOSABLE_ENVIRONMENT|RUNNER_VERSION)=' | sort"])
    def test_the_runner_adds_its_own(self, job):
        job.succeeds()
        got = dict(line.split("=", 1) for line in job.script_output().splitlines() if line.startswith("CI_"))
        assert got["CI_PROJECT_DIR"] == "/builds/acme/warehouse"
        assert (got["CI_SERVER"], got["CI_DISPOSABLE_ENVIRONMENT"], got["CI_JOB_STATUS"]) == ("yes", "true", "running")
        assert got["CI_RUNNER_VERSION"] and "CI_CONCURRENT_ID" in got

    @runs(script=["printf '%s\\n' \"$VAULT\" \"$QUOTES\" \"$LINES\""], variables={
        "VAULT": "DATAOPS_VAULT(SNOWFLAKE.ACCOUNT)", "QUOTES": {"value": "a'b\"c`d\\e $(x)", "raw": True},
        "LINES": "one\ntwo"})
    def test_values_reach_the_job_literally(self, job):
        job.succeeds()
        assert job.script_output().splitlines()[-4:] == ["DATAOPS_VAULT(SNOWFLAKE.ACCOUNT)", "a'b\"c`d\\e $(x)", "one", "two"]

    @runs(script=["echo \"$MANY_9999\"", "env | grep -c ^MANY_"], variables=MANY)
    def test_ten_thousand_variables(self, job):
        job.succeeds(120)
        assert job.script_output().splitlines()[-2:] == ["value 9999", "10000"]

    @runs(one=dict(script=["echo never"], variables={"HUGE_ONE": "x" * (128 * 1024)}),
          all=dict(script=["echo never"], variables={f"PART_{n}": "x" * 100_000 for n in range(22)}))
    def test_more_than_a_process_may_be_started_with_fails_before_the_script(self, jobs):
        for name, job in jobs.items():
            job.fails(None)
            assert "never" not in job.script_output()
            assert ("HUGE_ONE" if name == "one" else "PART_") in job.text
            assert "file" in job.text, "advises a file variable"

    @runs(script=["wc -c < \"$HUGE\""], variables={"HUGE": {"value": "x" * 300_000, "file": True}})
    def test_a_file_variable_may_be_large(self, job):
        job.succeeds()
        assert job.script_output().strip().splitlines()[-1] == "300000"


class TestBadPayload:
    """Id and token seen: the job fails with words in its log. Not seen: the controller's log says so. It always lives on."""

    @staticmethod
    def failed_with_words(job):
        job.fails(None, 40)
        assert job.trace, "no word of explanation in the job's log"
        assert job.view["failure_reason"] in ("runner_system_failure", "unknown_failure")
        assert job.pods() == []

    @runs(script=["x"], raw='{"id":@ID@,"token":"@TOKEN@","variables":"these are no variables","steps":17}')
    def test_wrong_types(self, job):
        self.failed_with_words(job)

    @runs(script=["x"], raw='{"id":@ID@,"token":"@TOKEN@","job_info":{"name":"cut","steps":[{"name":"scr')
    def test_cut_off_after_id_and_token(self, job):
        self.failed_with_words(job)

    @runs(script=["x"], raw='{"id":@ID@,"token":"@TOKEN@","variables":[{"key":"A","value":"a\\u0000b"}],'
                            '"steps":[{"name":"script","script":["echo never"]}]}')
    def test_a_nul_byte_in_a_value(self, job):
        self.failed_with_words(job)

    @runs(script=["x"], raw='{"id":@ID@,"token":"@TOKEN@"}')
    def test_nothing_to_do(self, job):
        self.failed_with_words(job)

    @runs(script=["echo never"], variables={"CEILING": "x" * (17 << 20)})
    def test_over_the_ceiling_is_refused_while_reading(self, job, site):
        job.fails(None, 60)
        assert "never" not in job.script_output()
        assert b"16 MiB" in job.trace or b"16777216" in job.trace or b"large" in job.trace

    @pytest.mark.parametrize("raw", [
        "this is not json", '{"token":"@TOKEN@"}', '{"id":@ID@}', "[]", '"text"', "",
        '{"id":"seven","token":"@TOKEN@"}', '{"id":-1,"token":"@TOKEN@"}'],
        ids=["not-json", "no-id", "no-token", "array", "string", "empty", "id-is-text", "id-negative"])
    def test_without_id_and_token_the_controller_says_so_and_goes_on(self, site, raw):
        mark = len(site.controller.log)
        broken = site.job(["x"], raw=raw)
        broken.wait_state("picked")
        site.controller.wait_log(r"(?i)payload|job request|json", 15, after=mark)
        good = site.job(["echo still there"])
        good.succeeds()
        broken.cancel(force=True)
        assert broken.token not in site.controller.log


class TestNotYet:
    @runs(services=dict(script=["echo never"], services=["postgres:16"]),
          cache=dict(script=["echo never"], cache=[{"key": "k", "paths": ["x/"], "policy": "pull-push"}]))
    def test_services_and_cache_fail_clearly(self, jobs):
        for name, job in jobs.items():
            job.fails(None)
            assert re.search(rf"(?i){name}.* not .*\byet\b", job.text)
            assert "never" not in job.script_output()


@standin_only(reason="the real cluster's images are made by its tests")
@pytest.mark.slow(reason="an image that cannot be pulled gets half a minute")
class TestImages:
    @runs(script=["echo never"], image="absent/image:1")
    def test_an_image_that_cannot_be_pulled_fails_with_its_name(self, job):
        job.fails("runner_system_failure", 90)
        assert "absent/image:1" in job.text

    @runs(script=["echo in $CI_JOB_IMAGE"], image="$BASE_IMAGE:$TAG", variables={"BASE_IMAGE": "acme/base", "TAG": "5-stable"})
    def test_an_image_name_is_expanded(self, job):
        job.succeeds()
        assert "in acme/base:5-stable" in job.script_output()
