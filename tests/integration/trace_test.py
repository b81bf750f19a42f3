"""The job's log at DataOps and the final report: ranges, pace, cancel and abort, masking, the limit, checksum and final state."""

import json
import re
import time

import pytest

from tests.integration.harness.declare import runs
from tests.integration.harness.text import marked

MIB = 1 << 20


def patches(job):
    return [r for r in job.requests("PATCH") if "/trace" in r["path"]]


def puts(job):
    return [{**r, "json": json.loads(r["body"]["text"])} for r in job.requests("PUT")]


def ranges(requests):
    return [tuple(int(n) for n in r["headers"]["Content-Range"].split("-")) for r in requests]


class TestChunks:
    @runs(script=["seq 1 300000"])
    def test_they_are_contiguous_bounded_and_never_empty(self, job, no_violations):
        job.succeeds()
        sent = [r for r in patches(job) if r["status"] == 202]
        expected = 0
        for request, (first, last) in zip(sent, ranges(sent)):
            assert first == expected
            assert last == first + request["body"]["bytes"] - 1
            assert 1 <= request["body"]["bytes"] <= MIB
            expected = last + 1
        assert expected == len(job.trace)

    @runs(script=["echo first; sleep 1; echo second"])
    def test_each_has_a_content_type_and_the_jobs_token(self, job):
        job.succeeds()
        for request in patches(job):
            headers = {k.lower(): v for k, v in request["headers"].items()}
            assert headers["job-token"] == job.token
            assert headers["content-type"] == "text/plain"

    @runs(back=dict(script=["echo alpha; sleep 2; echo omega"],
                    faults=[dict(path="/jobs/@ID@/trace", method="PATCH", skip=1, status=416, headers={"Range": "0-0"})]))
    def test_416_moves_the_position_backwards(self, jobs):
        """The stand-in claims to have nothing; the answer to the offer from 0 puts it right."""
        job = jobs["back"].succeeds()
        assert "alpha" in job.text and "omega" in job.text
        sent = patches(job)
        refused = next(i for i, r in enumerate(sent) if r["status"] == 416)
        assert ranges(sent)[refused + 1][0] == 0

    @runs(script=["echo alpha; sleep 2; echo omega"],
          faults=[dict(path="/jobs/@ID@/trace", method="PATCH", drop=True, apply=True)])
    def test_a_lost_answer_neither_doubles_nor_loses(self, job, no_violations):
        job.succeeds()
        assert job.text.count("alpha") == 2 and job.script_output().count("omega") == 1

    @pytest.mark.parametrize("name", ["500", "429", "html", "cut", "drop"])
    @runs(**{name: dict(script=[f"echo trouble {name}; sleep 1; echo omega"],
                        faults=[dict(path="/jobs/@ID@/trace", method="PATCH", count=2, **how)])
             for name, how in {"500": dict(status=500), "429": dict(status=429, headers={"Retry-After": "1"}),
                               "html": dict(html=True, status=502), "cut": dict(cut=0), "drop": dict(drop=True)}.items()})
    def test_trouble_on_the_way_is_only_delay(self, jobs, name, no_violations):
        job = jobs[name].succeeds()
        assert job.script_output().splitlines() == [f"trouble {name}", "omega"]


@pytest.mark.slow(reason="intervals of DataOps are kept")
class TestPace:
    @runs(script=["echo a; sleep 8; echo b"], trace_interval_s=60)
    def test_the_interval_asked_for_is_kept(self, job):
        job.succeeds()
        times = [r["at"] for r in patches(job)]
        end = job.view["times"]["final_told"]
        middle = [t for t in times[1:] if t < end - 1.5]
        assert middle == [], "nothing between the first send and the end, 60 s were asked for"

    @runs(script=["echo started; sleep 40"], timeout=600)
    def test_silence_is_broken_by_one_running(self, job):
        job.succeeds(90)
        touches = [p for p in puts(job) if p["json"]["state"] == "running"]
        assert 2 <= len(touches) <= 4
        assert touches[-1]["json"]["output"]["bytesize"] > 0


@pytest.mark.slow(reason="several rounds of reports")
class TestRemoteState:
    def test_canceling_on_a_patch_still_runs_after_script(self, site):
        job = site.job(["while :; do echo tick; sleep 0.2; done"], after_script=["echo after $CI_JOB_STATUS"])
        job.wait_trace(b"\ntick")
        job.cancel()
        assert job.wait(20) == "canceled"
        assert "after canceled" in job.text

    @pytest.mark.parametrize("answer", [
        dict(status=202, headers={"Job-Status": "canceled"}), dict(status=202, headers={"Job-Status": "failed"}),
        dict(status=403)], ids=["canceled", "failed", "403"])
    def test_an_abort_on_a_patch_stops_everything(self, site, answer):
        job = site.job(["while :; do echo tick; sleep 0.2; done"], after_script=["echo must not run"],
                       faults=[dict(path="/jobs/@ID@/trace", method="PATCH", skip=1, count=0, **answer)])
        job.wait_trace(b".")
        deadline = time.monotonic() + 30
        while not job.pods() and time.monotonic() < deadline:
            time.sleep(0.1)
        while job.pods() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert job.pods() == []
        job.cancel(force=True)

    @runs(script=["echo one; sleep 2; echo two; sleep 2; echo three"],
          faults=[dict(path="/jobs/@ID@/trace", method="PATCH", status=404, count=2)])
    def test_404_on_a_patch_does_not_kill_the_job(self, job):
        job.succeeds()
        assert job.script_output().split() == ["one", "two", "three"]

    @pytest.mark.slow(reason="the first update after the start comes after 30 s of silence")
    @runs(script=["echo quiet; sleep 300"], faults=[dict(path="/jobs/@ID@$", method="PUT", skip=1, status=404, count=0)])
    def test_404_on_a_put_does(self, job):
        job.wait_trace(b"\nquiet")
        deadline = time.monotonic() + 60
        while job.pods() and time.monotonic() < deadline:
            time.sleep(0.5)
        assert job.pods() == []
        job.cancel(force=True)


class TestMasking:
    SECRET = "s3cr3t-Value-42"

    @runs(whole=dict(script=["echo \"is $SECRET.\""], variables={"SECRET": {"value": SECRET, "masked": True}}),
          split=dict(script=["for c in s 3 c r 3 t - V a l u e - 4 2; do printf %s $c; sleep 0.1; done; echo"],
                     variables={"SECRET": {"value": SECRET, "masked": True}}),
          prefix=dict(script=["echo 'a glpat-abcDEF.12_3-4=x b glpat- c'"]),
          url=dict(script=["echo 'https://x/?private_token=abcdef&y=1 z'"]),
          overlap=dict(script=["echo aaab"], variables={"SECRET": {"value": "aab", "masked": True}}))
    def test_values_are_replaced(self, jobs, no_violations):
        for job in jobs.values():
            job.succeeds()
            assert self.SECRET.encode() not in job.trace
        assert "is [MASKED]." in jobs["whole"].script_output()
        assert "[MASKED]" in jobs["split"].script_output()
        assert "a glpat-[MASKED] b glpat- c" in jobs["prefix"].script_output()
        assert "private_token=[MASKED]&y=1 z" in jobs["url"].script_output()
        assert "a[MASKED]" in jobs["overlap"].script_output()

    @runs(script=["echo $CI_JOB_TOKEN; env | base64 -w0 > /dev/null; echo \"$CI_REPOSITORY_URL\""])
    def test_the_job_token_never_shows(self, job):
        job.succeeds()
        assert job.token.encode() not in job.trace

    @runs(script=["printf '%s\\n' \"$KEY\""], variables={"KEY": {"value": "line one\nline two", "masked": True}})
    def test_a_value_of_several_lines(self, job):
        job.succeeds()
        assert b"line one\nline two" not in job.trace
        assert "[MASKED]" in job.script_output()


class TestOutputLimit:
    def test_past_the_limit_output_is_dropped_and_the_job_goes_on(self, make_site):
        site = make_site(runner={"output_limit": 64})
        job = site.job(["seq 1 100000; echo the end | tee done.txt"], artifacts={"paths": ["done.txt"]})
        job.succeeds()
        assert 64 * 1024 <= len(job.trace) < 64 * 1024 + 1024
        assert str(64 * 1024) in job.text
        assert "\nthe end" not in job.text
        assert job.files()["done.txt"] == b"the end\n"


@pytest.mark.slow(reason="an image that cannot be pulled gets half a minute")
class TestFinalReport:
    @runs(script=["seq 1 1000"])
    def test_it_describes_exactly_what_was_sent_and_comes_last(self, job, no_violations):
        job.succeeds()
        final = puts(job)[-1]
        assert re.fullmatch(r"crc32:[0-9a-f]{8}", final["json"]["output"]["checksum"])
        assert final["json"]["output"]["checksum"] == job.view["trace_crc"]
        assert final["json"]["checksum"] == job.view["trace_crc"]
        assert final["json"]["output"]["bytesize"] == len(job.trace)
        assert max(r["at"] for r in patches(job)) <= final["at"]

    @runs(script=["echo x"], archive_intervals=[1, 2])
    def test_202_is_repeated_after_the_interval(self, job):
        job.succeeds()
        finals = [p for p in puts(job) if p["json"]["state"] == "success"]
        assert [p["status"] for p in finals] == [202, 202, 200]
        gaps = [b["at"] - a["at"] for a, b in zip(finals, finals[1:])]
        assert 0.9 <= gaps[0] <= 2 and 1.9 <= gaps[1] <= 3.2, gaps

    @runs(script=["echo whole"], faults=[dict(path="/jobs/@ID@$", method="PUT", body='"success"', status=412)])
    def test_412_sends_the_log_again_from_0(self, job):
        job.succeeds()
        refused = next(p for p in puts(job) if p["status"] == 412)
        again = [r for r in patches(job) if r["at"] > refused["at"]]
        assert ranges(again)[0][0] == 0

    @pytest.mark.parametrize("how", ["500", "drop", "lost"])
    @runs(**{name: dict(script=["echo x"], faults=[dict(path="/jobs/@ID@$", method="PUT", body='"success"', count=2, **how)])
             for name, how in {"500": dict(status=500), "drop": dict(drop=True)}.items()},
          lost=dict(script=["echo x"], faults=[dict(path="/jobs/@ID@$", method="PUT", body='"success"', drop=True, apply=True)]))
    def test_a_failed_report_is_repeated(self, jobs, how):
        jobs[how].succeeds()

    @runs(script=["sleep 30"], timeout=3, failure_reasons=["unknown_failure", "script_failure"])
    def test_reasons_that_are_always_known_are_sent(self, job):
        job.fails("job_execution_timeout", 40)

    @runs(pull=dict(script=["x"], image="absent/nothing:1"))
    def test_reasons_that_are_not_offered_are_mapped(self, jobs, no_violations):
        jobs["pull"].fails("runner_system_failure", 90)


class TestTimestamps:
    @runs(script=["printf 'one\\ntwo\\n'"], variables={"FF_TIMESTAMPS": "true"})
    def test_line_times_when_the_flag_is_on(self, job):
        job.succeeds()
        assert re.search(rb"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z 01O one$", job.trace)

    @runs(script=["echo one"])
    def test_none_by_default(self, job):
        job.succeeds()
        assert not re.search(rb"(?m)^\d{4}-\d\d-\d\dT", job.trace)


class TestProgress:
    @runs(script=[marked("printf 'x\\rxx\\rxxx\\r'; sleep 0.3; printf 'done'")])
    def test_a_progress_bar_without_newline_arrives_as_it_is(self, job):
        job.succeeds()
        assert job.between() == b"x\rxx\rxxx\rdone"

    def test_it_shows_while_it_grows(self, site):
        job = site.job(["printf 'half'; sleep 6; printf ' whole'"])
        job.wait_trace(rb"half$", 30)
        assert job.state == "running"
        job.succeeds()

    def test_a_line_after_a_pause_is_sent_at_once(self, site):
        """The best of five, because the machine may be busy."""
        job = site.job(["for i in 1 2 3 4 5; do sleep 2.2; echo now $(date +%s.%N); done"]).succeeds()
        trace, chunks = job.trace, job.view["chunks"]
        delays = []
        for found in re.finditer(rb"(?m)^now (\d+\.\d+)$", trace):
            arrived = next(c["at"] for c in chunks if c["first"] + c["length"] >= found.end())
            delays.append(arrived - float(found[1]))
        assert len(delays) == 5 and min(delays) < 0.3, delays
