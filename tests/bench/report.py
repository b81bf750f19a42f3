"""docs/benchmarks.md."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from .table import Table

PAGE = """# Benchmarks

Written by `make bench` on {day}: docs/design.md section 5, measured in one run on a real Kubernetes (tests/cluster). Medians; the
start-up rows take turns with a bare two-container pod that is read the same way (a websocket watch, then a websocket log), because
a machine's speed changes while one measures.

{table}

## Machine
| | |
|---|---|
{machine}

## How it is measured
- "Picked up" and "at DataOps" are times of the DataOps stand-in: when it took the job off its queue, when bytes or the final state
  had arrived. It is a Python program on the same cores: some ten milliseconds of its own are in every row that ends there, and its
  `git http-backend` is in the rows with git.
- The script of the first-byte rows goes on after its first line, so that the line must come by itself and not with the job's end.
- The kubelet looks at its containers once a second, and only then shows that they run and serves their logs. A pod whose start pass ends
  just after such a look is seen a second later. So each turn begins its pods at the same share of that second, the turns cover it
  evenly, and a job is judged by its difference to the bare pod of its turn; that difference is some 0.1 s or, now and then, one look more.
- Requests are counted in the apiserver's audit log, by the controller's service account.
- CPU time is the process' CPU clock, user and system. RSS is what the kernel says of the process, shared libraries included.
- The bulk rows end with a line that holds the time at which it was written; the trace was checked for its length.
{notes}"""


def write(path: Path, table: Table, machine: list[tuple[str, str]]) -> None:
    path.write_text(PAGE.format(
        day=date.today().isoformat(), table=table.markdown(), machine="\n".join(f"| {what} | {which} |" for what, which in machine),
        notes="".join(f"- {note[0].upper()}{note[1:]}.\n" for note in table.notes())))
