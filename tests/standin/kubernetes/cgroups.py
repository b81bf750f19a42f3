"""Memory limits and OOM counters of containers by the machine's control groups.

Version 1 (a folder per controller) and version 2 (one tree) are both known. Where this
machine lets none be made, containers run without limits and `available` is false.
"""

import os
from pathlib import Path

BASE = Path("/sys/fs/cgroup")


class ControlGroups:
    def __init__(self):
        self._name = f"kubernetes-standin-{os.getpid()}"
        self.version = 2 if (BASE / "cgroup.controllers").exists() else 1
        self._parents = []
        wanted = [BASE] if self.version == 2 else [BASE / "memory", BASE / "pids"]
        for parent in wanted:
            _sweep(parent)
            folder = parent / self._name
            try:
                folder.mkdir()
                if self.version == 2:
                    for controllers in (parent, folder):
                        (controllers / "cgroup.subtree_control").write_text("+memory +pids")
                self._parents.append(folder)
            except OSError:
                _remove(folder)
        self.available = len(self._parents) == len(wanted)

    def make(self, name, memory_bytes, process_limit):
        """The group of one container; None where there is none."""
        if not self.available:
            return None
        group = Group([parent / name for parent in self._parents], self.version)
        try:
            group.limit(memory_bytes, process_limit)
        except OSError:
            group.remove()
            return None
        return group

    def remove(self):
        for parent in self._parents:
            for folder in sorted(parent.glob("*/")):
                _remove(folder)
            _remove(parent)


class Group:
    def __init__(self, folders, version):
        self._folders, self._version = folders, version
        for folder in folders:
            folder.mkdir(exist_ok=True)

    def limit(self, memory_bytes, process_limit):
        memory, pids = self._folders[0], self._folders[-1]
        if memory_bytes and self._version == 2:
            (memory / "memory.max").write_text(str(memory_bytes))
            (memory / "memory.oom.group").write_text("1")
            _try_write(memory / "memory.swap.max", "0")
        elif memory_bytes:
            (memory / "memory.limit_in_bytes").write_text(str(memory_bytes))
            _try_write(memory / "memory.memsw.limit_in_bytes", str(memory_bytes))
        if process_limit:
            (pids / "pids.max").write_text(str(process_limit))

    def open(self):
        """Descriptors that the launcher writes itself into; the caller closes them."""
        return [os.open(f / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
                for f in self._folders]

    def binds(self):
        """[(source, path)]: the container sees its own group at the usual place."""
        if self._version == 2:
            return [(str(self._folders[0]), str(BASE))]
        return [(str(self._folders[0]), str(BASE / "memory")),
                (str(self._folders[1]), str(BASE / "pids"))]

    def oom_kills(self):
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        try:
            for line in (self._folders[0] / name).read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
        except (OSError, ValueError):
            pass
        return 0

    def remove(self):
        for folder in self._folders:
            _remove(folder)


def _sweep(parent):
    """Remove what stand-ins left that were killed."""
    for folder in parent.glob("kubernetes-standin-*/"):
        if not Path("/proc", folder.name.rpartition("-")[2]).exists():
            for group in folder.glob("*/"):
                _remove(group)
            _remove(folder)


def _try_write(path, text):
    try:
        path.write_text(text)
    except OSError:
        pass


def _remove(folder):
    try:
        folder.rmdir()
    except OSError:
        pass
