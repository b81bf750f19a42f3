"""Runners as the platform knows them: registration tokens, runners, their managers, and which job goes where."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

ACCESS_LEVELS = ("not_protected", "ref_protected")
ONLINE_S = 2 * 3600


def queue_value() -> str:
    """An opaque queue version, as in X-GitLab-Last-Update."""
    return secrets.token_hex(10)


@dataclass
class Scope:
    """What a registration token (and so a runner) belongs to: a group's path or a project's path."""

    kind: str  # "instance", "group" or "project"
    path: str
    enabled: bool = True
    projects: set[str] = field(default_factory=set)  # a project runner may be lent to more projects

    def holds(self, project: str) -> bool:
        if self.kind == "instance":
            return True
        if self.kind == "group":
            return project.startswith(self.path + "/")
        return project == self.path or project in self.projects


@dataclass
class Manager:
    """One process behind a runner's token, told apart by its system id.

    Details are taken from the first request with a new system id and refreshed only every 40 minutes,
    like the real platform does: a first request without features leaves the manager without them.
    """

    system_id: str
    created_at: float
    contacted_at: float
    refreshed_at: float
    info: dict
    address: str = ""

    REFRESH_S = 40 * 60

    def touch(self, info: dict | None, address: str) -> None:
        now = time.time()
        self.contacted_at = now
        self.address = address
        if info and now - self.refreshed_at >= self.REFRESH_S:
            self.info, self.refreshed_at = info, now

    def feature(self, name: str) -> bool:
        return self.info.get("features", {}).get(name) is True


@dataclass
class Runner:
    id: int
    token: str
    scope: Scope
    description: str = ""
    tags: list[str] = field(default_factory=list)
    run_untagged: bool = True
    locked: bool = False
    access_level: str = "not_protected"
    paused: bool = False
    maximum_timeout: int | None = None
    maintenance_note: str = ""
    registration: str = "registration_token"
    token_expires_at: str | None = None
    created_at: float = field(default_factory=time.time)
    queue: str = field(default_factory=queue_value)
    managers: dict[str, Manager] = field(default_factory=dict)

    def touch(self, system_id: str | None, info: dict | None, address: str) -> Manager:
        key = system_id or "<legacy>"
        manager = self.managers.get(key)
        now = time.time()
        if manager is None:
            manager = self.managers[key] = Manager(key, now, now, now, info or {}, address)
        else:
            manager.touch(info, address)
        return manager

    def tick(self) -> None:
        self.queue = queue_value()

    def refusal(self, job) -> str | None:
        """Why this runner would not get the job now; None when it would."""
        if self.paused:
            return "paused"
        if not self.scope.holds(job.project):
            return "of another project"
        if self.access_level == "ref_protected" and not job.protected:
            return "for protected refs only"
        if not job.tags and not self.run_untagged:
            return "does not run untagged jobs"
        missing = [tag for tag in job.tags if tag not in self.tags]
        if missing:
            return "lacks tags " + ", ".join(missing)
        return None

    def state(self) -> str:
        if self.paused:
            return "paused"
        contacted = self.contacted_at()
        if contacted is None:
            return "never_contacted"
        return "online" if time.time() - contacted < ONLINE_S else "offline"

    def contacted_at(self) -> float | None:
        return max((m.contacted_at for m in self.managers.values()), default=None)

    def view(self) -> dict:
        return {
            "id": self.id,
            "token": self.token,
            "description": self.description,
            "scope": {"kind": self.scope.kind, "path": self.scope.path, "projects": sorted(self.scope.projects)},
            "tags": self.tags,
            "run_untagged": self.run_untagged,
            "locked": self.locked,
            "access_level": self.access_level,
            "paused": self.paused,
            "maximum_timeout": self.maximum_timeout,
            "maintenance_note": self.maintenance_note,
            "registration": self.registration,
            "state": self.state(),
            "contacted_at": self.contacted_at(),
            "system_ids": sorted(self.managers),
            "managers": [
                {"system_id": m.system_id, "created_at": m.created_at, "contacted_at": m.contacted_at, "info": m.info}
                for m in self.managers.values()
            ],
        }


class Invalid(Exception):
    """What a client asked for cannot be: becomes a 400 with the platform's body."""

    def __init__(self, body: dict):
        super().__init__(str(body))
        self.body = body


def attributes(body: dict) -> dict:
    """Checks what POST /runners and the control endpoint may set; gives keyword arguments for Runner."""
    if "paused" in body and "active" in body:
        raise Invalid({"error": "paused, active are mutually exclusive"})
    if "maintenance_note" in body and "maintainer_note" in body:
        raise Invalid({"error": "maintainer_note, maintenance_note are mutually exclusive"})
    tags = body.get("tag_list") or []
    if isinstance(tags, str):
        tags = [tag.strip() for tag in tags.split(",")]
    tags = [tag for tag in tags if tag]
    given = {"description": body.get("description") or "", "tags": tags}
    for name in ("run_untagged", "locked", "paused"):
        if body.get(name) is not None:
            if not isinstance(body[name], bool):
                raise Invalid({"error": f"{name} is invalid"})
            given[name] = body[name]
    if body.get("active") is not None:
        given["paused"] = not body["active"]
    if body.get("access_level") is not None:
        if body["access_level"] not in ACCESS_LEVELS:
            raise Invalid({"error": "access_level does not have a valid value"})
        given["access_level"] = body["access_level"]
    if body.get("maximum_timeout") is not None:
        if int(body["maximum_timeout"]) < 600:
            raise Invalid({"message": {"maximum_timeout": ["needs to be at least 10 minutes"]}})
        given["maximum_timeout"] = int(body["maximum_timeout"])
    note = body.get("maintenance_note") or body.get("maintainer_note")
    if note:
        given["maintenance_note"] = note
    if not tags and given.get("run_untagged") is False:
        raise Invalid({"message": {"tags_list": ["can not be empty when runner is not allowed to pick untagged jobs"]}})
    return given


class Registry:
    """All runners, found by id or token."""

    def __init__(self) -> None:
        self.scopes: dict[str, Scope] = {}  # registration token -> scope
        self.by_id: dict[int, Runner] = {}
        self.by_token: dict[str, Runner] = {}
        self.retired: set[str] = set()  # tokens that once were good
        self._next = 1

    def add_registration_token(self, kind: str, path: str) -> str:
        token = "GR1348941" + secrets.token_urlsafe(15)[:20]
        self.scopes[token] = Scope(kind, path)
        return token

    def create(self, scope: Scope, prefix: str, **given) -> Runner:
        token = prefix + secrets.token_urlsafe(18).replace("-", "x").replace("_", "y")[:20]
        own = Scope(scope.kind, scope.path)
        registration = "registration_token" if prefix == "glrtr-" else "authenticated_user"
        runner = Runner(self._next, token, own, registration=registration, **given)
        self._next += 1
        self.by_id[runner.id] = runner
        self.by_token[token] = runner
        return runner

    def renew(self, runner: Runner) -> str:
        old = runner.token
        prefix = old[: old.index("-") + 1]
        runner.token = prefix + secrets.token_urlsafe(18).replace("-", "x").replace("_", "y")[:20]
        del self.by_token[old]
        self.retired.add(old)
        self.by_token[runner.token] = runner
        return runner.token

    def remove(self, runner: Runner) -> None:
        self.by_id.pop(runner.id, None)
        self.by_token.pop(runner.token, None)
        self.retired.add(runner.token)

    def tick_for(self, job) -> None:
        """A job became pending: the queue version of every runner that may take it moves on."""
        for runner in self.by_id.values():
            if runner.refusal(job) in (None, "paused"):
                runner.tick()

    def secrets(self) -> set[str]:
        return set(self.scopes) | set(self.by_token) | self.retired
