"""One repository over https, its large files in LFS: what git and git-lfs in the image are tried against."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tests.standin import tls  # noqa: E402


@dataclass
class Server:
    url: str
    authority: Path


def _git(folder: Path, *words: str, data: bytes | None = None) -> str:
    identity = {f"GIT_{who}_{what}": f"{who}@test.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(["git", "-C", folder, *words], env=environment, input=data, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def _make_repository(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """A bare repository whose branch main has these files; *.bin are LFS pointers. Gives the objects by their SHA-256."""
    objects = {}
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "--bare", "--initial-branch=main")
    entries = []
    for name, content in {**files, ".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n"}.items():
        if name.endswith(".bin"):
            digest = hashlib.sha256(content).hexdigest()
            objects[digest] = content
            content = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()
        entries.append(f"100644 blob {_git(folder, 'hash-object', '-w', '--stdin', data=content)}\t{name}")
    tree = _git(folder, "mktree", data="\n".join(entries).encode() + b"\n")
    _git(folder, "update-ref", "refs/heads/main", _git(folder, "commit-tree", tree, "-m", "files"))
    return objects


def _handler(root: Path, objects: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def _answer(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _backend(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                **os.environ, "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            answer = subprocess.run(["git", "http-backend"], env=environment, input=body, stdout=subprocess.PIPE, check=True).stdout
            head, _, content = answer.partition(b"\r\n\r\n")
            self._answer(content, head.decode().split("Content-Type: ")[1].splitlines()[0])

        def do_GET(self):
            digest = self.path.rpartition("/")[2]
            if digest in objects:
                self._answer(objects[digest], "application/octet-stream")
            else:
                self._backend(b"")

        def do_POST(self):
            if self.headers.get("Transfer-Encoding") == "chunked":
                self.send_error(411)
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.path.endswith("/info/lfs/objects/batch"):
                self._backend(body)
                return
            place = f"https://{self.headers['Host']}/objects"
            wanted = [{**entry, "actions": {"download": {"href": f"{place}/{entry['oid']}"}}} for entry in json.loads(body)["objects"]]
            self._answer(json.dumps({"transfer": "basic", "objects": wanted}).encode(), "application/vnd.git-lfs+json")

    return Handler


@contextlib.contextmanager
def serving(folder: Path, files: dict[str, bytes]) -> Iterator[Server]:
    """A server on loopback with a certificate of an authority made for it; `folder` is made and holds all of it."""
    objects = _make_repository(folder / "files.git", files)
    authority = tls.make_authority(folder / "tls")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, objects))
    server.socket = authority.server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(f"https://127.0.0.1:{server.server_port}/files.git", authority.ca_path)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
