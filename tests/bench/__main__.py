"""python -m tests.bench: measures, prints a table, writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.harness.processes import ROOT
from tests.integration.harness.site import DataOpsProcess, Site

from . import machine, report
from .cluster import CLUSTER, BenchPlace
from .load import Load
from .output import Output
from .start import Start
from .table import Table

PARTS = ("load", "start", "output", "memory")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Budgets of docs/design.md section 5 on the cluster of tests/cluster, which is up.")
    parser.add_argument("--repeat", type=int, default=9, help="repetitions of each latency row (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=40, help="jobs at once in the rows with many (default: %(default)s)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a budget is missed")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; nothing is written")
    parser.add_argument("--stories", action="store_true", help="print the requests of each job of the start-up rows")
    parser.add_argument("--archive", type=Path, default=ROOT / "build" / "dataops-runner-image.tar", help="image to load first")
    parser.add_argument("--helper-image", default="docker.io/library/dataops-runner:latest", help="its name")
    parser.add_argument("--folder", type=Path, help="keep configuration and logs here")
    return parser.parse_args()


def measure(args: argparse.Namespace, folder: Path, place: BenchPlace, stack: contextlib.ExitStack) -> Table:
    # The interval is what the platform asks for while somebody watches the job.
    dataops = DataOpsProcess(folder, place.dataops_address, "--trace-interval", "3")
    stack.callback(dataops.stop)

    def make_site() -> Site:
        site = Site(folder, dataops.client, place, globals_={"concurrent": 50, "log_level": "info"}).start()
        stack.callback(site.stop)
        return site

    parts, table = args.only or PARTS, Table()
    site, load = make_site(), Load(make_site, place)
    if "start" in parts:
        start = Start(site, place, args.repeat)
        start.measure(table)
        if args.stories:
            print("\n".join(start.stories))
    if "output" in parts:
        output = Output(site, place, args.repeat)
        output.after_pause(table)
        output.bulk(table, 5)
    if "load" in parts:
        load.trivial(table, site, args.jobs)
    site.stop()
    if "memory" in parts:
        load.memory(table, args.jobs)
    return table


def main() -> int:
    args = options()
    place = BenchPlace(args.helper_image)
    subprocess.run([CLUSTER, "load", args.archive], check=True, capture_output=True)
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        place.start(folder)
        stack.callback(place.stop)
        table = measure(args, folder, place, stack)
    print("\n" + table.plain())
    if not args.only:
        report.write(ROOT / "docs" / "benchmarks.md", table, machine.describe(place.env))
    missed = table.missed()
    print("\n" + (f"missed: {', '.join(row.what for row in missed)}" if missed else "all budgets kept"))
    return 1 if missed and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
