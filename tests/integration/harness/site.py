"""A site: the DataOps stand-in, a place with Kubernetes, and a controller registered between them."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.standin.dataops.client import Client

from . import processes
from .controller import Controller
from .job import JobRun
from .place import Place

_numbers = itertools.count(1)


class DataOpsProcess:
    """The DataOps stand-in as a process of its own."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", *args: str) -> None:
        self.log = folder / "dataops.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.process = processes.start_python(
            "tests.standin.dataops", "--state", str(folder / "dataops"), "--listen", address, "--trace-interval", "1",
            *args, log=self.log)
        self.info = processes.first_line(self.process, self.log)
        self.client = Client(self.info)

    def stop(self) -> None:
        processes.stop(self.process)


class Site:
    """What a test holds. `job(...)` adds a job for this site's runner; the rest looks in or steers."""

    def __init__(self, folder: Path, dataops: Client, place: Place, **options) -> None:
        self.number = next(_numbers)
        self.tag = f"site-{self.number}"
        self.folder = folder / self.tag
        self.dataops, self.place = dataops, place
        attributes = {"scope": "group", "path": "acme", "tag_list": self.tag, "run_untagged": False,
                      "description": self.tag}
        attributes.update(options.pop("attributes", {}))
        self.runner = dataops.add_runner(**attributes)
        self.env = {**place.controller_environment(), "DATAOPS_RELEASE": self.tag, **options.pop("env", {})}
        self.controller = Controller(self.folder, self.config(**options), self.env)

    def config(self, url: str = "", globals_: dict | None = None, runner: dict | None = None,
               kubernetes: dict | None = None, more_runners: list | None = None) -> dict:
        """config.toml as a tree; options are laid over what every case needs."""
        info = self.dataops.info
        entry = {
            "name": self.tag,
            "url": url or info["url"],
            "token": self.runner["token"],
            "executor": "kubernetes",
            "tls-ca-file": info["ca_path"],
            "request_concurrency": 1,
            **(runner or {}),
            "kubernetes": {
                "namespace": self.place.namespace,
                "image": self.place.image,
                "helper_image": self.place.helper_image,
                "pull_policy": "if-not-present",
                **(kubernetes or {}),
            },
        }
        return {"concurrent": 10, "check_interval": 1, "log_level": "debug", **(globals_ or {}),
                "runners": [entry, *(more_runners or [])]}

    def start(self) -> "Site":
        self.controller.start()
        return self

    def stop(self) -> None:
        self.controller.stop(20)

    @property
    def kube(self) -> Place:
        return self.place

    def job(self, script=None, faults=(), kube_faults=(), prepare=None, **description) -> JobRun:
        """Adds a job. `faults` are DataOps faults (@ID@ in their path becomes the job's id); `kube_faults` are
        Kubernetes faults, of this job's pod unless they match another name; `prepare` is called with the job.
        All that happens before it can be picked."""
        description.setdefault("tags", [self.tag])
        if script is not None:
            description["script"] = script
        added = self.dataops.add_job(faults=list(faults), held=bool(kube_faults or prepare), **description)
        job = JobRun(self, added["id"], added["token"])
        for fault in kube_faults:
            job.fault(**fault)
        if prepare:
            prepare(job)
        if kube_faults or prepare:
            self.dataops.call("POST", f"jobs/{job.id}/release", {})
        return job

    def polls(self, since: int = 0) -> list[dict]:
        """POST /jobs/request of this runner."""
        token = self.runner["token"]
        return [r for r in self.dataops.requests("POST", "/jobs/request", since) if token in r["body"].get("text", "")]
