"""What pods leave behind on a node that goes away: tasks, namespaces, mounts, control groups."""

import ctypes
import json
import os
import subprocess
from pathlib import Path

from . import programs
from .places import Places

MNT_DETACH = 2


def _ctr(place: Places, *arguments: str) -> str:
    command = [programs.find("ctr"), "--address", str(place.containerd_socket), "--namespace", "k8s.io", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


def _network_namespace(place: Places, container: str) -> str:
    try:
        spec = json.loads(_ctr(place, "containers", "info", container))["Spec"]
    except (ValueError, KeyError):
        return ""
    for space in spec.get("linux", {}).get("namespaces", []):
        if space.get("type") == "network":
            return space.get("path", "")
    return ""


def remove_containers(place: Places) -> None:
    """Kills every task of this containerd, deletes its containers, and the network namespaces of their pods."""
    containers = _ctr(place, "containers", "list", "--quiet").split()
    spaces = {_network_namespace(place, container) for container in containers} - {""}
    for container in containers:
        _ctr(place, "tasks", "delete", "--force", container)
        _ctr(place, "containers", "delete", container)
    for space in spaces:
        detach(space)
        Path(space).unlink(missing_ok=True)


def detach(path: str) -> None:
    """Unmounts lazily, whatever still uses it."""
    ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(path), MNT_DETACH)


def remove_mounts(place: Places) -> None:
    """Unmounts what is left below the state folder, the innermost first."""
    below = str(place.state) + "/"
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        points = [line.split()[4].encode().decode("unicode_escape") for line in table]
    for point in reversed(points):
        if point.startswith(below):
            detach(point)


def remove_control_groups() -> None:
    """Removes the kubelet's empty groups; one that is in use stays."""
    roots = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
    for root in roots:
        if not (root / "kubepods").is_dir():
            continue
        for folder, _, _ in os.walk(root / "kubepods", topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                pass
