"""/_standin/: how a test looks in and steers. JSON in, JSON out; documented by GET /_standin/."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import time

from aiohttp import web

from .api import json_body
from .artifacts import contents
from .jobs import Artifact
from .listeners import outage
from .payload import DESCRIPTION
from .platform import Platform
from .runners import Invalid, Scope, attributes

HELP = """DataOps stand-in, control endpoints (JSON):

GET    /_standin/info                     addresses, CA path, registration tokens, repository folder
GET    /_standin/runners                  runners with state, last contact, tags, system ids
POST   /_standin/runners                  make one as the UI does: scope, path, tag_list, run_untagged, ... -> id, token (glrt-)
PATCH  /_standin/runners/ID               paused, tag_list, run_untagged, locked, access_level, maximum_timeout, projects
DELETE /_standin/runners/ID
POST   /_standin/registration             {"kind": "group"|"project"|"instance", "path": ...} -> token; PATCH {"token", "enabled"}
GET    /_standin/jobs                     all jobs
POST   /_standin/jobs                     add one (see below) -> id, token
GET    /_standin/jobs/ID?wait=STATE&timeout=S   one job; wait for a state, `final` or `picked`
GET    /_standin/jobs/ID/trace?offset=N&wait=S  bytes so far from N; wait for more
GET    /_standin/jobs/ID/artifacts/TYPE   the bytes
POST   /_standin/jobs/ID/artifacts        {"base64": ...}: as if the job had uploaded this archive
POST   /_standin/jobs/ID/cancel           {"force": true} skips canceling
POST   /_standin/jobs/ID/drop             {"reason": ...}: the platform fails it
POST   /_standin/jobs/ID/erase            404 from now on
POST   /_standin/jobs/ID/release          a job added with "held": true may go
POST   /_standin/jobs/ID/succeed          a job that nobody ran is done (to be needed by others)
GET    /_standin/requests?method=&path=&since=N   recorded requests
GET    /_standin/violations               what a client did that the platform lets pass although it is wrong
GET    /_standin/secrets                  tokens and masked values of this run
GET    /_standin/faults                   POST one: method path body count skip delay_s hold_s status text headers html cut drop apply; DELETE [?id=]
PATCH  /_standin/settings                 trace_interval_s long_poll_s archive_intervals artifact_limit_bytes ...
POST   /_standin/repositories             {"path": "group/project", "files": {...}, "message", "branch"} -> sha
POST   /_standin/listeners                {"kind": "tls"|"plain"|"foreign"|"wrong_name"|"expired"} -> url
POST   /_standin/outage                   {"seconds": 5, "url": ...}: connections refused so long, at one address (default: the platform's)

""" + DESCRIPTION


class Control:
    def __init__(self, platform: Platform, server) -> None:
        self.platform = platform
        self.server = server  # gives addresses, opens listeners
        self._tasks: set[asyncio.Task] = set()

    def routes(self) -> list[web.RouteDef]:
        job = "/_standin/jobs/{id:\\d+}"
        return [
            web.get("/_standin/", self.help),
            web.get("/_standin/info", self.info),
            web.get("/_standin/runners", self.runners),
            web.post("/_standin/runners", self.add_runner),
            web.patch("/_standin/runners/{id:\\d+}", self.edit_runner),
            web.delete("/_standin/runners/{id:\\d+}", self.remove_runner),
            web.post("/_standin/registration", self.add_registration),
            web.patch("/_standin/registration", self.edit_registration),
            web.get("/_standin/jobs", self.jobs),
            web.post("/_standin/jobs", self.add_job),
            web.get(job, self.job),
            web.get(job + "/trace", self.trace),
            web.get(job + "/artifacts/{type}", self.artifact),
            web.post(job + "/artifacts", self.seed_artifact),
            web.post(job + "/{verb:cancel|drop|erase|succeed|release}", self.steer_job),
            web.get("/_standin/requests", self.requests),
            web.get("/_standin/violations", self.violations),
            web.get("/_standin/secrets", self.secrets),
            web.get("/_standin/faults", self.faults),
            web.post("/_standin/faults", self.add_fault),
            web.delete("/_standin/faults", self.remove_fault),
            web.patch("/_standin/settings", self.settings),
            web.post("/_standin/repositories", self.repository),
            web.post("/_standin/listeners", self.listener),
            web.post("/_standin/outage", self.outage),
        ]

    async def help(self, _request: web.Request) -> web.Response:
        return web.Response(text=HELP)

    async def info(self, _request: web.Request) -> web.Response:
        return web.json_response(self.server.info())

    # -- runners ---------------------------------------------------------
    async def runners(self, _request: web.Request) -> web.Response:
        return web.json_response([r.view() for r in self.platform.registry.by_id.values()])

    async def add_runner(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        scope = Scope(body.get("scope", "instance"), body.get("path", ""))
        try:
            runner = self.platform.registry.create(scope, "glrt-", **attributes(body))
        except Invalid as wrong:
            return web.json_response(wrong.body, status=400)
        return web.json_response({"id": runner.id, "token": runner.token}, status=201)

    async def edit_runner(self, request: web.Request) -> web.Response:
        runner = self.platform.registry.by_id.get(int(request.match_info["id"]))
        if runner is None:
            raise web.HTTPNotFound
        body = await json_body(request)
        projects = body.pop("projects", [])
        if projects and runner.locked:
            return web.json_response({"message": "400 Bad request - Runner is locked"}, status=400)
        runner.scope.projects.update(projects)
        try:
            given = attributes(body)
        except Invalid as wrong:
            return web.json_response(wrong.body, status=400)
        if "description" not in body:
            given.pop("description")
        if "tag_list" not in body:
            given.pop("tags")
        for name, value in given.items():
            setattr(runner, name, value)
        runner.tick()
        self.platform.changed()
        return web.json_response(runner.view())

    async def remove_runner(self, request: web.Request) -> web.Response:
        runner = self.platform.registry.by_id.get(int(request.match_info["id"]))
        if runner is None:
            raise web.HTTPNotFound
        self.platform.registry.remove(runner)
        return web.Response(status=204)

    async def add_registration(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        token = self.platform.registry.add_registration_token(body["kind"], body.get("path", ""))
        return web.json_response({"token": token}, status=201)

    async def edit_registration(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        self.platform.registry.scopes[body["token"]].enabled = bool(body["enabled"])
        return web.json_response({})

    # -- jobs ------------------------------------------------------------
    def _job(self, request: web.Request):
        job = self.platform.jobs.get(int(request.match_info["id"]))
        if job is None:
            raise web.HTTPNotFound
        return job

    async def jobs(self, _request: web.Request) -> web.Response:
        return web.json_response([job.view() for job in self.platform.jobs.values()])

    async def add_job(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        faults = body.pop("faults", [])
        job = self.platform.add_job(body)
        for fault in faults:
            self.platform.faults.add({**fault, "path": fault["path"].replace("@ID@", str(job.id))})
        return web.json_response({"id": job.id, "token": job.token, "state": job.state}, status=201)

    async def job(self, request: web.Request) -> web.Response:
        job = self._job(request)
        wanted = request.query.get("wait")
        if wanted:
            def ready() -> bool:
                if wanted == "final":
                    return job.final or job.state == "skipped"
                return wanted == job.state or wanted in job.times
            await self.platform.wait_until(ready, float(request.query.get("timeout", 30)))
        return web.json_response(job.view())

    async def trace(self, request: web.Request) -> web.Response:
        job = self._job(request)
        offset = int(request.query.get("offset", 0))
        wait_s = float(request.query.get("wait", 0))
        if wait_s:
            await self.platform.wait_until(lambda: len(job.trace) > offset or job.final, wait_s)
        return web.Response(body=bytes(job.trace[offset:]), headers={"Job-Status": job.state},
                            content_type="application/octet-stream")

    async def artifact(self, request: web.Request) -> web.StreamResponse:
        artifact = self._job(request).artifacts.get(request.match_info["type"])
        if artifact is None:
            raise web.HTTPNotFound
        return web.FileResponse(artifact.path)

    async def seed_artifact(self, request: web.Request) -> web.Response:
        job, body = self._job(request), await json_body(request)
        data = base64.b64decode(body["base64"])
        path = self.platform.folder / "artifacts" / f"{job.id}-seed"
        path.write_bytes(data)
        try:
            entries = contents(path, "zip")
        except Exception:  # pylint: disable=broad-except
            entries = None  # a broken archive is what some tests want to have downloaded
        job.artifacts["archive"] = Artifact("archive", "zip", body.get("filename", "artifacts.zip"), str(path),
                                            len(data), hashlib.sha256(data).hexdigest(), None, time.time(), entries)
        return web.json_response({}, status=201)

    async def steer_job(self, request: web.Request) -> web.Response:
        job, body, verb = self._job(request), await json_body(request), request.match_info["verb"]
        if verb == "cancel":
            job.cancel(bool(body.get("force")))
        elif verb == "drop":
            job.finish("failed", body.get("reason", "stuck_or_timeout_failure"))
        elif verb == "erase":
            job.erased = True
        elif verb == "release":
            job.held = False
        elif not job.final:
            job.finish("success")
        self.platform.finished(job)
        return web.json_response(job.view())

    # -- the rest --------------------------------------------------------
    async def requests(self, request: web.Request) -> web.Response:
        q = request.query
        found = self.platform.record.matching(q.get("method", ""), q.get("path", ""), int(q.get("since", 0)))
        return web.json_response([e.view() for e in found if not e.path.startswith("/_standin")])

    async def violations(self, _request: web.Request) -> web.Response:
        return web.json_response(self.platform.record.violations)

    async def secrets(self, _request: web.Request) -> web.Response:
        return web.json_response(self.platform.secrets())

    async def faults(self, _request: web.Request) -> web.Response:
        faults = self.platform.faults
        return web.json_response({"active": [f.view() for f in faults.active], "past": [f.view() for f in faults.past]})

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = self.platform.faults.add(await json_body(request))
        except TypeError as wrong:
            return web.json_response({"message": str(wrong)}, status=400)
        return web.json_response({"id": fault.id}, status=201)

    async def remove_fault(self, request: web.Request) -> web.Response:
        self.platform.faults.remove(int(request.query["id"]) if "id" in request.query else None)
        return web.Response(status=204)

    async def settings(self, request: web.Request) -> web.Response:
        for name, value in (await json_body(request)).items():
            if not hasattr(self.platform.settings, name):
                return web.json_response({"message": f"no setting {name}"}, status=400)
            setattr(self.platform.settings, name, value)
        return web.json_response(dataclasses.asdict(self.platform.settings))

    async def repository(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        sha = self.platform.repositories.commit(body["path"], body.get("files") or {}, body.get("message", "Change"),
                                                body.get("branch", "main"))
        return web.json_response({"sha": sha}, status=201)

    async def listener(self, request: web.Request) -> web.Response:
        return web.json_response({"url": await self.server.add_listener((await json_body(request))["kind"])}, status=201)

    async def outage(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        seconds = float(body.get("seconds", 5))
        task = asyncio.ensure_future(outage(self.server.listener_of(body.get("url")), seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.json_response({}, status=202)
