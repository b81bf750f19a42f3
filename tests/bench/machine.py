"""What was measured on what: cores, kernel, versions. No names, no paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from tests.integration.harness.controller import program


def _output(*command: str, env: dict | None = None) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else "unknown"


def describe(env: dict[str, str]) -> list[tuple[str, str]]:
    """Rows (what, which)."""
    cpu = _found(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory_kib = int(_found(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text()))
    system = _found(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    kernel = _found(r"^(\d+\.\d+\.\d+)", platform.release())
    containerd = _found(r"(\d+\.\d+\.\d+)", _output("containerd", "--version"))
    runc = _found(r"version (\S+)", _output("runc", "--version"))
    etcd = _found(r"etcd Version: (\S+)", _output("etcd", "--version"))
    own = (_output(str(program("dataops-runner")), "--version").splitlines() or ["unknown"])[0]
    own = own.removeprefix("Version:").strip()
    whole = {**os.environ, **env}
    version = _found(r'"gitVersion": "(.*?)"', _output("kubectl", "version", "-o", "json", env=whole))
    return [
        ("processor", f"{os.cpu_count()} cores, {cpu}"),
        ("memory", f"{memory_kib / (1 << 20):.0f} GiB"),
        ("system", f"{system}, kernel {kernel}"),
        ("Kubernetes", f"{version}, one node, everything on this machine"),
        ("container runtime", f"containerd {containerd}, runc {runc}"),
        ("etcd", f"{etcd}, without fsync"),
        ("dataops-runner", own),
        ("DataOps", f"the stand-in of tests/standin/dataops, Python {platform.python_version()}, on the same machine"),
    ]
