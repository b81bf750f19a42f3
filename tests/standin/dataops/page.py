"""GET /: runners and jobs, for people."""

from __future__ import annotations

import html
import time

from aiohttp import web

from .platform import Platform

HEAD = """<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>DataOps stand-in</title>
<style>body{font:14px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd}.success{color:#176639}.failed{color:#ae1800}
.running,.canceling{color:#0b5cad}</style><h1>DataOps stand-in</h1>"""


def row(*cells, mark: str = "") -> str:
    return f'<tr class="{mark}">' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"


def seconds(since: float | None) -> str:
    return "-" if since is None else f"{time.time() - since:.0f} s ago"


class Page:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.show), web.get("/{project:.+}/-/jobs/{id:\\d+}", self.log)]

    async def show(self, _request: web.Request) -> web.Response:
        esc = html.escape
        runners = "".join(
            row(r.id, esc(r.description), esc(", ".join(r.tags)) or "(untagged)", r.state(), seconds(r.contacted_at()),
                esc(" ".join(sorted(r.managers))))
            for r in self.platform.registry.by_id.values())
        jobs = "".join(
            row(f'<a href="/{esc(j.project)}/-/jobs/{j.id}">{j.id}</a>', esc(j.name), esc(", ".join(j.tags)) or "-",
                j.state + (f" ({j.failure_reason})" if j.failure_reason else ""), j.runner_id or "-", len(j.trace),
                esc(", ".join(j.artifacts)), mark=j.state)
            for j in self.platform.jobs.values())
        return web.Response(content_type="text/html", text=(
            HEAD + "<h2>Runners</h2><table><tr><th>id<th>name<th>tags<th>state<th>last contact<th>system ids</tr>"
            + runners + "</table><h2>Jobs</h2><table><tr><th>id<th>name<th>tags<th>state<th>runner<th>log bytes"
            "<th>artifacts</tr>" + jobs + "</table>"))

    async def log(self, request: web.Request) -> web.Response:
        job = self.platform.jobs.get(int(request.match_info["id"]))
        if job is None:
            raise web.HTTPNotFound
        return web.Response(text=bytes(job.trace).decode(errors="replace"))
