"""A job as a test sees it."""

from __future__ import annotations

import io
import re
import time
import zipfile

from . import text


class JobRun:
    def __init__(self, site, job_id: int, token: str) -> None:
        self.site, self.id, self.token = site, job_id, token

    def __repr__(self) -> str:
        return f"<job {self.id}>"

    # -- where it stands -------------------------------------------------
    @property
    def view(self) -> dict:
        return self.site.dataops.job(self.id)

    @property
    def state(self) -> str:
        return self.view["state"]

    def wait(self, timeout_s: float = 60) -> str:
        """Its final state; fails the test with log and controller's log when it does not come."""
        state = self.site.dataops.wait(self.id, "final", timeout_s)["state"]
        if state not in ("success", "failed", "canceled"):
            raise AssertionError(f"job {self.id} is still {state} after {timeout_s} s\n{self.story()}")
        return state

    def wait_state(self, state: str, timeout_s: float = 30) -> None:
        """`picked`, `running_told`, `first_byte`, `canceling` and the like."""
        view = self.site.dataops.wait(self.id, state, timeout_s)
        if state != view["state"] and state not in view["times"]:
            raise AssertionError(f"job {self.id} is {view['state']}, never was {state}\n{self.story()}")

    def wait_trace(self, pattern: bytes, timeout_s: float = 30) -> re.Match:
        """Waits until the log at DataOps matches."""
        deadline = time.monotonic() + timeout_s
        data = b""
        while True:
            more, state = self.site.dataops.trace(self.id, len(data), min(5, max(0.1, deadline - time.monotonic())))
            data += more
            found = re.search(pattern, data)
            if found:
                return found
            if time.monotonic() > deadline or (state in ("success", "failed", "canceled") and not more):
                raise AssertionError(f"job {self.id} ({state}): no {pattern!r} in its log\n{self.story()}")

    def succeeds(self, timeout_s: float = 60) -> "JobRun":
        state = self.wait(timeout_s)
        assert state == "success", f"job {self.id} is {state}\n{self.story()}"
        return self

    def fails(self, reason: str | None = "script_failure", timeout_s: float = 60) -> "JobRun":
        state = self.wait(timeout_s)
        assert state == "failed", f"job {self.id} is {state}\n{self.story()}"
        if reason is not None:
            assert self.view["failure_reason"] == reason, self.story()
        return self

    def cancel(self, force: bool = False) -> None:
        self.site.dataops.cancel(self.id, force)

    def fault(self, match: dict, do: dict, **more) -> int:
        """A Kubernetes fault for requests about this job's pod, whatever attempt. A create names nothing in its path."""
        own = {} if match.get("verb") == "create" else {"name": f"job-*-{self.id}-*"}
        return self.site.place.fault({**own, **match}, do, **more)

    # -- its log ---------------------------------------------------------
    @property
    def trace(self) -> bytes:
        return self.site.dataops.trace(self.id)[0]

    @property
    def text(self) -> str:
        return text.plain(self.trace)

    def script_output(self) -> str:
        return text.script_output(self.trace)

    def between(self) -> bytes:
        return text.between(self.trace)

    def section(self, name: str) -> str:
        return text.COLOUR.sub(b"", text.section(self.trace, name)).decode(errors="replace")

    def sections(self) -> list[str]:
        return text.sections(self.trace)

    # -- its result and artifacts ----------------------------------------
    @property
    def exit_code(self) -> int | None:
        return self.view["exit_code"]

    @property
    def final_update(self) -> dict:
        finals = [u for u in self.view["updates"] if u["state"] != "running"]
        assert finals, f"job {self.id} got no final update\n{self.story()}"
        return finals[-1]

    def artifact(self, kind: str = "archive") -> bytes:
        return self.site.dataops.artifact(self.id, kind)

    def archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self.artifact()))

    def files(self) -> dict[str, bytes]:
        with self.archive() as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}

    def seconds(self, first: str, last: str) -> float:
        times = self.view["times"]
        return times[last] - times[first]

    def requests(self, method: str = "", path: str = "") -> list[dict]:
        """What was asked of DataOps for this job."""
        return self.site.dataops.requests(method, rf"/jobs/{self.id}(/|\?|$)" + path)

    def pods(self) -> list[dict]:
        return self.site.place.pods_of(self.id)

    # -- for a failing test ----------------------------------------------
    def story(self) -> str:
        view = self.view
        log = self.site.controller.log if self.site.controller else ""
        mine = [line for line in log.splitlines() if str(self.id) in line]
        return (f"--- log of job {self.id} ({view['state']}, {view['failure_reason']}) ---\n{self.text[-3000:]}\n"
                "--- controller, lines of this job ---\n" + "\n".join(mine[-40:]) +
                "\n--- controller, last lines ---\n" + "\n".join(log.splitlines()[-15:]))
