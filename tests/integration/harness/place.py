"""Where the cases run. Everything that differs between stand-in and real cluster is behind `Place`.

DATAOPS_CLUSTER=standin (default) or real decides; a case that needs what only the stand-in has is marked
``standin_only(reason=...)``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

STANDIN = "standin"
REAL = "real"


def chosen() -> str:
    name = os.environ.get("DATAOPS_CLUSTER") or STANDIN
    if name not in (STANDIN, REAL):
        raise ValueError(f"DATAOPS_CLUSTER is {STANDIN} or {REAL}, not {name}")
    return name


class Place:
    """A Kubernetes to run jobs on. One per test session."""

    name = ""
    image = ""  # a job image with sh, bash, git and coreutils
    helper_image = ""  # an image with dataops-courier and dataops-step
    namespace = "jobs"
    dataops_address = "127.0.0.1"  # where the DataOps stand-in must listen to be reached by pods

    def __init__(self) -> None:
        # Names of releases that may be used: a controller's rights name its state Secret.
        self.releases = [f"site-{n}" for n in range(1, 200)]

    def start(self, folder: Path) -> None:
        """Starts the cluster (or joins the one that runs) and makes the namespace."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def controller_environment(self) -> dict[str, str]:
        """What a controller on this machine needs to reach the cluster."""
        raise NotImplementedError

    # -- looking in ------------------------------------------------------
    def pods(self) -> list[dict]:
        """All pods of the run's namespaces, as the API gives them."""
        raise NotImplementedError

    def objects(self) -> list[dict]:
        """All objects that a job may have left or shown: pods, Secrets' metadata, leases, events."""
        raise NotImplementedError

    def create(self, kind: str, manifest: dict, namespace: str = "") -> None:
        """Creates an object of a plural kind (`secrets`, `persistentvolumeclaims`) in the namespace given, else `self.namespace`."""
        raise NotImplementedError

    def container_log_bytes(self, job_id: int) -> int:
        """Size of the file that the node keeps as the log of courier, rotated ones included."""
        raise NotImplementedError

    def container_log_files(self) -> list[Path]:
        """All container log files of the run (for the search for secrets)."""
        raise NotImplementedError

    def requests(self, namespace: str) -> list[dict]:
        """API requests of controllers in this namespace so far, in order: verb, resource, subresource, name, code each."""
        raise NotImplementedError

    def make_namespace(self, name: str) -> str:
        """Makes a namespace in which the controllers may work; gives its name."""
        raise NotImplementedError

    def delete_pod(self, name: str, namespace: str) -> None:
        """Deletes a pod as an administrator does."""
        raise NotImplementedError

    def pod_names(self, job_id: int) -> list[str]:
        """Names of all pods ever made for a job, deleted ones included."""
        raise NotImplementedError

    def pods_of(self, job_id: int) -> list[dict]:
        return [pod for pod in self.pods() if pod["metadata"].get("labels", {}).get("dataops-runner/job") == str(job_id)]

    def wait_over(self, job_id: int, timeout_s: float = 30) -> None:
        """Until the containers of a job's pod have ended."""
        deadline = time.monotonic() + timeout_s
        while any(pod["status"].get("phase") not in ("Succeeded", "Failed") for pod in self.pods_of(job_id)):
            assert time.monotonic() < deadline, f"the pod of job {job_id} still runs after {timeout_s} s"
            time.sleep(0.2)

    # -- stand-in only ---------------------------------------------------
    def fault(self, match: dict, do: dict, times: int = 1, skip: int = 0) -> int:
        """A fault in the Kubernetes API; keys as in tests/standin/kubernetes/faults.py. Gives its number."""
        raise NotImplementedError

    def fault_hits(self, number: int) -> int:
        """How many requests the fault has met."""
        raise NotImplementedError

    def clear_faults(self) -> None:
        raise NotImplementedError


def make() -> Place:
    if chosen() == REAL:
        from .real import RealPlace

        return RealPlace()
    from .standin import StandinPlace

    return StandinPlace()
