"""A real Kubernetes (tests/cluster) as a place. The controller runs on this machine under an account with its own rights only."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import threading
import time
from pathlib import Path

from .place import REAL, Place
from .processes import ROOT
from .standin import role

CLUSTER = ROOT / "tests" / "cluster" / "cluster"
USER = "dataops-controller"
SAMPLE_S = 0.1


class LogKeeper(threading.Thread):
    """Links every container log file of the namespaces into a folder of its own as soon as it is seen: the kubelet
    removes them with the pod."""

    def __init__(self, logs: Path, kept: Path, namespaces: list[str]) -> None:
        super().__init__(daemon=True)
        self.logs, self.kept, self.namespaces = logs, kept, namespaces
        self.over = threading.Event()
        self._seen: set[int] = set()

    def run(self) -> None:
        self.kept.mkdir(parents=True, exist_ok=True)
        while not self.over.wait(SAMPLE_S):
            self.look()

    def look(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # a folder that goes while it is read: the rest is for the next look
            for namespace in list(self.namespaces):
                for file in self.logs.glob(f"{namespace}_*/*/*"):
                    self._keep(file)

    def _keep(self, file: Path) -> None:
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            inode = file.stat().st_ino
            if inode not in self._seen:
                self._seen.add(inode)
                pod = file.parts[-3].split("_")[1]
                os.link(file, self.kept / f"{pod}_{file.parts[-2]}_{inode}.log")


class RealPlace(Place):
    name = REAL
    helper_image = "docker.io/library/dataops-runner:latest"

    def __init__(self) -> None:
        super().__init__()
        self.env: dict[str, str] = {}
        self.keeper: LogKeeper | None = None
        self.kubeconfig = ""
        self.audit = Path()
        self.namespaces: list[str] = []
        # Whose requests count: those of the controllers under test.
        self.users = {USER}

    def start(self, folder: Path) -> None:
        lines = subprocess.run([CLUSTER, "env"], check=True, capture_output=True, text=True).stdout.splitlines()
        self.env = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
        self.dataops_address = self.env["DATAOPS_CLUSTER_ADDRESS"]
        self.image = self.env["DATAOPS_CLUSTER_JOBS_IMAGE"]
        self.audit = Path(self.env["DATAOPS_CLUSTER_AUDIT_LOG"])
        self.audit_began = self.audit.stat().st_size  # what earlier runs did is not looked at
        archive = ROOT / "build" / "dataops-runner-image.tar"
        subprocess.run([CLUSTER, "load", "--once", archive], check=True, capture_output=True)
        self.kubeconfig = self._user()
        self.kubectl("apply", "-f", "-", body=role(self.releases))
        # A run has a namespace of its own, so that one cluster serves several runs.
        self.namespace = self.make_namespace(f"jobs-{os.getpid()}")
        self.keeper = LogKeeper(Path(self.env["DATAOPS_CLUSTER_POD_LOGS"]), folder / "container-logs", self.namespaces)
        self.keeper.start()

    def _user(self) -> str:
        done = subprocess.run([CLUSTER, "user", USER], check=True, capture_output=True, text=True)
        return done.stdout.strip().splitlines()[-1].removeprefix("KUBECONFIG=")

    def stop(self) -> None:
        if self.keeper is not None:
            self.keeper.over.set()
            self.keeper.join()
        if self.namespaces:
            self.kubectl("delete", "namespace", "--wait=false", *self.namespaces, check=False)

    def kubectl(self, *args: str, body: dict | None = None, text: str | None = None, check: bool = True) -> str:
        """As the administrator; body (an object) or text goes to its standard input."""
        given = json.dumps(body) if body is not None else text
        done = subprocess.run(["kubectl", *args], input=given.encode() if given is not None else None, env={**os.environ, **self.env},
                              capture_output=True, timeout=120)
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="surrogateescape")  # a log's bytes as they are, CRs too

    def controller_environment(self) -> dict[str, str]:
        return {"KUBECONFIG": self.kubeconfig}

    def make_namespace(self, name: str) -> str:
        name = self.make_empty_namespace(name)
        self.kubectl("create", "rolebinding", USER, "--clusterrole=dataops-runner", f"--user={USER}", "-n", name)
        return name

    def make_empty_namespace(self, name: str) -> str:
        """One in which nobody has rights yet."""
        # Workers count their namespaces each for itself.
        name = "-".join(filter(None, (name, os.environ.get("PYTEST_XDIST_WORKER"))))
        # One of an earlier run may still be on its way out.
        self.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=60s")
        self.kubectl("create", "namespace", name)
        self.namespaces.append(name)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if "default" in self.kubectl("get", "serviceaccounts", "-n", name, "-o", "name", check=False):
                return name
            time.sleep(0.1)
        raise RuntimeError(f"namespace {name} has no default service account after 20 s")

    def free_volumes(self) -> None:
        """Volumes whose claim went with its namespace wait for the next claim."""
        for volume in self._list("persistentvolumes"):
            if volume["status"]["phase"] == "Released":
                self.kubectl("patch", "pv", volume["metadata"]["name"], "--type=json", "-p", '[{"op": "remove", "path": "/spec/claimRef"}]')

    # -- looking in ------------------------------------------------------
    def _list(self, *kinds: str) -> list[dict]:
        return json.loads(self.kubectl("get", ",".join(kinds), "-A", "-o", "json"))["items"]

    def pods(self) -> list[dict]:
        return [pod for pod in self._list("pods") if pod["metadata"]["namespace"] in self.namespaces]

    def objects(self) -> list[dict]:
        found = self._list("pods", "secrets", "leases", "events", "configmaps")
        return [{**o, "data": None} if o["kind"] == "Secret" else o for o in found] + self._audit_lines()

    def _audit_lines(self) -> list[dict]:
        out = []
        with self.audit.open("rb") as file:
            file.seek(self.audit_began)
            for line in file:
                try:
                    out.append(json.loads(line))
                except json.JSONDecodeError:
                    continue
        return out

    def create(self, kind: str, manifest: dict, namespace: str = "") -> None:
        kinds = {"secrets": "Secret", "persistentvolumeclaims": "PersistentVolumeClaim", "configmaps": "ConfigMap",
                 "pods": "Pod"}
        body = {"apiVersion": "v1", "kind": kinds[kind], **manifest}
        if kind == "persistentvolumeclaims":
            body.setdefault("spec", {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}})
        # On the server's side: else the whole object, a Secret's data too, would stand in an annotation.
        self.kubectl("apply", "--server-side", "-n", namespace or self.namespace, "-f", "-", body=body)

    def delete_pod(self, name: str, namespace: str) -> None:
        self.kubectl("delete", "pod", name, "-n", namespace, "--wait=false")

    def container_log_files(self) -> list[Path]:
        self.keeper.look()
        return sorted(self.keeper.kept.glob("*.log"))

    def container_log_bytes(self, job_id: int) -> int:
        mine = [f for f in self.container_log_files() if f"-{job_id}-" in f.name and "_courier_" in f.name]
        assert mine, f"no container log of job {job_id} was seen"
        return sum(f.stat().st_size for f in mine)

    def requests(self, namespace: str) -> list[dict]:
        out = []
        for event in self._audit_lines():
            about = event.get("objectRef") or {}
            if event.get("user", {}).get("username") not in self.users or about.get("namespace") != namespace or event.get("stage") not in ("ResponseComplete", "ResponseStarted"):
                continue
            # A long answer (watch, log) is told twice; it counts once, when it began.
            if event["stage"] == "ResponseComplete" and (event.get("verb") == "watch" or about.get("subresource") == "log"):
                continue
            out.append({"verb": event["verb"], "resource": about.get("resource"), "subresource": about.get("subresource") or "",
                        "name": about.get("name") or "", "code": event.get("responseStatus", {}).get("code"), "time": event["requestReceivedTimestamp"]})
        return out

    def pod_names(self, job_id: int) -> list[str]:
        about = [e.get("objectRef") or {} for e in self._audit_lines()]
        names = {a.get("name", "") for a in about if a.get("resource") == "pods" and a.get("namespace") in self.namespaces}
        return sorted(name for name in names if f"-{job_id}-" in name)
