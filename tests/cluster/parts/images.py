"""The images every test pod starts from, made on this machine: no registry is asked."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from . import archive, programs, settings
from .places import Places
from .trouble import Trouble, say

BASE_IMAGE = "registry.test/base:1"
JOBS_IMAGE = "registry.test/jobs:1"
# What the integration cases call their images.
_JOBS_NAMES = [JOBS_IMAGE, *(f"docker.io/acme/{name}" for name in ("image:1", "base:1", "base:5"))]
SUITE = "bookworm"
INCLUDED = "bash,ca-certificates,git"
# Raise it when what is made below changes, so that nobody goes on with an old one.
BASE_EDITION = 2
JOBS_EDITION = 1


def _mirror() -> str:
    """The package mirror this machine uses itself, or "" for debootstrap's own choice."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"], capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        site, _, release = line.partition(" ")
        if release == SUITE:
            return site
    return ""


def base_layer() -> Path:
    """A small Debian with bash, git and CA certificates as a tar file; made once (half a minute), then kept."""
    return _debian(programs.cache_root() / f"{SUITE}-{BASE_EDITION}.layer.tar", INCLUDED)


def _debian(path: Path, included: str) -> Path:
    """A small Debian with these packages as the tar file `path`, unless it exists."""
    if path.exists():
        return path
    programs.require(programs.IMAGE_PROGRAMS)
    path.parent.mkdir(parents=True, exist_ok=True)
    say(f"making an image of {SUITE} with debootstrap, once: {included}")
    with tempfile.TemporaryDirectory(prefix="base-", dir=path.parent) as folder:
        Path(folder).chmod(0o755)
        command = [programs.find("debootstrap"), "--variant=minbase", f"--include={included}", SUITE, folder]
        done = subprocess.run(command + [m for m in [_mirror()] if m], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"debootstrap failed: {(done.stderr or done.stdout).strip()[-400:]}")
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(Path(folder) / waste, ignore_errors=True)
        # Licences stay: the image that ships is built on this one.
        for document in (Path(folder) / "usr/share/doc").glob("*/*"):
            if document.name != "copyright":
                shutil.rmtree(document) if document.is_dir() and not document.is_symlink() else document.unlink()
        for needed in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "usr/share/man/man1"):
            (Path(folder) / needed).mkdir(parents=True)
        partial = path.with_name(path.name + ".partial")
        # One's own device nodes are the runtime's affair.
        subprocess.run(
            ["tar", "--numeric-owner", "--sort=name", "--exclude=./dev/*", "-C", folder, "-cf", str(partial), "."], check=True
        )
        partial.rename(path)
    return path


def base_archive() -> Path:
    """The base as an image that `load` takes."""
    path = programs.cache_root() / f"{SUITE}-{BASE_EDITION}.image.tar"
    if not path.exists():
        archive.write(path, BASE_IMAGE, base_layer(), {"Cmd": ["bash"]})
    return path


def jobs_archive() -> Path:
    """What the jobs of the integration cases run in: the base and python3."""
    path = programs.cache_root() / f"{SUITE}-jobs-{JOBS_EDITION}.image.tar"
    if not path.exists():
        layer = _debian(path.with_suffix(".layer"), f"{INCLUDED},python3,procps")
        archive.write(path, _JOBS_NAMES, layer, {"Cmd": ["bash"]})
        layer.unlink()
    return path


def pause_archive() -> Path:
    """The sandbox image: one static program."""
    path = programs.cache_root() / "pause-1.image.tar"
    if path.exists():
        return path
    programs.require({"cc": "gcc"})
    path.parent.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).resolve().parent.parent / "pause.c"
    with tempfile.TemporaryDirectory() as folder:
        program, layer = Path(folder) / "pause", Path(folder) / "layer.tar"
        subprocess.run(["cc", "-std=gnu17", "-static", "-Os", "-s", "-o", str(program), str(source)], check=True)
        archive.layer_of(layer, {"pause": (program.read_bytes(), 0o755)})
        archive.write(path, settings.PAUSE_IMAGE, layer, {"Entrypoint": ["/pause"]})
    return path


def load(place: Places, path: Path) -> list[str]:
    """Imports a docker-archive into the node; gives the names of its images."""
    if not place.containerd_socket.exists():
        raise Trouble("no cluster is up: tests/cluster/cluster up")
    command = [
        programs.find("ctr"), "--address", str(place.containerd_socket), "--namespace", "k8s.io",
        "images", "import", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"{path} could not be imported: {done.stderr.strip()}")
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("unpacking")]


def load_once(place: Places, path: Path) -> None:
    """As `load`, unless this very file was imported into this node before."""
    mark = place.containerd / f"imported-{path.name}"
    identity = f"{path.stat().st_mtime_ns} {path.stat().st_size}"
    if mark.exists() and mark.read_text() == identity:
        return
    load(place, path)
    mark.write_text(identity)
