"""Puts the parts together: applications, listeners, and the middleware that records and inflicts faults."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aiohttp import web

from .api import RunnerApi, watchdog
from .artifacts import ArtifactApi
from .control import Control
from .faults import inflict
from .listeners import KINDS, Listener, context_for
from .page import Page
from .platform import Platform
from .record import summary
from .repositories import GitHttp

BODY_LIMIT = 256 << 20


class Server:
    def __init__(self, folder: Path, host: str = "127.0.0.1", names: list[str] | None = None, plain: bool = False,
                 first_job_id: int = 1001) -> None:
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.host, self.plain = folder, host, plain
        self.names = list(dict.fromkeys([*(names or []), host, "127.0.0.1", "localhost"]))
        self.platform = Platform(folder, first_job_id)
        self.authority = None
        self.main: Listener | None = None
        self.storage: Listener | None = None
        self.control: Listener | None = None
        self.extra: list[Listener] = []
        self.tokens: dict[str, str] = {}
        self._watchdog: asyncio.Task | None = None

    def url(self, listener: Listener) -> str:
        return f"{listener.scheme}://{self.names[0]}:{listener.port}"

    def info(self) -> dict:
        return {
            "url": self.url(self.main),
            "storage_url": self.url(self.storage),
            "control_url": f"http://127.0.0.1:{self.control.port}",
            "ca_path": str(self.authority.ca_path) if self.authority else None,
            "registration_tokens": self.tokens,
            "group": "acme",
            "project": "acme/warehouse",
            "repositories": str(self.platform.repositories.folder),
            "state": str(self.folder),
        }

    async def start(self, port: int = 0) -> None:
        if not self.plain:
            from tests.standin.tls import make_authority

            self.authority = make_authority(self.folder / "tls")
        kind = "plain" if self.plain else "tls"
        self.main = await self._listen("main", kind, self.host, port)
        self.storage = await self._listen("storage", kind, self.host, 0)
        self.control = Listener("control", self._app("control"), "127.0.0.1", 0, None)
        await self.control.open()
        registry = self.platform.registry
        self.tokens = {"group": registry.add_registration_token("group", "acme"),
                       "project": registry.add_registration_token("project", "acme/warehouse")}
        self._first_repository()
        from .payload import Payloads

        self.platform.payloads = Payloads(self.url(self.main), self.platform.repositories)
        self._watchdog = asyncio.create_task(watchdog(self.platform))

    async def stop(self) -> None:
        if self._watchdog:
            self._watchdog.cancel()
        for listener in [*self.extra, self.storage, self.main, self.control]:
            if listener is not None:
                await listener.close()

    def listener_of(self, url: str | None) -> Listener:
        """The listener with this address; the platform's own without one."""
        return next((one for one in self.extra if self.url(one) == url), self.main)

    async def add_listener(self, kind: str) -> str:
        if kind not in KINDS:
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(KINDS)}")
        listener = await self._listen(kind, kind, self.host, 0)
        self.extra.append(listener)
        return self.url(listener)

    async def _listen(self, name: str, kind: str, host: str, port: int) -> Listener:
        context = None if kind == "plain" else context_for(kind, self.authority, self.names)
        listener = Listener(name, self._app(name), host, port, context)
        await listener.open()
        return listener

    def _app(self, name: str) -> web.Application:
        app = web.Application(middlewares=[self._middleware(name)], client_max_size=BODY_LIMIT)
        app.add_routes(RunnerApi(self.platform).routes())
        app.add_routes(ArtifactApi(self.platform, lambda: self.url(self.storage)).routes())
        app.add_routes(Control(self.platform, self).routes())
        git = GitHttp(self.platform.repositories, self.platform.by_token.get)
        app.router.add_route("*", "/{repository:.+?}.git/{tail:.*}", git.handle)
        app.add_routes(Page(self.platform).routes())
        return app

    def _middleware(self, name: str):
        platform = self.platform

        @web.middleware
        async def middleware(request: web.Request, handler):
            if request.path.startswith("/_standin"):
                return await handler(request)
            exchange = platform.record.begin(name, request.method, request.path_qs, dict(request.headers))
            multipart = request.content_type.startswith("multipart/")
            try:
                body = b"" if multipart else await request.read()
                exchange.body = {"multipart": True} if multipart else summary(body)
                self._check_headers(exchange)
                text = exchange.body.get("text", "")
                fault = platform.faults.take(request.method, request.path_qs, text, time.time())
                if fault is None:
                    answer = await _answered(request, handler)
                else:
                    exchange.fault = fault.id
                    answer = await inflict(fault, request, lambda r: _answered(r, handler))
                exchange.status = answer.status
                exchange.reply_headers = dict(answer.headers)
                if isinstance(answer, web.Response) and isinstance(answer.body, (bytes, bytearray)):
                    exchange.reply = summary(answer.body)
                return answer
            finally:
                platform.record.end(exchange)

        return middleware

    def _check_headers(self, exchange) -> None:
        if not exchange.path.startswith("/api/v4/") or not self.platform.settings.require_request_id:
            return
        value = exchange.headers.get("X-Request-Id") or exchange.headers.get("X-Request-ID") or ""
        if len(value) != 32 or any(c not in "0123456789abcdef" for c in value):
            self.platform.record.violation(f"{exchange.method} without a 32-hex X-Request-Id", path=exchange.path)

    def _first_repository(self) -> None:
        """acme/warehouse with a few commits, so that depth means something."""
        repositories = self.platform.repositories
        name = "acme/warehouse"
        if repositories.path(name).exists():
            return
        repositories.commit(name, {"README.md": "# Warehouse\n", "models/orders.sql": "select 1 as id\n"}, "Start")
        repositories.commit(name, {"build.sh": {"text": "#!/bin/sh\necho built\n", "executable": True}}, "Add a build")
        for n in range(1, 4):
            repositories.commit(name, {"CHANGES": "".join(f"change {i}\n" for i in range(1, n + 1))}, f"Change {n}")
        repositories.commit(name, {"odd/ünïcode name.txt": "x\n", "odd/link": {"symlink": "../README.md"}}, "Odd names")


async def _answered(request: web.Request, handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return web.Response(status=answer.status, text=answer.text, content_type=answer.content_type,
                            headers={k: v for k, v in answer.headers.items() if k.lower() == "location"})
