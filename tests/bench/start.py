"""From picked up to the first script byte and to the result, in turns with the bare pod; and what happened in between."""

from __future__ import annotations

import json
import time

from .bare import first_log_byte
from .table import Row, Table

MARK = b"the-script-speaks"
SCRIPT = "echo the-script''-speaks"  # the command as it is echoed does not hold the mark
LATENCY_GIVEN_S = 0.2
SUCCESS_S = 1.4
POLL_S = 1.0  # check_interval
KUBELET_S = 1.0


def arrival(view: dict, offset: int) -> float:
    """When the byte at this offset of the log came to DataOps."""
    return next(chunk["at"] for chunk in view["chunks"] if chunk["first"] <= offset < chunk["first"] + chunk["length"])


def script_byte_s(job) -> float:
    """Picked up to first script byte."""
    at = job.trace.find(MARK)
    assert at >= 0, job.story()
    return arrival(job.view, at) - job.view["times"]["picked"]


class Start:
    def __init__(self, site, place, repeats: int) -> None:
        self.site, self.place, self.repeats = site, place, repeats
        self.bare: list[float] = []
        self.naked: list[float] = []
        self.plain: list[float] = []
        self.with_git: list[float] = []
        self.success: list[float] = []
        self.jobs: list = []
        self._seen = 0

    def _await_moment(self, share: float) -> float:
        """When the next pod shall begin. The kubelet looks at its containers once a second, and a pod vanishes with such a look: each
        of a turn's pods begins at the same share of that second, and the turns cover it evenly."""
        self.place.wait_no_pods()
        return time.time() + share

    def _bare(self, share: float, with_token: bool) -> float:
        time.sleep(max(0, self._await_moment(share) - time.time()))
        return first_log_byte(self.place, with_token)

    def _job(self, share: float, *script: str, **more):
        """A job that is picked up at the moment: the answer to the poll before is held back as long as it takes."""
        moment = self._await_moment(share)
        last_poll = self.site.polls(self._seen)[-1]
        self._seen = last_poll["n"] - 1
        next_poll = last_poll["at"] + POLL_S
        while next_poll < time.time() + 0.05:
            next_poll += POLL_S
        self.site.dataops.fault("/jobs/request", method="POST", delay_s=(moment - next_poll) % KUBELET_S)
        return self.site.job(list(script), **more).succeeds()

    def one_turn(self, share: float, keep: bool) -> None:
        bare, naked = self._bare(share, True), self._bare(share, False)
        # The script goes on for a while: its byte must come by itself, not with the end of the job.
        plain = self._job(share, SCRIPT, "sleep 1.5", variables={"GIT_STRATEGY": "none"})
        with_git = self._job(share, SCRIPT, "sleep 1.5")
        trivial = self._job(share, SCRIPT)
        if keep:
            self.bare.append(bare)
            self.naked.append(naked)
            self.plain.append(script_byte_s(plain))
            self.with_git.append(script_byte_s(with_git))
            self.success.append(trivial.seconds("picked", "finished"))
            self.jobs += [plain, with_git, trivial]

    def measure(self, table: Table) -> None:
        self.one_turn(0, keep=False)
        for turn in range(self.repeats):
            self.one_turn((turn + 0.5) / self.repeats * KUBELET_S, keep=True)
        table.add(Row("bare two-container pod: create to first log byte", "s", self.bare))
        table.add(Row("the same without any volume", "s", self.naked))
        self._against_bare(table, "no sources", self.plain)
        self._against_bare(table, "with git", self.with_git)
        table.add(Row("picked up to success reported, trivial job with git", "s", self.success, SUCCESS_S))
        self._windows(table)

    def _against_bare(self, table: Table, which: str, taken: list[float]) -> None:
        """Judged is the difference to the bare pod of the same turn: both began at the same share of the kubelet's second."""
        table.add(Row(f"picked up to first script byte at DataOps, {which}", "s", taken))
        more = [ours - bare for ours, bare in zip(taken, self.bare)]
        table.add(Row(f"that, over the bare pod of the same turn, {which}", "s", more, LATENCY_GIVEN_S))

    # -- from the audit log ----------------------------------------------
    def _answered_201(self) -> dict[int, float]:
        """Job id -> when DataOps had answered."""
        out = {}
        for exchange in self.site.dataops.requests("POST", "/jobs/request"):
            if exchange["status"] == 201:
                out[json.loads(exchange["reply"]["text"])["id"]] = exchange["at"] + exchange["took_s"]
        return out

    def _windows(self, table: Table) -> None:
        answered, asked = self._answered_201(), self.place.requests()
        unsafe, until_log, story = [], [], []
        for job in self.jobs:
            mine = [r for r in asked if f"-{job.id}-" in r["name"]]
            stored = next(r for r in mine if r["resource"] == "secrets" and r["verb"] == "create")
            log = next(r for r in mine if r["subresource"] == "log")
            unsafe.append((stored["answered"] - answered[job.id]) * 1000)
            until_log.append(log["received"] - job.view["times"]["picked"])
            story.append(self._story(job, mine))
        table.add(Row("DataOps' 201 to the plan being stored (until then a job is not safe)", "ms", unsafe))
        table.add(Row("picked up to the log being asked for", "s", until_log))
        self.stories = story

    @staticmethod
    def _story(job, asked: list[dict]) -> str:
        """One job's requests, in seconds since it was picked: to see where time goes."""
        view = job.view
        begin = view["times"]["picked"]
        events = [(r["received"], f"{r['verb']} {r['resource']}/{r['subresource']}".rstrip("/") + f" ({(r['answered'] - r['received']) * 1000:.0f} ms)") for r in asked]
        events += [(e["at"], f"{e['method']} {e['path'].rsplit('/', 1)[-1][:24]} -> {e['status']} ({e['took_s'] * 1000:.0f} ms)") for e in job.requests()]
        events += [(e["at"], f"{e['method']} {e['path'][:40]} ({e['took_s'] * 1000:.0f} ms)")
                   for e in job.site.dataops.requests("", "warehouse.git") if begin <= e["at"] <= view["times"]["finished"]]
        return f"job {job.id}: " + "; ".join(f"{at - begin:.3f} {what}" for at, what in sorted(events))
