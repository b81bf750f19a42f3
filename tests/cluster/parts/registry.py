"""A registry on the bridge that has one image and takes its time; the node asks it for every image that was not imported.
It knows only names that begin with `slow-`, because other cases ask meanwhile for images that are nowhere."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import places

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Serves any name `slow-...` as the image whose only layer is the tar file `layer`, after `delay_s`."""

    def __init__(self, layer: Path, delay_s: float) -> None:
        self.delay_s = delay_s
        self.asked = threading.Event()
        content = layer.read_bytes()
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(content)]},
                             "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}}).encode()

        def described(kind: str, blob: bytes) -> dict:
            return {"mediaType": "application/vnd.docker." + kind, "size": len(blob), "digest": _digest(blob)}

        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": _MANIFEST, "config": described("container.image.v1+json", config),
            "layers": [described("image.rootfs.diff.tar", content)]}).encode()
        self.blobs = {_digest(blob): blob for blob in (config, content, self.manifest)}
        self._server = ThreadingHTTPServer((places.BRIDGE_ADDRESS, places.REGISTRY_PORT), self._handler())
        self._server.daemon_threads = True

    def _handler(registry) -> type:  # pylint: disable=no-self-argument
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def _answer(self, with_body: bool) -> None:
                _, _, last = self.path.partition("?")[0].rpartition("/")
                kind = self.path.split("/")[-2]
                if not self.path.startswith("/v2/slow-"):
                    self.send_error(404)
                    return
                body = registry.manifest if kind == "manifests" and not last.startswith("sha256:") else registry.blobs.get(last)
                if kind == "manifests" and self.command == "HEAD":
                    registry.asked.set()
                    time.sleep(registry.delay_s)
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("Content-Type", _MANIFEST if kind == "manifests" else "application/octet-stream")
                if body:
                    self.send_header("Docker-Content-Digest", _digest(body))
                self.end_headers()
                if with_body and body:
                    self.wfile.write(body)

            def log_message(self, *_words) -> None:
                """Quiet."""

        return Handler

    def __enter__(self) -> "Registry":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_trouble) -> None:
        self._server.shutdown()
        self._server.server_close()
