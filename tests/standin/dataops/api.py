"""The runner endpoints of the job API: registration, verification, the queue, traces and results."""

from __future__ import annotations

import asyncio
import json
import re

from aiohttp import web

from .jobs import Job
from .platform import Platform
from .runners import Invalid, Runner, attributes

PATCH_LIMIT = 1 << 20
POLL_BODY_LIMIT = 32 * 1024


def reply(status: int, body=None, **headers) -> web.Response:
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.json_response(body, status=status, headers=headers)


def refused(status: int, text: str, **headers) -> web.Response:
    return reply(status, {"message": text}, **headers)


async def json_body(request: web.Request) -> dict:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        raise web.HTTPBadRequest(text='{"error":"Problems parsing JSON"}', content_type="application/json") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text='{"error":"Problems parsing JSON"}', content_type="application/json")
    return body


class RunnerApi:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def routes(self) -> list[web.RouteDef]:
        base = "/api/v4"
        return [
            web.post(base + "/runners", self.register),
            web.post(base + "/runners/verify", self.verify),
            web.delete(base + "/runners", self.delete),
            web.delete(base + "/runners/managers", self.delete_manager),
            web.post(base + "/runners/reset_authentication_token", self.reset_token),
            web.post(base + "/jobs/request", self.request_job),
            web.put(base + "/jobs/{id:\\d+}", self.update_job),
            web.patch(base + "/jobs/{id:\\d+}/trace", self.append_trace),
        ]

    # -- runners ---------------------------------------------------------
    async def register(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        registry = self.platform.registry
        scope = registry.scopes.get(body.get("token") or "")
        if scope is None:
            return refused(403, "403 Forbidden - invalid token supplied")
        if not self.platform.settings.registration_enabled or not scope.enabled:
            return refused(410, "410 Gone - runner registration disallowed")
        try:
            runner = registry.create(scope, "glrtr-", **attributes(body))
        except Invalid as wrong:
            return reply(400, wrong.body)
        self.platform.changed()
        return reply(201, {"id": runner.id, "token": runner.token, "token_expires_at": runner.token_expires_at})

    def _runner(self, body: dict) -> Runner | None:
        return self.platform.registry.by_token.get(body.get("token") or "")

    async def verify(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        runner = self._runner(body)
        if runner is None:
            return refused(403, "403 Forbidden")
        runner.touch(body.get("system_id"), body.get("info"), request.remote or "")
        self.platform.changed()
        return reply(200, {"id": runner.id, "token": runner.token, "token_expires_at": runner.token_expires_at})

    async def delete(self, request: web.Request) -> web.Response:
        runner = self._runner(await json_body(request))
        if runner is None:
            return refused(403, "403 Forbidden")
        self.platform.registry.remove(runner)
        self.platform.changed()
        return reply(204)

    async def delete_manager(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        runner = self._runner(body)
        if "system_id" not in body:
            return reply(400, {"error": "system_id is missing"})
        if runner is None:
            return refused(403, "403 Forbidden")
        if runner.managers.pop(body["system_id"], None) is None:
            return refused(404, "404 Runner manager not found")
        return reply(204)

    async def reset_token(self, request: web.Request) -> web.Response:
        runner = self._runner(await json_body(request))
        if runner is None:
            return refused(403, "403 Forbidden")
        return reply(201, {"token": self.platform.registry.renew(runner)})

    # -- the queue -------------------------------------------------------
    async def request_job(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if len(raw) > POLL_BODY_LIMIT:
            return refused(413, "413 Request Entity Too Large")
        body = await json_body(request)
        runner = self._runner(body)
        if runner is None:
            return refused(403, "403 Forbidden")
        info = body.get("info") if isinstance(body.get("info"), dict) else {}
        manager = runner.touch(body.get("system_id"), info, request.remote or "")
        self._check_info(info)
        seen = body.get("last_update")
        if seen and seen == runner.queue:
            return await self._unchanged(runner, seen)
        value = runner.queue
        if runner.paused:
            return reply(204, **{"X-GitLab-Last-Update": value})
        job = self.platform.pick(runner, manager, info)
        if job is None:
            return reply(204, **{"X-GitLab-Last-Update": value})
        text = self.platform.payloads.body(job, job.payload)
        return web.Response(status=201, body=text, headers={"Content-Type": "application/json"})

    async def _unchanged(self, runner: Runner, seen: str) -> web.Response:
        hold_s = self.platform.settings.long_poll_s
        if hold_s <= 0:
            return reply(204, **{"X-GitLab-Last-Update": seen})
        await self.platform.wait_until(lambda: runner.queue != seen, hold_s)
        return reply(204, **{"Gitlab-Ci-Builds-Polling": "yes"})

    def _check_info(self, info: dict) -> None:
        features = info.get("features")
        if not isinstance(features, dict):
            self.platform.record.violation("poll without info.features")
        elif any(not isinstance(value, bool) for value in features.values()):
            self.platform.record.violation("info.features holds what is no boolean")

    # -- traces ----------------------------------------------------------
    def _job(self, request: web.Request) -> Job | None:
        return self.platform.jobs.get(int(request.match_info["id"]))

    async def append_trace(self, request: web.Request) -> web.Response:
        body = await request.read()
        job = self._job(request)
        if job is None or job.erased:
            return refused(404, "404 Not Found")
        if request.headers.get("Job-Token") != job.token:
            return refused(403, "403 Forbidden")
        if not job.executing:
            self._tell(job)
            return refused(403, "403 Forbidden - Job is not running", **{"Job-Status": job.state})
        content_range = request.headers.get("Content-Range")
        if content_range is None:
            return refused(400, "400 Missing header Content-Range")
        size = len(job.trace)
        first = self._check_patch(job, content_range, body)
        if first != size:
            return refused(416, "416 Range Not Satisfiable", **{"Range": f"0-{size}"})
        if size + len(body) > self.platform.settings.trace_limit_bytes:
            job.finish("failed", "trace_size_exceeded")
            self.platform.finished(job)
            return refused(403, "403 Forbidden - trace too large", **{"Job-Status": job.state})
        if size == 0 and request.query.get("debug_trace") == "true":
            job.debug_trace = True
        job.append(body)
        self._tell(job)
        self.platform.changed()
        return reply(202, **{
            "Job-Status": job.state,
            "Range": f"0-{len(job.trace)}",
            "X-GitLab-Trace-Update-Interval": str(self._interval(job)),
        })

    def _interval(self, job: Job) -> int:
        return int(job.description.get("trace_interval_s", self.platform.settings.trace_interval_s))

    def _check_patch(self, job: Job, content_range: str, body: bytes) -> int:
        """The first offset; notes what the platform lets pass although it is wrong."""
        match = re.fullmatch(r"(\d+)-(\d+)", content_range)
        first = int(content_range.partition("-")[0] or 0) if match is None else int(match[1])
        violation = self.platform.record.violation
        if match is None or int(match[2]) != first + len(body) - 1:
            violation(f"Content-Range {content_range} with {len(body)} bytes", job.id)
        if not body:
            violation("empty PATCH", job.id)
        if len(body) > PATCH_LIMIT:
            violation(f"PATCH of {len(body)} bytes", job.id)
        if job.pending_state is not None:
            violation("PATCH after the final state was told", job.id)
        return first

    # -- results ---------------------------------------------------------
    async def update_job(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        job = self._job(request)
        if job is None or job.erased:
            return refused(404, "404 Not Found")
        if not body.get("token"):
            return reply(400, {"error": "token is missing"})
        if body["token"] != job.token:
            return refused(403, "403 Forbidden")
        if not job.executing:
            self._tell(job)
            return refused(403, "403 Forbidden - Job is not running", **{"Job-Status": job.state})
        state = body.get("state")
        if state not in ("running", "success", "failed"):
            return refused(400, "400 Unknown state")
        self._note_update(job, body)
        if state == "running":
            job.mark("running_told")
            self.platform.changed()
            return self._accepted(job)
        return self._finish(job, body)

    def _note_update(self, job: Job, body: dict) -> None:
        output = body.get("output") if isinstance(body.get("output"), dict) else {}
        update = {
            "state": body.get("state"), "failure_reason": body.get("failure_reason"), "exit_code": body.get("exit_code"),
            "keys": sorted(body), "checksum": output.get("checksum"), "bytesize": output.get("bytesize"),
            "stored_bytes": len(job.trace), "stored_crc": job.crc(),
        }
        job.updates.append(update)
        if body.get("state") == "running":
            return
        if output.get("bytesize") != len(job.trace) or output.get("checksum") != job.crc():
            self.platform.record.violation("final update does not describe the trace as sent", job.id, update=update)
        reason = body.get("failure_reason")
        if reason and reason not in job.allowed_reasons():
            self.platform.record.violation(f"failure_reason {reason} was not offered", job.id)
        if body.get("state") == "success" and ("failure_reason" in body or "exit_code" in body):
            self.platform.record.violation("success with a reason or an exit code", job.id)

    def _finish(self, job: Job, body: dict) -> web.Response:
        job.mark("final_told")
        if job.pending_state is None:
            job.pending_state = {k: body.get(k) for k in ("state", "failure_reason", "exit_code")}
        if job.holds:
            interval = job.holds.pop(0)
            return reply(202, **{"Job-Status": job.state, "X-GitLab-Trace-Update-Interval": str(interval)})
        told = job.pending_state
        job.finish(told["state"], told["failure_reason"] or "script_failure", told["exit_code"])
        self.platform.finished(job)
        return self._accepted(job)

    @staticmethod
    def _tell(job: Job) -> None:
        """Notes when the runner first hears of a cancel."""
        if job.state in ("canceling", "canceled"):
            job.mark("cancel_told")

    def _accepted(self, job: Job) -> web.Response:
        self._tell(job)
        return web.Response(status=200, text="200", headers={
            "Job-Status": job.state, "X-GitLab-Trace-Update-Interval": str(self._interval(job))})


async def watchdog(platform: Platform, interval_s: float = 1.0) -> None:
    """Wakes waiters now and then, so that a changed clock or a removed runner is seen."""
    while True:
        await asyncio.sleep(interval_s)
        platform.changed()
