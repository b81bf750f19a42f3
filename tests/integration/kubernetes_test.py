"""What the controller asks of Kubernetes, and bad answers from it, by name."""

import itertools
import time

import pytest

from tests.integration.harness.declare import standin_only

_numbers = itertools.count(1)


@pytest.fixture
def lonely(make_site, place):
    """A site in a namespace of its own, so that faults and counts meet nobody else."""
    def make(**options):
        namespace = place.make_namespace(f"lonely-{next(_numbers)}")
        kubernetes = {"namespace": namespace, **options.pop("kubernetes", {})}
        site = make_site(kubernetes=kubernetes, **options)
        site.namespace = namespace
        return site
    return make


def of_jobs(place, namespace):
    """Requests that a job caused: no Leases, no list or watch of the namespace."""
    return [r for r in place.requests(namespace) if r["resource"] != "leases"
            and not (r["verb"] in ("list", "watch") and not r["name"])]


class TestRequests:
    def test_at_most_five_per_job_however_long_it_runs(self, lonely, place):
        site = lonely()
        site.job(["true"]).succeeds()
        time.sleep(2)
        counts = {}
        for seconds in (3, 12):
            before = len(of_jobs(place, site.namespace))
            all_before = len(place.requests(site.namespace))
            site.job([f"sleep {seconds}"]).succeeds()
            time.sleep(2)
            made = of_jobs(place, site.namespace)[before:]
            # a note about a slow start is about the start
            counts[seconds] = len([r for r in made if r["verb"] != "patch"])
            assert len(made) <= 5, made
            polls = [r for r in place.requests(site.namespace)[all_before:] if (r["verb"], r["resource"], r["subresource"]) == ("get", "pods", "")]
            assert polls == []
        assert counts[3] == counts[12], counts

    def test_no_pod_and_no_secret_is_left(self, lonely, place):
        site = lonely()
        jobs = [site.job(["true"]), site.job(["false"])]
        for job in jobs:
            job.wait()
        deadline = time.monotonic() + 20
        while any(job.pods() for job in jobs) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert [pod["metadata"]["name"] for job in jobs for pod in job.pods()] == []

    def test_the_pod_is_as_designed(self, site, place):
        job = site.job(["echo going; sleep 60"])
        job.wait_trace(b"\ngoing")
        pod = job.pods()[0]
        spec = pod["spec"]
        assert [c["name"] for c in spec["containers"]] == ["courier", "build"]
        assert spec["containers"][1]["command"] == ["/.dataops/step"]
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        assert spec["restartPolicy"] == "Never" and spec["os"] == {"name": "linux"}
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec.get("initContainers")
        assert pod["metadata"]["labels"]["dataops-runner/job"] == str(job.id)
        job.cancel()
        assert job.wait() == "canceled"


@standin_only(reason="a real API server gives these answers only by chance")
@pytest.mark.slow(reason="a quota is asked again after half a minute")
class TestRefusals:
    @pytest.mark.parametrize("status, reason", [
        ({"code": 403, "reason": "Forbidden", "message": 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'},
         "runner_configuration_error"),
        ({"code": 403, "reason": "Forbidden", "message": 'pods is forbidden: User "u" cannot create resource "pods" in API group ""'},
         "runner_system_failure"),
        ({"code": 422, "reason": "Invalid", "message": "Pod is invalid: spec.x: Required value"}, "runner_configuration_error"),
        ({"code": 500, "message": "etcdserver: request is too large"}, "runner_system_failure"),
        ({"code": 500, "message": "something odd broke"}, "runner_system_failure"),
    ], ids=["403-pod-security", "403-rights", "422", "500-too-large", "500-without-reason"])
    def test_a_refused_create_fails_the_job_with_the_servers_words_and_is_not_repeated(self, lonely, place, status, reason):
        site = lonely()
        number = place.fault({"verb": "create", "resource": "pods", "namespace": site.namespace}, {"status": status}, times=0)
        job = site.job(["echo never"], timeout=600)
        job.wait(60)
        assert (job.state, job.view["failure_reason"]) == ("failed", reason)
        assert status["message"] in job.text
        assert place.fault_hits(number) == 1
        place.clear_faults()

    def test_a_full_quota_is_waited_for_with_words(self, lonely, place):
        site = lonely()
        place.fault({"verb": "create", "resource": "pods", "namespace": site.namespace}, {"status": {
            "code": 403, "reason": "Forbidden", "message": 'pods "x" is forbidden: exceeded quota: q, requested: pods=1'}})
        job = site.job(["echo ran"]).succeeds(60)
        assert "quota" in job.text

    def test_a_name_that_is_taken_by_another_is_a_clash_and_ends_with_words(self, lonely, place):
        site = lonely()
        place.fault({"verb": "create", "resource": "pods", "namespace": site.namespace},
                    {"status": {"code": 409, "reason": "AlreadyExists", "message": "pods \"x\" already exists"}}, times=0)
        job = site.job(["echo never"])
        job.wait(90)
        assert job.state == "failed" and job.view["failure_reason"] == "runner_system_failure"
        place.clear_faults()

    def test_a_refused_secret_deletes_the_pod(self, lonely, place):
        site = lonely()
        place.fault({"verb": "create", "resource": "secrets", "namespace": site.namespace},
                    {"status": {"code": 403, "reason": "Forbidden", "message": 'secrets is forbidden: User "u" cannot create resource "secrets" in API group ""'}}, times=0)
        job = site.job(["echo never"])
        job.fails("runner_system_failure", 60)
        assert "secrets is forbidden" in job.text
        deadline = time.monotonic() + 20
        while job.pods() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert job.pods() == []
        place.clear_faults()


@standin_only(reason="a real API server gives these answers only by chance")
@pytest.mark.slow(reason="every case waits between tries")
class TestPassingTrouble:
    @pytest.mark.parametrize("do", [
        {"text": {"code": 429, "body": "Too many requests, please try again later.\n", "retry_after_s": 1}},
        {"status": {"code": 429, "reason": "TooManyRequests", "message": "slow", "retry_after_s": 1}},
        {"status": {"code": 503, "reason": "ServiceUnavailable", "message": "not now"}},
        {"status": {"code": 500, "reason": "ServerTimeout", "message": "later", "retry_after_s": 1}},
        {"cut": True}, {"lose_answer": True}, {"dribble_s": 0.3},
    ], ids=["429-plain", "429", "503", "server-timeout", "cut", "lost-answer", "half-an-answer"])
    @pytest.mark.parametrize("resource", ["pods", "secrets"])
    def test_passing_trouble_with_a_create_is_only_delay(self, lonely, place, resource, do):
        site = lonely()
        place.fault({"verb": "create", "resource": resource, "namespace": site.namespace}, do)
        job = site.job(["echo ran"]).succeeds(90)
        assert job.script_output().count("ran") == 1
        assert len(place.pod_names(job.id)) <= 2

    def test_a_server_that_comes_back_may_not_know_the_rights_yet(self, lonely, place):
        """It is away, then forbids everything until it has read the roles (seen on a real one)."""
        site = lonely()
        create = {"verb": "create", "resource": "pods", "namespace": site.namespace}
        place.fault(create, {"status": {"code": 503, "reason": "ServiceUnavailable", "message": "not now"}})
        place.fault(create, {"status": {
            "code": 403, "reason": "Forbidden", "message": 'pods is forbidden: User "u" cannot create resource "pods" in API group ""'}}, times=2, skip=1)
        site.job(["echo ran"]).succeeds(60)


@standin_only(reason="a real API server gives these answers only by chance")
@pytest.mark.slow(reason="a silent watch is given up after half a minute")
class TestWatch:
    @pytest.mark.parametrize("do", [
        {"error": {"code": 410, "reason": "Expired", "message": "too old resource version", "after_events": 1}},
        {"close_after": {"events": 2, "code": 1000}}, {"cut_after": {"events": 2}}, {"silent_after": {"events": 1}},
        {"status": {"code": 401, "reason": "Unauthorized", "message": "Unauthorized"}},
        {"text": {"code": 429, "body": "Too many requests\n", "retry_after_s": 1}},
        {"extra": {"not": "an event"}},
    ], ids=["410", "close-1000", "cut", "silent", "401", "429", "nonsense"])
    def test_a_watch_that_breaks_is_taken_up_again(self, lonely, place, do):
        """The first watch ends while a job runs; nothing of the job is lost."""
        namespace = place.make_namespace(f"watch-{next(_numbers)}")
        place.fault({"verb": "watch", "resource": "pods", "namespace": namespace}, do, times=1 if "silent_after" in do else 2)
        site = lonely(kubernetes={"namespace": namespace})
        job = site.job(["echo one; sleep 3; echo two"]).succeeds(120)
        assert job.script_output().split() == ["one", "two"]
        assert site.controller.running


@standin_only(reason="a real API server gives these answers only by chance")
class TestLogAndDelete:
    @pytest.mark.parametrize("do", [
        {"status": {"code": 401, "reason": "Unauthorized", "message": "Unauthorized"}},
        {"status": {"code": 403, "reason": "Forbidden", "message": "pods/log is forbidden"}},
        {"text": {"code": 429, "body": "Too many requests\n", "retry_after_s": 1}},
        {"status": {"code": 500, "message": "dial tcp 10.0.0.1:10250: connect: connection refused"}},
        {"bare": 502},
    ], ids=["401", "403", "429", "500", "502"])
    def test_a_refused_log_is_asked_for_again(self, site, do):
        job = site.job(["echo one; sleep 2; echo two"], kube_faults=[
            {"match": {"resource": "pods", "subresource": "log"}, "do": do, "times": 1}])
        job.succeeds(120)
        assert job.script_output().split() == ["one", "two"]

    def test_a_delete_that_fails_does_not_hold_the_result(self, lonely, place):
        site = lonely()
        place.fault({"verb": "delete", "resource": "pods", "namespace": site.namespace},
                    {"status": {"code": 503, "reason": "ServiceUnavailable", "message": "x"}}, times=2)
        site.job(["true"]).succeeds()


@standin_only(reason="needs a pod's end on demand")
class TestPodEnds:
    def test_a_pod_deleted_from_outside_is_interrupted_with_words(self, site, place):
        job = site.job(["echo going; sleep 600"], after_script=["echo after"])
        job.wait_trace(b"\ngoing")
        place.delete_pod(job.pods()[0]["metadata"]["name"], job.pods()[0]["metadata"]["namespace"])
        job.wait(60)
        assert job.state == "failed"
        assert job.view["failure_reason"] in ("runner_system_failure", "runner_interrupted")
        assert "after" in job.section("after_script")
