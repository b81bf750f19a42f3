"""A docker-archive made without Docker: one layer, a config, a manifest. For images that only tests need."""

import hashlib
import io
import json
import tarfile
from pathlib import Path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def write(path: Path, names: str | list[str], layer: Path, settings: dict) -> None:
    """Writes `path`, holding one image with these names (host/repo:tag) whose only layer is the tar file `layer`.

    `settings` is the image config's "config": Env, User, Entrypoint, Cmd, WorkingDir.
    """
    digest = hashlib.sha256()
    with open(layer, "rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **settings},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [names] if isinstance(names, str) else names, "Layers": ["layer.tar"]}]
    partial = path.with_name(path.name + ".partial")
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        _add(tar, "config.json", json.dumps(config).encode())
        tar.add(layer, arcname="layer.tar")
    partial.rename(path)


def layer_of(path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """Writes the tar file `path` with these files (name -> content, mode), for images of one or two programs."""
    with tarfile.open(path, "w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))


def derive(path: Path, base: Path, images: dict[str, dict[str, tuple[bytes, int]]]) -> None:
    """Writes `path`, holding one image for each name: that of the docker-archive `base` with these files (as in layer_of) on top."""
    partial = path.with_name(path.name + ".partial")
    with tarfile.open(base) as source, tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as target:
        (manifest,) = json.load(source.extractfile("manifest.json"))
        config = json.load(source.extractfile(manifest["Config"]))
        for layer in manifest["Layers"]:
            target.addfile(source.getmember(layer), source.extractfile(layer))
        entries = []
        for number, (name, files) in enumerate(images.items()):
            layer = path.with_name(f"{path.name}.layer-{number}")
            layer_of(layer, files)
            content = layer.read_bytes()
            layer.unlink()
            own = {**config, "history": [], "rootfs": {
                "type": "layers", "diff_ids": [*config["rootfs"]["diff_ids"], f"sha256:{hashlib.sha256(content).hexdigest()}"]}}
            _add(target, f"layer-{number}.tar", content)
            _add(target, f"config-{number}.json", json.dumps(own).encode())
            entries.append({"Config": f"config-{number}.json", "RepoTags": [name], "Layers": [*manifest["Layers"], f"layer-{number}.tar"]})
        _add(target, "manifest.json", json.dumps(entries).encode())
    partial.rename(path)
