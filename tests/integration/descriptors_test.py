"""Open files: what the machine allows is used, and a controller that would need more says so before it takes a job."""

import re
import resource
import subprocess

from tests.integration.harness import processes
from tests.integration.harness.controller import program
from tests.integration.harness.declare import standin_only

CONFIG = """concurrent = {concurrent}
[[runners]]
name = "x"
url = "https://127.0.0.1:1"
token = "glrt-AbCdEfGhIjKlMnOpQrSt"
executor = "kubernetes"
limit = {limit}
[runners.kubernetes]
image = "x:1"
"""


def run(tmp_path, concurrent: int, limit: int, hard: int) -> tuple[int, str]:
    """Starts a controller whose hard limit of open files is `hard`; it finds no cluster."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(concurrent=concurrent, limit=limit))
    path.chmod(0o600)
    done = subprocess.run(
        [str(program("dataops-runner")), "run", "--config", str(path), "--kubeconfig", str(tmp_path / "absent")],
        capture_output=True, text=True, timeout=30, check=False, env=processes.environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)))
    return done.returncode, done.stdout + done.stderr


@standin_only("it ends before it talks to anybody")
def test_more_jobs_than_open_files_carry_are_refused_with_the_numbers(tmp_path):
    code, said = run(tmp_path, concurrent=100, limit=0, hard=700)
    assert code == 3
    assert re.search(r"concurrent = 100 .*712 open files.*may have 700.*concurrent = 94", said)
    assert "ulimit -Hn 712" in said and "LimitNOFILE=712" in said


@standin_only("it ends before it talks to anybody")
def test_the_limits_of_the_entries_count_when_they_are_lower(tmp_path):
    _, said = run(tmp_path, concurrent=100, limit=90, hard=700)
    assert "open files" not in said and "absent" in said


@standin_only("the controller is a process of this machine")
def test_a_low_soft_limit_is_raised(make_site):
    site = make_site()
    site.job(["true"]).succeeds()
    limits = open(f"/proc/{site.controller.process.pid}/limits", encoding="ascii").read()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert soft == hard
