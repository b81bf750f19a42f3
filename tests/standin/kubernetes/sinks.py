"""Where a stream goes: a real websocket or the body of a plain answer.

Both have `open`, `closed` (set when the client is gone), `silence` (stay open, send and
answer nothing) and `close`. A websocket never negotiates an extension and always ends
with Close 1000.
"""

import asyncio
import contextlib

from aiohttp import WSMsgType, web

FOREVER_SECONDS = 86400
CLOSE_SECONDS = 1.0


class WebSocketSink:
    def __init__(self, request, protocol):
        """`protocol` is echoed; "" sends the header with an empty value, None none."""
        self._request = request
        self.protocol = protocol
        self.closed = asyncio.Event()
        self._socket = web.WebSocketResponse(
            protocols=(protocol,) if protocol else (), compress=False,
            timeout=CLOSE_SECONDS)
        if protocol == "":
            self._socket.headers["Sec-WebSocket-Protocol"] = ""
        self._reader = None

    async def open(self):
        await self._socket.prepare(self._request)
        self._reader = asyncio.ensure_future(self._drain())
        return self._socket

    async def _drain(self):
        """Data from the client is thrown away; pings are answered on the way."""
        async for message in self._socket:
            if message.type == WSMsgType.ERROR:
                break
        self.closed.set()

    async def send_text(self, data):
        await self._socket.send_str(data.decode("utf-8", "surrogatepass"))

    async def send_binary(self, data):
        await self._socket.send_bytes(data)

    async def silence(self):
        self._reader.cancel()
        self._request.transport.pause_reading()
        await asyncio.sleep(FOREVER_SECONDS)

    async def close(self):
        if not self._socket.closed:
            with contextlib.suppress(ConnectionError):
                await self._socket.close(code=1000)
        self._reader.cancel()


class BodySink:
    def __init__(self, request, content_type):
        self._answer = web.StreamResponse(headers={"Content-Type": content_type})
        self._request = request
        self.closed = asyncio.Event()
        self._looking = None

    async def open(self):
        self._answer.enable_chunked_encoding()
        await self._answer.prepare(self._request)
        self._looking = asyncio.ensure_future(self._look())
        return self._answer

    async def _look(self):
        """Notice a client that went away while there is nothing to send."""
        while self._request.transport and not self._request.transport.is_closing():
            await asyncio.sleep(0.3)
        self.closed.set()

    async def send_text(self, data):
        await self._answer.write(data)

    send_binary = send_text

    async def silence(self):
        await asyncio.sleep(FOREVER_SECONDS)

    async def close(self):
        self._looking.cancel()
        with contextlib.suppress(ConnectionError):
            await self._answer.write_eof()
