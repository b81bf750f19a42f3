"""What runs in which order, and how it ends: after_script, exit codes, sections, cancel, attempts, users."""

import re
import time

import pytest

from tests.integration.harness.declare import runs, standin_only
from tests.integration.harness.text import markers, marked


class TestOrder:
    @runs(script=["echo the script"], after_script=["echo the after_script"],
          artifacts={"paths": ["README.md"]})
    def test_stages_come_in_order(self, job, no_violations):
        job.succeeds()
        names = job.sections()
        assert names[0] == "prepare_executor"
        wanted = ["get_sources", "step_script", "after_script", "upload_artifacts_on_success"]
        assert [n for n in names if n in wanted] == wanted

    @runs(script=["echo x"])
    def test_sections_open_and_close_one_after_the_other(self, job):
        job.succeeds()
        opened = None
        for kind, name, at in markers(job.trace):
            if kind == "start":
                assert opened is None, f"{name} starts inside {opened}"
                opened = name
            else:
                assert name == opened
                opened = None
            assert abs(at - time.time()) < 3600
        assert opened is None

    @runs(script=["echo x"])
    def test_markers_are_byte_for_byte_those_of_the_platform(self, job):
        job.succeeds()
        assert re.search(rb"section_start:\d{10}:step_script\r\x1b\[0K\x1b\[0K\x1b\[36;1m"
                         rb"Executing \"step_script\" stage of the job script\x1b\[0;m\x1b\[0;m\n", job.trace)
        assert re.search(rb"section_end:\d{10}:step_script\r\x1b\[0K", job.trace)

    @runs(script=["echo x"], trace_sections=False)
    def test_no_markers_when_they_are_not_wanted(self, job):
        job.succeeds()
        assert b"section_" not in job.trace
        assert b"x" in job.trace

    @runs(script=["echo x"])
    def test_the_log_begins_and_ends_as_people_know_it(self, job):
        job.succeeds()
        lines = job.text.splitlines()
        said = [line for line in lines if not line.startswith("Waiting for pod")]  # the controller's own words, on a slow start
        assert said[0].startswith("Running with ")
        assert lines[-1] == "Job succeeded"

    @runs(script=["echo one", "echo two\necho three", "   echo trimmed   ", ""])
    def test_lines_are_echoed_in_green(self, job):
        job.succeeds()
        for line in (b"$ echo one", b"$ echo two # collapsed multi-line command", b"$ echo trimmed"):
            assert b"\x1b[32;1m" + line + b"\x1b[0;m\n" in job.trace
        assert [x for x in job.script_output().splitlines() if x] == ["one", "two", "three", "trimmed"]

    @runs(script=["cat /etc/hostname > /dev/null", "command -v dataops-courier || echo not here"])
    @standin_only(reason="on the stand-in every image is the machine's own root")
    def test_the_script_runs_in_the_build_container(self, job):
        job.succeeds()
        pod = next(iter(job.pods()), None)
        if pod is not None:
            assert [c["name"] for c in pod["spec"]["containers"]] == ["courier", "build"]


class TestScript:
    @runs(script=["echo before", "false", "echo never"])
    def test_a_failing_line_ends_the_script(self, job):
        job.fails()
        assert job.exit_code == 1
        assert "before" in job.script_output() and "never" not in job.script_output()

    @runs(script=["false | true", "echo never"])
    def test_a_failing_part_of_a_pipe_too(self, job):
        job.fails()
        assert "never" not in job.script_output()

    @runs(script=["cat", "read answer || echo end of file"])
    def test_stdin_is_at_its_end(self, job):
        job.succeeds()
        assert "end of file" in job.script_output()

    @runs(script=["exit 42"])
    def test_the_exit_code_arrives(self, job):
        job.fails()
        assert job.final_update["exit_code"] == 42
        assert job.text.rstrip().splitlines()[-1].startswith("ERROR: Job failed")
        assert "42" in job.text.rstrip().splitlines()[-1]

    @runs(script=["true"])
    def test_success_sends_neither_reason_nor_code(self, job):
        job.succeeds()
        assert not {"failure_reason", "exit_code"} & set(job.final_update["keys"])

    @runs(script=["if then"])
    def test_a_syntax_error_fails_the_script(self, job):
        job.fails()
        assert job.exit_code not in (None, 0)

    @runs(script=["kill -9 $$"])
    def test_a_killed_shell_is_a_script_failure(self, job):
        job.fails()
        assert job.exit_code == 137

    @runs(script=["cd models", "X=1", "test -f orders.sql && test \"$X\" = 1"])
    def test_all_lines_share_one_shell(self, job):
        job.succeeds()

    @runs(script=["pwd; umask; id -u"])
    def test_it_starts_in_the_project_folder(self, job):
        job.succeeds()
        assert job.script_output().splitlines()[-3] == "/builds/acme/warehouse"

    @runs(script=["sleep 30"], timeout=600, variables={"RUNNER_SCRIPT_TIMEOUT": "2s"}, after_script=["echo after $CI_JOB_STATUS"])
    def test_a_script_time_limit_still_runs_after_script(self, job):
        job.fails(None, 40)
        assert "after timedout" in job.text

    @runs(script=["sleep 60"], timeout=4, after_script=["echo after must not run"])
    def test_the_job_time_limit_ends_everything(self, job):
        job.fails("job_execution_timeout", 40)
        assert "must not run" not in job.section("after_script")


class TestAfterScript:
    @runs(ok=dict(script=["true"], after_script=["echo status $CI_JOB_STATUS"]),
          bad=dict(script=["false"], after_script=["echo status $CI_JOB_STATUS"]))
    def test_it_runs_with_the_status(self, jobs):
        jobs["ok"].succeeds()
        jobs["bad"].fails()
        assert "status success" in jobs["ok"].section("after_script")
        assert "status failed" in jobs["bad"].section("after_script")

    @runs(script=["export FROM_SCRIPT=1; cd /; echo KEPT=kept >> $GITLAB_ENV"],
          after_script=["echo [$FROM_SCRIPT] [$KEPT] $PWD"])
    def test_it_is_a_shell_of_its_own(self, job):
        job.succeeds()
        assert "[] [kept] /builds/acme/warehouse" in job.section("after_script")

    @runs(ignored=dict(script=["true"], after_script=["exit 3"]),
          counted=dict(script=["true"], after_script=["exit 3"], variables={"AFTER_SCRIPT_IGNORE_ERRORS": "false"}))
    def test_its_failure_counts_only_when_asked(self, jobs):
        jobs["ignored"].succeeds()
        jobs["counted"].fails()

    @runs(script=["true"], after_script=["sleep 30"], variables={"RUNNER_AFTER_SCRIPT_TIMEOUT": "1s"})
    def test_it_has_a_time_limit_of_its_own(self, job):
        job.succeeds(30)

    @runs(script=["echo never"], after_script=["echo never either"], sha="2" * 40,
          artifacts={"paths": ["*"], "when": "always"})
    def test_after_failed_sources_it_does_not_run_but_artifacts_are_tried(self, job):
        job.fails(None)
        assert "never" not in job.text.replace("$ echo never", "")
        assert "upload_artifacts_on_failure" in job.sections()


# Output now and then, so that the runner hears of a cancel with its next trace update (without output: within 30 s).
TICKING = "(while sleep 0.3; do echo tick; done) & echo going; "


def gone(job, within_s=40):
    deadline = time.monotonic() + within_s
    while job.pods() and time.monotonic() < deadline:
        time.sleep(0.2)
    return job.pods() == []


@pytest.mark.slow(reason="a cancel is heard with the next sign of life")
class TestCancel:
    def test_a_graceful_cancel_ends_the_script_and_runs_after_script(self, site):
        job = site.job([TICKING + "sleep 600"], after_script=["echo after $CI_JOB_STATUS"],
                       artifacts={"paths": ["README.md"], "when": "always"})
        job.wait_trace(b"\ngoing")
        job.cancel()
        assert job.wait(30) == "canceled"
        assert "after canceled" in job.text
        assert job.seconds("cancel_told", "finished") < 2.5
        assert "archive" in {a["type"] for a in job.view["artifacts"]}

    def test_a_silent_sleep_too(self, site):
        job = site.job(["echo going; sleep 600"], after_script=["echo after $CI_JOB_STATUS"])
        job.wait_trace(b"\ngoing")
        job.cancel()
        assert job.wait(60) == "canceled"
        assert "after canceled" in job.text
        assert job.seconds("cancel", "cancel_told") < 33
        assert job.seconds("cancel_told", "finished") < 2.5

    def test_a_script_that_ignores_term_is_killed(self, site):
        job = site.job(["trap '' TERM; echo deaf; while :; do echo tick; sleep 0.3; done"], after_script=["echo after"])
        job.wait_trace(b"\ndeaf")
        job.cancel()
        assert job.wait(40) == "canceled"
        assert "after" in job.section("after_script")

    def test_an_abort_stops_all(self, site):
        job = site.job([TICKING + "sleep 600"], after_script=["echo must not run"])
        job.wait_trace(b"\ngoing")
        job.cancel(force=True)
        assert gone(job)
        assert "must not run" not in job.section("after_script")

    def test_a_cancel_before_the_script_runs_nothing(self, site):
        job = site.job(["echo must not run"])
        job.wait_state("running_told")
        job.cancel()
        assert job.wait(60) == "canceled"

    @runs(script=["trap 'echo got TERM; exit 0' TERM; " + TICKING + "sleep 600 & wait"])
    def test_the_script_is_told_by_term(self, job):
        job.wait_trace(b"\ngoing")
        job.cancel()
        assert job.wait(30) == "canceled"
        assert "got TERM" in job.text

    def test_a_job_that_the_platform_failed_is_stopped(self, site):
        job = site.job([TICKING + "sleep 600"])
        job.wait_trace(b"\ngoing")
        site.dataops.call("POST", f"jobs/{job.id}/drop", {"reason": "stuck_or_timeout_failure"})
        assert gone(job)


USER_SCRIPT = [
    "id -u; echo made > made.txt; chmod 600 made.txt; mkdir -p deep; echo x > deep/file",
    "git add made.txt && git -c user.name=x -c user.email=x@example.com commit -q -m change && git status --porcelain",
    "echo edited >> README.md",
]


class TestUsers:
    @pytest.mark.parametrize("uid", ["0", "1000", "54321"])
    @runs(**{uid: dict(script=USER_SCRIPT, artifacts={"paths": ["made.txt", "deep/"]},
                       image={"name": "acme/image:1", "executor_opts": {"kubernetes": {"user": uid}}})
             for uid in ("0", "1000", "54321")})
    def test_any_uid_writes_commits_and_uploads(self, jobs, uid):
        """54321 has no passwd entry."""
        job = jobs[uid].succeeds()
        assert uid in job.script_output().splitlines()
        assert job.files() == {"made.txt": b"made\n", "deep/file": b"x\n"}
        modes = {i.filename: (i.external_attr >> 16) & 0o777 for i in job.archive().infolist()}
        assert modes["made.txt"] == 0o600

    @pytest.mark.parametrize("uid", ["1000"])
    @runs(**{"1000": dict(script=["stat -c '%u %a' . README.md .git; touch new && rm new", marked("cat $SECRET_FILE")],
                          variables={"SECRET_FILE": {"value": "hello", "file": True}},
                          image={"name": "acme/image:1", "executor_opts": {"kubernetes": {"user": "1000"}}})})
    def test_sources_and_file_variables_belong_to_the_job(self, jobs, uid):
        job = jobs[uid].succeeds()
        owners = {line.split()[0] for line in job.script_output().splitlines() if re.match(r"\d+ \d+$", line)}
        assert owners == {uid}
        assert job.between() == b"hello"


@standin_only(reason="needs a courier or a hook that fails on demand")
@pytest.mark.slow(reason="attempts are some seconds apart")
class TestAttempts:
    def test_a_helper_image_that_cannot_be_pulled_is_tried_again_and_then_named(self, make_site):
        site = make_site(kubernetes={"helper_image": "absent/helper:1"})
        job = site.job(["echo never"])
        job.fails("runner_system_failure", 180)
        assert "absent/helper:1" in job.text
        assert "never" not in job.script_output()
        assert 2 <= len(site.place.pod_names(job.id)) <= 5

    # The hook fails before courier can catch TERM, so the pod's grace passes; its log is kept shut, so that the pod's
    # status alone tells what happened.
    QUICK = {"pod_termination_grace_period_seconds": 1}
    SHUT = {"status": {"code": 400, "reason": "BadRequest", "message": "container is waiting to start: ContainerCreating"}}

    def test_a_hook_that_fails_leads_to_the_next_attempt_and_the_script_runs_once(self, make_site, place):
        def prepare(job):
            place.kubelet(do="fail_hook", pod=f"job-*-{job.id}-1", container="courier", times=1)
            place.fault({"resource": "pods", "subresource": "log", "name": f"job-*-{job.id}-1"}, self.SHUT, times=0)

        site = make_site(kubernetes=self.QUICK)
        job = site.job(["echo ran once"], prepare=prepare)
        job.succeeds(90)
        assert job.script_output().splitlines().count("ran once") == 1
        assert len(place.pod_names(job.id)) == 2
        place.clear_faults()

    def test_hooks_that_always_fail_end_with_words(self, make_site, place):
        def prepare(job):
            place.kubelet(do="fail_hook", pod=f"job-*-{job.id}-*", container="courier", times=20)
            place.fault({"resource": "pods", "subresource": "log", "name": f"job-*-{job.id}-*"}, self.SHUT, times=0)

        site = make_site(kubernetes=self.QUICK)
        job = site.job(["echo never"], prepare=prepare)
        job.fails("runner_system_failure", 120)
        assert "never" not in job.script_output()
        assert 2 <= len(place.pod_names(job.id)) <= 5
        place.clear_faults()

    def test_a_courier_that_is_killed_while_the_script_runs_is_no_success(self, site, place):
        job = site.job(["echo going; sleep 600"])
        job.wait_trace(b"\ngoing")
        place.kubelet(do="kill", pod=job.pods()[0]["metadata"]["name"], container="courier", signal=9)
        job.fails("runner_system_failure", 60)
        assert len(place.pod_names(job.id)) == 1, "a script that began is not run again"

    def test_an_evicted_pod_is_named(self, site, place):
        job = site.job(["echo going; sleep 600"])
        job.wait_trace(b"\ngoing")
        place.kubelet(do="evict", pod=job.pods()[0]["metadata"]["name"], reason="Evicted",
                      message="The node was low on resource: memory.")
        job.wait(60)
        assert job.state == "failed"
        assert job.view["failure_reason"] in ("runner_system_failure", "runner_interrupted")
        assert "low on resource" in job.text or "the pod was deleted while the job ran" in job.text
