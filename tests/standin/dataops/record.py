"""Every request that came in, as it came in, and what the client did wrong."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

TEXT_LIMIT = 256 * 1024


def summary(body: bytes | None) -> dict:
    """A body as it is kept: text when it is text and not huge, else size and digest."""
    body = body or b""
    out = {"bytes": len(body)}
    if len(body) <= TEXT_LIMIT:
        try:
            out["text"] = body.decode()
            return out
        except UnicodeDecodeError:
            pass
    out["sha256"] = hashlib.sha256(body).hexdigest()
    return out


@dataclass
class Exchange:
    n: int
    at: float
    listener: str
    method: str
    path: str
    headers: dict
    body: dict = field(default_factory=dict)
    status: int | None = None
    reply_headers: dict = field(default_factory=dict)
    reply: dict = field(default_factory=dict)
    took_s: float | None = None
    fault: int | None = None

    def view(self) -> dict:
        return dict(vars(self))

    def json(self) -> dict:
        try:
            given = json.loads(self.body.get("text", ""))
        except ValueError:
            return {}
        return given if isinstance(given, dict) else {}


class Record:
    def __init__(self, file: Path | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.violations: list[dict] = []
        self._file = file.open("a", buffering=1) if file else None
        self._next = 1

    def begin(self, listener: str, method: str, path: str, headers: dict) -> Exchange:
        exchange = Exchange(self._next, time.time(), listener, method, path, headers)
        self._next += 1
        self.exchanges.append(exchange)
        return exchange

    def end(self, exchange: Exchange) -> None:
        exchange.took_s = round(time.time() - exchange.at, 4)
        if self._file:
            self._file.write(json.dumps(exchange.view()) + "\n")

    def violation(self, text: str, job: int | None = None, **more) -> None:
        """The client broke a rule of the protocol that the platform itself would let pass."""
        self.violations.append({"at": time.time(), "text": text, "job": job, **more})

    def matching(self, method: str = "", path: str = "", since: int = 0) -> list[Exchange]:
        return [e for e in self.exchanges
                if e.n > since and (not method or re.fullmatch(method, e.method)) and re.search(path, e.path)]
