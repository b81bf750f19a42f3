"""Log rows: a line after a pause, much text at once, many lines."""

from __future__ import annotations

import re

from .process import CourierClock, cpu_seconds
from .start import arrival
from .table import Row, Table

AFTER_PAUSE_S = 0.2
CPU_PER_1000_LINES_MS = 2
LINES = 100_000
# Just under the default output limit of 4 MiB, which holds the runner's own lines too.
TEXT_LINES = 52_000
BYTES = TEXT_LINES * 80
WRITTEN = re.compile(rb"^written (\d+\.\d+)\r?$", re.M)


class Output:
    def __init__(self, site, place, repeats: int) -> None:
        self.site, self.place, self.repeats = site, place, repeats

    def after_pause(self, table: Table) -> None:
        """Lines 1.5 s apart while DataOps asks for one update a second."""
        late = []
        for _ in range(max(1, self.repeats // 3)):
            job = self.site.job(['for i in $(seq 9); do echo "written $EPOCHREALTIME"; sleep 1.5; done'], trace_interval_s=1,
                                variables={"GIT_STRATEGY": "none"}).succeeds()
            view = job.view
            for match in list(WRITTEN.finditer(job.trace))[1:]:
                late.append(arrival(view, match.start()) - float(match[1]))
            self.place.wait_no_pods()
        table.add(Row("printed line to DataOps, first after a pause", "s", late, AFTER_PAUSE_S))

    def _bulk(self, commands: list[str], least_bytes: int) -> tuple[float, float, float]:
        """Seconds from the last line written to its arrival, CPU seconds of the controller, of courier."""
        pid = self.site.controller.process.pid
        clock, before = CourierClock(), cpu_seconds(pid)
        clock.start()
        job = self.site.job([*commands, 'echo "written $EPOCHREALTIME"'], variables={"GIT_STRATEGY": "none"}).succeeds(120)
        controller_s, courier_s = cpu_seconds(pid) - before, clock.stop()
        trace = job.trace
        match = WRITTEN.search(trace)
        assert match and match.start() >= least_bytes, job.story()
        late = arrival(job.view, match.start()) - float(match[1])
        self.place.wait_no_pods()
        return late, controller_s, courier_s

    def _rows(self, table: Table, what: str, commands: list[str], least_bytes: int, budget_ms: float | None, of: str) -> None:
        runs = [self._bulk(commands, least_bytes) for _ in range(self.repeats)]
        late, controller, courier = zip(*runs)
        table.add(Row(f"{what}: last byte at DataOps after it was written", "s", list(late)))
        table.add(Row(f"{what}: controller CPU, whole job", "ms", [s * 1000 for s in controller], budget_ms, of))
        table.add(Row(f"{what}: courier CPU, whole job", "ms", [s * 1000 for s in courier]))

    def bulk(self, table: Table, job_ms: float) -> None:
        whole = f"python3 -c 'print((\"0\" * 79 + chr(10)) * {TEXT_LINES}, end=\"\")' > /tmp/text"
        self._rows(table, "4 MiB at once", [whole, "cat /tmp/text"], BYTES, None, "")
        self._rows(table, "100,000 short lines", [f"seq {LINES}"], len(str(LINES)) * LINES // 2,
                   job_ms + CPU_PER_1000_LINES_MS * LINES / 1000, "5 ms + 2 ms per 1,000 lines")
