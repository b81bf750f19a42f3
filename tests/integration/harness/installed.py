"""A controller inside the real cluster, put there by helm or by plain manifests, as a site."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.standin.dataops.client import Client

from .job import JobRun
from .processes import ROOT
from .real import RealPlace
from .site import Site

CHART = ROOT / "deploy" / "helm" / "dataops-runner"
READY_S = 60


def secret(name: str, values: dict[str, str]) -> dict:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": name}, "type": "Opaque", "data": data}


class InstalledController:
    """What a test looks at: the same words as those of a controller on this machine."""

    def __init__(self, place: RealPlace, namespace: str, release: str) -> None:
        self.place, self.namespace, self.release = place, namespace, release
        self._past: dict[str, str] = {}

    @property
    def _selector(self) -> str:
        return f"app.kubernetes.io/instance={self.release},app.kubernetes.io/name=dataops-runner"

    def pods(self) -> list[dict]:
        return json.loads(self.place.kubectl("get", "pods", "-n", self.namespace, "-l", self._selector, "-o", "json"))["items"]

    @property
    def log(self) -> str:
        """Of all its pods that this test has seen, those that are gone included."""
        for pod in self.pods():
            name = pod["metadata"]["name"]
            self._past[name] = self.place.kubectl("logs", name, "-n", self.namespace, check=False) or self._past.get(name, "")
        return "\n".join(self._past.values())

    @property
    def running(self) -> bool:
        return any(s["ready"] for pod in self.pods() for s in pod["status"].get("containerStatuses", []))

    def wait_ready(self) -> None:
        self.place.kubectl("rollout", "status", f"deployment/{self.release}", "-n", self.namespace, f"--timeout={READY_S}s")

    def wait_log(self, pattern: str, timeout_s: float = 20) -> re.Match:
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.log)
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} in the controller's log:\n{self.log[-4000:]}")
            time.sleep(0.2)

    def restart(self) -> None:
        """As an upgrade does it."""
        assert self.log is not None  # kept, because the pod goes
        self.place.kubectl("rollout", "restart", f"deployment/{self.release}", "-n", self.namespace)
        self.wait_ready()

    def kill(self) -> None:
        """The pod's processes end at once, without a word; the deployment makes another pod."""
        for pod in self.pods():
            self.place.kubectl("delete", "pod", pod["metadata"]["name"], "-n", self.namespace, "--grace-period=0", "--force")


class InstalledSite(Site):
    """A namespace with what an operator makes there (token, authority, vault), and the release installed into it."""

    def __init__(self, place: RealPlace, dataops: Client, namespace: str, release: str = "dataops-runner") -> None:
        self.place, self.dataops = place, dataops
        self.namespace, self.release, self.tag = namespace, release, release
        self.controller = InstalledController(place, namespace, release)
        place.free_volumes()
        place.users.add(f"system:serviceaccount:{namespace}:{release}")

    @property
    def url(self) -> str:
        return self.dataops.info["url"]

    @property
    def authority(self) -> str:
        return Path(self.dataops.info["ca_path"]).read_text()

    def make_runner(self) -> str:
        """A runner as the UI makes one; gives its token."""
        return self.dataops.add_runner(scope="group", path="acme", tag_list=self.tag, run_untagged=False, description=self.tag)["token"]

    def make_secrets(self, token: dict[str, str], vault: dict[str, str] | None = None) -> None:
        """token: the one key runner-token or runner-registration-token."""
        address = urlsplit(self.url).hostname
        self.place.create("secrets", secret(f"{self.release}-token", token), self.namespace)
        self.place.create("secrets", secret("platform-authority", {f"{address}.crt": self.authority}), self.namespace)
        if vault:
            self.place.create("secrets", secret("dataops-vault", vault), self.namespace)

    def values(self, **more) -> dict:
        """dataops-values.yml of this site."""
        return {"gitlabUrl": self.url, "checkInterval": 1, "certsSecretName": "platform-authority", "agentTag": self.tag, "logLevel": "debug",
                "jobs": {"image": self.place.image, "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}}}, **more}

    def helm(self, *words: str, values: dict | None = None) -> str:
        command = ["helm", *words, "--namespace", self.namespace]
        if values is not None:
            command += ["--values", "-"]
        done = subprocess.run(command, input=json.dumps(values) if values is not None else None, text=True, capture_output=True,
                              env={**os.environ, **self.place.env}, timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{self.controller.log[-3000:]}")
        return done.stdout

    def install(self, **more) -> str:
        return self.helm("install", self.release, str(CHART), "--wait", "--timeout", f"{READY_S}s", values=self.values(**more))

    def stop(self) -> None:
        self.place.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)

    def job(self, script=None, **description) -> JobRun:
        return super().job(script, **description)
