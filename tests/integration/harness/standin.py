"""The Kubernetes stand-in as a place."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from . import processes
from .controller import program
from .place import STANDIN, Place



def role(releases: list[str]) -> dict:
    """The controller's rights, whole list (docs/design.md section 7); a ClusterRole, because cases use several namespaces."""
    def rule(group: str, resource: str, *verbs: str, **more) -> dict:
        return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **more}

    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "dataops-runner"}, "rules": [
        rule("", "pods", "create", "get", "list", "watch", "delete", "patch"),
        rule("", "pods/log", "get"),
        rule("", "secrets", "create"),
        rule("", "secrets", "get", "update", resourceNames=[name + "-state" for name in releases]),
        rule("coordination.k8s.io", "leases", "get", "create", "update"),
        rule("", "events", "list"),
    ]}


GROUPS = {"secrets": "/api/v1", "persistentvolumeclaims": "/api/v1", "configmaps": "/api/v1", "namespaces": "/api/v1",
          "pods": "/api/v1", "serviceaccounts": "/api/v1"}
KINDS = {"secrets": "Secret", "persistentvolumeclaims": "PersistentVolumeClaim", "configmaps": "ConfigMap",
         "namespaces": "Namespace", "pods": "Pod", "serviceaccounts": "ServiceAccount"}


class StandinPlace(Place):
    name = STANDIN
    image = "acme/base:1"
    helper_image = "example.com/dataops-runner:test"

    def __init__(self) -> None:
        super().__init__()
        self.process = None
        self.info: dict = {}
        self._local = threading.local()

    def start(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        log, rights = folder / "kubernetes.log", folder / "role.json"
        rights.write_text(json.dumps(role(self.releases)))
        self.process = processes.start_python(
            "tests.standin.kubernetes", "--state", str(folder / "cluster"), "--namespace", self.namespace,
            "--helper-bin", str(program("dataops-courier").parent), "--role", str(rights), log=log)
        self.info = processes.first_line(self.process, log, 40)

    def stop(self) -> None:
        processes.stop(self.process, 20)

    def controller_environment(self) -> dict[str, str]:
        return {"KUBECONFIG": self.info["kubeconfig"]}

    # -- talking to it ---------------------------------------------------
    def _connection(self) -> http.client.HTTPSConnection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            address = urlsplit(self.info["url"])
            context = ssl.create_default_context(cafile=self.info["ca"])
            connection = http.client.HTTPSConnection(address.hostname, address.port, timeout=30, context=context)
            self._local.connection = connection
        return connection

    def _send(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + self.info["admin_token"]}
        for last in (False, True):
            connection = self._connection()
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                if last:
                    raise
        if answer.status > 299 and answer.status != 409:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def control(self, method: str, path: str, body=None, **query):
        """One call of the control endpoint."""
        return self._send(method, "/_standin/" + path + ("?" + urlencode(query) if query else ""), body)

    def create(self, kind: str, manifest: dict, namespace: str = "") -> None:
        where = f"/namespaces/{namespace or self.namespace}" if kind != "namespaces" else ""
        self._send("POST", f"{GROUPS[kind]}{where}/{kind}", {"apiVersion": "v1", "kind": KINDS[kind], **manifest})

    def make_namespace(self, name: str) -> str:
        self.create("namespaces", {"metadata": {"name": name}})
        self.create("serviceaccounts", {"metadata": {"name": "default"}}, name)
        return name

    def delete_pod(self, name: str, namespace: str) -> None:
        self._send("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")

    # -- looking in ------------------------------------------------------
    def pods(self) -> list[dict]:
        return self._send("GET", "/api/v1/pods")["items"]

    def objects(self) -> list[dict]:
        """Everything stored or deleted, without the contents of Secrets."""
        stored = self.control("GET", "objects")
        stored.pop("resourceVersion")
        deleted = stored.pop("deleted")
        out = []
        for kept in (stored, deleted):
            for plural, objects in kept.items():
                out += [{**o, "data": None} if plural == "secrets" else o for o in objects]
        return out

    def _containers(self, name: str) -> list[dict]:
        return [c for c in self.control("GET", "containers") if c["container"] == name]

    def container_log_bytes(self, job_id: int) -> int:
        mine = [c for c in self._containers("courier") if f"-{job_id}-" in c["pod"]]
        assert mine, f"no container of job {job_id} is known"
        return max(c["written_bytes"] for c in mine)

    def container_log_files(self) -> list[Path]:
        return [Path(c["log"]) for c in self.control("GET", "containers") if c["log"] and Path(c["log"]).exists()]

    def requests(self, namespace: str) -> list[dict]:
        found = self.control("GET", "requests", namespace=namespace, user=self.info["user"])["requests"]
        keys = ("verb", "resource", "subresource", "name", "code", "time")
        return [{key: r.get(key) for key in keys} for r in found]

    def pod_names(self, job_id: int) -> list[str]:
        names = [o["metadata"]["name"] for o in self.objects() if o.get("kind") == "Pod"]
        return sorted({name for name in names if f"-{job_id}-" in name})

    # -- faults ----------------------------------------------------------
    def fault(self, match: dict, do: dict, times: int = 1, skip: int = 0) -> int:
        return self.control("POST", "faults", {"match": match, "do": do, "times": times, "skip": skip})["id"]

    def fault_hits(self, number: int) -> int:
        return next(f["hits"] for f in self.control("GET", "faults") if f["id"] == number)

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def kubelet(self, **order) -> None:
        """kill, oom, evict, fail_hook, refuse_next, cordon: see tests/standin/kubernetes/control.py."""
        self.control("POST", "kubelet", order)

    def limit_followers(self, most: int) -> None:
        """So many logs may be followed at once, as a node's fs.inotify.max_user_instances limits them; 0: all."""
        self.control("POST", "settings", {"followers_most": most})

    def logfile(self, **order) -> None:
        self.control("POST", "logfile", order)
