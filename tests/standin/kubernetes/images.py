"""What an image name means here, pulling it, and the root that a container gets of it.

Any name is the machine's own root, seen read-only under a private writable overlay.
A table says otherwise for names that match its patterns (the last match wins):

    [{"name": "registry.test/busybox*", "root": "/srv/roots/busybox", "user": "1000",
      "env": ["PATH=/bin"], "entrypoint": [], "cmd": ["sh"], "workdir": "/",
      "pull_s": 1.5, "error": "manifest unknown", "present": false,
      "login": "user:password", "hide": ["/srv"]}]

`error` makes the pull fail with that text; a name under `absent/` always fails.
`pull_s` is how long a pull takes; `present` images need no pull unless asked Always;
with `login` the pull needs that from the pod's imagePullSecrets, under the registry's
name; `hide` names folders of the root that are empty in the container.
"""

import asyncio
import base64
import fnmatch
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import mounts

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TABLE_KEYS = {"name", "root", "user", "env", "entrypoint", "cmd", "workdir", "pull_s",
              "error", "present", "hide", "login"}
# Folders of the machine that no image has: they are empty in a container.
HIDDEN = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/run": 0o755, "/root": 0o700,
          "/home": 0o755, "/mnt": 0o755, "/media": 0o755}
# Without overlays these are copied for each container; the rest is read-only.
COPIED = ("etc",)
EMPTIED = ("tmp", "run", "root", "home", "mnt", "media", "srv", "builds", "cache")

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"^(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$")


class PullError(Exception):
    """A pull that failed; `reason` is ErrImagePull, or InvalidImageName and kin."""

    def __init__(self, message, reason="ErrImagePull"):
        super().__init__(message)
        self.reason = reason


@dataclass
class Image:
    name: str
    root: str = "/"
    user: str = "0"
    env: list = field(default_factory=lambda: [DEFAULT_PATH])
    entrypoint: list = field(default_factory=list)
    cmd: list = field(default_factory=lambda: ["sh"])
    workdir: str = "/"
    pull_s: float = 0.0
    error: str = ""
    present: bool = False
    login: str = ""
    hide: list = field(default_factory=list)


def is_absent(name):
    return "absent" in name.split("/")[:-1]


def registry_of(name):
    """The registry that an image name means; Docker Hub without one."""
    first = name.split("/")[0]
    if "/" in name and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def registry_credentials(secret):
    """registry -> (user, password) of a Secret of type dockerconfigjson."""
    found = {}
    try:
        text = base64.b64decode(secret["data"][".dockerconfigjson"])
        for where, entry in (json.loads(text).get("auths") or {}).items():
            host = where.split("://")[-1].split("/")[0]
            host = "docker.io" if host == "index.docker.io" else host
            if entry.get("auth"):
                user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
                found[host] = (user, password)
            else:
                found[host] = (entry.get("username", ""), entry.get("password", ""))
    except (KeyError, ValueError, AttributeError):
        return {}
    return found


class Images:
    def __init__(self, settings):
        self.table = []
        self.pulled = set()
        self._settings = settings

    def add(self, entry):
        """Add an entry to the table; ValueError names what is not known."""
        unknown = set(entry) - TABLE_KEYS
        if unknown or not entry.get("name"):
            raise ValueError(f"image entry: unknown or missing key: {sorted(unknown)}")
        self.table.append(entry)

    def find(self, name):
        image = Image(name)
        for entry in self.table:
            if fnmatch.fnmatchcase(name, entry["name"]):
                for key, value in entry.items():
                    if key != "name":
                        setattr(image, key, value)
        if is_absent(name) and not image.error:
            image.error = (
                f'failed to pull and unpack image "{name}": failed to resolve reference '
                f'"{name}": {name}: not found')
        return image

    async def ensure(self, name, policy, credentials, on_pulling):
        """(image, whether it was pulled now). Raises PullError."""
        if not _REFERENCE.match(name):
            raise PullError(f'Failed to apply default image tag "{name}": couldn\'t parse '
                            f'image name "{name}": invalid reference format',
                            "InvalidImageName")
        image = self.find(name)
        here = name in self.pulled or image.present
        if policy == "Never":
            if not here:
                raise PullError(f'Container image "{name}" is not present with pull policy '
                                "of Never", "ErrImageNeverPull")
            return image, False
        if here and policy == "IfNotPresent":
            return image, False
        on_pulling()
        if image.pull_s:
            await asyncio.sleep(image.pull_s)
            image = self.find(name)
        if image.error:
            raise PullError(image.error)
        if image.login and ":".join(credentials.get(registry_of(name), ())) != image.login:
            raise PullError(
                f'failed to pull and unpack image "{name}": failed to resolve reference '
                f'"{name}": pull access denied, repository does not exist or may require '
                "authorization: server message: insufficient_scope: authorization failed")
        if not Path(image.root).is_dir():
            raise PullError(f"root folder {image.root} of image {name} does not exist")
        self.pulled.add(name)
        return image, True


def inside(root, path):
    """The path as it is inside the root once every symlink on its way is followed."""
    done, todo, links = [], [p for p in path.split("/") if p not in ("", ".")], 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        if here.is_symlink() and links < 40:
            links += 1
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            todo = [p for p in target.split("/") if p not in ("", ".")] + todo
            continue
        done.append(part)
    return "/" + "/".join(done)


class Root:
    """The root file system of one container instance, under `folder`."""

    def __init__(self, folder, image, overlay, hidden):
        self.folder = Path(folder)
        self.path = self.folder / "root"
        self._image = image
        self._overlay = overlay
        self._hidden = hidden
        self._mounted = False
        self.binds = []

    def make(self, files):
        """Make it, with these files (path -> text) in place of the image's."""
        if self._overlay:
            self._make_overlay(files)
        else:
            self._make_copies(files)

    def _make_overlay(self, files):
        upper = self.folder / "upper"
        hidden = dict(HIDDEN) if self._image.root == "/" else {}
        hidden.update(dict.fromkeys(self._hidden + list(self._image.hide), 0o755))
        for path, mode in hidden.items():
            if not any(path.startswith(other + "/") for other in hidden):
                self._hide(upper, path, mode)
        self._write_files(upper, files)
        mounts.mount_overlay(self._image.root, upper, self.folder / "work", self.path)
        self._mounted = True

    def _hide(self, upper, path, mode):
        """An opaque folder in the upper layer: what the image has there is not seen."""
        below, target = Path(self._image.root), upper
        for part in path.strip("/").split("/"):
            below, target = below / part, target / part
            if below.is_symlink() or not below.is_dir():
                return
            if not target.exists():
                target.mkdir(parents=True)
                target.chmod(below.stat().st_mode & 0o7777)
        os.setxattr(target, "trusted.overlay.opaque", b"y")
        target.chmod(mode)

    def _make_copies(self, files):
        source = Path(self._image.root)
        self.path.mkdir(parents=True)
        for entry in sorted(source.iterdir()):
            target = self.path / entry.name
            if entry.is_symlink():
                target.symlink_to(os.readlink(entry))
            elif not entry.is_dir() or entry.name in ("proc", "sys", "dev", "lost+found"):
                continue
            elif entry.name in COPIED:
                shutil.copytree(entry, target, symlinks=True)
            elif entry.name in EMPTIED:
                target.mkdir()
                target.chmod(HIDDEN.get("/" + entry.name, 0o755))
            else:
                target.mkdir()
                self.binds.append((str(entry), "/" + entry.name, "ro"))
        self._write_files(self.path, files)
        for name in ("tmp", "run"):
            (self.path / name).mkdir(exist_ok=True)
        tmp = self.folder / "var-tmp"
        tmp.mkdir()
        tmp.chmod(0o1777)
        if (source / "var" / "tmp").is_dir():
            self.binds.append((str(tmp), "/var/tmp"))

    @staticmethod
    def _write_files(root, files):
        for path, text in files.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink():
                target.unlink()
            target.write_text(text)
            target.chmod(0o644)

    def user(self, uid):
        """(gid, home) of a uid by the image's passwd; the fallbacks of runc without one."""
        try:
            with open(Path(self._image.root) / "etc/passwd", encoding="utf-8") as file:
                for line in file:
                    parts = line.rstrip("\n").split(":")
                    if len(parts) >= 6 and parts[2] == str(uid):
                        return int(parts[3]), parts[5]
        except OSError:
            pass
        return 0, "/"

    def uid_of(self, name):
        """The number of a user name or number as an image config has it; None if unknown."""
        name = str(name).partition(":")[0] or "0"
        if name.isdigit():
            return int(name)
        try:
            with open(Path(self._image.root) / "etc/passwd", encoding="utf-8") as file:
                for line in file:
                    parts = line.split(":")
                    if parts[0] == name:
                        return int(parts[2])
        except OSError:
            pass
        return None

    def remove(self):
        if self._mounted:
            self._mounted = False
            mounts.unmount(self.path)
        shutil.rmtree(self.folder, ignore_errors=True)
