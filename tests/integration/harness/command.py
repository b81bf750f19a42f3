"""Running the program"s commands the way a person does."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass

from . import processes
from .controller import program

REGISTER = [
    "register", "--non-interactive", "--executor", "docker", "--docker-image", "dataopslive/dataops-utils-runner",
    "--url", "{url}", "--registration-token", "{token}", "--description", "{name}", "--tag-list", "{name}",
    "--run-untagged=false", "--locked=false", "--access-level=not_protected",
]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def run(*args: str, timeout_s: float = 30, stdin: str | None = None, **env: str) -> Done:
    done = subprocess.run([str(program("dataops-runner")), *args], capture_output=True, text=True, timeout=timeout_s,
                          env=processes.environment(**env), input=stdin, check=False,
                          stdin=subprocess.DEVNULL if stdin is None else None)
    return Done(done.returncode, done.stdout, done.stderr)


def start(*args: str, **env: str) -> subprocess.Popen:
    """Starts a command that a case will signal; its messages are in stderr."""
    return subprocess.Popen([str(program("dataops-runner")), *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, env=processes.environment(**env))


def run_at_terminal(args: list[str], answers: list[str], timeout_s: float = 30) -> tuple[int, str]:
    """Types one answer at each question; gives the exit code and all that the terminal showed."""
    ours, theirs = pty.openpty()
    started = subprocess.Popen([str(program("dataops-runner")), *args], stdin=theirs, stdout=theirs, stderr=theirs,
                               env=processes.environment(), start_new_session=True)
    os.close(theirs)
    shown, typed, deadline = b"", 0, time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.2)[0]:
                if started.poll() is None and typed < len(answers) and shown.endswith(b": "):
                    os.write(ours, answers[typed].encode() + b"\n")
                    shown, typed = shown + b"\n", typed + 1
                continue
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
        return started.wait(5), shown.decode(errors="replace")
    finally:
        os.close(ours)
        if started.poll() is None:
            started.kill()
            started.wait()


def register_line(url: str, token: str, name: str) -> list[str]:
    """The documented register line, word for word."""
    return [word.format(url=url, token=token, name=name) for word in REGISTER]
