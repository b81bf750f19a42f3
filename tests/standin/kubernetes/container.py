"""One container instance: bubblewrap makes its namespaces and mounts, the launcher its user.

The command is process 1 of a PID namespace of its own; bubblewrap's own process stays
outside as its parent and gives us the exit code.
"""

import asyncio
import errno
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field

from .images import inside

READ_BYTES = 64 * 1024
MESSAGE_BYTES = 4096
_CAPABILITIES = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID",
    "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
    "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
    "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
    "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
]
_DEFAULT = [
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
    "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
]


async def either(work, seconds):
    """Wait for this work or so long; tells whether it was done.

    Unlike asyncio.wait_for it never swallows a cancellation that comes meanwhile.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        return task.done()
    finally:
        task.cancel()


class StartError(Exception):
    """The command could not be started; the container ends with StartError, 128."""


class ConfigError(Exception):
    """CreateContainerConfigError: the container waits, the kubelet tries again."""


@dataclass
class Identity:
    """As whom and with what rights a container's processes run."""

    uid: int = 0
    gid: int = 0
    groups: list = field(default_factory=list)
    capabilities: int = 0
    flags: str = "-"
    home: str = "/"


def capability_mask(context):
    if context.get("privileged"):
        return (1 << len(_CAPABILITIES)) - 1
    chosen = set(_DEFAULT)
    wanted = context.get("capabilities") or {}
    drop = [c.upper().removeprefix("CAP_") for c in wanted.get("drop") or []]
    add = [c.upper().removeprefix("CAP_") for c in wanted.get("add") or []]
    chosen = set() if "ALL" in drop else chosen - set(drop)
    chosen |= set(_CAPABILITIES) if "ALL" in add else set(add)
    return sum(1 << i for i, name in enumerate(_CAPABILITIES) if name in chosen)


def identity_of(pod_context, context, image, root):
    """Who the container runs as, by the rules of the kubelet. Raises ConfigError."""
    uid = context.get("runAsUser", pod_context.get("runAsUser"))
    from_image = uid is None
    if from_image:
        uid = root.uid_of(image.user)
    if context.get("runAsNonRoot", pod_context.get("runAsNonRoot")):
        if uid is None:
            raise ConfigError("container has runAsNonRoot and image has non-numeric user "
                              f"({image.user}), cannot verify user is non-root")
        if uid == 0 and from_image:
            raise ConfigError("container has runAsNonRoot and image will run as root")
        if uid == 0:
            raise ConfigError("container's runAsUser breaks non-root policy")
    if uid is None:
        raise StartError(f"unable to find user {image.user}: no matching entries in passwd "
                         "file")
    gid, home = root.user(uid)
    gid = context.get("runAsGroup", pod_context.get("runAsGroup", gid))
    groups = list(pod_context.get("supplementalGroups") or [])
    if pod_context.get("fsGroup") is not None:
        groups.append(pod_context["fsGroup"])
    profile = (context.get("seccompProfile") or pod_context.get("seccompProfile") or {})
    mask = capability_mask(context)
    flags = "d"
    if context.get("allowPrivilegeEscalation") is False:
        flags += "n"
    may_admin = mask & (1 << _CAPABILITIES.index("SYS_ADMIN"))
    if profile.get("type") == "RuntimeDefault" and not may_admin:
        flags += "s"
    return Identity(uid, gid, groups, mask, flags, home)


class Process:
    """A container's main process, or a hook's process inside the same container."""

    def __init__(self, launcher_fd, guardian=None):
        self._launcher_fd, self._guardian = launcher_fd, guardian
        self.pid = None
        self.exit_code = None
        self.started_at = None
        self.finished_at = None
        self.exited = asyncio.Event()
        self.on_output = None
        self._proc = None
        self._pidfd = None
        self._open_pipes = 0
        self._pipes_done = asyncio.Event()

    def launcher(self, error_fd, joined, identity, workdir):
        groups = ",".join(map(str, identity.groups)) or "-"
        return [f"/proc/self/fd/{self._launcher_fd}", str(error_fd),
                ",".join(map(str, joined)) or "-", str(identity.uid),
                str(identity.gid), groups, f"{identity.capabilities:x}", identity.flags,
                workdir]

    async def start(self, prefix, argv, identity, workdir, env, group=None):
        """Run prefix + launcher + argv. Raises StartError when the command cannot run."""
        joined = group.open() if group else []
        error_read, error_write = os.pipe()
        info_read, info_write = os.pipe()
        pipes = [os.pipe(), os.pipe()]
        command = [p if p != "INFO_FD" else str(info_write) for p in prefix]
        command += self.launcher(error_write, joined, identity, workdir) + argv
        try:
            self._proc = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=pipes[0][1], stderr=pipes[1][1],
                env=env, pass_fds=(self._launcher_fd, error_write, info_write, *joined),
                cwd="/")
        except (OSError, ValueError) as error:
            for fd in (error_read, info_read, pipes[0][0], pipes[1][0]):
                os.close(fd)
            number = getattr(error, "errno", errno.EINVAL)
            raise StartError(_start_text(argv[0], number, "exec")) from None
        finally:
            for fd in (error_write, info_write, pipes[0][1], pipes[1][1], *joined):
                os.close(fd)
        self.started_at = time.time()
        self._watch_pipes(pipes)
        asyncio.ensure_future(self._wait_exit())
        info = await _read_all(info_read, until=b"}")
        report = await _read_all(error_read)
        await self._judge(report, info, argv[0])

    async def _judge(self, report, info, command):
        lines = report.decode(errors="replace").splitlines()
        failure = next((li.split() for li in lines if li.startswith("E ")), None)
        if failure:
            await self.exited.wait()
            raise StartError(_start_text(command, int(failure[1]), " ".join(failure[2:])))
        if "R" not in lines:
            await self.exited.wait()
            raise StartError("failed to create containerd task: bubblewrap could not make "
                             "the container (its words are in the container's log)")
        if info:
            try:
                self.pid = json.loads(info)["child-pid"]
                self._pidfd = os.pidfd_open(self.pid)
                self._guardian.add(self.pid)
            except (ValueError, OSError, KeyError):
                self._pidfd = None

    def _watch_pipes(self, pipes):
        loop = asyncio.get_running_loop()
        self._open_pipes = 2
        for (read_fd, _), stream in zip(pipes, ("stdout", "stderr")):
            os.set_blocking(read_fd, False)
            loop.add_reader(read_fd, self._on_readable, read_fd, stream)

    def _on_readable(self, fd, stream):
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            if self.on_output:
                self.on_output(stream, data)
            return
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        self._open_pipes -= 1
        if self._open_pipes == 0:
            self._pipes_done.set()

    async def _wait_exit(self):
        loop = asyncio.get_running_loop()
        fd = os.pidfd_open(self._proc.pid)
        ended = loop.create_future()
        loop.add_reader(fd, lambda: ended.done() or ended.set_result(None))
        try:
            await ended
        finally:
            loop.remove_reader(fd)
            os.close(fd)
        code = self._proc.wait()
        await either(self._pipes_done.wait(), 5)
        self.exit_code = 128 - code if code < 0 else code
        self.finished_at = time.time()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
            self._guardian.remove(self.pid)
        self.exited.set()

    def signal(self, number):
        """Send a signal to the command itself."""
        try:
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            elif self._proc and self._proc.poll() is None:
                self._proc.send_signal(number)
        except ProcessLookupError:
            pass

    async def stop(self, grace):
        """TERM, then KILL after the grace; returns when it ended."""
        if self.exited.is_set():
            return
        self.signal(signal.SIGTERM)
        if not await either(self.exited.wait(), grace):
            self.signal(signal.SIGKILL)
            await self.exited.wait()


def _start_text(command, number, call):
    head = "failed to create containerd task: failed to create shim task: OCI runtime " \
           "create failed: runc create failed: unable to start container process: "
    if call == "chdir":
        return head + f"error during container init: chdir: {os.strerror(number).lower()}"
    if number == errno.ENOENT and "/" not in command:
        return head + f'exec: "{command}": executable file not found in $PATH: unknown'
    if number == errno.ENOENT:
        return head + f'exec: "{command}": stat {command}: no such file or directory: unknown'
    return head + f'exec: "{command}": {os.strerror(number).lower()}: unknown'


async def _read_all(fd, until=None):
    """Read a pipe to its end (or to a byte) without blocking the loop, and close it."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    data = b""
    try:
        while until is None or until not in data:
            try:
                piece = os.read(fd, 4096)
            except BlockingIOError:
                ready = loop.create_future()
                loop.add_reader(fd, lambda r=ready: r.done() or r.set_result(None))
                await ready
                loop.remove_reader(fd)
                continue
            if not piece:
                break
            data += piece
    finally:
        os.close(fd)
    return data


def enter_command(pid):
    """The start of a command line that runs something inside a running container."""
    return ["nsenter", "--target", str(pid), "--mount", "--pid", "--uts", "--ipc", "--"]


def bubblewrap_command(root, hostname, binds, group, read_only_root):
    """bwrap's command line up to the program. `binds` is [(source, path, read-only)]."""
    command = [
        "bwrap", "--bind", str(root.path), "/", "--unshare-pid", "--unshare-uts",
        "--unshare-ipc", "--hostname", hostname[:63], "--as-pid-1", "--die-with-parent",
        "--info-fd", "INFO_FD",
    ]
    for bind in root.binds:
        flag = "--ro-bind" if len(bind) > 2 else "--bind"
        command += [flag, bind[0], bind[1]]
    command += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size",
                str(64 << 20), "--tmpfs", "/dev/shm", "--ro-bind", "/sys", "/sys"]
    if group:
        command += ["--tmpfs", "/sys/fs/cgroup"]
        for source, path in group.binds():
            command += ["--ro-bind", source, path]
    binds = [(source, inside(root.path, path), flag) for source, path, flag in binds]
    for source, path, read_only in sorted(binds, key=lambda b: b[1].count("/")):
        command += ["--ro-bind" if read_only else "--bind", str(source), path]
    if read_only_root:
        command += ["--remount-ro", "/"]
    return command + ["--"]
