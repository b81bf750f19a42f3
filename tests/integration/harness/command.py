"""Running the program"s commands the way a person does."""

from __future__ import annotations

import subprocess
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


def register_line(url: str, token: str, name: str) -> list[str]:
    """The documented register line, word for word."""
    return [word.format(url=url, token=token, name=name) for word in REGISTER]
