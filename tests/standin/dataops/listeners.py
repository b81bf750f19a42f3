"""Addresses the stand-in listens on: the platform, its object storage, the control port, and ones that are wrong on purpose."""

from __future__ import annotations

import asyncio

from aiohttp import web

KINDS = ("tls", "plain", "foreign", "wrong_name", "expired")


class Listener:
    """One address. It can be closed and opened again at the same port, as a platform that is down and comes back."""

    def __init__(self, name: str, app: web.Application, host: str, port: int, context) -> None:
        self.name = name
        self.app = app
        self.host = host
        self.port = port
        self.context = context
        self._runner: web.AppRunner | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.context else "http"

    async def open(self) -> None:
        if self._runner is None:
            self._runner = web.AppRunner(self.app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2,
                                         keepalive_timeout=75)
            await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self.context, reuse_address=True,
                           backlog=512)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuses new connections and cuts the ones there are."""
        if self._runner is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        for protocol in list(self._runner.server.connections):
            if protocol.transport is not None:
                protocol.transport.abort()

    async def close(self) -> None:
        await self.shut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


async def outage(listener: Listener, seconds: float) -> None:
    await listener.shut()
    await asyncio.sleep(seconds)
    await listener.open()


def context_for(kind: str, authority, names: list[str]):
    """The TLS context of a listener of this kind, None for plain HTTP."""
    from tests.standin import tls

    if kind == "plain":
        return None
    if kind == "foreign":
        return tls.server_context(*authority.foreign_certificate(names))
    if kind == "wrong_name":
        return tls.server_context(*authority.wrong_name_certificate())
    return authority.server_context(names, expired=kind == "expired")
