"""The DataOps stand-in behaves like the platform: tried with a fake runner, no controller needed."""

import io
import os
import subprocess
import zipfile

import pytest

from tests.integration.harness import processes
from tests.integration.harness.fake_runner import FakeRunner
from tests.standin.dataops.client import Client


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataops")
    log = folder / "log"
    process = processes.start_python("tests.standin.dataops", "--state", str(folder / "state"), log=log)
    try:
        yield Client(processes.first_line(process, log))
    finally:
        assert processes.stop(process) == 0


@pytest.fixture
def runner(platform):
    """A runner of its own tag, so that cases do not take each other's jobs."""
    fake = FakeRunner(platform.info)
    tag = "tag-" + os.urandom(4).hex()
    assert fake.register(platform.info["registration_tokens"]["group"], tag_list=tag, run_untagged=False).status == 201
    fake.tag = tag
    return fake


def take(platform, runner, **description):
    added = platform.add_job(tags=[runner.tag], **description)
    answer = runner.poll()
    assert answer.status == 201
    assert answer.json["id"] == added["id"]
    return answer.json


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def git(info, *args, cwd=None):
    env = {**os.environ, "GIT_SSL_CAINFO": info["ca_path"], "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(["git", *args], env=env, cwd=cwd, capture_output=True, text=True, check=False)


class TestRegistration:
    def test_an_unknown_token_is_refused(self, platform):
        assert FakeRunner(platform.info).register("nonsense").status == 403

    def test_switched_off_tokens_are_gone(self, platform):
        token = platform.call("POST", "registration", {"kind": "project", "path": "acme/other"})["token"]
        platform.call("PATCH", "registration", {"token": token, "enabled": False})
        assert FakeRunner(platform.info).register(token).status == 410

    def test_a_runner_needs_tags_or_untagged_jobs(self, platform):
        answer = FakeRunner(platform.info).register(platform.info["registration_tokens"]["group"], run_untagged=False)
        assert answer.status == 400
        assert "tags_list" in answer.json["message"]

    def test_a_timeout_below_ten_minutes_is_refused(self, platform):
        token = platform.info["registration_tokens"]["group"]
        assert FakeRunner(platform.info).register(token, maximum_timeout=599).status == 400

    def test_verify_knows_good_tokens_only(self, platform, runner):
        assert runner.send("POST", "/runners/verify", {"token": runner.token}).json["id"] > 0
        assert runner.send("POST", "/runners/verify", {"token": "glrt-no"}).status == 403

    def test_a_deleted_runner_is_forbidden_to_poll(self, runner):
        assert runner.send("DELETE", "/runners", {"token": runner.token}).status == 204
        assert runner.poll().status == 403

    def test_deleting_a_manager_keeps_the_runner(self, runner):
        runner.poll()
        body = {"token": runner.token, "system_id": runner.system_id}
        assert runner.send("DELETE", "/runners/managers", body).status == 204
        assert runner.send("DELETE", "/runners/managers", body).status == 404
        assert runner.poll().status == 204

    def test_a_reset_token_replaces_the_old_one(self, runner):
        new = runner.send("POST", "/runners/reset_authentication_token", {"token": runner.token}).json["token"]
        assert runner.poll().status == 403
        runner.token = new
        assert runner.poll().status == 204


class TestQueue:
    @pytest.mark.parametrize("job_tags, runs", [
        (["a", "b"], True), (["a"], True), (["a", "c"], False), (["A"], False), ([], False)])
    def test_tags_decide_exactly(self, platform, job_tags, runs):
        prefix = os.urandom(3).hex()
        fake = FakeRunner(platform.info)
        fake.register(platform.info["registration_tokens"]["group"], tag_list=f"{prefix}a,{prefix}b", run_untagged=False)
        job = platform.add_job(tags=[prefix + tag for tag in job_tags])
        try:
            assert fake.poll().status == (201 if runs else 204)
        finally:
            platform.cancel(job["id"], force=True)

    def test_run_untagged_takes_untagged_jobs(self, platform):
        fake = FakeRunner(platform.info)
        fake.register(platform.info["registration_tokens"]["group"], run_untagged=True)
        job = platform.add_job()
        assert fake.poll().json["id"] == job["id"]
        platform.cancel(job["id"], force=True)

    def test_a_project_runner_sees_its_project_only(self, platform):
        tag = os.urandom(3).hex()
        fake = FakeRunner(platform.info)
        fake.register(platform.info["registration_tokens"]["project"], tag_list=tag)
        other = platform.add_job(tags=[tag], project="acme/other")
        assert fake.poll().status == 204
        mine = platform.add_job(tags=[tag], project="acme/warehouse")
        assert fake.poll().json["id"] == mine["id"]
        platform.cancel(other["id"], force=True)

    def test_a_protected_runner_takes_protected_refs_only(self, platform):
        tag = os.urandom(3).hex()
        fake = FakeRunner(platform.info)
        fake.register(platform.info["registration_tokens"]["group"], tag_list=tag, access_level="ref_protected")
        plain = platform.add_job(tags=[tag])
        assert fake.poll().status == 204
        safe = platform.add_job(tags=[tag], protected=True)
        assert fake.poll().json["id"] == safe["id"]
        platform.cancel(plain["id"], force=True)

    def test_a_paused_runner_gets_204_with_the_header(self, platform, runner):
        runner_id = next(r["id"] for r in platform.runners() if r["token"] == runner.token)
        platform.call("PATCH", f"runners/{runner_id}", {"paused": True})
        platform.add_job(tags=[runner.tag])
        answer = runner.poll()
        assert answer.status == 204
        assert answer.headers["X-GitLab-Last-Update"]
        platform.call("PATCH", f"runners/{runner_id}", {"paused": False})
        assert runner.poll().status == 201

    def test_a_locked_runner_cannot_be_lent(self, platform):
        made = platform.add_runner(scope="project", path="acme/warehouse", tag_list="x", locked=True)
        with pytest.raises(Exception, match="locked"):
            platform.call("PATCH", f"runners/{made['id']}", {"projects": ["acme/other"]})

    def test_the_same_queue_version_is_answered_at_once(self, platform, runner):
        assert runner.poll().status == 204
        seen = runner.last_update
        assert runner.poll().status == 204
        assert runner.last_update == seen
        platform.add_job(tags=[runner.tag])
        assert runner.poll().status == 201

    def test_needs_come_first(self, platform, runner):
        first = take(platform, runner, name="first")
        second = platform.add_job(tags=[runner.tag], needs=[first["id"]])
        assert second["state"] == "created"
        assert runner.upload(first, zipped(a="1"), artifact_type="archive", artifact_format="zip").status == 201
        assert runner.update(first, "success").status == 200
        payload = runner.poll().json
        assert payload["id"] == second["id"]
        assert payload["dependencies"][0]["artifacts_file"]["filename"] == "a.zip"

    def test_a_runner_without_the_feature_fails_the_job(self, platform, runner):
        runner.features = {}
        job = platform.add_job(tags=[runner.tag], artifacts={"paths": ["a"], "exclude": ["b"]})
        assert runner.poll().status == 204
        assert platform.job(job["id"])["failure_reason"] == "runner_unsupported"

    def test_the_runner_is_shown_with_its_system_id(self, platform, runner):
        runner.poll()
        shown = next(r for r in platform.runners() if r["token"] == runner.token)
        assert shown["state"] == "online"
        assert shown["system_ids"] == [runner.system_id]


class TestTrace:
    def test_chunks_must_meet(self, platform, runner):
        job = take(platform, runner)
        first = runner.patch(job, b"hello", 0)
        assert (first.status, first.headers["Range"], first.headers["Job-Status"]) == (202, "0-5", "running")
        gap = runner.patch(job, b"x", 7)
        assert (gap.status, gap.headers["Range"]) == (416, "0-5")
        assert runner.patch(job, b" you", 5).headers["Range"] == "0-9"
        assert platform.trace(job["id"])[0] == b"hello you"

    def test_a_wrong_token_is_forbidden_and_an_unknown_job_not_found(self, platform, runner):
        job = take(platform, runner)
        assert runner.patch({"id": job["id"], "token": "no"}, b"x", 0).status == 403
        assert runner.patch({"id": 999999, "token": "no"}, b"x", 0).status == 404

    def test_a_missing_range_is_a_bad_request(self, platform, runner):
        job = take(platform, runner)
        answer = runner.send("PATCH", f"/jobs/{job['id']}/trace", b"x", {"Job-Token": job["token"]})
        assert answer.status == 400

    def test_cancel_is_seen_on_the_next_patch(self, platform, runner):
        job = take(platform, runner)
        assert platform.cancel(job["id"])["state"] == "canceling"
        assert runner.patch(job, b"x", 0).headers["Job-Status"] == "canceling"
        assert runner.update(job, "failed", b"x").status == 200
        assert platform.job(job["id"])["state"] == "canceled"

    def test_without_cancel_gracefully_a_cancel_is_final(self, platform, runner):
        runner.features, runner.system_id = {}, "s_aaaaaaaaaaaa"
        job = take(platform, runner)
        assert platform.cancel(job["id"])["state"] == "canceled"
        answer = runner.patch(job, b"x", 0)
        assert (answer.status, answer.headers["Job-Status"]) == (403, "canceled")


class TestResult:
    def test_success_needs_no_reason(self, platform, runner):
        job = take(platform, runner)
        runner.patch(job, b"done", 0)
        answer = runner.update(job, "success", b"done")
        assert (answer.status, answer.body) == (200, b"200")
        assert platform.job(job["id"])["state"] == "success"

    def test_failure_keeps_reason_and_exit_code(self, platform, runner):
        job = take(platform, runner)
        runner.update(job, "failed", failure_reason="script_failure", exit_code=42)
        seen = platform.job(job["id"])
        assert (seen["state"], seen["failure_reason"], seen["exit_code"]) == ("failed", "script_failure", 42)

    def test_202_until_the_trace_is_archived(self, platform, runner):
        job = take(platform, runner, archive_intervals=[2, 1])
        first = runner.update(job, "success")
        assert (first.status, first.headers["X-GitLab-Trace-Update-Interval"]) == (202, "2")
        assert runner.update(job, "failed").status == 202
        assert runner.update(job, "failed").status == 200
        assert platform.job(job["id"])["state"] == "success", "the first final state wins"

    def test_pending_is_no_state_and_a_finished_job_is_forbidden(self, platform, runner):
        job = take(platform, runner)
        assert runner.update(job, "pending").status == 400
        runner.update(job, "success")
        assert runner.update(job, "success").status == 403

    def test_a_wrong_checksum_is_noted(self, platform, runner):
        job = take(platform, runner)
        runner.patch(job, b"abc", 0)
        runner.update(job, "success", b"abd")
        assert any(v["job"] == job["id"] and "final update" in v["text"] for v in platform.violations())


class TestArtifacts:
    def test_upload_and_both_ways_down(self, platform, runner):
        job = take(platform, runner)
        data = zipped(**{"out/a.txt": "one"})
        query = {"artifact_type": "archive", "artifact_format": "zip", "expire_in": "1+week"}
        assert runner.upload(job, data, **query).status == 201
        assert runner.upload(job, data, **query).status == 201, "the same again is success too"
        assert runner.upload(job, zipped(b="2"), **query).status == 400
        assert platform.job(job["id"])["artifacts"][0]["expire_in"] == "1 week"
        headers = {"Job-Token": job["token"]}
        assert runner.send("GET", f"/jobs/{job['id']}/artifacts", headers=headers).body == data
        away = runner.send("GET", f"/jobs/{job['id']}/artifacts?direct_download=true", headers=headers)
        assert away.status == 302
        assert away.headers["Location"].startswith(platform.info["storage_url"])
        assert runner.send("GET", "", base=away.headers["Location"]).body == data

    def test_what_is_no_zip_is_refused(self, platform, runner):
        job = take(platform, runner)
        assert runner.upload(job, b"not a zip", artifact_format="zip").status == 400

    def test_too_large_is_413(self, platform, runner):
        job = take(platform, runner, artifact_limit_bytes=100)
        assert runner.upload(job, b"x" * 1000, artifact_format="raw", artifact_type="sast").status == 413

    def test_a_dotenv_report_is_read(self, platform, runner):
        import gzip
        job = take(platform, runner)
        bad = runner.upload(job, gzip.compress(b"no equals sign\n"), artifact_type="dotenv", artifact_format="gzip")
        assert bad.status == 400


class TestGit:
    def test_a_running_job_may_fetch_and_no_one_else(self, platform, runner, tmp_path):
        job = take(platform, runner)
        url = job["git_info"]["repo_url"]
        done = git(platform.info, "clone", "-q", "--depth", "1", url, str(tmp_path / "good"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "good" / "README.md").read_text() == "# Warehouse\n"
        assert git(platform.info, "clone", url.replace("glcbt", "wrong"), str(tmp_path / "bad")).returncode == 128
        other = url.replace("acme/warehouse", "acme/other")
        assert "403" in git(platform.info, "clone", other, str(tmp_path / "other")).stderr
        runner.update(job, "success")
        assert git(platform.info, "clone", url, str(tmp_path / "late")).returncode == 128

    def test_refspecs_of_the_payload_are_there(self, platform, runner, tmp_path):
        job = take(platform, runner)
        git(platform.info, "init", "-q", str(tmp_path))
        done = git(platform.info, "fetch", "-q", "--depth", "20", job["git_info"]["repo_url"],
                   *job["git_info"]["refspecs"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert git(platform.info, "checkout", "-q", job["git_info"]["sha"], cwd=tmp_path).returncode == 0


class TestFaults:
    def test_a_status_for_the_next_matching_requests(self, platform, runner):
        fault = platform.fault("/jobs/request", method="POST", status=429, headers={"Retry-After": "7"}, count=2,
                               body=runner.token)
        assert [runner.poll().status for _ in range(3)] == [429, 429, 204]
        assert platform.fault_hits(fault)["hits"] == 2

    def test_html_and_half_a_body(self, platform, runner):
        platform.fault("/jobs/request", html=True, body=runner.token)
        assert runner.poll().headers["Content-Type"].startswith("text/html")
        platform.fault("/jobs/request", status=201, text='{"id":1,"token":"x"}', cut=8, body=runner.token)
        with pytest.raises(Exception):
            runner.poll()

    def test_a_lost_answer_was_still_carried_out(self, platform, runner):
        job = take(platform, runner)
        platform.fault(f"/jobs/{job['id']}/trace", drop=True, apply=True)
        with pytest.raises(Exception):
            runner.patch(job, b"abc", 0)
        assert platform.trace(job["id"])[0] == b"abc"

    @pytest.mark.parametrize("kind", ["foreign", "expired", "wrong_name"])
    def test_wrong_certificates_are_refused_by_a_careful_client(self, platform, runner, kind):
        url = platform.call("POST", "listeners", {"kind": kind})["url"]
        with pytest.raises(Exception, match="certificate verify failed"):
            runner.send("GET", "/", base=url)

    def test_an_outage_ends(self, platform, runner):
        import time
        platform.call("POST", "outage", {"seconds": 0.5})
        time.sleep(0.1)
        with pytest.raises(Exception, match="refused"):
            runner.poll()
        time.sleep(0.7)
        assert runner.poll().status == 204
