"""The volumes of a pod as folders of this machine.

secret, configMap, downwardAPI and projected volumes look as the kubelet writes them:
files are symlinks through `..data` into a folder named by the time, and an update
replaces that one symlink. Memory and secret volumes are tmpfs.
"""

import base64
import datetime
import os
import random
import shutil
from pathlib import Path

from . import errors, mounts
from .podrules import quantity

MACHINE_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class MountError(Exception):
    """A volume that cannot be made yet; the kubelet tries again."""


class Payload:
    """What an atomically written volume holds: path -> (bytes, mode)."""

    def __init__(self):
        self.files = {}

    def add(self, path, data, mode):
        self.files[path] = (data, mode)


def write_atomically(folder, payload, group=None):
    """Write the payload through `..data`; nothing happens when it is there already."""
    folder = Path(folder)
    current = folder / "..data"
    if current.is_symlink() and _same(current, payload):
        return False
    name = datetime.datetime.now().strftime("..%Y_%m_%d_%H_%M_%S.") + \
        str(random.randint(1, 10**10))
    fresh = folder / name
    fresh.mkdir()
    fresh.chmod(0o755)
    for path, (data, mode) in payload.files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        if group is not None:
            os.chown(target, -1, group)
            mode |= 0o440
        target.chmod(mode)
    old = os.readlink(current) if current.is_symlink() else None
    temporary = folder / "..data_tmp"
    temporary.symlink_to(name)
    temporary.rename(current)
    for path in payload.files:
        first = path.split("/")[0]
        if not (folder / first).is_symlink():
            (folder / first).symlink_to(Path("..data") / first)
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)
    return True


def _same(current, payload):
    return all((current / path).is_file() and (current / path).read_bytes() == data
               for path, (data, _) in payload.files.items())


def disk_usage(folder):
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def field_value(pod, path, node):
    """The value of a downward API field as text."""
    meta, spec = pod["metadata"], pod["spec"]
    for kind in ("labels", "annotations"):
        if path == f"metadata.{kind}":
            return "\n".join(f'{k}="{_escaped(v)}"'
                             for k, v in sorted((meta.get(kind) or {}).items()))
        if path.startswith(f"metadata.{kind}['"):
            return (meta.get(kind) or {}).get(path[len(kind) + 11:-2], "")
    simple = {
        "metadata.name": meta["name"], "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"], "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": node.address, "status.hostIP": node.address,
        "status.podIPs": node.address, "status.hostIPs": node.address,
    }
    return simple.get(path, "")


def _escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class PodVolumes:
    def __init__(self, server, folder):
        self._server = server
        self._folder = Path(folder)
        self._mounted = []
        self.paths = {}
        self._group = None

    def prepare(self, pod):
        """Make every volume that is not there yet. Raises MountError for the first."""
        self._group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        for volume in pod["spec"].get("volumes") or []:
            if volume["name"] not in self.paths:
                self._make(pod, volume)

    def _make(self, pod, volume):
        name = volume["name"]
        target = self._folder / name
        if "emptyDir" in volume:
            self.paths[name] = (self._empty_dir(target, volume["emptyDir"] or {}), False)
        elif "hostPath" in volume:
            self.paths[name] = (self._host_path(volume["hostPath"]), False)
        elif "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]
            path = self._claim(pod, claim["claimName"])
            self.paths[name] = (path, bool(claim.get("readOnly")))
        elif set(volume) & {"secret", "configMap", "downwardAPI", "projected"}:
            payload = self._payload(pod, volume)
            if name not in self._mounted:
                mounts.mount_tmpfs(target)
                self._mounted.append(name)
            write_atomically(target, payload, self._group)
            self.paths[name] = (target, True)
        else:
            raise MountError(f'MountVolume.SetUp failed for volume "{name}" : this node '
                             f"has no driver for {sorted(set(volume) - {'name'})}")

    def refresh(self, pod):
        """Write again what follows annotations, labels, Secrets and ConfigMaps."""
        for volume in pod["spec"].get("volumes") or []:
            name = volume["name"]
            if name in self._mounted and name in self.paths and \
                    set(volume) & {"downwardAPI", "secret", "configMap", "projected"}:
                try:
                    write_atomically(self._folder / name, self._payload(pod, volume),
                                     self._group)
                except MountError:
                    continue

    def _empty_dir(self, target, source):
        target.mkdir(parents=True, exist_ok=True)
        if source.get("medium") == "Memory":
            size = quantity(source["sizeLimit"]) if source.get("sizeLimit") else None
            mounts.mount_tmpfs(target, int(size or MACHINE_MEMORY // 2))
            self._mounted.append(target.name)
        else:
            target.chmod(0o777)
        if self._group is not None:
            os.chown(target, -1, self._group)
            target.chmod((target.stat().st_mode & 0o7777) | 0o2770)
        return target

    def over_limit(self, pod):
        """(name, limit) of a disk emptyDir that grew over its limit, or None."""
        for volume in pod["spec"].get("volumes") or []:
            source = volume.get("emptyDir")
            if source and source.get("sizeLimit") and source.get("medium") != "Memory" \
                    and volume["name"] in self.paths:
                used = disk_usage(self.paths[volume["name"]][0])
                if used > quantity(source["sizeLimit"]):
                    return volume["name"], source["sizeLimit"]
        return None

    def _host_path(self, source):
        path, kind = Path(source["path"]), source.get("type") or ""
        if kind == "DirectoryOrCreate" or not kind:
            if not path.exists():
                path.mkdir(parents=True)
        elif kind == "FileOrCreate":
            path.touch()
        elif (kind == "Directory" and not path.is_dir()) or (
                kind == "File" and not path.is_file()) or not path.exists():
            raise MountError(f'MountVolume.SetUp failed for volume : hostPath type check '
                             f"failed: {path} is not a {kind.lower()}")
        return path

    def _claim(self, pod, name):
        path = self._server.state / "claims" / pod["metadata"]["namespace"] / name
        path.mkdir(parents=True, exist_ok=True)
        if self._group is not None:
            os.chown(path, -1, self._group)
            path.chmod((path.stat().st_mode & 0o7777) | 0o2770)
        elif path.stat().st_mode & 0o7777 != 0o777:
            path.chmod(0o777)
        return path

    # ---- what atomically written volumes hold ---------------------------------

    def _payload(self, pod, volume):
        payload = Payload()
        for kind in ("secret", "configMap", "downwardAPI"):
            if kind in volume:
                mode = volume[kind].get("defaultMode", 0o644)
                self._add(payload, pod, volume, kind, volume[kind], mode)
        projected = volume.get("projected")
        if projected:
            mode = projected.get("defaultMode", 0o644)
            for source in projected.get("sources") or []:
                for kind, part in source.items():
                    self._add(payload, pod, volume, kind, part, mode)
        return payload

    def _add(self, payload, pod, volume, kind, part, mode):
        namespace = pod["metadata"]["namespace"]
        if kind == "downwardAPI":
            for item in part.get("items") or []:
                text = self._downward(pod, item)
                payload.add(item["path"], text.encode("utf-8", "surrogatepass"),
                            item.get("mode", mode))
            return
        if kind == "serviceAccountToken":
            token = self._server.pod_token(namespace, pod["spec"]["serviceAccountName"])
            payload.add(part["path"], token.encode(), mode)
            return
        name = part.get("secretName") or part.get("name")
        data = self._data(volume, kind, namespace, name, part.get("optional"))
        items = part.get("items")
        if items is None:
            items = [{"key": k, "path": k} for k in data]
        for item in items:
            if item["key"] not in data:
                if part.get("optional"):
                    continue
                raise MountError(
                    f'MountVolume.SetUp failed for volume "{volume["name"]}" : references '
                    f"non-existent {kind.lower()} key: {item['key']}")
            payload.add(item["path"], data[item["key"]], item.get("mode", mode))

    def _downward(self, pod, item):
        if item.get("fieldRef"):
            return field_value(pod, item["fieldRef"]["fieldPath"], self._server.kubelet)
        return ""

    def _data(self, volume, kind, namespace, name, optional):
        if kind == "configMap" and name == "kube-root-ca.crt":
            ca = self._server.ca_path
            return {"ca.crt": ca.read_bytes() if ca else b""}
        plural = "secrets" if kind == "secret" else "configmaps"
        try:
            obj = self._server.store.get(plural, namespace, name)
        except errors.ApiError:
            if optional:
                return {}
            raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
                             f'{kind.lower()} "{name}" not found') from None
        if kind == "secret":
            return {k: base64.b64decode(v) for k, v in (obj.get("data") or {}).items()}
        data = {k: v.encode() for k, v in (obj.get("data") or {}).items()}
        binary = obj.get("binaryData") or {}
        return data | {k: base64.b64decode(v) for k, v in binary.items()}

    def remove(self):
        for name in self._mounted:
            mounts.unmount(self._folder / name)
        self._mounted.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
