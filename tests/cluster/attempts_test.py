"""Pods that come to nothing, on a real kubelet: the next attempt, or a report that names the cause (docs/design.md section 1)."""

import itertools
import subprocess
import time

import pytest
from parts import archive, images, places, programs, registry

from tests.integration.harness.processes import ROOT

GOOD = "docker.io/library/dataops-runner:latest"
_numbers = itertools.count(1)

# In front of the real one in PATH.
BROKEN = {
    "hook-fails": '#!/bin/sh\n[ "$1" = --wait-ready ] && exit 3\nexec /usr/local/bin/dataops-courier "$@"\n',
    "dies-in-the-hook": '#!/bin/sh\n[ "$1" = --wait-ready ] && exec sleep 20\nsleep 0.3; exit 1\n',
}


def ctr(*words: str) -> str:
    command = [programs.find("ctr"), "--address", str(places.here().containerd_socket), "--namespace", "k8s.io", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(name="broken", scope="module")
def _broken(place, tmp_path_factory):
    """Images of courier, each broken in its way: name -> reference."""
    path = tmp_path_factory.mktemp("images") / "broken.tar"
    names = {way: f"registry.test/courier-{way}:1" for way in BROKEN}
    archive.derive(path, ROOT / "build" / "dataops-runner-image.tar",
                   {names[way]: {"usr/local/sbin/dataops-courier": (text.encode(), 0o755)} for way, text in BROKEN.items()})
    images.load(places.here(), path)
    path.unlink()
    return names


@pytest.fixture(name="helper")
def _helper():
    """A reference of this case alone; what it names can be changed while the job is tried."""
    reference = f"registry.test/helper-{next(_numbers)}-{int(time.time())}:1"
    yield reference
    subprocess.run([programs.find("ctr"), "--address", str(places.here().containerd_socket), "--namespace", "k8s.io", "images", "rm", reference],
                   capture_output=True, check=False)


def point(reference: str, at: str) -> None:
    ctr("images", "tag", "--force", at, reference)


class TestNeverBegan:
    @pytest.mark.parametrize("way", list(BROKEN))
    def test_the_next_attempt_runs_the_job(self, make_site, broken, helper, way):
        point(helper, broken[way])
        site = make_site(kubernetes={"helper_image": helper})
        job = site.job(["echo ran once"])
        site.controller.wait_log(rf"job_attempt_failed +job={job.id}", 60)
        point(helper, GOOD)
        job.succeeds(90)
        assert job.script_output().split("\n").count("ran once") == 1
        assert "Attempt 1 of 5 never began" in job.text
        assert len(site.place.pod_names(job.id)) == 2

    def test_a_helper_image_that_is_missing_at_first(self, make_site, helper):
        site = make_site(kubernetes={"helper_image": helper})
        job = site.job(["echo ran once"])
        site.controller.wait_log(rf"job_attempt_failed +job={job.id} .*helper image cannot be pulled", 60)
        point(helper, GOOD)
        job.succeeds(90)
        assert job.script_output().split("\n").count("ran once") == 1
        assert f"never began: the helper image cannot be pulled: " in job.text and helper in job.text
        assert 2 <= len(site.place.pod_names(job.id)) <= 3

    def test_a_helper_image_that_never_comes_is_named_in_the_end(self, make_site, helper):
        site = make_site(kubernetes={"helper_image": helper})
        job = site.job(["echo never"])
        job.fails("runner_system_failure", 180)
        assert "the pod never began (attempt 5)" in job.text and helper in job.text
        assert len(site.place.pod_names(job.id)) == 5
        assert "ran" not in job.script_output()


@pytest.fixture(name="slow_registry")
def _slow_registry(place):
    with registry.Registry(images.base_layer(), delay_s=20) as made:
        yield made


def slow_image() -> str:
    return f"registry.test/slow-{next(_numbers)}-{int(time.time())}:1"


class TestSlowPull:
    def test_the_wait_is_shown_and_the_job_runs(self, make_site, slow_registry):
        site = make_site()
        job = site.job(["echo ran; test -f README.md && echo sources"], image=slow_image())
        job.wait_trace(rb"Waiting for pod [^\n]*/job-[^\n]*: its containers are being created", 15)
        assert slow_registry.asked.wait(15)
        job.succeeds(60)
        assert job.script_output().split() == ["ran", "sources"]
        assert job.seconds("picked", "finished") > 20
        assert len(site.place.pod_names(job.id)) == 1

    def test_a_cancel_meanwhile_is_reported_without_waiting_for_the_pod(self, make_site, slow_registry):
        """A pod that is going away still counts: only then is there room for the next job."""
        site = make_site(globals_={"concurrent": 1})
        job = site.job(["echo never"], image=slow_image())
        job.wait_state("running_told")
        assert slow_registry.asked.wait(15)
        job.cancel()  # heard with the first line about the wait, after 5 s
        later = site.job(["echo later"])
        assert job.wait(15) == "canceled"
        assert job.seconds("cancel_told", "finished") < 2
        assert job.pods() and job.pods()[0]["metadata"]["deletionTimestamp"], "the kubelet holds on to it until the pull is over"
        assert later.state == "pending"
        later.succeeds(60)
        assert job.pods() == []
        assert "never" not in job.script_output()
