"""Registers runners, serves a git repository and a pipeline, runs it, shows it, and stops all it started.

python -m tests.demo [--build build] [--sites 1|2] [--cluster standin|real]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path


def options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--build", default="build", help="folder of the three programs (default: %(default)s)")
    parser.add_argument("--sites", type=int, choices=(1, 2), default=1, help="runners at so many sites (default: %(default)s)")
    parser.add_argument("--cluster", choices=("standin", "real"), default="standin", help="which Kubernetes (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and state")
    return parser.parse_args(argv)


def main() -> int:
    args = options()
    os.environ["DATAOPS_BUILD"] = str(Path(args.build).resolve())
    os.environ["DATAOPS_CLUSTER"] = args.cluster
    # Imported here: these modules read the two settings above.
    from .screen import GREEN, RED, Screen

    if args.cluster == "real":
        from .real import RealDemo as Demo
    else:
        from .run import Demo

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen()
    folder = Path(tempfile.mkdtemp(prefix="dataops-demo-"))
    began = time.monotonic()
    demo = Demo(folder, screen, args.sites)
    try:
        wrong = demo.run()
    except KeyboardInterrupt:
        wrong = ["interrupted"]
    except Exception as trouble:  # pylint: disable=broad-except
        wrong = [f"{type(trouble).__name__}: {trouble}"]
        screen.say(demo.last_words(), "2")
    finally:
        demo.stop()
    for sentence in wrong:
        screen.say("WRONG: " + sentence, RED)
    took = f"{time.monotonic() - began:.0f} s"
    if wrong:
        args.keep = True
        screen.say(f"The demo failed after {took}.", RED)
    else:
        screen.say(f"All as expected, in {took}.", GREEN)
    if args.keep:
        screen.say(f"Logs and state: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
