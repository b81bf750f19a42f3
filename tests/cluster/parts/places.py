"""Where a cluster lives: its folders, names and addresses. Nothing is created here."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

BRIDGE = "dataops0"
NODE = "node-1"
# Nobody routes these; the bridge's address is the node, the apiserver, and what a stand-in that pods must reach listens on.
BRIDGE_ADDRESS = "10.77.0.1"
BRIDGE_HARDWARE_ADDRESS = "0a:58:0a:4d:00:01"
POD_NETWORK = "10.77.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
APISERVER_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
APISERVER_PORT = 6443
ETCD_PORT = 22379
ETCD_PEER_PORT = 22380
REGISTRY_PORT = 5000

# A unix socket's address holds 107 bytes; containerd adds a suffix of its own.
LONGEST_STATE_PATH = 80


@dataclass(frozen=True)
class Places:
    """One state folder and what lies in it."""

    state: Path

    @property
    def certificates(self) -> Path:
        return self.state / "certificates"

    @property
    def settings(self) -> Path:
        return self.state / "settings"

    @property
    def pids(self) -> Path:
        return self.state / "pids"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def kubelet(self) -> Path:
        return self.state / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """The container log files as the kubelet keeps (and rotates) them."""
        return self.state / "pod-logs"

    @property
    def containerd(self) -> Path:
        """Its root: the imported images survive a `down`."""
        return self.state / "containerd"

    @property
    def containerd_state(self) -> Path:
        return self.state / "containerd-state"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfig"

    def user_kubeconfig(self, user: str) -> Path:
        """One per client certificate, so that the audit log tells programs apart."""
        return self.settings / f"{user}.kubeconfig"


def here() -> Places:
    """The state folder of this checkout, or the one DATAOPS_CLUSTER_STATE names."""
    chosen = os.environ.get("DATAOPS_CLUSTER_STATE")
    return Places(Path(chosen).resolve() if chosen else REPOSITORY / "build" / "cluster")
