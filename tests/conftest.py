"""Fixtures of the integration cases and of those for a real cluster.

`site` is shared by all cases of a run: one stand-in pair (or the real cluster) and one controller. A case that needs a
controller of its own asks for `make_site`. Jobs declared with @runs(...) are added when the first case of their group
starts, so that they run side by side while the cases wait for them one after the other:

    @runs(script=["exit 42"])
    def test_exit_code(job):
        job.fails()
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.integration.harness import place as places
from tests.integration.harness.controller import program
from tests.integration.harness.site import DataOpsProcess, Site


WORKERS = {places.STANDIN: 6, places.REAL: 5}


def pytest_configure(config):
    config.addinivalue_line("markers", "runs(**jobs): jobs that are added when the group starts; see tests/conftest.py")


def pytest_xdist_auto_num_workers(config):
    """Most cases wait. Each worker has stand-ins of its own, or namespaces of its own on the one real cluster."""
    asked = os.environ.get("DATAOPS_WORKERS")
    return int(asked) if asked else 0 if _is_one_file(config) else WORKERS[places.chosen()]


def _is_one_file(config) -> bool:
    """One file or case alone needs no workers."""
    return len([arg for arg in config.args if "::" in arg or arg.endswith(".py")]) == 1


def scope(nodeid: str) -> str:
    """What one worker runs in a row: a class; a whole file where releases are installed for all of its cases."""
    return nodeid.split("::", 1)[0] if nodeid.startswith("cluster/") else nodeid.rsplit("::", 1)[0]


class Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    slow = {scope(item.nodeid) for item in items if item.get_closest_marker("slow") or item.nodeid.startswith("cluster/")}
    items.sort(key=lambda item: scope(item.nodeid) not in slow)  # so that none of them is last and alone
    if places.chosen() == places.STANDIN:
        return
    for item in items:
        marker = item.get_closest_marker("standin_only")
        if marker:
            item.add_marker(pytest.mark.skip(reason="stand-in only: " + marker.kwargs["reason"]))


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Where a run keeps its files; DATAOPS_KEEP names a folder that stays."""
    kept = os.environ.get("DATAOPS_KEEP")
    if kept:
        path = Path(kept).resolve()
        path.mkdir(parents=True, exist_ok=True)
        return path
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def programs() -> None:
    missing = [name for name in ("dataops-runner", "dataops-courier", "dataops-step") if not program(name).exists()]
    if missing:
        pytest.fail(f"{', '.join(missing)} not built: run make build, or set DATAOPS_BUILD", pytrace=False)


@pytest.fixture(scope="session")
def place(folder):
    chosen = places.make()
    try:
        chosen.start(folder)
        yield chosen
    finally:
        chosen.stop()


@pytest.fixture(scope="session")
def dataops_process(folder, place):
    process = DataOpsProcess(folder, place.dataops_address)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def dataops(dataops_process):
    return dataops_process.client


@pytest.fixture(scope="session")
def site(folder, programs, place, dataops):
    """The shared site. Cases must leave it as they found it."""
    shared = Site(folder, dataops, place).start()
    yield shared
    shared.stop()
    assert shared.controller.process.returncode == 0, shared.controller.log[-4000:]


@pytest.fixture
def make_site(folder, programs, place, dataops):
    """Makes sites with a runner and a controller of their own; stopped when the case ends."""
    with contextlib.ExitStack() as stack:
        def make(start: bool = True, **options) -> Site:
            made = Site(folder, dataops, place, **options)
            stack.callback(made.stop)
            return made.start() if start else made
        yield make


class Declared:
    """The jobs of one group, by case and name."""

    def __init__(self, site, items) -> None:
        self._jobs = {}
        for item in items:
            marker = item.get_closest_marker("runs")
            if marker is not None and item.get_closest_marker("skip") is None:
                self._jobs[item.nodeid] = {name: site.job(**description)
                                           for name, description in declared(item, marker).items()}

    def of(self, nodeid: str) -> dict:
        return self._jobs[nodeid]


def declared(item, marker) -> dict[str, dict]:
    """@runs(script=...) is one job; @runs(a=dict(...), b=dict(...)) are several; of those a parametrized case gets its own."""
    given = dict(marker.kwargs)
    if given and all(isinstance(value, dict) for value in given.values()) and "script" not in given:
        own = getattr(item, "callspec", None)
        return {own.id: given[own.id]} if own is not None and own.id in given else given
    return {"job": given}


def group(item) -> str:
    """Whose jobs are added together: those of a module; among several workers those of a class, as cases are dealt out."""
    return scope(item.nodeid) if hasattr(item.config, "workerinput") else str(item.fspath)


@pytest.fixture(scope="session")
def declared_jobs() -> dict[str, Declared]:
    return {}


@pytest.fixture
def jobs(request, declared_jobs, site):
    name = group(request.node)
    if name not in declared_jobs:
        declared_jobs[name] = Declared(site, [item for item in request.session.items if group(item) == name])
    return declared_jobs[name].of(request.node.nodeid)


@pytest.fixture
def job(jobs):
    return jobs["job"]


@pytest.fixture
def no_violations(dataops):
    """The case fails when a runner broke a rule of the protocol meanwhile."""
    before = len(dataops.violations())
    yield
    assert dataops.violations()[before:] == []
