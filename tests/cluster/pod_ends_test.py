"""Pods that end otherwise than by their job, on a real kubelet: deleted, evicted, killed, out of memory, refused, never placed."""

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.harness import text

_numbers = itertools.count(1)
GOING = "echo going; sleep 600"


@pytest.fixture(name="lonely")
def _lonely(make_site, place):
    """A site in a namespace of its own."""
    def make(**kubernetes):
        namespace = place.make_namespace(f"ends-{next(_numbers)}-{os.getpid()}")
        site = make_site(kubernetes={"namespace": namespace, **kubernetes})
        site.namespace = namespace
        return site
    return make


def pod_of(job) -> dict:
    (pod,) = job.pods()
    return pod


def processes_of(pod: dict, name: str) -> list[int]:
    """Host process ids of one container of a pod, by the cgroup they are in."""
    (status,) = [s for s in pod["status"]["containerStatuses"] if s["name"] == name]
    container = status["containerID"].rpartition("/")[2]
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cgroup") if container in _read(path)]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


class TestTakenAway:
    def test_a_drained_pod_runs_after_script_and_is_reported_as_interrupted(self, site, place):
        job = site.job([GOING], after_script=["echo after $CI_JOB_STATUS"])
        job.wait_trace(rb"\ngoing")
        place.delete_pod(pod_of(job)["metadata"]["name"], pod_of(job)["metadata"]["namespace"])
        job.fails(None, 60)
        assert job.view["failure_reason"] in ("runner_system_failure", "runner_interrupted")
        assert "after failed" in job.section("after_script")
        assert "deleted while the job ran" in job.text

    def test_an_eviction_by_the_api_is_the_same(self, site, place):
        job = site.job([GOING])
        job.wait_trace(rb"\ngoing")
        meta = pod_of(job)["metadata"]
        place.kubectl("create", "--raw", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", "-f", "-",
                      body={"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": meta["name"], "namespace": meta["namespace"]}})
        job.fails(None, 60)
        assert job.view["failure_reason"] in ("runner_system_failure", "runner_interrupted")

    def test_a_pod_removed_by_force_is_a_system_failure(self, site, place):
        job = site.job([GOING])
        job.wait_trace(rb"\ngoing")
        meta = pod_of(job)["metadata"]
        place.kubectl("delete", "pod", meta["name"], "-n", meta["namespace"], "--grace-period=0", "--force")
        job.fails(None, 60)
        assert job.view["failure_reason"] in ("runner_system_failure", "runner_interrupted")


class TestKilled:
    def test_courier_killed_on_the_node_is_a_system_failure_with_its_log_so_far(self, site):
        job = site.job(["echo one; echo going; sleep 600"])
        job.wait_trace(rb"\ngoing")
        for pid in processes_of(pod_of(job), "courier"):
            os.kill(pid, signal.SIGKILL)
        job.fails("runner_system_failure", 60)
        assert "courier ended with 137" in job.text
        assert job.script_output().split()[:2] == ["one", "going"]

    def test_a_job_that_kills_everything_it_can_still_has_its_result(self, site):
        job = site.job(["echo before; (sleep 0.3; kill -9 -1) & sleep 5; echo survived"], after_script=["echo after"])
        job.fails("script_failure", 60)
        assert "before" in job.script_output() and "survived" not in job.script_output()
        assert "after" in job.section("after_script")

    def test_out_of_memory_is_named_with_the_key(self, lonely):
        site = lonely(memory_limit="64Mi")
        job = site.job(["echo before; python3 -c 'b = bytearray(400 << 20)'; exit 3"])
        job.fails("script_failure", 60)
        assert "ran out of memory" in job.text and "memory_limit" in job.text

    def test_a_script_that_survives_a_killed_child_succeeds(self, lonely):
        """The node says OOMKilled of such a container; the script's own result counts."""
        site = lonely(memory_limit="64Mi")
        job = site.job(["python3 -c 'b = bytearray(400 << 20)' || echo survived"])
        job.succeeds()
        assert "survived" in job.script_output()


class TestRefused:
    def test_a_quota_is_waited_for(self, lonely, place):
        site = lonely()
        place.kubectl("create", "quota", "none", "--hard=pods=0", "-n", site.namespace)
        job = site.job(["echo ran once"])
        site.controller.wait_log(r"from=creating on=pod_delayed to=retrying", 20)
        assert job.state == "running"
        place.kubectl("delete", "quota", "none", "-n", site.namespace)
        job.succeeds(90)
        assert "Waiting for quota: " in job.text and "exceeded quota: none" in job.text

    def test_a_limit_range_fails_the_job_at_once_with_the_servers_words(self, lonely, place):
        site = lonely()
        place.kubectl("apply", "-n", site.namespace, "-f", "-", body={
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "big"},
            "spec": {"limits": [{"type": "Container", "min": {"cpu": "100m"}}]}})
        job = site.job(["echo never"])
        job.fails(None, 30)
        assert "minimum cpu usage per Container is 100m" in job.text

    def test_a_node_that_nobody_has_is_told_and_given_up(self, lonely):
        site = lonely(node_selector={"disk": "of-gold"}, poll_timeout=9)
        job = site.job(["echo never"])
        job.fails("runner_system_failure", 60)
        assert "didn't match Pod's node affinity/selector" in job.text
        assert "did not start within 9 s" in job.text and "poll_timeout" in job.text

    def test_a_volume_that_never_comes_is_told_and_given_up(self, lonely):
        site = lonely(volumes={"secret": [{"name": "absent-secret", "mount_path": "/absent"}]}, poll_timeout=9)
        job = site.job(["echo never"])
        job.fails("runner_system_failure", 60)
        assert "did not start within 9 s" in job.text

    def test_an_image_that_is_not_there_is_an_image_pull_failure(self, lonely):
        site = lonely(poll_timeout=9)
        job = site.job(["echo never"], image="absent/image:1", failure_reasons=["runner_system_failure", "image_pull_failure"])
        job.fails("image_pull_failure", 60)
        assert "absent/image:1" in job.text


class TestNodeTrouble:
    """Daemons of the node and of the control plane restart while a job prints."""

    LINES = b"".join(b"%d\n" % n for n in range(1, 61))
    SCRIPT = text.marked("for i in $(seq 1 60); do echo $i; sleep 0.25; done")

    @pytest.mark.alone(reason="what restarts serves all other cases")
    @pytest.mark.parametrize("daemon", ["kube-apiserver", "kubelet", "kube-scheduler"])
    def test_no_byte_is_lost_when_a_daemon_restarts(self, site, place, daemon):
        job = site.job([self.SCRIPT])
        job.wait_trace(rb"\n5\n")
        done = subprocess.run(["tests/cluster/cluster", "restart", daemon], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        job.succeeds(120)
        assert job.between() == self.LINES
        assert len(place.pod_names(job.id)) == 1
        again = site.job(["echo afterwards"]).succeeds(60)
        assert again.script_output().split() == ["afterwards"]
