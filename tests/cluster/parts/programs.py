"""The programs of the cluster: built from pinned Go modules once, or Debian's."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from .trouble import Trouble, say

MODULES = Path(__file__).resolve().parent.parent / "go"
KUBERNETES_VERSION = "1.34.4"
NICE = 10

# Without these the parts take each other for 0.0.0 and refuse the skew.
_STAMP = " ".join(
    f"-X {package}.{name}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in (
        ("gitVersion", f"v{KUBERNETES_VERSION}"),
        ("gitMajor", KUBERNETES_VERSION.split(".", maxsplit=1)[0]),
        ("gitMinor", KUBERNETES_VERSION.split(".")[1]),
        ("gitTreeState", "clean"),
    )
)
# helm takes the Kubernetes version of an offline render and of its lint from these.
_HELM_STAMP = (
    "-X helm.sh/helm/v3/internal/version.version=v3.22.0"
    " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1"
    " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34"
)

GO_PROGRAMS = {
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kube-proxy": ("kubernetes", "k8s.io/kubernetes/cmd/kube-proxy"),
    "kubelet": ("kubernetes", "k8s.io/kubernetes/cmd/kubelet"),
    "kubectl": ("kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    "helm": ("helm", "helm.sh/helm/v3/cmd/helm"),
}

# What Debian has: program -> package (the same list as in tests/cluster/deps).
DEBIAN_PROGRAMS = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "mount": "mount",
}
IMAGE_PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap", "cc": "gcc"}
CNI_FOLDER = Path("/usr/lib/cni")


def cache_root() -> Path:
    """Where everything that is made once and kept lies."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dataops-runner" / "cluster"


def bin_folder() -> Path:
    """The folder of the built programs; its name changes whenever a pin changes."""
    digest = hashlib.sha256()
    for module in ("kubernetes", "helm"):
        for name in ("go.mod", "go.sum"):
            digest.update((MODULES / module / name).read_bytes())
    digest.update((_STAMP + _HELM_STAMP).encode())
    return cache_root() / digest.hexdigest()[:16] / "bin"


def find(name: str) -> str:
    """The full path of a program that `require` has found before; sbin counts too."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if not found:
        raise Trouble(f"{name} is not installed; tests/cluster/deps installs what is needed")
    return found


def require(wanted: dict[str, str]) -> None:
    """Names every program that is missing, and its package, in one message."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = {package for name, package in wanted.items() if not shutil.which(name, path=path)}
    if wanted is DEBIAN_PROGRAMS and not (CNI_FOLDER / "bridge").exists():
        missing.add("containernetworking-plugins")
    if missing:
        raise Trouble(
            f"these Debian packages are missing: {' '.join(sorted(missing))}; tests/cluster/deps installs them"
        )


def _build_one(name: str, folder: Path) -> None:
    module, package = GO_PROGRAMS[name]
    stamp = _HELM_STAMP if module == "helm" else _STAMP
    partial = folder / f".{name}.partial"
    command = ["nice", "-n", str(NICE), "go", "build", "-trimpath", "-ldflags", f"-s -w {stamp}", "-o", str(partial), package]
    environment = dict(os.environ, CGO_ENABLED="0", GOWORK="off")
    started = time.monotonic()
    say(f"building {name}")
    if subprocess.run(command, cwd=MODULES / module, env=environment, check=False).returncode:
        raise Trouble(f"go could not build {name}; is the module proxy reachable? (go env GOPROXY)")
    partial.rename(folder / name)
    size = (folder / name).stat().st_size >> 20
    say(f"built {name}: {size} MB, {time.monotonic() - started:.0f} s")


def build() -> Path:
    """Builds what the cache does not hold yet; the second call only looks."""
    folder = bin_folder()
    absent = [name for name in GO_PROGRAMS if not (folder / name).exists()]
    if not absent:
        return folder
    if not shutil.which("go"):
        raise Trouble("go is not installed: it builds Kubernetes and helm (version 1.26 or later)")
    folder.mkdir(parents=True, exist_ok=True)
    say(f"building {len(absent)} programs into {folder}; this takes minutes, once")
    for name in absent:
        _build_one(name, folder)
    return folder
