"""Volumes for claims without a class: folders of the node, so that the chart's cache claim is bound."""

import json
import subprocess

from . import programs
from .places import Places
from .trouble import Trouble

COUNT = 16
SIZE = "50Gi"


def _volume(place: Places, number: int) -> dict:
    # Open to every uid: the job's image decides who writes.
    folder = place.state / "volumes" / f"shared-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": folder.name},
        "spec": {
            "capacity": {"storage": SIZE},
            "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder)},
        },
    }


def make(place: Places) -> None:
    """Tells the cluster of COUNT volumes that any number of pods may write to."""
    items = [_volume(place, number) for number in range(1, COUNT + 1)]
    done = subprocess.run(
        [programs.bin_folder() / "kubectl", f"--kubeconfig={place.kubeconfig}", "create", "-f", "-"],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), text=True, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Trouble(f"volumes could not be made: {done.stderr.strip()}")
