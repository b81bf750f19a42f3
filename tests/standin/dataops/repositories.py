"""Real git repositories, and git over HTTP through git's own http-backend."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
import subprocess
from pathlib import Path

from aiohttp import web

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Ada Example", "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Example", "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "HOME": "/nonexistent",
}
MODES = {False: "100644", True: "100755"}


def _environment() -> dict:
    return {**os.environ, **ENVIRONMENT}


class Repositories:
    """Bare repositories under one folder, named like projects: `group/project`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._refs: set[tuple[str, str, str]] = set()

    def path(self, name: str) -> Path:
        path = (self.folder / (name + ".git")).resolve()
        if self.folder.resolve() not in path.parents:
            raise ValueError(f"{name} is no repository name")
        return path

    def git(self, name: str, *args: str, data: bytes | None = None) -> str:
        done = subprocess.run(["git", "-C", str(self.path(name)), *args], input=data, env=_environment(),
                              capture_output=True, check=False, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()

    def create(self, name: str) -> None:
        path = self.path(name)
        if (path / "HEAD").exists():
            return
        path.mkdir(parents=True)
        self.git(name, "init", "-q", "--bare", "--initial-branch=main")
        for key, value in (("uploadpack.allowAnySHA1InWant", "true"), ("uploadpack.allowFilter", "true"),
                           ("http.receivepack", "false"), ("gc.auto", "0")):
            self.git(name, "config", key, value)

    def commit(self, name: str, files: dict, message: str = "Change", branch: str = "main") -> str:
        """Commits the files on top of the branch; gives the sha.

        A value is the content (text), or an object: base64, executable, symlink (the target), or lfs (the content, which
        git keeps a pointer to).
        """
        self.create(name)
        parent = self.sha(name, branch)
        index = self.path(name) / "stand-in.index"
        env = {**_environment(), "GIT_INDEX_FILE": str(index)}

        def run(*args: str, data: bytes | None = None) -> str:
            done = subprocess.run(["git", "-C", str(self.path(name)), *args], input=data, env=env,
                                  capture_output=True, check=True, timeout=60)
            return done.stdout.decode().strip()

        run("read-tree", parent) if parent else run("read-tree", "--empty")
        entries = []
        for path, content in files.items():
            mode, data = _content(content)
            if isinstance(content, dict) and "lfs" in content:
                data = self._keep_large(name, content["lfs"].encode())
            entries.append(f"{mode} {run('hash-object', '-w', '--stdin', data=data)}\t{path}")
        run("update-index", "--index-info", data="\n".join(entries).encode() + b"\n")
        tree = run("write-tree")
        sha = run("commit-tree", tree, "-m", message, *(["-p", parent] if parent else []))
        run("update-ref", f"refs/heads/{branch}", sha)
        index.unlink(missing_ok=True)
        return sha

    def large_path(self, name: str, oid: str) -> Path:
        return self.path(name) / "large" / Path(oid).name

    def _keep_large(self, name: str, data: bytes) -> bytes:
        """Stores a large file as git-lfs has it; gives its pointer."""
        oid = hashlib.sha256(data).hexdigest()
        path = self.large_path(name, oid)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()

    def sha(self, name: str, ref: str) -> str | None:
        try:
            return self.git(name, "rev-parse", "-q", "--verify", ref + "^{commit}")
        except (RuntimeError, FileNotFoundError, NotADirectoryError):
            return None

    def set_ref(self, name: str, ref: str, sha: str) -> None:
        if (name, ref, sha) in self._refs:
            return
        try:
            self.git(name, "update-ref", ref, sha)
            self._refs.add((name, ref, sha))
        except (RuntimeError, FileNotFoundError, NotADirectoryError):
            pass  # a test asks for a commit or a repository that does not exist


def _content(given) -> tuple[str, bytes]:
    if isinstance(given, str):
        return MODES[False], given.encode()
    if "symlink" in given:
        return "120000", given["symlink"].encode()
    data = base64.b64decode(given["base64"]) if "base64" in given else given.get("text", "").encode()
    return MODES[bool(given.get("executable"))], data


def basic_password(request: web.Request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def denied() -> web.Response:
    return web.Response(status=401, text="HTTP Basic: Access denied. Use a valid job token.\n",
                        headers={"WWW-Authenticate": 'Basic realm="GitLab"'})


class GitHttp:
    """The routes under /<group>/<project>.git/."""

    def __init__(self, repositories: Repositories, find_by_token) -> None:
        self.repositories = repositories
        self.find_by_token = find_by_token  # job token -> Job or None

    def refusal(self, request: web.Request, name: str) -> web.Response | None:
        given = basic_password(request)
        if given is None:
            return denied()
        user, password = given
        job = self.find_by_token(password)
        if user != "gitlab-ci-token" or job is None or not job.executing:
            return denied()
        allowed = {job.project, job.description.get("repository", job.project), *job.description.get("may_read", [])}
        if name not in allowed:
            return web.Response(status=403, text="You are not allowed to download code from this project.\n")
        return None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name, tail = request.match_info["repository"], request.match_info["tail"]
        refused = self.refusal(request, name)
        if refused is not None:
            return refused
        if "git-receive-pack" in request.path_qs:
            return web.Response(status=403, text="You are not allowed to upload code.\n")
        if not (self.repositories.path(name) / "HEAD").exists():
            return web.Response(status=404, text="The project you were looking for could not be found.\n")
        if tail.startswith("info/lfs/"):
            return await self._large(request, name, tail)
        return await self._backend(request, name, tail)

    async def _large(self, request: web.Request, name: str, tail: str) -> web.StreamResponse:
        """The downloads of git-lfs (its batch API): the answer names where each file is, and with which login."""
        if request.method == "GET":
            path = self.repositories.large_path(name, tail.rsplit("/", 1)[1])
            return web.FileResponse(path) if path.exists() else web.Response(status=404)
        if tail != "info/lfs/objects/batch":
            return web.Response(status=404, text="The project you were looking for could not be found.\n")
        asked = json.loads(await request.read())
        here = f"{request.scheme}://{request.host}/{name}.git/info/lfs/objects"
        login = {"Authorization": request.headers["Authorization"]}
        objects = [{**o, "actions": {"download": {"href": f"{here}/{o['oid']}", "header": login}}}
                   if self.repositories.large_path(name, o["oid"]).exists()
                   else {**o, "error": {"code": 404, "message": "Object does not exist"}} for o in asked["objects"]]
        return web.json_response({"transfer": "basic", "objects": objects}, content_type="application/vnd.git-lfs+json")

    async def _backend(self, request: web.Request, name: str, tail: str) -> web.StreamResponse:
        body = await request.read()
        env = {
            **_environment(),
            "GIT_PROJECT_ROOT": str(self.repositories.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{name}.git/{tail}",
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "gitlab-ci-token",
            "REMOTE_ADDR": request.remote or "",
        }
        if "Git-Protocol" in request.headers:
            env["GIT_PROTOCOL"] = request.headers["Git-Protocol"]
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL)
        out, _ = await process.communicate(body)
        head, _, content = out.partition(b"\r\n\r\n")
        headers, status = {}, 200
        for line in head.decode(errors="replace").split("\r\n"):
            key, _, value = line.partition(": ")
            if key.lower() == "status":
                status = int(value.split()[0])
            elif key:
                headers[key] = value
        return web.Response(status=status, body=content, headers=headers)
