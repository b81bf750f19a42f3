"""Rows with many jobs: requests, CPU and memory."""

from __future__ import annotations

import time
from collections import Counter

from .process import cpu_seconds, memory_kib
from .start import SCRIPT
from .table import Row, Table

REQUESTS = 5
CPU_MS = 5
IDLE_ALL_MIB, IDLE_ANON_MIB = 16, 4
PER_JOB_KIB = 100
SETTLE_S = 12


# What a controller asks however many jobs there are.
SHARED = ("list pods", "watch pods", "get leases", "create leases", "update leases")


def _kind(request: dict) -> str:
    return " ".join(filter(None, (request["verb"], request["resource"], request["subresource"])))


class Load:
    def __init__(self, make_site, place) -> None:
        self.make_site, self.place = make_site, place

    def trivial(self, table: Table, site, jobs: int) -> None:
        """All at once."""
        pid = site.controller.process.pid
        time.sleep(2)
        known, before, began = len(self.place.requests()), cpu_seconds(pid), time.monotonic()
        added = [site.job([SCRIPT]) for _ in range(jobs)]
        for job in added:
            job.succeeds(300)
        self.place.wait_no_pods()
        cpu_ms, took_s = (cpu_seconds(pid) - before) * 1000, time.monotonic() - began
        time.sleep(1)
        asked = [_kind(r) for r in self.place.requests()[known:]]
        own = [kind for kind in asked if kind not in SHARED]
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(Counter(asked).items()))
        note = f"{jobs} jobs at once, done after {took_s:.0f} s; {told}; not counted as a job's: {', '.join(SHARED)}"
        table.add(Row("Kubernetes API requests per job", "", [len(own) / jobs], REQUESTS, note=note))
        idle_ms = self._idle_ms(pid)
        note = f"polling and watching included; they cost {idle_ms:.2f} ms a second when nothing runs"
        table.add(Row("controller CPU per trivial job", "ms", [cpu_ms / jobs], CPU_MS, note=note))

    @staticmethod
    def _idle_ms(pid: int, seconds: float = 8) -> float:
        before = cpu_seconds(pid)
        time.sleep(seconds)
        return (cpu_seconds(pid) - before) * 1000 / seconds

    def memory(self, table: Table, jobs: int) -> None:
        """A fresh controller, idle, then with jobs that all wait."""
        site = self.make_site()
        pid = site.controller.process.pid
        time.sleep(SETTLE_S)
        idle = memory_kib(pid)
        table.add(Row("controller RSS, idle", "MiB", [idle["all"] / 1024], IDLE_ALL_MIB))
        table.add(Row("of it anonymous", "MiB", [idle["anon"] / 1024], IDLE_ANON_MIB))
        added = [site.job([SCRIPT, "sleep 600"]) for _ in range(jobs)]
        for job in added:
            job.wait_trace(rb"the-script-speaks", 300)
        time.sleep(SETTLE_S)
        busy = memory_kib(pid)
        note = f"{jobs} jobs with a log websocket each; anonymous memory grew by {(busy['anon'] - idle['anon']) / 1024:.1f} MiB"
        table.add(Row("controller RSS per running job", "KiB", [(busy["all"] - idle["all"]) / jobs], PER_JOB_KIB, note=note))
        for job in added:
            job.cancel(force=True)
        self.place.wait_no_pods()
        site.stop()
