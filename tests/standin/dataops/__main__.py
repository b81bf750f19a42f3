"""Starts the stand-in by hand; prints one JSON line with addresses and tokens, runs until TERM or INT."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

from .server import Server


def options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.standin.dataops", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port of the platform (default: a free one)")
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--name", action="append", default=[],
                        help="host name for addresses and certificate; the first one is used in addresses")
    parser.add_argument("--state", type=Path, help="folder for repositories, artifacts, certificates and records")
    parser.add_argument("--http", action="store_true", help="plain HTTP in place of TLS")
    parser.add_argument("--first-job-id", type=int, default=1001, help="id of the first job (default: %(default)s)")
    parser.add_argument("--trace-interval", type=int, default=3, help="seconds asked for between trace updates")
    return parser.parse_args(argv)


async def serve(args: argparse.Namespace) -> None:
    folder = args.state or Path(tempfile.mkdtemp(prefix="dataops-standin-"))
    server = Server(folder, args.listen, args.name, args.http, args.first_job_id)
    server.platform.settings.trace_interval_s = args.trace_interval
    await server.start(args.port)
    print(json.dumps(server.info()), flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await server.stop()


def main() -> int:
    asyncio.run(serve(options()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
