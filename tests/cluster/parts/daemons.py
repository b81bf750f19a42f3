"""Starting and stopping processes that outlive this program, and stopping exactly those."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .places import Places
from .trouble import Trouble, say

STOP_SECONDS = 8.0


def start(place: Places, name: str, command: list[str]) -> None:
    """Starts one daemon in a session of its own; its output goes to logs/<name>.log."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    with open(place.logs / f"{name}.log", "ab") as log:
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            env=dict(os.environ, PATH=path),
        )  # fmt: skip
    (place.pids / name).write_text(f"{process.pid} {_started_at(process.pid)}\n")


def _started_at(pid: int) -> str:
    """Clock ticks since boot at which the process began: with the id it names one process for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def running(place: Places, name: str) -> int:
    """The process id of a daemon that we started and that still runs, or 0."""
    try:
        pid, started = (place.pids / name).read_text().split()
    except (OSError, ValueError):
        return 0
    return int(pid) if started == _started_at(int(pid)) else 0


def stop(place: Places, name: str) -> None:
    """TERM, and KILL when that was not enough. A process that is not ours is never touched."""
    pid = running(place, name)
    deadline = time.monotonic() + STOP_SECONDS
    if pid:
        os.kill(pid, signal.SIGTERM)
    while running(place, name) and time.monotonic() < deadline:
        time.sleep(0.02)
    if running(place, name):
        say(f"{name} did not end in {STOP_SECONDS:.0f} s, killed")
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    (place.pids / name).unlink(missing_ok=True)


def require_running(place: Places, names: list[str]) -> None:
    """A daemon that died while the cluster came up is reported with the end of its log."""
    for name in names:
        if not running(place, name):
            log = place.logs / f"{name}.log"
            tail = log.read_text(errors="replace").splitlines()[-12:] if log.exists() else []
            raise Trouble(f"{name} ended; the last lines of {log}:\n  " + "\n  ".join(tail))
