"""The controller under test: a config.toml and the program `dataops-runner run`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from . import processes


def program(name: str) -> Path:
    """A built program: from DATAOPS_BUILD, default build/."""
    folder = Path(os.environ.get("DATAOPS_BUILD", processes.ROOT / "build"))
    return (folder / name).resolve()


def toml(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def table(out: list[str], path: str, values: dict, array: bool = False) -> None:
    """Appends one TOML table; dicts become tables below it, lists of dicts arrays of tables."""
    if path:
        out.append(f"[[{path}]]" if array else f"[{path}]")
    later = []
    for key, value in values.items():
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            later.append((key, value))
        elif value is not None:
            out.append(f"{key} = {toml(value)}")
    for key, value in later:
        below = f"{path}.{key}" if path else key
        for entry in value if isinstance(value, list) else [value]:
            table(out, below, entry, isinstance(value, list))


class Controller:
    """One controller process; its log is read as it grows."""

    def __init__(self, folder: Path, config: dict | str, env: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config_path = folder / "config.toml"
        self.log_path = folder / "controller.log"
        self.env = env
        self.process: subprocess.Popen | None = None
        self.configure(config)

    def configure(self, config: dict | str) -> None:
        if isinstance(config, dict):
            out: list[str] = []
            table(out, "", config)
            config = "\n".join(out) + "\n"
        self.config_path.write_text(config)
        self.config_path.chmod(0o600)

    def start(self, *args: str) -> "Controller":
        with self.log_path.open("ab") as log:
            self.process = processes.start(
                [str(program("dataops-runner")), "run", "--config", str(self.config_path), *args],
                stdout=log, stderr=subprocess.STDOUT, env=processes.environment(**self.env), cwd=self.folder)
        return self

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_log(self, pattern: str, timeout_s: float = 20, after: int = 0) -> re.Match:
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.log[after:])
            if found:
                return found
            if time.monotonic() > deadline or not self.running:
                raise AssertionError(f"no {pattern!r} in the controller's log:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def stop(self, timeout_s: float = 70) -> int | None:
        """SIGTERM, as a rolling update does; its exit code."""
        return processes.stop(self.process, timeout_s)

    def kill(self) -> None:
        if self.running:
            self.process.kill()
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def restart(self) -> None:
        self.stop()
        self.start()
