"""The settings files and command lines of every daemon. Each odd flag says what it is for."""

import json

from . import places, programs
from .places import Places

PAUSE_IMAGE = "registry.test/pause:1"


def _containerd(place: Places) -> str:
    """restrict_oom_score_adj: without CAP_SYS_RESOURCE runc dies otherwise ("can't get final child's PID")."""
    return f"""version = 2
root = "{place.containerd}"
state = "{place.containerd_state}"
[grpc]
  address = "{place.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{programs.find("runc")}"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs.CNI_FOLDER}"
    conf_dir = "{place.settings}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{place.settings}/registries"
"""


# Whatever its name's registry: an image that was not imported is asked of a stand-in on the bridge, or fails at once.
_REGISTRY = f"""server = "http://{places.BRIDGE_ADDRESS}:{places.REGISTRY_PORT}"
[host."http://{places.BRIDGE_ADDRESS}:{places.REGISTRY_PORT}"]
  capabilities = ["pull", "resolve"]
"""


def _cni(place: Places) -> dict:
    """No ipMasq: pods talk to each other, to the node and to services, and to nothing else."""
    return {
        "cniVersion": "0.4.0",
        "name": "dataops-test",
        "plugins": [
            {
                "type": "bridge",
                "bridge": places.BRIDGE,
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(place.state / "addresses"),
                    "ranges": [[{"subnet": places.POD_NETWORK, "gateway": places.BRIDGE_ADDRESS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _kubelet(place: Places) -> dict:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": places.BRIDGE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(place.certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(place.certificates / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(place.certificates / "kubelet-server.key"),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [places.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{place.containerd_socket}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "maxPods": 200,
        "podLogsDir": str(place.pod_logs),
        "volumePluginDir": str(place.kubelet / "volume-plugins"),
        "staticPodPath": "",
    }


def _proxy(place: Places) -> dict:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place.user_kubeconfig("kube-proxy"))},
        "hostnameOverride": places.NODE,
        "mode": "iptables",
        "clusterCIDR": places.POD_NETWORK,
        "bindAddress": "127.0.0.1",
        "nodePortAddresses": ["primary"],
        "conntrack": {"maxPerCore": 0, "min": 0},
        # Else it turns on route_localnet for the whole machine.
        "iptables": {"localhostNodePorts": False, "masqueradeAll": True},
    }


# Who asked for what, without bodies: counts requests per user, and is safe to search for secret values.
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def write_all(place: Places) -> None:
    """Writes every settings file below the state folder."""
    folder = place.settings
    (folder / "cni").mkdir(parents=True, exist_ok=True)
    registry = folder / "registries" / "_default"
    registry.mkdir(parents=True, exist_ok=True)
    (folder / "containerd.toml").write_text(_containerd(place))
    (registry / "hosts.toml").write_text(_REGISTRY)
    for name, content in {
        "cni/10-dataops.conflist": _cni(place),
        "kubelet.json": _kubelet(place),
        "kube-proxy.json": _proxy(place),
        "audit.json": _AUDIT,
    }.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def _etcd(place: Places) -> list[str]:
    client, peer = f"http://127.0.0.1:{places.ETCD_PORT}", f"http://127.0.0.1:{places.ETCD_PEER_PORT}"
    return [
        programs.find("etcd"), "--name=test", f"--data-dir={place.state / 'etcd'}", "--unsafe-no-fsync",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}",
    ]  # fmt: skip


def _apiserver(place: Places, program: str) -> list[str]:
    certificates = place.certificates
    return [
        program, f"--etcd-servers=http://127.0.0.1:{places.ETCD_PORT}",
        f"--bind-address={places.BRIDGE_ADDRESS}", f"--advertise-address={places.BRIDGE_ADDRESS}",
        f"--secure-port={places.APISERVER_PORT}", f"--service-cluster-ip-range={places.SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        f"--tls-cert-file={certificates}/apiserver.crt", f"--tls-private-key-file={certificates}/apiserver.key",
        f"--client-ca-file={certificates}/ca.crt",
        # No aggregated API is served; without an authority here controller-manager and scheduler complain for ever.
        f"--requestheader-client-ca-file={certificates}/ca.crt", "--requestheader-allowed-names=nobody",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        f"--kubelet-certificate-authority={certificates}/ca.crt",
        f"--kubelet-client-certificate={certificates}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={certificates}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates}/service-account.pub",
        f"--service-account-signing-key-file={certificates}/service-account.key",
        f"--audit-policy-file={place.settings}/audit.json", f"--audit-log-path={place.audit_log}",
        "--audit-log-maxsize=4000",  # MB: the cases count what stands in it
        f"--cert-dir={place.state / 'apiserver'}", "--profiling=false",
    ]  # fmt: skip


def _controller_manager(place: Places, program: str) -> list[str]:
    certificates = place.certificates
    kubeconfig = place.user_kubeconfig("kube-controller-manager")
    return [
        program, f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false",
        # Its own 20 a second would hold back the first service accounts for 5 s.
        "--kube-api-qps=500", "--kube-api-burst=1000",
        "--use-service-account-credentials=true", f"--root-ca-file={certificates}/ca.crt",
        f"--service-account-private-key-file={certificates}/service-account.key",
        f"--cluster-signing-cert-file={certificates}/ca.crt", f"--cluster-signing-key-file={certificates}/ca.key",
        f"--cert-dir={place.state / 'controller-manager'}", "--profiling=false",
        f"--flex-volume-plugin-dir={place.kubelet / 'volume-plugins'}",
    ]  # fmt: skip


def _scheduler(place: Places, program: str) -> list[str]:
    kubeconfig = place.user_kubeconfig("kube-scheduler")
    return [
        program, f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false",
        f"--cert-dir={place.state / 'scheduler'}", "--profiling=false",
    ]  # fmt: skip


def command_lines(place: Places) -> dict[str, list[str]]:
    """Daemon -> its command, in the order in which they start."""
    built = programs.bin_folder()
    return {
        "etcd": _etcd(place),
        "containerd": [programs.find("containerd"), "--config", str(place.settings / "containerd.toml")],
        "kube-apiserver": _apiserver(place, str(built / "kube-apiserver")),
        "kube-controller-manager": _controller_manager(place, str(built / "kube-controller-manager")),
        "kube-scheduler": _scheduler(place, str(built / "kube-scheduler")),
        "kubelet": [
            str(built / "kubelet"), f"--config={place.settings}/kubelet.json",
            f"--kubeconfig={place.user_kubeconfig('kubelet')}", f"--hostname-override={places.NODE}",
            f"--node-ip={places.BRIDGE_ADDRESS}", f"--root-dir={place.kubelet}", f"--cert-dir={place.kubelet}/pki",
        ],
        "kube-proxy": [str(built / "kube-proxy"), f"--config={place.settings}/kube-proxy.json"],
    }  # fmt: skip
