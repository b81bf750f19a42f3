"""The cluster of tests/cluster as a place for measurements: a namespace and a client certificate of its own, nothing sampled."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import ssl
import subprocess
import time
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.integration.harness.processes import ROOT
from tests.integration.harness.standin import role

CLUSTER = ROOT / "tests" / "cluster" / "cluster"
ACCOUNT = "bench-controller"
ROLE = "dataops-runner-bench"


class BenchPlace:
    """What `Site` needs of a place, and a look at the audit log."""

    name = "real"

    def __init__(self, helper_image: str) -> None:
        self.helper_image = helper_image
        self.env = self._cluster_environment()
        self.dataops_address = self.env["DATAOPS_CLUSTER_ADDRESS"]
        self.image = self.env["DATAOPS_CLUSTER_JOBS_IMAGE"]
        self.namespace = f"bench-{os.getpid()}"
        self.user = f"system:serviceaccount:{self.namespace}:{ACCOUNT}"
        self.kubeconfig = ""
        self._audit_from = 0

    @staticmethod
    def _cluster_environment() -> dict[str, str]:
        lines = subprocess.run([CLUSTER, "env"], check=True, capture_output=True, text=True).stdout.splitlines()
        return dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))

    def start(self, folder: Path) -> None:
        rights = role([f"site-{number}" for number in range(1, 10)])
        rights["metadata"]["name"] = ROLE
        self.kubectl("apply", "-f", "-", body=rights)
        self.kubectl("create", "namespace", self.namespace)
        self.kubectl("create", "serviceaccount", ACCOUNT, "-n", self.namespace)
        self.kubectl("create", "rolebinding", ROLE, f"--clusterrole={ROLE}", f"--serviceaccount={self.namespace}:{ACCOUNT}", "-n", self.namespace)
        self._write_kubeconfig(folder / "kubeconfig")
        deadline = time.monotonic() + 20
        while "default" not in self.kubectl("get", "serviceaccounts", "-n", self.namespace, "-o", "name"):
            if time.monotonic() > deadline:
                raise RuntimeError("the namespace has no default service account after 20 s")
            time.sleep(0.1)
        self._audit_from = self._audit_path.stat().st_size

    def _write_kubeconfig(self, path: Path) -> None:
        """The controller connects as it does in a cluster: with a service account's token, without a client certificate."""
        token = self.kubectl("create", "token", ACCOUNT, "-n", self.namespace, "--duration=24h").strip()
        admin = yaml.safe_load(Path(self.env["KUBECONFIG"]).read_text())
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "clusters": admin["clusters"][:1], "current-context": "bench",
            "contexts": [{"name": "bench", "context": {"cluster": admin["clusters"][0]["name"], "user": "bench"}}],
            "users": [{"name": "bench", "user": {"token": token}}]}))
        path.chmod(0o600)
        self.kubeconfig = str(path)

    def stop(self) -> None:
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def kubectl(self, *args: str, body: dict | None = None) -> str:
        done = subprocess.run(["kubectl", *args], input=json.dumps(body) if body is not None else None, check=False,
                              env={**os.environ, **self.env}, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def controller_environment(self) -> dict[str, str]:
        return {"KUBECONFIG": self.kubeconfig}

    # -- the API, as the administrator -----------------------------------
    def server(self) -> tuple[str, ssl.SSLContext]:
        """Address of the apiserver and a TLS context with the administrator's certificate."""
        import base64
        import tempfile

        config = yaml.safe_load(Path(self.env["KUBECONFIG"]).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

        def text(tree: dict, key: str) -> str:
            return base64.b64decode(tree[key + "-data"]).decode() if key + "-data" in tree else Path(tree[key]).read_text()

        context = ssl.create_default_context(cadata=text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w") as pair:
            pair.write(text(user, "client-certificate") + "\n" + text(user, "client-key"))
            pair.flush()
            context.load_cert_chain(pair.name)
        return cluster["server"], context

    def wait_no_pods(self, timeout_s: float = 120) -> None:
        """Until nothing of an earlier measurement is left on the node."""
        url, context = self.server()
        connection = HTTPSConnection(urlsplit(url).netloc, context=context, timeout=30)
        deadline = time.monotonic() + timeout_s
        while True:
            connection.request("GET", f"/api/v1/namespaces/{self.namespace}/pods")
            if not json.loads(connection.getresponse().read())["items"]:
                connection.close()
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"pods are left after {timeout_s} s")
            time.sleep(0.03)

    # -- the audit log ---------------------------------------------------
    @property
    def _audit_path(self) -> Path:
        return Path(self.env["DATAOPS_CLUSTER_AUDIT_LOG"])

    def requests(self) -> list[dict]:
        """What the controllers of this run asked so far: verb, resource, subresource, name, code, received, answered (Unix seconds)."""
        out = []
        with self._audit_path.open("rb") as file:
            file.seek(self._audit_from)
            for line in file:
                if self.user.encode() not in line or not line.endswith(b"\n"):
                    continue
                event = json.loads(line)
                about = event.get("objectRef") or {}
                if event["user"]["username"] != self.user:
                    continue
                is_long = event["verb"] == "watch" or about.get("subresource") == "log"
                # A long answer is told twice; it counts once, when it began.
                if event["stage"] != ("ResponseStarted" if is_long else "ResponseComplete"):
                    continue
                out.append({"verb": event["verb"], "resource": about.get("resource") or "",
                            "subresource": about.get("subresource") or "", "name": about.get("name") or "",
                            "code": (event.get("responseStatus") or {}).get("code"),
                            "received": _seconds(event["requestReceivedTimestamp"]),
                            "answered": _seconds(event["stageTimestamp"])})
        return out


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
