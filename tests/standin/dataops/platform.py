"""The platform's state: runners, the queue, jobs, settings. Knows no HTTP."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from .faults import Faults
from .jobs import Job
from .payload import Payloads, unsupported
from .record import Record
from .repositories import Repositories
from .runners import Manager, Registry, Runner


@dataclass
class Settings:
    """What an administrator (here: the test) may change while it runs."""

    trace_interval_s: int = 3  # X-GitLab-Trace-Update-Interval; the platform says 3 while somebody watches, else 60
    long_poll_s: float = 0  # hold a poll so long when the queue did not change
    archive_intervals: list[int] = field(default_factory=list)  # answer final PUTs with 202 and these intervals first
    artifact_limit_bytes: int = 1 << 30
    artifacts_enabled: bool = True
    object_storage: bool = True  # direct_download leads to a pre-signed address on another port
    registration_enabled: bool = True
    trace_limit_bytes: int = 100 << 20
    require_request_id: bool = True


class Platform:
    def __init__(self, folder: Path, first_job_id: int = 1001) -> None:
        self.folder = folder
        self.settings = Settings()
        self.registry = Registry()
        self.repositories = Repositories(folder / "repositories")
        self.record = Record(folder / "requests.jsonl")
        self.faults = Faults()
        self.jobs: dict[int, Job] = {}
        self.by_token: dict[str, Job] = {}
        self.payloads: Payloads | None = None  # set once the address is known
        self.presigned: dict[str, str] = {}  # signature -> file
        self._next = first_job_id
        self._changed = asyncio.Event()

    # -- waiting ---------------------------------------------------------
    def changed(self) -> None:
        """Wakes everybody who waits for a job, a trace or the queue."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    async def wait_until(self, ready, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except asyncio.TimeoutError:
                pass
        return True

    # -- jobs ------------------------------------------------------------
    def add_job(self, description: dict) -> Job:
        job_id = int(description.get("id") or self._next)
        self._next = max(self._next, job_id) + 1
        token = "glcbt-64_" + secrets.token_urlsafe(18).replace("-", "x").replace("_", "y")[:20]
        needs = [int(n) for n in description.get("needs") or []]
        job = Job(job_id, token, description.get("project", "acme/warehouse"), description.get("name", "job"),
                  description, list(description.get("tags") or []), bool(description.get("protected", False)), needs)
        job.holds = list(description.get("archive_intervals", self.settings.archive_intervals))
        job.held = bool(description.get("held", False))
        job.mark("created")
        self.jobs[job_id] = job
        self.by_token[token] = job
        self.advance()
        self.changed()
        return job

    def advance(self) -> None:
        """Moves created jobs on whose needs are met (or can never be)."""
        for job in self.jobs.values():
            if job.state != "created" or job.held:
                continue
            states = [self.jobs[n].state for n in job.needs if n in self.jobs]
            if any(state in ("failed", "canceled") for state in states):
                job.state = "skipped"
            elif all(state == "success" for state in states):
                job.state = "pending"
                job.mark("pending")
                self.registry.tick_for(job)

    def finished(self, job: Job) -> None:
        self.advance()
        self.changed()

    def pick(self, runner: Runner, manager: Manager, info: dict) -> Job | None:
        """The next job for this runner; jobs it cannot do are failed on the way, as the platform does."""
        for job in self.jobs.values():
            if job.state != "pending" or runner.refusal(job):
                continue
            payload = self.payloads.build(job, runner, self.jobs.__getitem__)
            job.payload = payload
            lacking = unsupported(payload, info.get("features") or {})
            if lacking:
                job.finish("failed", "runner_unsupported")
                self.finished(job)
                continue
            job.state = "running"
            job.runner_id = runner.id
            job.system_id = manager.system_id
            job.graceful = manager.feature("cancel_gracefully")
            job.mark("picked")
            self.changed()
            return job
        return None

    def presign(self, path: str) -> str:
        signature = secrets.token_hex(32)
        self.presigned[signature] = path
        return signature

    def secrets(self) -> dict:
        """Everything of this run that must show nowhere: for the search after it."""
        masked = set()
        for job in self.jobs.values():
            for entry in (job.payload or {}).get("variables") or []:
                if isinstance(entry, dict) and entry.get("masked") and isinstance(entry.get("value"), str):
                    masked.add(entry["value"])
        return {
            "runner_tokens": sorted(self.registry.secrets()),
            "job_tokens": sorted(self.by_token),
            "masked": sorted(masked - set(self.by_token)),
            "signatures": sorted(self.presigned),
        }
