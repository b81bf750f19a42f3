"""The control endpoints as plain calls, for tests and the demo. Needs only the standard library."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlencode, urlsplit


class ControlError(Exception):
    pass


class Client:
    """One per stand-in; safe to use from several threads (a connection each)."""

    def __init__(self, info: dict) -> None:
        self.info = info
        self._address = urlsplit(info["control_url"])
        self._local = threading.local()

    def _send(self, method: str, path: str, body, timeout_s: float):
        data = None if body is None else json.dumps(body).encode()
        for last in (False, True):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection(self._address.hostname, self._address.port, timeout=timeout_s)
                self._local.connection = connection
            connection.timeout = timeout_s
            if connection.sock is not None:
                connection.sock.settimeout(timeout_s)
            try:
                connection.request(method, path, data, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                self._local.connection = None
                if last:
                    raise
        raise AssertionError("unreachable")

    def call(self, method: str, path: str, body=None, timeout_s: float = 30.0, /, **query):
        """One control call; gives the parsed answer, raises ControlError above 299."""
        where = "/_standin/" + path + ("?" + urlencode(query) if query else "")
        status, _, text = self._send(method, where, body, timeout_s + 10)
        if status > 299:
            raise ControlError(f"{method} {where}: {status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def add_job(self, **description) -> dict:
        return self.call("POST", "jobs", description)

    def job(self, job_id: int) -> dict:
        return self.call("GET", f"jobs/{job_id}")

    def wait(self, job_id: int, state: str = "final", timeout_s: float = 30.0) -> dict:
        return self.call("GET", f"jobs/{job_id}", None, timeout_s, wait=state, timeout=timeout_s)

    def trace(self, job_id: int, offset: int = 0, wait_s: float = 0) -> tuple[bytes, str]:
        """Bytes from the offset on and the job's state; waits so long for more."""
        where = f"/_standin/jobs/{job_id}/trace?" + urlencode({"offset": offset, "wait": wait_s})
        status, headers, data = self._send("GET", where, None, wait_s + 30)
        if status != 200:
            raise ControlError(f"GET {where}: {status}")
        return data, headers.get("Job-Status", "")

    def artifact(self, job_id: int, kind: str = "archive") -> bytes:
        status, _, data = self._send("GET", f"/_standin/jobs/{job_id}/artifacts/{kind}", None, 60)
        if status != 200:
            raise ControlError(f"job {job_id} has no {kind}: {status}")
        return data

    def cancel(self, job_id: int, force: bool = False) -> dict:
        return self.call("POST", f"jobs/{job_id}/cancel", {"force": force})

    def requests(self, method: str = "", path: str = "", since: int = 0) -> list[dict]:
        return self.call("GET", "requests", None, 30, method=method, path=path, since=since)

    def fault(self, path: str, **fault) -> int:
        return self.call("POST", "faults", {"path": path, **fault})["id"]

    def fault_hits(self, fault_id: int) -> dict:
        known = self.call("GET", "faults")
        return next(f for f in known["active"] + known["past"] if f["id"] == fault_id)

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def settings(self, **values) -> dict:
        return self.call("PATCH", "settings", values)

    def runners(self) -> list[dict]:
        return self.call("GET", "runners")

    def add_runner(self, **attributes) -> dict:
        return self.call("POST", "runners", attributes)

    def violations(self) -> list[dict]:
        return self.call("GET", "violations")

    def secrets(self) -> dict:
        return self.call("GET", "secrets")

    def commit(self, path: str, files: dict, **more) -> str:
        return self.call("POST", "repositories", {"path": path, "files": files, **more})["sha"]
