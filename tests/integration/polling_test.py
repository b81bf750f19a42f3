"""How the queue is asked, and what answers do to it: the last update, held polls, refusals, pace, the first word about a job."""

import json
import re
import socket
import time

import pytest

from tests.integration.harness.declare import runs
from tests.integration.harness.site import Site


def wait_for(condition, timeout_s=20, step_s=0.1):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(step_s)
    raise AssertionError("did not happen in time")


def polls_after(site, count, timeout_s=20):
    """Waits for `count` polls from now on; gives them."""
    before = len(site.polls())
    return wait_for(lambda: site.polls()[before:] if len(site.polls()) >= before + count else None, timeout_s)


def body(request):
    return json.loads(request["body"]["text"])


def fault(site, **given):
    return site.dataops.fault("/jobs/request", body=site.runner["token"], **given)


@pytest.fixture
def held(folder, programs, place, dataops):
    """A site whose poll is held open for a minute."""
    site = Site(folder, dataops, place).start()
    polls_after(site, 1)
    number = fault(site, hold_s=60)
    wait_for(lambda: dataops.fault_hits(number)["hits"])
    site.held_since = time.monotonic()
    site.held_polls = len(site.polls())
    yield site
    site.stop()


class TestLastUpdate:
    def test_the_last_value_is_sent_back_and_an_empty_answer_keeps_it(self, make_site):
        site = make_site()
        polls_after(site, 2)
        fault(site, status=204)
        polls = polls_after(site, 3)
        given = [p["reply_headers"].get("X-GitLab-Last-Update") for p in site.polls()]
        value = next(v for v in given if v)
        assert [body(p).get("last_update") for p in polls] == [value] * len(polls)


class TestPatience:
    def test_at_most_one_poll_is_open(self, make_site):
        site = make_site()
        polls_after(site, 1)
        held = fault(site, hold_s=4)
        wait_for(lambda: site.dataops.fault_hits(held)["hits"])
        count = len(site.polls())
        time.sleep(2.5)
        assert len(site.polls()) == count


@pytest.mark.slow(reason="every case is several rounds of polling")
class TestHealth:
    def test_three_times_forbidden_stops_this_runner_only(self, make_site, site):
        mine = make_site()
        polls_after(mine, 1)
        number = fault(mine, status=403, count=0)
        time.sleep(1)
        wait_for(lambda: len([p for p in mine.polls() if p["status"] == 403]) >= 3)
        time.sleep(3)
        assert len([p for p in mine.polls() if p["status"] == 403]) == 3
        assert mine.controller.running
        assert len(polls_after(site, 2)) >= 2
        assert re.search(r"(?i)403|forbidden", mine.controller.log)
        mine.dataops.call("DELETE", "faults", id=number)

    @pytest.mark.parametrize("wrong", [
        dict(status=409), dict(status=500), dict(html=True), dict(html=True, status=502), dict(drop=True),
        dict(status=201, text="not json at all"),
        dict(status=201, text='{"id":1,"token":"glcbt-x","variables":[', cut=30),
        dict(status=204, headers={"X-GitLab-Last-Update": ""}),
    ], ids=["409", "500", "html", "html-502", "no-answer", "no-json", "half-a-body", "empty-header"])
    def test_other_trouble_does_not(self, site, wrong):
        number = fault(site, count=3, **wrong)
        wait_for(lambda: site.dataops.fault_hits(number)["hits"] >= 3, 40)
        assert len(polls_after(site, 1)) >= 1

    def test_a_refused_connection_does_not(self, make_site, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        site = make_site(url=f"https://127.0.0.1:{port}")
        site.controller.wait_log(r"(?i)refused|failed to connect", 15)
        assert site.controller.running

    def test_the_platform_comes_back(self, make_site, dataops):
        url = dataops.call("POST", "listeners", {"kind": "tls"})["url"]
        site = make_site(url=url)
        polls_after(site, 1)
        dataops.call("POST", "outage", {"seconds": 3, "url": url})
        site.controller.wait_log(r"(?i)refused|failed to connect|reset|closed|disconnect|EOF", 15)
        assert len(polls_after(site, 2, 20)) >= 2

    def test_retry_after_is_kept(self, site):
        before = len(site.polls())
        number = fault(site, status=429, headers={"Retry-After": "7"}, text='{"message":{"error":"slow down"}}')
        wait_for(lambda: site.dataops.fault_hits(number)["hits"])
        asked = site.dataops.fault_hits(number)["at"][0]
        later = wait_for(lambda: [p["at"] for p in site.polls()[before:] if p["at"] > asked + 0.1], 20)
        assert 6.9 <= later[0] - asked <= 9.5


class TestScheduler:
    def test_runners_share_the_interval(self, make_site, dataops, place):
        second = dataops.add_runner(scope="group", path="acme", tag_list="other")
        site = make_site(globals_={"check_interval": 2}, more_runners=[{
            "name": "second", "url": dataops.info["url"], "token": second["token"], "executor": "kubernetes",
            "tls-ca-file": dataops.info["ca_path"], "kubernetes": {"namespace": place.namespace}}])
        wait_for(lambda: len(site.polls()) >= 4)
        mine = [p["at"] for p in site.polls()][-3:]
        others = [p["at"] for p in dataops.requests("POST", "/jobs/request") if second["token"] in p["body"].get("text", "")]
        gaps = [b - a for a, b in zip(mine, mine[1:])]
        assert all(1.6 <= gap <= 2.6 for gap in gaps), gaps
        between = [min(abs(o - m) for o in others) for m in mine[:-1]]
        assert all(0.6 <= gap <= 1.4 for gap in between), between

    def test_a_job_is_followed_by_an_immediate_poll(self, make_site):
        site = make_site(globals_={"check_interval": 5})
        polls_after(site, 1)
        first, second = site.job(["true"]), site.job(["true"])
        first.succeeds(), second.succeeds()
        assert abs(second.view["times"]["picked"] - first.view["times"]["picked"]) < 1

    def test_concurrent_is_a_ceiling(self, make_site):
        site = make_site(globals_={"concurrent": 1})
        first, second = site.job(["sleep 2"]), site.job(["true"])
        first.succeeds(), second.succeeds()
        assert second.view["times"]["picked"] >= first.view["times"]["finished"] - 0.1

    def test_limit_is_a_ceiling_for_its_runner(self, make_site):
        site = make_site(runner={"limit": 1})
        first, second = site.job(["sleep 2"]), site.job(["true"])
        first.succeeds(), second.succeeds()
        assert second.view["times"]["picked"] >= first.view["times"]["finished"] - 0.1


class TestAfterPickup:
    @runs(script=["echo x"])
    def test_exactly_one_running_before_anything_else(self, job, no_violations):
        job.succeeds()
        told = [(r["method"], body(r).get("state")) for r in job.requests() if r["method"] == "PUT"]
        assert told[0] == ("PUT", "running")
        first = job.requests()[0]
        assert (first["method"], body(first)["state"]) == ("PUT", "running")

    @pytest.mark.parametrize("answer", [
        dict(status=200, headers={"Job-Status": "canceled"}), dict(status=200, headers={"Job-Status": "failed"}),
        dict(status=403), dict(status=404)], ids=["canceled", "failed", "403", "404"])
    def test_an_abort_means_that_nothing_runs(self, site, answer):
        job = site.job(["echo must not run"], faults=[dict(path="/jobs/@ID@$", method="PUT", count=0, **answer)])
        job.wait_state("picked")
        time.sleep(4)
        assert job.trace == b""
        assert job.pods() == []
        job.cancel(force=True)

    @pytest.mark.parametrize("answer", [dict(status=500, count=1), dict(drop=True, count=1)], ids=["500", "no-answer"])
    def test_another_answer_does_not_hinder(self, site, answer):
        job = site.job(["echo ran"], faults=[dict(path="/jobs/@ID@$", method="PUT", **answer)])
        job.succeeds()
        assert "ran" in job.script_output()


class TestTls:
    """Each trouble is named, with the key to set."""

    @pytest.mark.parametrize("kind, said", [
        ("foreign", "unknown|self.signed|unable to get|issuer|authority"),
        ("wrong_name", "name|host"),
        ("expired", "expired"),
    ])
    def test_a_wrong_certificate_is_named_with_the_key(self, make_site, dataops, kind, said):
        url = dataops.call("POST", "listeners", {"kind": kind})["url"]
        site = make_site(url=url)
        site.controller.wait_log(rf"(?mi)^.*poll_failed.*({said}).*$", 15)
        if kind == "foreign":
            assert "tls-ca-file" in site.controller.log
        assert site.controller.running
        assert site.polls() == []

    def test_plain_http_on_the_other_side_is_named(self, make_site, dataops):
        url = dataops.call("POST", "listeners", {"kind": "plain"})["url"].replace("http:", "https:")
        site = make_site(url=url)
        site.controller.wait_log(r"(?i)(plain http|http://|not tls|speak)", 15)
        assert site.controller.running


@pytest.mark.slow(reason="a poll is held for a minute")
class TestPatienceOfAMinute:
    def test_a_held_poll_is_not_cut(self, held):
        job = held.job(["echo held"])
        while time.monotonic() < held.held_since + 58:
            assert len(held.polls()) == held.held_polls, "a second poll was made while the first was open"
            time.sleep(1)
        job.succeeds(30)
        assert held.polls()[held.held_polls - 1]["took_s"] > 59
