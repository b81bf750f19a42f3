"""The few system calls that Python 3.11 lacks: unshare, mount, umount."""

import ctypes
import os
import shutil
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19
MNT_DETACH = 2
CLONE_NEWNS = 0x00020000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def own_mount_namespace():
    """Move this process into a mount namespace of its own.

    What it mounts then is seen by nobody else and vanishes with its last process,
    however that ends. Must be called before any thread exists.
    """
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None), "mount /")


def mount(source, target, kind, options="", flags=0):
    _check(
        _libc.mount(str(source).encode(), str(target).encode(), kind.encode(),
                    flags, options.encode()),
        f"mount {kind} at {target}")


def unmount(target):
    _check(_libc.umount2(str(target).encode(), MNT_DETACH), f"umount {target}")


def mount_tmpfs(target, size_bytes=None, mode=0o1777):
    Path(target).mkdir(parents=True, exist_ok=True)
    options = f"mode={mode:o}"
    if size_bytes:
        options += f",size={size_bytes}"
    mount("tmpfs", target, "tmpfs", options, MS_NOSUID | MS_NODEV)


def mount_overlay(lower, upper, work, target):
    for folder in (upper, work, target):
        Path(folder).mkdir(parents=True, exist_ok=True)
    mount("overlay", target, "overlay",
          f"lowerdir={lower},upperdir={upper},workdir={work}")


def overlay_works(folder, lower="/"):
    """Whether an overlay over `lower` with its upper layer in `folder` is possible."""
    probe = Path(folder) / "overlay-probe"
    try:
        mount_overlay(lower, probe / "upper", probe / "work", probe / "root")
    except OSError:
        shutil.rmtree(probe, ignore_errors=True)
        return False
    try:
        (probe / "root" / ".written").touch()
        return True
    except OSError:
        return False
    finally:
        unmount(probe / "root")
        shutil.rmtree(probe, ignore_errors=True)
