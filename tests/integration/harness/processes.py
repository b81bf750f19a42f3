"""Programs a test run starts: they die with it, whatever happens to it."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

# What a developer's machine may have set and a controller in a cluster never has.
FOREIGN = ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "http_proxy",
           "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "KUBECONFIG", "CONFIG_FILE",
           "REGISTRATION_TOKEN", "CI_SERVER_URL", "CI_SERVER_TOKEN", "RUNNER_NAME", "DEBUG")


def environment(**more: str) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    env.update(more)
    return env


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(command: list[str], **options) -> subprocess.Popen:
    options.setdefault("env", environment())
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, preexec_fn=_die_with_parent, **options)


def start_python(module: str, *args: str, log: Path, **options) -> subprocess.Popen:
    return start([sys.executable, "-m", module, *args], cwd=ROOT, stdout=subprocess.PIPE, stderr=log.open("ab"),
                 **options)


def first_line(process: subprocess.Popen, log: Path, timeout_s: float = 20) -> dict:
    """The JSON line a stand-in prints when it listens."""
    deadline = time.monotonic() + timeout_s
    line = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.2)
        if ready:
            line = process.stdout.readline()
            break
        if process.poll() is not None:
            break
    if not line:
        raise RuntimeError(f"{process.args[2]} did not start: {log.read_text(errors='replace')[-2000:]}")
    return json.loads(line)


def stop(process: subprocess.Popen | None, timeout_s: float = 10) -> int | None:
    if process is None or process.poll() is not None:
        return None if process is None else process.returncode
    process.terminate()
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
