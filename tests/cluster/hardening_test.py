"""What the three release programs are built with, read from the programs, from their objects and from the build's own record."""

import json
import os
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RELEASE = REPOSITORY / "build" / "release"
PROGRAMS = ("dataops-runner", "dataops-courier", "dataops-step")
DYNAMIC = PROGRAMS[:2]
# What every file of ours is compiled with; of two settings of one kind the compiler takes the last.
OPTIONS = (
    "-D_FORTIFY_SOURCE=3",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-fcf-protection=full",
    "-ftrivial-auto-var-init=zero",
)


@cache
def _readelf(path: Path, *flags: str) -> str:
    command = ["readelf", "--wide", *flags, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


@cache
def _commands() -> dict[str, list[str]]:
    """Each source of ours -> the words of the command that compiled it."""
    entries = json.loads((RELEASE / "compile_commands.json").read_text())
    return {entry["file"].removeprefix(f"{REPOSITORY}/"): shlex.split(entry["command"]) for entry in entries}


def _objects(folder: str) -> list[Path]:
    found = sorted(RELEASE.glob(f"CMakeFiles/*.dir/src/{folder}/*.o"))
    assert found, f"the release preset has no objects of src/{folder}"
    return found


def _undefined(path: Path) -> set[str]:
    """The names of functions that the program or object at `path` takes from elsewhere."""
    return {line.split()[7].split("@")[0] for line in _readelf(path, "--syms").splitlines() if " UND " in line and len(line.split()) > 7}


def _segments(program: str) -> dict[str, str]:
    """Type of a segment -> its flags (of several LOAD segments the last)."""
    lines = re.findall(r"^ +([A-Z_]+) +0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([RWE ]{3})", _readelf(RELEASE / program, "--segments"), re.MULTILINE)
    return dict(lines)


def _features(path: Path) -> set[str]:
    """What the notes of `path` say about control-flow protection: IBT (indirect branches), SHSTK (shadow stack)."""
    found = re.search(r"x86 feature: (.*)", _readelf(path, "--notes"))
    return set(found[1].strip().split(", ")) if found else set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_loaded_at_a_random_address(program):
    assert re.search(r"Type: +DYN", _readelf(RELEASE / program, "--file-header"))
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", _readelf(RELEASE / program, "--dynamic"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_tables_of_addresses_are_read_only_once_the_program_runs(program):
    """Full RELRO: all symbols are bound at the start, then the tables lose the right to be written."""
    assert "GNU_RELRO" in _segments(program)
    assert re.search(r"\(FLAGS_1\).*\bNOW\b", _readelf(RELEASE / program, "--dynamic"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_memory_is_writable_and_executable(program):
    segments = re.findall(r"^ +(?:LOAD|GNU_STACK) .* ([R ][W ][E ]) 0x", _readelf(RELEASE / program, "--segments"), re.MULTILINE)
    assert len(segments) > 2 and _segments(program)["GNU_STACK"] == "RW "
    assert [flags for flags in segments if "W" in flags and "E" in flags] == []


def test_step_needs_no_file_of_the_jobs_image():
    """A job's image may have no dynamic linker and no C library, or those of another distribution."""
    assert "INTERP" not in _segments("dataops-step")
    assert "(NEEDED)" not in _readelf(RELEASE / "dataops-step", "--dynamic")
    assert (RELEASE / "dataops-step").stat().st_size < 1 << 20


def test_step_runs_where_there_is_nothing_else(tmp_path):
    """It gets as far as to miss /dev/null, and says so itself."""
    program = tmp_path / "step"
    shutil.copy(RELEASE / "dataops-step", program)
    done = subprocess.run(["bwrap", "--ro-bind", program, "/step", "--", "/step"], capture_output=True, text=True, check=False)
    assert done.stderr == "dataops-step: cannot start: No such file or directory\n"


@pytest.mark.parametrize("program", DYNAMIC)
def test_overflows_are_caught_by_canaries_and_by_checked_calls(program):
    assert "__stack_chk_fail" in _undefined(RELEASE / program)
    # At level 2 gcc knows no size that is computed at run time, and leaves memcpy as it is.
    assert {"__memcpy_chk", "__snprintf_chk"} <= _undefined(RELEASE / program)


def test_steps_objects_call_canaries_and_checked_functions():
    """The program is stripped, and the C library in it has such calls of its own: only the objects tell."""
    names = set().union(*(_undefined(path) for path in _objects("step")))
    assert "__stack_chk_fail" in names
    assert [name for name in names if re.fullmatch(r"__\w+_chk", name)]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_file_is_compiled_with(option):
    kind = re.sub(r"(?<!^)=.*|-(strong|all)$", "", option)
    assert len([source for source in _commands() if source.startswith("src/step/")]) > 5
    for source, words in _commands().items():
        of_kind = [word for word in words if word == kind or word.startswith((f"{kind}=", f"{kind}-"))]
        assert of_kind and of_kind[-1] == option, f"{source}: {of_kind}"


def test_control_flow_notes_are_those_that_the_toolchain_allows():
    """Every object of ours carries both notes. The linker drops them from a program as soon as one object has none, and the
    startup files of Debian 12's C library (crti.o, Scrt1.o, rcrt1.o) have none, as it is built without CET; to force the note on
    would tell the kernel a lie, since .init of crti.o has no landing pad. With a C library that has them, the programs must too."""
    for folder in ("step", "courier", "controller"):
        for path in _objects(folder):
            assert _features(path) == {"IBT", "SHSTK"}, path
    for program, names in zip(PROGRAMS, (("Scrt1.o", "crti.o"), ("Scrt1.o", "crti.o"), ("rcrt1.o", "crti.o")), strict=True):
        allowed = set.intersection(*(_features(_startup_file(name)) for name in names))
        assert _features(RELEASE / program) >= allowed, program


def _startup_file(name: str) -> Path:
    done = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())
