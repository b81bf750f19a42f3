"""The demo on a real Kubernetes: each runner is a release of the chart, its controller a pod that registers itself."""

from __future__ import annotations

import json

from tests.integration.harness.installed import InstalledSite

from . import pipeline
from .run import NAMESPACE, Demo
from .screen import CYAN, DIM


class RealDemo(Demo):
    def start(self) -> None:
        self.screen.title("Starting a DataOps platform (embedded stand-in) beside a real Kubernetes")
        self.place.start(self.folder / "kubernetes")
        self.place.make_empty_namespace(NAMESPACE)
        version = json.loads(self.place.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
        self.screen.say(f"  Kubernetes  {version}, KUBECONFIG={self.place.env['KUBECONFIG']}")
        self.begin_platform()

    def _vault(self) -> None:
        """It comes with the first release's Secrets."""

    def register(self, name: str) -> None:
        """What an operator does: Secrets for token and vault, then helm; the controller registers with the token."""
        site = InstalledSite(self.place, self.dataops, NAMESPACE, name)
        vault = {"vault.yml": pipeline.VAULT, "vault.salt": pipeline.SALT} if not self.controllers else None
        site.make_secrets({"runner-registration-token": self.dataops.info["registration_tokens"]["group"]}, vault)
        self.controllers[name] = site.controller
        self.screen.say(f"\n$ kubectl create secret generic {name}-token --from-literal=runner-registration-token=$REGISTRATION_TOKEN", CYAN)
        self.screen.say(f"$ helm install {name} deploy/helm/dataops-runner --namespace {NAMESPACE} --values dataops-values.yml --wait", CYAN)
        self.screen.say(self._indented(site.install()), DIM)
        self.screen.say(f"$ kubectl get pods --namespace {NAMESPACE}", CYAN)
        self.screen.say(self._indented(self.place.kubectl("get", "pods", "-n", NAMESPACE)), DIM)

    def stop(self) -> None:
        if self.dataops_process is not None:
            self.dataops_process.stop()
        self.place.stop()
