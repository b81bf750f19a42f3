"""Jobs as the platform knows them: their life, trace, artifacts and result."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field

FINAL = ("success", "failed", "canceled")
EXECUTING = ("running", "canceling")
REASONS_ALWAYS = ("script_failure", "runner_system_failure", "job_execution_timeout")

# The platform's enumeration, as it announces it in features.failure_reasons (image_pull_failure is not in it).
FAILURE_REASONS = (
    "unknown_failure script_failure api_failure stuck_or_timeout_failure runner_system_failure "
    "missing_dependency_failure runner_unsupported stale_schedule job_execution_timeout archived_failure "
    "unmet_prerequisites scheduler_failure data_integrity_failure forward_deployment_failure user_blocked "
    "project_deleted ci_quota_exceeded pipeline_loop_detected no_matching_runner trace_size_exceeded builds_disabled "
    "environment_creation_failure deployment_rejected failed_outdated_deployment_job job_execution_server_timeout "
    "stuck_pending_with_matching_runners stuck_pending_no_matching_runners no_updates_running no_updates_canceling "
    "server_timeout_running server_timeout_canceling runner_configuration_error runner_external_dependency_failure "
    "runner_interrupted"
).split()


@dataclass
class Artifact:
    type: str
    format: str
    filename: str
    path: str  # where the bytes are
    size: int
    sha256: str
    expire_in: str | None
    uploaded_at: float
    entries: list[dict] | None = None  # what is in it, when it is an archive
    query: dict = field(default_factory=dict)

    def view(self) -> dict:
        return dict(vars(self))


@dataclass
class Chunk:
    at: float
    first: int
    length: int


@dataclass
class Job:
    id: int
    token: str
    project: str
    name: str
    description: dict  # what the test asked for
    tags: list[str] = field(default_factory=list)
    protected: bool = False
    needs: list[int] = field(default_factory=list)
    state: str = "created"
    runner_id: int | None = None
    system_id: str | None = None
    graceful: bool = False
    failure_reason: str | None = None
    exit_code: int | None = None
    trace: bytearray = field(default_factory=bytearray)
    chunks: list[Chunk] = field(default_factory=list)
    debug_trace: bool = False
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    updates: list[dict] = field(default_factory=list)  # every PUT
    pending_state: dict | None = None  # first final state told while the trace was not archived
    holds: list[int] = field(default_factory=list)  # intervals still to answer with 202
    payload: dict | None = None
    times: dict[str, float] = field(default_factory=dict)
    erased: bool = False
    held: bool = False  # stays created until the test releases it

    def mark(self, name: str) -> None:
        self.times.setdefault(name, time.time())

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def executing(self) -> bool:
        return self.state in EXECUTING

    def append(self, data: bytes) -> None:
        self.mark("first_byte")
        self.chunks.append(Chunk(time.time(), len(self.trace), len(data)))
        self.trace += data

    def crc(self) -> str:
        return "crc32:%08x" % zlib.crc32(bytes(self.trace))

    def finish(self, state: str, reason: str | None = None, exit_code: int | None = None) -> None:
        self.state = "canceled" if self.state == "canceling" else state
        self.failure_reason = reason if self.state == "failed" else None
        self.exit_code = exit_code
        self.mark("finished")

    def cancel(self, force: bool = False) -> None:
        if self.final:
            return
        self.mark("cancel")
        if self.state == "running" and self.graceful and not force:
            self.state = "canceling"
        else:
            self.state = "canceled"
            self.mark("finished")

    def allowed_reasons(self) -> set[str]:
        features = (self.payload or {}).get("features") or {}
        return set(features.get("failure_reasons") or ()) | set(REASONS_ALWAYS)

    def view(self) -> dict:
        return {
            "id": self.id,
            "name": self.name,
            "project": self.project,
            "sha": ((self.payload or {}).get("git_info") or {}).get("sha"),
            "tags": self.tags,
            "needs": self.needs,
            "state": self.state,
            "runner_id": self.runner_id,
            "system_id": self.system_id,
            "failure_reason": self.failure_reason,
            "exit_code": self.exit_code,
            "trace_bytes": len(self.trace),
            "trace_crc": self.crc(),
            "debug_trace": self.debug_trace,
            "chunks": [vars(chunk) for chunk in self.chunks],
            "updates": self.updates,
            "artifacts": [artifact.view() for artifact in self.artifacts.values()],
            "times": self.times,
            "token": self.token,
        }
