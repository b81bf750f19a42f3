"""What `make image` made: its files, its list of contents, and that it is made alike each time. No cluster is needed."""

import hashlib
import json
import os
import re
import stat
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import unquote

import pytest
from parts import git_server
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHIVE = REPOSITORY / "build" / "dataops-runner-image.tar"
PROGRAMS = {"dataops-runner", "dataops-courier", "dataops-step"}
HOME = "/home/dataops"
LIMIT_BYTES = 120_000_000
# What no package brought: made when packages are installed, by the Dockerfile, or by buildah as a place to mount something on.
MADE = re.compile(
    r"etc/(passwd|group|nsswitch\.conf|ld\.so\.cache|hostname|hosts|resolv\.conf|ssl/certs/.*)|var/lib/dpkg/.*|usr/local/bin/dataops-\w+"
)


class Image:
    """The image in a docker-archive."""

    def __init__(self, path: Path):
        self.path = path
        with tarfile.open(path) as tar:
            (manifest,) = json.load(tar.extractfile("manifest.json"))
            config = tar.extractfile(manifest["Config"]).read()
            self.layers = [Path(name) for name in manifest["Layers"]]
            self.bytes = sum(tar.getmember(name).size for name in manifest["Layers"])
        self.names = manifest["RepoTags"]
        self.identity = hashlib.sha256(config).hexdigest()
        self.config = json.loads(config)

    @property
    def labels(self) -> dict[str, str]:
        return self.config["config"]["Labels"]

    def unpack(self, folder: Path) -> list[list[tarfile.TarInfo]]:
        """Lays all layers into `folder`; gives the members of each."""
        members = []
        with tarfile.open(self.path) as tar:
            for name in self.layers:
                with tarfile.open(fileobj=tar.extractfile(str(name))) as layer:
                    layer.extractall(folder, filter="fully_trusted")
                    members.append(layer.getmembers())
        return members


def _build(output: Path, **settings: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OUTPUT": str(output), **settings}
    return subprocess.run([REPOSITORY / "deploy/image"], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(name="image", scope="module")
def _image() -> Image:
    assert ARCHIVE.exists(), "make image"
    return Image(ARCHIVE)


@pytest.fixture(name="unpacked", scope="module")
def _unpacked(image, tmp_path_factory):
    """The image's root folder, and the members of each layer."""
    root = tmp_path_factory.mktemp("root")
    return root, image.unpack(root)


@pytest.fixture(name="files", scope="module")
def _files(unpacked) -> dict[str, Path]:
    """Everything in the image but folders: name -> path here."""
    root, _ = unpacked
    return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


def _installed(status: Path) -> dict[str, str]:
    """Package -> version in a dpkg database."""
    entries = [dict(re.findall(r"^(Package|Version|Status): (.*)$", text, re.MULTILINE)) for text in status.read_text().split("\n\n") if text.strip()]
    assert {entry["Status"] for entry in entries} == {"install ok installed"}
    return {entry["Package"]: entry["Version"] for entry in entries}


class TestContents:
    def test_it_is_small(self, image):
        assert image.bytes < LIMIT_BYTES

    def test_no_file_is_stored_twice(self, unpacked):
        """A layer that only changes the rights of files holds them all once more."""
        _, layers = unpacked
        names = [member.name for members in layers for member in members if member.isfile() and member.size]
        assert [name for name in set(names) if names.count(name) > 1] == []

    def test_no_program_is_stored_twice(self, files):
        digests = {}
        for name, path in files.items():
            if path.is_file() and not path.is_symlink() and path.stat().st_size > 100_000:
                digests.setdefault((hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_ino), []).append(name)
        contents = [digest for digest, _ in digests]
        assert [names for (digest, _), names in digests.items() if contents.count(digest) > 1] == []

    def test_nothing_in_it_gives_another_users_rights(self, files):
        assert [name for name, path in files.items() if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)] == []

    def test_dpkgs_database_names_what_is_there_and_nothing_else(self, unpacked, files):
        """Scanners go by it: a package that is only half there, or a file without a package, would mislead them."""
        root, _ = unpacked
        database = root / "var/lib/dpkg"
        named = {path.name.removesuffix(".list").split(":")[0]: path.read_text().split("\n")[:-1] for path in (database / "info").glob("*.list")}
        assert named.keys() == _installed(database / "status").keys()
        listed = {name.removeprefix("/") for names in named.values() for name in names}
        assert [name for name in listed if not os.path.lexists(root / name)] == []
        assert [name for name in files if name not in listed and not MADE.fullmatch(name)] == []

    def test_each_package_comes_with_its_licence(self, unpacked):
        root, _ = unpacked
        packages = _installed(root / "var/lib/dpkg/status")
        assert [name for name in packages if not (root / "usr/share/doc" / name / "copyright").exists()] == []

    @pytest.mark.parametrize(("command", "says"), [
        (["dataops-runner", "--version"], "dataops-runner"),
        (["dataops-courier", "--version"], "dataops-courier"),
        (["dataops-step", "--version"], "dataops-step"),
        (["git", "lfs", "version"], "git-lfs/"),
        (["git", "init", "/tmp/a"], "Initialized empty Git repository"),
        # Programs that git starts for these are there: what is missing is only a server.
        (["git", "ls-remote", "http://127.0.0.1:1/"], "Failed to connect"),
        (["git", "ls-remote", "https://127.0.0.1:1/"], "Failed to connect"),
        (["git", "submodule", "status"], "not a git repository"),
        (["git", "grep", "x"], "not a git repository"),
    ], ids=lambda value: " ".join(value) if isinstance(value, list) else "")  # fmt: skip
    def test_its_programs_run(self, unpacked, tmp_path, command, says):
        done = _run(unpacked[0], tmp_path, {}, *command)
        assert says in done.stdout + done.stderr

    def test_a_repository_with_large_files_comes_over_https(self, unpacked, tmp_path):
        """The commands that courier gives, against a server with an authority of its own."""
        content = os.urandom(300_000)
        work = tmp_path / "work"
        work.mkdir()
        with git_server.serving(tmp_path / "server", {"large.bin": content, "small.txt": b"small\n"}) as server:
            (work / "ca.crt").write_bytes(server.authority.read_bytes())
            settings = {"GIT_SSL_CAINFO": f"{HOME}/ca.crt", "GIT_CONFIG_NOSYSTEM": "1"}
            for command in (
                ["init", "-q", "tree"], ["-C", "tree", "remote", "add", "origin", server.url],
                ["-C", "tree", "fetch", "-q", "--depth", "1", "origin", "main"], ["-C", "tree", "lfs", "install", "--local", "--skip-smudge"],
                ["-C", "tree", "checkout", "-f", "-q", "--detach", "FETCH_HEAD"], ["-C", "tree", "lfs", "pull"],
                ["-C", "tree", "clean", "-ffdxq"], ["-C", "tree", "ls-files", "-o", "-z"],
            ):  # fmt: skip
                done = _run(unpacked[0], work, settings, "git", *command)
                assert done.returncode == 0, (command, done)
        assert (work / "tree/large.bin").read_bytes() == content and (work / "tree/small.txt").read_bytes() == b"small\n"


def _run(root: Path, home: Path, settings: dict[str, str], *command: str) -> subprocess.CompletedProcess:
    """Runs a command in the unpacked image, with its environment; `home` is its home folder there."""
    environment = dict(setting.split("=", 1) for setting in Image(ARCHIVE).config["config"]["Env"]) | settings
    words = [word for pair in environment.items() for word in ("--setenv", *pair)]
    box = ["bwrap", "--ro-bind", root, "/", "--bind", home, HOME, "--chdir", HOME, "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--clearenv"]
    return subprocess.run([*box, *words, "--", *command], capture_output=True, text=True, check=False)


class TestListOfContents:
    @pytest.fixture(name="document", scope="class")
    def _document(self):
        return parse_file(str(ARCHIVE).removesuffix(".tar") + ".spdx.json")

    def test_it_is_valid_spdx(self, document, image):
        assert [fault.validation_message for fault in validate_full_spdx_document(document)] == []
        assert document.creation_info.document_namespace.endswith(image.identity), "it is the list of another build"

    def test_it_names_every_debian_package(self, document, unpacked):
        root, _ = unpacked
        purls = [ref.locator for package in document.packages for ref in package.external_references]
        wanted = {f"pkg:deb/debian/{name}@{version}" for name, version in _installed(root / "var/lib/dpkg/status").items()}
        assert wanted - {unquote(purl.partition("?")[0]) for purl in purls} == set()

    def test_it_names_our_programs_and_what_was_linked_into_them(self, document, unpacked):
        root, _ = unpacked
        ours = {package.name: package for package in document.packages if package.file_name}
        assert ours.keys() == PROGRAMS
        for name, package in ours.items():
            content = (root / "usr/local/bin" / name).read_bytes()
            assert [check.value for check in package.checksums] == [hashlib.sha256(content).hexdigest()]
            linked = {r.related_spdx_element_id for r in document.relationships if r.spdx_element_id == package.spdx_id}
            assert linked, f"{name}: not even the compiler's library"


class TestBuild:
    @pytest.mark.slow
    def test_two_builds_give_one_digest(self, image, unpacked, tmp_path):
        """The second build has a storage of its own, so it takes no layer from the first."""
        again = tmp_path / "again.tar"
        settings = {"STORAGE": str(tmp_path / "storage")}
        done = _build(again, **settings)
        assert done.returncode == 0, done.stderr
        Image(again).unpack(tmp_path / "root")
        root, _ = unpacked
        first = image
        if _installed(root / "var/lib/dpkg/status") != _installed(tmp_path / "root/var/lib/dpkg/status"):
            # Debian brought out updates since the first one's packages were installed.
            refreshed = _build(tmp_path / "first.tar", FRESH="1")
            assert refreshed.returncode == 0, refreshed.stderr
            first = Image(tmp_path / "first.tar")
        assert Image(again).identity == first.identity
        sboms = [path.with_name(path.name.removesuffix(".tar") + ".spdx.json").read_bytes() for path in (first.path, again)]
        assert sboms[0] == sboms[1]

    @pytest.mark.slow
    def test_a_base_is_taken_by_its_digest(self, image, tmp_path):
        digest = self._digest_of_the_base()
        done = _build(tmp_path / "image.tar", BASE=f"localhost/debian@{digest}")
        assert done.returncode == 0, done.stderr
        built = Image(tmp_path / "image.tar")
        assert built.labels["org.opencontainers.image.base.digest"] == digest
        assert built.config["rootfs"] == image.config["rootfs"], "the same files, whatever the base is called"
        other = f"localhost/debian@sha256:{'0' * 64}"
        refused = _build(tmp_path / "other.tar", BASE=other)
        assert refused.returncode != 0 and other in refused.stderr and not (tmp_path / "other.tar").exists()

    @staticmethod
    def _digest_of_the_base() -> str:
        """What buildah calls the base that the image is built on without BASE."""
        layer = subprocess.run([REPOSITORY / "tests/cluster/cluster", "layer"], capture_output=True, text=True, check=True)
        name = f"localhost/debian:{Path(layer.stdout.strip()).name.removesuffix('.layer.tar')}"
        storage = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataops-runner" / "storage"
        command = ["buildah", "--root", storage, "--runroot", f"{storage}-run", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}", name]
        environment = {"STORAGE_DRIVER": "vfs"} | os.environ
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
