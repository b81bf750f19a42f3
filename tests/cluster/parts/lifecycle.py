"""Bringing a cluster up, taking it down, and saying how it is."""

import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from . import certificates, daemons, images, mounts, network, places, programs, settings, volumes
from .places import Places
from .trouble import Trouble, say

PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.05
NAMES = ["etcd", "containerd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"]
_FIRST, _REST = NAMES[:3], NAMES[3:]


def _need_root() -> None:
    if os.geteuid():
        raise Trouble("a cluster needs root (namespaces, mounts, a bridge): sudo -E tests/cluster/cluster ...")


def _get(place: Places, path: str, host: str) -> dict | str | None:
    """One GET as the administrator; None when there is no good answer (yet)."""
    folder = place.certificates
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        with urllib.request.urlopen(f"https://{host}{path}", context=context, timeout=5) as answer:
            body = answer.read().decode()
    except (OSError, urllib.error.URLError, ValueError):
        return None
    return json.loads(body) if body.startswith("{") else body


def _wait(place: Places, what: str, names: list[str], done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        daemons.require_running(place, names)
        if time.monotonic() > deadline:
            raise Trouble(f"gave up after {PATIENCE_SECONDS:.0f} s waiting until {what}; see {place.logs}")
        time.sleep(POLL_SECONDS)


def _node_ready(place: Places, host: str) -> bool:
    node = _get(place, f"/api/v1/nodes/{places.NODE}", host)
    conditions = node["status"].get("conditions", []) if isinstance(node, dict) else []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _start(place: Places) -> None:
    commands = settings.command_lines(place)
    host = f"{places.BRIDGE_ADDRESS}:{places.APISERVER_PORT}"
    for name in _FIRST:
        daemons.start(place, name, commands[name])
    _wait(place, "containerd listens", ["containerd"], place.containerd_socket.exists)
    for path in (images.pause_archive(), images.base_archive(), images.jobs_archive()):
        images.load_once(place, path)
    _wait(place, "the apiserver is ready", _FIRST, lambda: _get(place, "/readyz", host) == "ok")
    volumes.make(place)
    for name in _REST:
        daemons.start(place, name, commands[name])
    _wait(place, "the node is ready", NAMES, lambda: _node_ready(place, host))
    _wait(
        place, "the default service account exists", NAMES,
        lambda: _get(place, "/api/v1/namespaces/default/serviceaccounts/default", host) is not None,
    )  # fmt: skip
    _wait(
        place, "services are reachable", NAMES,
        lambda: _get(place, "/version", f"{places.APISERVER_SERVICE}:443") is not None,
    )  # fmt: skip


def _check_folder(place: Places) -> None:
    if len(str(place.state)) > places.LONGEST_STATE_PATH:
        raise Trouble(
            f"{place.state} is too long for the sockets in it ({places.LONGEST_STATE_PATH} bytes at most): "
            "name a shorter folder in DATAOPS_CLUSTER_STATE"
        )


def up(place: Places) -> None:
    """One node, ready for pods. A cluster that is up already is left as it is."""
    _need_root()
    _check_folder(place)
    programs.require(programs.DEBIAN_PROGRAMS)
    programs.build()
    images.pause_archive()
    images.base_archive()
    images.jobs_archive()
    if all(daemons.running(place, name) for name in NAMES):
        say(f"already up: KUBECONFIG={place.kubeconfig}")
        return
    if any(daemons.running(place, name) for name in NAMES) or (place.state / "ip_forward").exists():
        say("an earlier cluster was left half down; taking it down first")
        down(place, keep_images=True)
    started = time.monotonic()
    for folder in (place.certificates, place.settings, place.pids, place.logs, place.pod_logs, place.containerd):
        folder.mkdir(parents=True, exist_ok=True)
    place.state.chmod(0o755)
    certificates.make_all(place)
    settings.write_all(place)
    network.up(place)
    try:
        _start(place)
    except (Trouble, KeyboardInterrupt):
        say("taking down what was started")
        _stop(place)
        raise
    say(f"up in {time.monotonic() - started:.1f} s: KUBECONFIG={place.kubeconfig}")


def restart(place: Places, name: str) -> None:
    """Ends one daemon and starts it again, as after a crash or an upgrade; back when the node is ready again."""
    if not daemons.running(place, name):
        raise Trouble(f"{name} does not run")
    host = f"{places.BRIDGE_ADDRESS}:{places.APISERVER_PORT}"
    daemons.stop(place, name)
    daemons.start(place, name, settings.command_lines(place)[name])
    _wait(place, "the apiserver is ready", NAMES, lambda: _get(place, "/readyz", host) == "ok")
    _wait(place, "the node is ready", NAMES, lambda: _node_ready(place, host))


def _stop(place: Places) -> None:
    """Processes, containers, mounts, network: what must not outlive the cluster. Folders stay, for their logs."""
    for name in ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
        daemons.stop(place, name)
    if daemons.running(place, "containerd"):
        mounts.remove_containers(place)
    daemons.stop(place, "containerd")
    mounts.remove_mounts(place)
    mounts.remove_control_groups()
    network.down(place)


def down(place: Places, keep_images: bool) -> None:
    """Ends a cluster and forgets it; the imported images and the logs stay unless asked otherwise."""
    _need_root()
    if not place.state.exists():
        say("nothing is up")
        return
    _stop(place)
    kept = {place.containerd, place.logs} if keep_images else set()
    for entry in place.state.iterdir():
        if entry not in kept:
            _remove(entry)
    if keep_images:
        for log in place.logs.iterdir():
            log.replace(log.with_name(log.name.removesuffix(".before") + ".before"))
    else:
        place.state.rmdir()
    say("down")


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def status(place: Places) -> bool:
    """Prints one line per daemon; true when all of them run."""
    pids = {name: daemons.running(place, name) for name in NAMES}
    for name, pid in pids.items():
        print(f"{name:<24} {f'running, pid {pid}' if pid else 'not running'}")
    return all(pids.values())


def environment(place: Places) -> dict[str, str]:
    """What a script or a test needs to use the cluster."""
    return {
        "KUBECONFIG": str(place.kubeconfig),
        "PATH": f"{programs.bin_folder()}:{os.environ.get('PATH', '')}",
        "DATAOPS_CLUSTER_STATE": str(place.state),
        "DATAOPS_CLUSTER_ADDRESS": places.BRIDGE_ADDRESS,
        "DATAOPS_CLUSTER_AUDIT_LOG": str(place.audit_log),
        "DATAOPS_CLUSTER_POD_LOGS": str(place.pod_logs),
        "DATAOPS_CLUSTER_BASE_IMAGE": images.BASE_IMAGE,
        "DATAOPS_CLUSTER_JOBS_IMAGE": images.JOBS_IMAGE,
    }
