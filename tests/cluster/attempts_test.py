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
