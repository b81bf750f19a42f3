"""The demo's repository, its pipeline, and what must be true of it afterwards."""

from __future__ import annotations

VAULT = """SNOWFLAKE:
  ACCOUNT: acme-eu-west-1
  PASSWORD: correct-horse-battery-staple
"""
SALT = "vJ2k9Qm4Zt7Xw1Lp8Rb3"
API_KEY = "key-51f3-demo-9a77"

BUILD = """#!/bin/sh
# Builds the orders mart: one CSV from the models.
set -e
mkdir -p out
printf 'building %s\\n' "$1"
printf 'id,amount\\n1,10\\n2,20\\n' > out/orders.csv
sha256sum out/orders.csv
"""

FILES = {
    "README.md": "# Orders\n\nA small data product.\n",
    "models/orders.sql": "select id, amount from raw.orders\n",
    "build.sh": {"text": BUILD, "executable": True},
}

BAR = ("for i in 10 20 30 40 50 60 70 80 90 100; do printf '\\rloading %3d%%' $i; sleep 0.2; done")


def build_job(tags: list[str]) -> dict:
    return {
        "name": "build", "stage": "build", "tags": tags, "project": "acme/orders",
        "script": ["git log --oneline | head -n 3", "./build.sh orders"],
        "after_script": ["echo \"the build was a $CI_JOB_STATUS\""],
        "artifacts": {"name": "orders", "paths": ["out/"], "expire_in": "1 week"},
    }


def load_job(tags: list[str], build_id: int) -> dict:
    return {
        "name": "load", "stage": "load", "tags": tags, "project": "acme/orders", "needs": [build_id],
        "variables": {"API_KEY": {"value": API_KEY, "masked": True}},
        "script": ["cat out/orders.csv", "echo \"the vault has $(grep -c : /secrets/vault.yml) lines\"", "cat /secrets/vault.yml", "echo \"the key is $API_KEY\"", BAR, "printf 'loaded\\n'"],
    }


def site_job(number: int, tag: str) -> dict:
    return {"name": f"job-{number}", "stage": "test", "tags": [tag], "project": "acme/orders",
            "script": [f"echo \"job {number} runs at $CI_RUNNER_DESCRIPTION\"", "sleep 1"]}


def check_pair(build: dict, build_log: bytes, load: dict, load_log: bytes, entries: list[str]) -> list[str]:
    """Sentences about what is not as it should be."""
    wrong = []
    for job in (build, load):
        if job["state"] != "success":
            wrong.append(f"job {job['name']} is {job['state']} ({job['failure_reason']})")
    bar = b"".join(b"\rloading %3d%%" % n for n in range(10, 101, 10))
    facts = [
        (b"building orders" in build_log, "the build's output is not in its log"),
        (b"the build was a success" in build_log, "after_script did not run"),
        ("out/orders.csv" in entries, "the artifact holds no out/orders.csv"),
        (b"1,10" in load_log, "the second job did not get the first one's file"),
        (b"the vault has 3 lines" in load_log, "the vault was not readable at /secrets/vault.yml"),
        (b"[MASKED]" in load_log, "nothing was masked"),
        (API_KEY.encode() not in load_log, "the masked variable shows in the log"),
        (b"correct-horse" not in load_log, "a vault value shows in the log"),
        (bar in load_log, "the progress bar is not in the log as it was printed"),
    ]
    return wrong + [sentence for holds, sentence in facts if not holds]
