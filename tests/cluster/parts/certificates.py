"""The cluster's certificates, made by openssl, and the kubeconfig files that hold them."""

import base64
import json
import subprocess
from pathlib import Path

from . import places, programs
from .places import Places
from .trouble import Trouble

VALID_DAYS = "30"


def _openssl(*arguments: str, stdin: str | None = None) -> None:
    done = subprocess.run(
        [programs.find("openssl"), *arguments], input=stdin, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise Trouble(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def _key(path: Path) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))
    path.chmod(0o600)


def make_authority(folder: Path) -> None:
    """One authority signs everything: servers, clients, kubelet."""
    _key(folder / "ca.key")
    _openssl(
        "req", "-x509", "-new", "-key", str(folder / "ca.key"), "-out", str(folder / "ca.crt"),
        "-days", VALID_DAYS, "-subj", "/CN=dataops-test-cluster",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip


def make_certificate(folder: Path, name: str, subject: str, addresses: tuple[str, ...] = ()) -> None:
    """Writes <name>.key and <name>.crt. `addresses` are openssl's own words (IP:..., DNS:...)."""
    key, request, extensions = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.ext"
    _key(key)
    lines = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth"]
    if addresses:
        lines.append("subjectAltName=" + ",".join(addresses))
    extensions.write_text("\n".join(lines) + "\n")
    _openssl("req", "-new", "-key", str(key), "-subj", subject, "-out", str(request))
    _openssl(
        "x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"),
        "-CAcreateserial", "-days", VALID_DAYS, "-extfile", str(extensions), "-out", str(folder / f"{name}.crt"),
    )  # fmt: skip
    request.unlink()
    extensions.unlink()


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def write_kubeconfig(folder: Path, name: str, path: Path) -> None:
    """A kubeconfig (JSON is YAML) with the certificate `name` inside, readable by its owner only."""
    server = f"https://{places.BRIDGE_ADDRESS}:{places.APISERVER_PORT}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "test", "cluster": {"server": server, "certificate-authority-data": _inline(folder / "ca.crt")}}
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _inline(folder / f"{name}.crt"),
                    "client-key-data": _inline(folder / f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": "default"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    path.chmod(0o600)


def make_user(place: Places, user: str, group: str = "") -> Path:
    """A client of its own for one program under test; gives the path of its kubeconfig."""
    subject = (f"/O={group}" if group else "") + f"/CN={user}"
    make_certificate(place.certificates, user, subject)
    write_kubeconfig(place.certificates, user, place.user_kubeconfig(user))
    return place.user_kubeconfig(user)


def make_all(place: Places) -> None:
    """Everything a new cluster needs."""
    folder = place.certificates
    make_authority(folder)
    node = f"IP:{places.BRIDGE_ADDRESS}"
    make_certificate(
        folder,
        "apiserver",
        "/CN=kube-apiserver",
        (
            node,
            "IP:127.0.0.1",
            f"IP:{places.APISERVER_SERVICE}",
            "DNS:localhost",
            "DNS:kubernetes",
            "DNS:kubernetes.default",
            "DNS:kubernetes.default.svc",
            "DNS:kubernetes.default.svc.cluster.local",
        ),
    )
    make_certificate(folder, "apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    make_certificate(folder, "kubelet-server", f"/O=system:nodes/CN=system:node:{places.NODE}", (node, f"DNS:{places.NODE}"))
    _key(folder / "service-account.key")
    _openssl("ec", "-in", str(folder / "service-account.key"), "-pubout", "-out", str(folder / "service-account.pub"))
    clients = {
        "admin": "/O=system:masters/CN=admin",
        "kubelet": f"/O=system:nodes/CN=system:node:{places.NODE}",
        "kube-controller-manager": "/CN=system:kube-controller-manager",
        "kube-scheduler": "/CN=system:kube-scheduler",
        "kube-proxy": "/CN=system:kube-proxy",
    }
    for name, subject in clients.items():
        make_certificate(folder, name, subject)
        write_kubeconfig(folder, name, place.user_kubeconfig(name))
    place.user_kubeconfig("admin").replace(place.kubeconfig)
