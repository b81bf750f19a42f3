"""pods/log: reading a container's log file as the kubelet does, and serving it.

The kubelet commits the status 200 before it opens the file; whatever goes wrong
later is text in the body. The end of a stream is always Close 1000.
"""

import asyncio
import base64
import datetime
import re

from . import errors
from .container import either
from .faults import Damage
from .sinks import BodySink, WebSocketSink

FRAME_BYTES = 2048
CHECK_SECONDS = 1.0
READ_BYTES = 256 * 1024
_TIME = re.compile(
    rb"^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")


def parse_time(text):
    """RFC 3339 -> nanoseconds; None when it is not one."""
    found = _TIME.match(text)
    if not found:
        return None
    try:
        when = datetime.datetime(*(int(found[i]) for i in range(1, 7)),
                                 tzinfo=datetime.timezone.utc)
    except ValueError:
        return None
    seconds = int(when.timestamp())
    zone = found[8]
    if zone != b"Z":
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        seconds -= minutes * 60 if zone[:1] == b"+" else -minutes * 60
    return seconds * 1_000_000_000 + int((found[7] or b"0").ljust(9, b"0"))


def fixed_time(text):
    """The same time with exactly nine fraction digits, as the API prints it."""
    found = _TIME.match(text)
    return text[:19] + b"." + (found[7] or b"").ljust(9, b"0") + found[8]


class Options:
    """Query parameters of a log request, checked as the real API checks them."""

    def __init__(self, query, pod):
        causes = errors.Causes("PodLogOptions", pod)
        self.follow = _flag(query.get("follow"))
        self.timestamps = _flag(query.get("timestamps"))
        self.previous = _flag(query.get("previous"))
        self.tail = _number(query, "tailLines", 0, causes)
        self.limit = _number(query, "limitBytes", 1, causes)
        seconds = _number(query, "sinceSeconds", 1, causes)
        self.since = None
        if "stream" in query:
            causes.add("FieldValueForbidden", "stream", None, "may not be specified")
        if "sinceTime" in query and query["sinceTime"]:
            if seconds is not None:
                causes.add("FieldValueForbidden", "", None,
                           "at most one of `sinceTime` or `sinceSeconds` may be specified")
            when = parse_time(query["sinceTime"].replace(" ", "+").encode())
            if when is None:
                raise errors.bad_request(
                    f'parsing time "{query["sinceTime"]}" as "2006-01-02T15:04:05Z07:00": '
                    f'cannot parse "{query["sinceTime"]}" as "2006"')
            self.since = when - when % 1_000_000_000
        causes.raise_any()
        if seconds is not None:
            now = int(datetime.datetime.now().timestamp() * 1e9)
            self.since = now - seconds * 1_000_000_000


def _flag(text):
    return text is not None and text.lower() not in ("false", "0", "f")


def _number(query, name, least, causes):
    text = query.get(name)
    if text is None or text == "":
        return None
    try:
        value = int(text)
    except ValueError:
        raise errors.bad_request(
            f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if value < least:
        causes.invalid(name, value, f"must be greater than or equal to {least}")
    return value


class LineWriter:
    """Turns lines of the file into bytes of the body."""

    def __init__(self, options):
        self._options = options
        self._left = options.limit
        self._line_start = True
        self.full = False

    def take(self, line):
        parts = line.split(b" ", 3)
        if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
            return b""
        stamp, content = parts[0], parts[3]
        since = self._options.since
        when = parse_time(stamp) if since is not None else _TIME.match(stamp)
        if when is None:
            return b""
        if parts[2].split(b":")[0] == b"P":
            content = content[:-1] if content.endswith(b"\n") else content
        out = content
        if since is not None and when < since:
            out = b""
        elif self._options.timestamps and self._line_start:
            out = fixed_time(stamp) + b" " + content
        self._line_start = content.endswith(b"\n") if content else True
        if self._left is not None:
            out = out[:self._left]
            self._left -= len(out)
            self.full = self._left == 0
        return out


def _seek_tail(file, lines):
    """Place the file at its last `lines` lines."""
    position = file.seek(0, 2)
    if lines == 0:
        return
    found = 0
    while position > 0:
        step = min(65536, position)
        position -= step
        file.seek(position)
        block = file.read(step)
        at = len(block) if position + step != file.seek(0, 2) else len(block) - 1
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == lines:
                file.seek(position + at + 1)
                return
    file.seek(0)


class NoWatcher(Exception):
    """The node has no inotify instance left: the log cannot be followed from here on."""


class Watchers:
    """The inotify instances that the kubelet holds, one for each log that is followed."""

    def __init__(self, settings):
        self._settings = settings
        self.count = 0
        self.refused = 0

    def take(self):
        if 0 < self._settings.followers_most <= self.count:
            self.refused += 1
            raise NoWatcher
        self.count += 1

    def give_back(self):
        self.count -= 1


class Reader:
    """Reads the newest file of an instance; follows it across a rotation like the kubelet."""

    def __init__(self, container_log, options, watchers):
        self._log = container_log
        self._options = options
        self._watchers = watchers
        self._events = []
        self._wake = asyncio.Event()
        self._watching = False

    def _on_event(self, what):
        if not self._events or self._events[-1] != what:
            self._events.append(what)
        self._wake.set()

    async def chunks(self):
        """Yield bytes of the body until the log's end."""
        file = open(self._log.path, "rb", buffering=0)
        try:
            if self._options.tail is not None:
                _seek_tail(file, self._options.tail)
            async for chunk in self._read(file):
                yield chunk
        finally:
            if self._watching:
                self._log.listeners.remove(self._on_event)
                self._watchers.give_back()

    async def _read(self, file):
        writer = LineWriter(self._options)
        held, stop = b"", False
        while True:
            data = file.read(READ_BYTES)
            if data:
                lines = (held + data).split(b"\n")
                held = lines.pop()
                body = b"".join(writer.take(line + b"\n") for line in lines)
                if body:
                    yield body
                if writer.full:
                    return
                continue
            if stop or not self._options.follow:
                break
            if not self._watching:
                self._watchers.take()
                self._watching = True
                self._log.listeners.append(self._on_event)
                continue
            found, created = await self._wait()
            if created:
                file.close()
                file, held = open(self._log.path, "rb", buffering=0), b""
            stop = not found
        file.close()

    async def _wait(self):
        """(the container still runs, a new file was created)"""
        if not self._log.writing:
            return False, False
        if not self._events:
            if not await either(self._wake.wait(), CHECK_SECONDS):
                return True, False
        self._wake.clear()
        event = self._events.pop(0)
        if self._events:
            self._wake.set()
        return True, event == "create"


def pick_container(pod, query):
    """The container that a log request means; raises 400."""
    spec = pod["spec"]
    name = pod["metadata"]["name"]
    regular = [c["name"] for c in spec.get("containers", [])]
    initial = [c["name"] for c in spec.get("initContainers", [])]
    asked = query.get("container")
    if not asked:
        if len(regular) == 1 and not initial:
            return regular[0]
        text = f"a container name must be specified for pod {name}, choose one of: " \
               f"[{' '.join(regular)}]"
        if initial:
            text += f" or one of the init containers: [{' '.join(initial)}]"
        raise errors.bad_request(text)
    if asked not in regular + initial:
        raise errors.bad_request(f"container {asked} is not valid for pod {name}")
    return asked


def check_started(pod, container, previous):
    """Raise 400 as long as the published status knows no started instance."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    entries = (status.get("containerStatuses") or []) + (
        status.get("initContainerStatuses") or [])
    entry = next((e for e in entries if e["name"] == container), None)
    if entry is None:
        raise errors.bad_request(
            f'container "{container}" in pod "{name}" is not available')
    if previous and not (entry.get("lastState") or {}).get("terminated"):
        raise errors.bad_request(
            f'previous terminated container "{container}" in pod "{name}" not found')
    waiting = (entry.get("state") or {}).get("waiting")
    if not waiting or (entry.get("lastState") or {}).get("terminated"):
        return
    reason = waiting.get("reason") or ""
    text = {"ErrImagePull": "image can't be pulled",
            "ImagePullBackOff": "trying and failing to pull image"}.get(reason, reason)
    raise errors.bad_request(
        f'container "{container}" in pod "{name}" is waiting to start: {text}')


def choose_subprotocol(request):
    """The first offered name that the log endpoint knows; a bare 403 without one.

    Offering none gives "", which the answer then names with an empty header.
    """
    header = request.headers.get("Sec-WebSocket-Protocol")
    if header is None:
        return ""
    for offered in (p.strip() for p in header.split(",")):
        if offered in ("", "binary.k8s.io", "base64.binary.k8s.io"):
            return offered
    raise errors.BareAnswer(403)


class FrameSink(WebSocketSink):
    """The log as websocket frames of at most 2048 bytes, cut anywhere."""

    def __init__(self, request, effects):
        super().__init__(request, choose_subprotocol(request))
        self._effects = effects

    async def open(self):
        answer = await super().open()
        await self._frame(b"")
        return answer

    async def _frame(self, data):
        if self.protocol == "base64.binary.k8s.io":
            await self.send_text(base64.b64encode(data))
        else:
            await self.send_binary(data)

    async def write(self, data):
        limit = min(FRAME_BYTES, self._effects.frame_bytes or FRAME_BYTES)
        for start in range(0, len(data), limit):
            if self._effects.frame_delay:
                await asyncio.sleep(self._effects.frame_delay)
            await self._frame(data[start:start + limit])


class PlainSink(BodySink):
    """The log as the body of a plain answer."""

    def __init__(self, request, effects):
        super().__init__(request, "text/plain")
        self._effects = effects

    async def write(self, data):
        if self._effects.frame_delay:
            await asyncio.sleep(self._effects.frame_delay)
        await self.send_binary(data)


class LogStream:
    """One open log request."""

    def __init__(self, server, request, info, sink):
        self.server, self.request, self.info, self.sink = server, request, info, sink
        self.effects = info["effects"]
        self.orders = asyncio.Queue()
        self.sent = 0
        self._held = b""

    async def run(self, source, options):
        answer = await self.sink.open()
        self.server.streams.add(self)
        self._pumping = asyncio.ensure_future(self._pump(source, options))
        tasks = [self._pumping, asyncio.ensure_future(self.sink.closed.wait()),
                 asyncio.ensure_future(self._orders())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            how = next((t.result() for t in done if t is not tasks[1]
                        and not t.cancelled()), "gone")
            if self._pumping.cancelled():
                await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
            if how == "cut":
                self.request.transport.abort()
            elif how != "gone":
                await self.sink.close()
        except (ConnectionError, RuntimeError):
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.server.streams.discard(self)
        return answer

    async def _orders(self):
        while True:
            order = await self.orders.get()
            if order["do"] == "text":
                await self.sink.write(order["text"].encode())
            elif order["do"] == "silence":
                self._pumping.cancel()
                await self.sink.silence()
            else:
                return order["do"]

    async def _pump(self, source, options):
        effects = self.effects
        if effects.get("body_text"):
            await self.sink.write(effects.get("body_text").encode())
            return "close"
        damage = Damage(effects.get("damage")) if effects.get("damage") else None
        try:
            async for chunk in Reader(source, options, self.server.watchers).chunks():
                how = await self._pass_on(damage.apply(chunk) if damage else chunk)
                if how:
                    return how
        except NoWatcher:
            await self.sink.write(b"failed to create fsnotify watcher: too many open files")
            return "close"
        except OSError as error:
            text = f"failed to try resolving symlinks in path {error.filename!r}: " \
                   f"lstat {error.filename}: {error.strerror.lower()}"
            await self.sink.write(text.encode())
        if effects.get("end_text"):
            await self.sink.write(effects.get("end_text").encode())
        return "close"

    async def _pass_on(self, data):
        """Send what may be sent; return how the stream ends here, if it does."""
        if self.effects.get("lose_last"):
            data = self._held + data
            keep = len(data) % FRAME_BYTES or min(len(data), FRAME_BYTES)
            data, self._held = data[:-keep], data[-keep:]
        for what, how in (("close_after", "close"), ("cut_after", "cut"),
                          ("silent_after", "silence")):
            limit = self.effects.limit(what, "bytes")
            if limit is not None and self.sent + len(data) >= limit:
                await self.sink.write(data[:limit - self.sent])
                if how == "silence":
                    await self.sink.silence()
                return how
        if data:
            await self.sink.write(data)
            self.sent += len(data)
        return None
