"""Many logs at once on a node whose kubelet may follow only some of them.

`fs.inotify.max_user_instances` is 128 on most nodes. The next follower gets what the log holds, then the kubelet's text
"failed to create fsnotify watcher: too many open files", and the stream ends. The small form runs as many jobs as fit a
test run, with a limit that leaves room for half of them; DATAOPS_FOLLOW_JOBS=150 runs the whole form: 150 jobs of 60 s at 128 instances.
"""

import contextlib
import datetime
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.process import cpu_seconds

INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
WHOLE_JOBS, WHOLE_SECONDS, DEFAULT_INSTANCES = 150, 60, 128
JOBS = int(os.environ.get("DATAOPS_FOLLOW_JOBS", "30"))
IS_WHOLE = JOBS >= WHOLE_JOBS
SECONDS = WHOLE_SECONDS if IS_WHOLE else 15
START_S = JOBS * (0.9 if IS_WHOLE else 0.7)
PLENTY = 8192
MOST_READ_BY_TIME, MOST_FOLLOWED = 40, 2  # requests a job of 60 s; what is followed does not grow with the time

pytestmark = pytest.mark.alone(reason="sets a limit of the whole node")


def _in_use() -> int:
    """inotify instances of all processes of this machine."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    count += os.readlink(folder / name) == "anon_inode:inotify"
    return count


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.fixture(name="limit_instances")
def _limit_instances():
    """Sets the limit; puts back what was there, whatever happens."""
    before = INSTANCES.read_text()
    try:
        yield lambda count: INSTANCES.write_text(f"{count}\n")
    finally:
        INSTANCES.write_text(before)


class Load:
    """Jobs that all print at the same time, with a controller and a namespace of their own, and what they cost."""

    def __init__(self, make_site, place, name: str) -> None:
        self.namespace = place.make_namespace(name)
        # What is read by time is told at level info too.
        self.site = make_site(globals_={"concurrent": JOBS, "log_level": "info"}, runner={"request_concurrency": 4},
                              kubernetes={"namespace": self.namespace, "poll_timeout": 900})
        time.sleep(2)
        pid = self.site.controller.process.pid
        before, began = cpu_seconds(pid), time.time()
        # They wait until all of them run: a node starts one or two pods a second.
        gate = int(began + START_S)
        script = (f"while [ $(date +%s) -lt {gate} ]; do sleep 0.5; done; "
                  f'for i in $(seq {SECONDS}); do echo "line $i"; sleep 1; done')
        added = [self.site.job([script], variables={"GIT_STRATEGY": "none"}) for _ in range(JOBS)]
        self.jobs = [job.succeeds(900) for job in added]
        self.cpu_ms = (cpu_seconds(pid) - before) * 1000 / JOBS
        asked = [r for r in place.requests(self.namespace) if r["subresource"] == "log"]
        self.requests = self._by_job(asked)
        self.while_printing = self._by_job([r for r in asked if _seconds(r["time"]) >= gate])
        print(f"{name}: {JOBS} jobs of {SECONDS} s in {time.time() - began:.0f} s: {self.mean:.1f} log requests a job, "
              f"at most {max(self.requests)}; while they print {sum(self.while_printing) / JOBS:.1f}, "
              f"at most {max(self.while_printing)}; {self.cpu_ms:.1f} ms CPU of the controller a job")

    def _by_job(self, asked: list[dict]) -> list[int]:
        count = Counter(r["name"] for r in asked)
        return [sum(count[name] for name in count if f"-{job.id}-" in name) for job in self.jobs]

    @property
    def mean(self) -> float:
        return sum(self.requests) / JOBS

    def all_whole(self) -> None:
        expected = "".join(f"line {i}\n" for i in range(1, SECONDS + 1))
        for job in self.jobs:
            assert job.script_output().endswith(expected), job.story()
            assert "log incomplete" not in job.text, job.story()

    @property
    def told(self) -> list[str]:
        return [line for line in self.site.controller.log.splitlines() if "max_user_instances" in line]


def test_a_node_that_cannot_follow_all_logs_is_read_by_time_and_no_byte_is_missing(make_site, place, limit_instances):
    limit_instances(DEFAULT_INSTANCES if IS_WHOLE else _in_use() + JOBS // 2)
    load = Load(make_site, place, "follow-few")
    load.all_whole()
    assert max(load.while_printing) <= MOST_READ_BY_TIME
    assert len(load.told) == 1, "said once for the node, with the setting to raise"
    assert max(load.requests) > MOST_FOLLOWED, "no follower was refused: the limit did not count"


def test_a_node_that_can_follow_all_logs_is_asked_twice_a_job_at_most(make_site, place, limit_instances):
    limit_instances(PLENTY)
    load = Load(make_site, place, "follow-all")
    load.all_whole()
    assert load.mean <= MOST_FOLLOWED
    assert load.told == []
