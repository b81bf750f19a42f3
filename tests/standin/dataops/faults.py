"""Faults on demand: what the next requests that match are answered instead."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from aiohttp import web

HTML = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad gateway</h1></body></html>"


@dataclass
class Fault:
    """One fault. Fields, all optional but `path`:

    method, path, body   regular expressions; path is tried on path and query, body on the request's text
    count                for so many matching requests (0: until removed); skip lets so many pass first
    delay_s              wait before anything else
    hold_s               keep the request open so long, then go on with what the rest says
    status, text, headers  the answer; without status the request is handled as always
    html                 the answer is an HTML page (status 200 unless given)
    cut                  send the answer's head and only this many bytes of its body, then cut the connection
    drop                 cut the connection without an answer
    apply                handle the request first and throw that answer away (a lost answer)
    """

    id: int
    path: str
    method: str = ""
    body: str = ""
    count: int = 1
    skip: int = 0
    delay_s: float = 0
    hold_s: float = 0
    status: int = 0
    text: str = ""
    headers: dict = field(default_factory=dict)
    html: bool = False
    cut: int | None = None
    drop: bool = False
    apply: bool = False
    hits: int = 0
    at: list[float] = field(default_factory=list)

    def matches(self, method: str, path: str, body: str) -> bool:
        if self.method and not re.fullmatch(self.method, method):
            return False
        return bool(re.search(self.path, path)) and (not self.body or bool(re.search(self.body, body)))

    def spent(self) -> bool:
        return self.count > 0 and self.hits >= self.count

    def view(self) -> dict:
        return dict(vars(self))


class Faults:
    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.past: list[Fault] = []
        self._next = 1

    def add(self, given: dict) -> Fault:
        fault = Fault(id=self._next, **given)
        self._next += 1
        self.active.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        gone = [f for f in self.active if fault_id is None or f.id == fault_id]
        self.active = [f for f in self.active if f not in gone]
        self.past += gone

    def take(self, method: str, path: str, body: str, now: float) -> Fault | None:
        for fault in self.active:
            if not fault.matches(method, path, body):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.hits += 1
            fault.at.append(now)
            if fault.spent():
                self.active.remove(fault)
                self.past.append(fault)
            return fault
        return None


async def inflict(fault: Fault, request: web.Request, handle) -> web.StreamResponse:
    """Answers `request` as the fault says."""
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.hold_s:
        await asyncio.sleep(fault.hold_s)
    answer = None
    if fault.apply or not (fault.status or fault.html or fault.drop):
        answer = await handle(request)
    if fault.drop:
        _cut(request)
        return answer or web.Response(status=499)
    if fault.status or fault.html:
        answer = _given(fault)
    if fault.cut is not None:
        return await _half(request, answer, fault.cut)
    return answer


def _given(fault: Fault) -> web.Response:
    if fault.html:
        return web.Response(status=fault.status or 200, text=fault.text or HTML, content_type="text/html",
                            headers=fault.headers)
    headers = dict(fault.headers)
    headers.setdefault("Content-Type", "application/json")
    if fault.status in (204, 304):
        headers.pop("Content-Type")
        return web.Response(status=fault.status, headers=headers)
    text = fault.text or '{"message":"%d asked for by the test"}' % fault.status
    return web.Response(status=fault.status, body=text.encode(), headers=headers)


async def _half(request: web.Request, answer, keep: int) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) else b""
    body = bytes(body or b"")
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = max(len(body), keep + 1)
    await response.prepare(request)
    await response.write(body[:keep])
    await asyncio.sleep(0.05)
    _cut(request)
    return response


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
