#!/usr/bin/env python3
"""sbom.py ARCHIVE OUTPUT TIME: writes what is in the image of a docker-archive as SPDX 2.3 (JSON), TIME in seconds since 1970.

debsbom lists the Debian packages by the dpkg database of the image; this adds our programs, which no package brought,
and what was linked into them. The same archive gives the same document, byte for byte.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from license_expression import get_spdx_licensing
from spdx_tools.spdx.model import (
    Actor, ActorType, Checksum, ChecksumAlgorithm, Document, ExternalPackageRef, ExternalPackageRefCategory, Package, PackagePurpose,
    Relationship, RelationshipType, SpdxNoAssertion,
)  # fmt: skip
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.write_anything import write_file

ROOT = "SPDXRef-dataops-runner"
BIN = "usr/local/bin/"
# The Debian packages of the build machine of which each program carries code (CMakeLists.txt links it so).
LINKED_IN = {
    "dataops-runner": ["libtomlplusplus-dev", "libstdc++-12-dev", "libgcc-12-dev"],
    "dataops-courier": ["libgcc-12-dev"],
    "dataops-step": ["libc6-dev", "libgcc-12-dev"],
}


def _debian_packages(layer: Path, image: dict, identity: str, created: datetime, folder: Path) -> Document:
    """What debsbom finds in the layer that holds the dpkg database."""
    labels = image["config"]["Labels"]
    command = [
        Path(sys.executable).with_name("debsbom"), "generate", "--sbom-type", "spdx", "--root", layer, "--out", folder / "debian", "--with-licenses",
        "--distro-arch", image["architecture"], "--distro-name", "dataops-runner", "--distro-version", labels["org.opencontainers.image.version"],
        "--timestamp", created.isoformat(), "--spdx-namespace", f"https://docs.dataops.live/spdx/dataops-runner/{identity}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"sbom: debsbom failed: {done.stderr.strip()[-400:]}")
    return parse_file(str(folder / "debian.spdx.json"))


def _programs(layers: list[Path]) -> dict[str, str]:
    """Name -> SHA-256 of our programs, as the image has them."""
    found = {}
    for layer in layers:
        with tarfile.open(layer) as tar:
            for member in tar:
                if member.isfile() and member.name.startswith(BIN):
                    found[member.name.removeprefix(BIN)] = hashlib.sha256(tar.extractfile(member).read()).hexdigest()
    if set(found) != set(LINKED_IN):
        sys.exit(f"sbom: the image has {sorted(found)} in /{BIN}, expected {sorted(LINKED_IN)}")
    return found


def _linked_in(name: str) -> Package:
    """A package of the build machine, whose code is in a program."""
    query = ["dpkg-query", "--show", "--showformat", "${Version} ${Architecture}", name]
    version, architecture = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    locator = f"pkg:deb/debian/{name.replace('+', '%2B')}@{version.replace('+', '%2B')}?arch={architecture}"
    return Package(
        spdx_id=f"SPDXRef-linked-in-{name.replace('+', '-')}", name=name, version=version, download_location=SpdxNoAssertion(),
        files_analyzed=False, primary_package_purpose=PackagePurpose.LIBRARY, comment="Linked into programs; not installed in the image.",
        external_references=[ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", locator)],
    )  # fmt: skip


def _add_programs(document: Document, programs: dict[str, str], version: str) -> None:
    libraries = {name: _linked_in(name) for name in sorted({name for names in LINKED_IN.values() for name in names})}
    document.packages += libraries.values()
    for name, digest in programs.items():
        program = Package(
            spdx_id=f"SPDXRef-program-{name}", name=name, version=version, file_name=f"./{BIN}{name}", download_location=SpdxNoAssertion(),
            files_analyzed=False, primary_package_purpose=PackagePurpose.APPLICATION, checksums=[Checksum(ChecksumAlgorithm.SHA256, digest)],
            supplier=Actor(ActorType.ORGANIZATION, "DataOps.live"), license_declared=get_spdx_licensing().parse("Apache-2.0"),
        )  # fmt: skip
        document.packages.append(program)
        document.relationships.append(Relationship(ROOT, RelationshipType.CONTAINS, program.spdx_id))
        for library in LINKED_IN[name]:
            document.relationships.append(Relationship(program.spdx_id, RelationshipType.STATIC_LINK, libraries[library].spdx_id))


def _write(document: Document, output: Path) -> None:
    """In one order: debsbom's is another each time."""
    document.creation_info.creators.append(Actor(ActorType.ORGANIZATION, "DataOps.live"))
    document.packages.sort(key=lambda package: (package.spdx_id != ROOT, package.spdx_id))
    document.relationships.sort(key=lambda r: (r.spdx_element_id, r.relationship_type.name, str(r.related_spdx_element_id)))
    (root,) = (package for package in document.packages if package.spdx_id == ROOT)
    root.primary_package_purpose = PackagePurpose.CONTAINER
    faults = validate_full_spdx_document(document)
    if faults:
        sys.exit("sbom: not valid SPDX:\n" + "\n".join(fault.validation_message for fault in faults[:10]))
    write_file(document, str(output), validate=False)


def main(archive: str, output: str, time: str) -> None:
    created = datetime.fromtimestamp(int(time), UTC)
    with tempfile.TemporaryDirectory() as name, tarfile.open(archive) as tar:
        folder = Path(name)
        tar.extractall(folder / "image", filter="data")
        (manifest,) = json.loads((folder / "image" / "manifest.json").read_text())
        config = (folder / "image" / manifest["Config"]).read_bytes()
        image = json.loads(config)
        layers = [folder / "image" / layer for layer in manifest["Layers"]]
        document = _debian_packages(layers[0], image, hashlib.sha256(config).hexdigest(), created, folder)
        _add_programs(document, _programs(layers), image["config"]["Labels"]["org.opencontainers.image.version"])
    _write(document, Path(output))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
