"""Artifacts: upload as Workhorse takes it, download, and the object storage behind it."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import time
import zipfile
from pathlib import Path

from aiohttp import web

from .api import refused, reply
from .jobs import Artifact, Job
from .platform import Platform

DOTENV_LIMIT = 20


class Broken(Exception):
    pass


class ArtifactApi:
    def __init__(self, platform: Platform, storage_url) -> None:
        self.platform = platform
        self.storage_url = storage_url  # gives the address of the object storage, known once it listens
        self.folder = platform.folder / "artifacts"
        self.folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v4/jobs/{id:\\d+}/artifacts"
        return [web.post(path, self.upload), web.get(path, self.download), web.get("/objects/{name}", self.fetch),
                web.post("/objects/{name}", self.store)]

    def _job(self, request: web.Request) -> Job | None:
        return self.platform.jobs.get(int(request.match_info["id"]))

    # -- upload ----------------------------------------------------------
    async def upload(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None or job.erased:
            return refused(404, "404 Not Found")
        if request.headers.get("Job-Token") != job.token or not job.executing:
            return refused(403, "403 Forbidden")
        if not self.platform.settings.artifacts_enabled:
            return refused(405, "405 Method Not Allowed")
        limit = int(job.description.get("artifact_limit_bytes", self.platform.settings.artifact_limit_bytes))
        try:
            name, path, size, sha256 = await self._receive(request, job, limit)
            kind, form = request.query.get("artifact_type", "archive"), request.query.get("artifact_format", "zip")
            known = job.artifacts.get(kind)
            if known is not None:
                path.unlink()
                if known.sha256 == sha256:
                    return reply(201, {"message": "201 Created"})
                return refused(400, "another artifact of the same type already exists")
            entries = contents(path, form)
            if kind == "dotenv":
                check_dotenv(path)
        except Broken as wrong:
            return refused(400, str(wrong))
        except OverflowError:
            return refused(413, "413 Request Entity Too Large")
        job.artifacts[kind] = Artifact(kind, form, name, str(path), size, sha256, request.query.get("expire_in"),
                                       time.time(), entries, dict(request.query))
        job.mark("artifact")
        self.platform.changed()
        return reply(201, {"message": "201 Created"})

    async def _receive(self, request: web.Request, job: Job, limit: int) -> tuple[str, Path, int, str]:
        """Streams the one part named `file` to disk; refuses while reading when it grows past the limit."""
        try:
            reader = await request.multipart()
        except (AssertionError, ValueError):
            raise Broken("400 Bad request - no multipart body") from None
        found = None
        while (part := await reader.next()) is not None:
            if part.name != "file" or found is not None:
                self.platform.record.violation(f"unexpected part {part.name} in an upload", job.id)
                continue
            path = self.folder / f"{job.id}-{time.time_ns()}"
            digest, size = hashlib.sha256(), 0
            with path.open("wb") as file:
                while chunk := await part.read_chunk(65536):
                    size += len(chunk)
                    if size > limit:
                        path.unlink()
                        raise OverflowError
                    digest.update(chunk)
                    file.write(chunk)
            name = Path(part.filename or "file").name
            found = (name, path, size, digest.hexdigest())
        if found is None:
            raise Broken("400 Bad request - file is missing")
        return found

    # -- download --------------------------------------------------------
    async def download(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Job-Token")
        if not token:
            return refused(401, "401 Unauthorized")
        asking = self.platform.by_token.get(token)
        job = self._job(request)
        if asking is None or not asking.executing:
            return refused(403, "403 Forbidden")
        archive = job.artifacts.get("archive") if job is not None and not job.erased else None
        if archive is None:
            return refused(404, "404 Not Found")
        if job.project != asking.project:
            return refused(403, "403 Forbidden")
        if request.query.get("direct_download") == "true" and self.platform.settings.object_storage:
            signature = self.platform.presign(archive.path)
            where = f"{self.storage_url()}/objects/{archive.filename}?X-Amz-Signature={signature}"
            return web.Response(status=302, headers={"Location": where})
        return web.FileResponse(archive.path, headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{archive.filename}"'})

    async def store(self, request: web.Request) -> web.StreamResponse:
        """An upload that was sent on to the object storage: taken as a whole, counted, and kept nowhere."""
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.json_response({"size": size}, status=201)

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """The object storage: the signature is all it asks for, and a job token has no business here."""
        if "Job-Token" in request.headers:
            self.platform.record.violation("Job-Token sent to the object storage")
        path = self.platform.presigned.get(request.query.get("X-Amz-Signature", ""))
        if path is None:
            return web.Response(status=403, content_type="application/xml", text=(
                "<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code>"
                "<Message>The request signature does not match</Message></Error>"))
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


def contents(path: Path, form: str) -> list[dict] | None:
    """What is in an uploaded archive, read the way the platform's metadata pass reads it."""
    data = path.read_bytes()
    if form == "zip":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return [{"name": i.filename, "size": i.file_size, "zipped": i.compress_size, "crc": i.CRC,
                         "mode": (i.external_attr >> 16) & 0o177777} for i in archive.infolist()]
        except zipfile.BadZipFile as wrong:
            raise Broken(f"400 Bad request - invalid zip: {wrong}") from None
    if form == "gzip":
        try:
            return [{"name": "", "size": len(gzip.decompress(data))}]
        except (OSError, EOFError) as wrong:
            raise Broken(f"400 Bad request - invalid gzip: {wrong}") from None
    return None


def check_dotenv(path: Path) -> None:
    """The platform reads a dotenv report during the upload."""
    lines = [line for line in gzip.decompress(path.read_bytes()).decode(errors="replace").splitlines() if line.strip()]
    if len(lines) > DOTENV_LIMIT:
        raise Broken("dotenv files cannot have more than 20 variables")
    for line in lines:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", line):
            raise Broken("Invalid Format")
