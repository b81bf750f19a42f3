"""Watches: the events after a resourceVersion, over a websocket or a chunked body.

Failures found here come inside the stream: an ERROR event, then the end. The end is
always Close 1000 and means nothing.
"""

import asyncio
import json
import random
from urllib.parse import urlsplit

from . import errors
from .store import RESOURCES, encode

BOOKMARK_BEFORE_END_SECONDS = 2


def _origin_is_fine(origin):
    if not origin or origin == "null":
        return False
    if origin.startswith("/"):
        return True
    parts = urlsplit(origin)
    return bool(parts.scheme and (parts.netloc or parts.path))


def check_handshake(request):
    """Return the subprotocol to echo; raise the bare answers of the real handshake."""
    headers = request.headers
    if headers.get("Sec-WebSocket-Version") != "13":
        raise errors.BareAnswer(400, "Bad Request\nmissing or bad WebSocket Version",
                                {"Sec-WebSocket-Version": "13"})
    if not headers.get("Sec-WebSocket-Key"):
        raise errors.BareAnswer(400, "Bad Request\nmissing or bad Sec-WebSocket-Key")
    if not _origin_is_fine(headers.get("Origin")):
        raise errors.BareAnswer(403)
    offered = [p.strip() for p in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    offered = [p for p in offered
               if p and not p.startswith("base64url.bearer.authorization.k8s.io.")]
    if len(offered) > 1:
        raise errors.BareAnswer(400)
    return offered[0] if offered else None


class Watch:
    """One open watch."""

    def __init__(self, server, request, info, selects):
        self.server, self.request, self.info = server, request, info
        self.selects = selects
        self.effects = info["effects"]
        self.plural, self.namespace = info["resource"], info["namespace"] or None
        self.after = 0
        self.sent = 0
        self.orders = asyncio.Queue()
        query = request.query
        self.bookmarks = query.get("allowWatchBookmarks", "").lower() in ("true", "1") \
            and not self.effects.get("no_bookmarks")
        seconds = query.get("timeoutSeconds")
        self.seconds = int(seconds) if seconds else random.uniform(1800, 3600)

    async def run(self, sink, version):
        """Serve until the end; `version` is None for "from the newest"."""
        store = self.server.store
        answer = await sink.open()
        subscriber = store.subscribe(
            self.plural, self.namespace, self.server.settings.watch_buffer_events)
        self.server.streams.add(self)
        try:
            await self._serve(sink, subscriber, version)
        except _End as end:
            if end.cut:
                self.request.transport.abort()
                return answer
        except (ConnectionError, RuntimeError):
            return answer
        finally:
            store.unsubscribe(subscriber)
            self.server.streams.discard(self)
        await sink.close()
        return answer

    async def _serve(self, sink, subscriber, version):
        if self.effects.get("extra"):
            await sink.send_text(json.dumps(self.effects.get("extra")).encode() + b"\n")
        await self._limits(sink)
        try:
            subscriber.events.clear()
            backlog = self._backlog(version)
        except errors.ApiError as error:
            await self._send_error(sink, error.status())
            return
        for event in backlog:
            await self._send_event(sink, event)
        loop = asyncio.get_running_loop()
        end = loop.time() + self.seconds
        bookmark = self._next_bookmark(loop.time(), end)
        while True:
            if not await self._wait(sink, subscriber, min(end, bookmark)):
                return
            while subscriber.events:
                await self._send_event(sink, subscriber.events.popleft())
            if subscriber.overflown or loop.time() >= end:
                return
            if loop.time() >= bookmark:
                await self._send_bookmark(sink)
                bookmark = self._next_bookmark(loop.time(), end)

    def _next_bookmark(self, now, end):
        if not self.bookmarks:
            return float("inf")
        period = self.server.settings.bookmark_seconds * random.uniform(0.9, 1.1)
        late = end - BOOKMARK_BEFORE_END_SECONDS
        return late if now < late < now + period else now + period

    def _backlog(self, version):
        store = self.server.store
        self.after = version or 0
        if version:
            return [e for e in store.since(self.plural, version)
                    if self.namespace in (None, e.obj["metadata"].get("namespace"))]
        return [_Added(o) for o in store.list(self.plural, self.namespace)]

    async def _wait(self, sink, subscriber, until):
        """False when the stream is over."""
        tasks = [asyncio.ensure_future(w) for w in (
            subscriber.ready.wait(), sink.closed.wait(), self.orders.get())]
        delay = max(0.0, until - asyncio.get_running_loop().time())
        done, pending = await asyncio.wait(
            tasks, timeout=min(delay, 86400), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if tasks[2] in done:
            await self._obey(sink, tasks[2].result())
        if sink.closed.is_set():
            return False
        subscriber.ready.clear()
        return True

    async def _obey(self, sink, order):
        if order["do"] == "close":
            raise _End()
        if order["do"] == "cut":
            raise _End(cut=True)
        if order["do"] == "silence":
            await sink.silence()
        if order["do"] == "error":
            await self._send_error(sink, {
                "kind": "Status", "apiVersion": "v1", "metadata": {},
                "status": "Failure", "code": order.get("code", 410),
                "reason": order.get("reason", "Expired"),
                "message": order.get("message", "too old resource version")})
            raise _End()

    async def _send_error(self, sink, status):
        await sink.send_text(encode({"type": "ERROR", "object": status}) + b"\n")

    async def _send_bookmark(self, sink):
        resource = RESOURCES[self.plural]
        obj = {"kind": resource.kind, "apiVersion": resource.api_version,
               "metadata": {"resourceVersion": str(self.server.store.version),
                            "creationTimestamp": None}}
        if self.plural == "pods":
            obj |= {"spec": {"containers": None}, "status": {}}
        await sink.send_text(encode({"type": "BOOKMARK", "object": obj}) + b"\n")

    async def _send_event(self, sink, event):
        kind, obj = self._view(event)
        if kind is None:
            return
        if self.effects.frame_delay:
            await asyncio.sleep(self.effects.frame_delay)
        body = {"type": kind, "object": self.server.present(self.plural, obj, self.info)}
        await sink.send_text(encode(body) + b"\n")
        self.sent += 1
        await self._limits(sink)

    async def _limits(self, sink):
        error = self.effects.get("error")
        if error and self.sent >= error.get("after_events", 0):
            await self._obey(sink, {"do": "error"} | error)
        for what, do in (("close_after", "close"), ("cut_after", "cut"),
                         ("silent_after", "silence")):
            limit = self.effects.limit(what, "events")
            if limit is not None and self.sent >= limit:
                await self._obey(sink, {"do": do})

    def _view(self, event):
        """How this watcher sees the event: leaving the selection is a DELETED."""
        if isinstance(event, _Added):
            return ("ADDED", event.obj) if self.selects(event.obj) else (None, None)
        if event.version <= self.after:
            return None, None
        now = self.selects(event.obj) if event.type != "DELETED" else False
        before = event.previous is not None and self.selects(event.previous)
        if event.type == "DELETED":
            return ("DELETED", event.obj) if before else (None, None)
        if now and not before:
            return "ADDED", event.obj
        if now:
            return "MODIFIED", event.obj
        if not before:
            return None, None
        gone = event.previous | {"metadata": event.previous["metadata"] | {
            "resourceVersion": event.obj["metadata"]["resourceVersion"]}}
        return "DELETED", gone


class _Added:
    """A synthetic event for the state that a watch without version begins with."""

    def __init__(self, obj):
        self.obj = obj


class _End(Exception):
    def __init__(self, cut=False):
        super().__init__()
        self.cut = cut
