"""More logs than the node's kubelet can follow: docs/design.md section 4. tests/cluster/follow_limit_test.py does it to a real one."""

from collections import Counter

import pytest

FOLLOWERS, JOBS, SECONDS = 6, 10, 7


@pytest.fixture(name="few_followers")
def _few_followers(place):
    place.limit_followers(FOLLOWERS)
    yield
    place.limit_followers(0)


@pytest.mark.standin_only(reason="sets how many logs the stand-in's kubelet follows; the real one has a case of its own")
def test_logs_that_cannot_be_followed_are_read_by_time_and_whole(make_site, place, few_followers):
    namespace = place.make_namespace("few-followers")
    site = make_site(globals_={"concurrent": JOBS}, runner={"request_concurrency": JOBS}, kubernetes={"namespace": namespace})
    script = f'for i in $(seq {SECONDS}); do echo "line $i"; sleep 1; done'
    jobs = [site.job([script], variables={"GIT_STRATEGY": "none"}) for _ in range(JOBS)]
    expected = "".join(f"line {i}\n" for i in range(1, SECONDS + 1))
    for job in jobs:
        job.succeeds(90)
        assert job.script_output().endswith(expected), job.story()
    asked = Counter(r["name"] for r in place.requests(namespace) if r["subresource"] == "log")
    counts = sorted(asked.values())
    assert len(counts) == JOBS
    assert counts[-1] <= 3 + SECONDS / 1.5, counts  # the first look, the last ones, and every 1.5 s at most between them
    assert counts[FOLLOWERS - 1] <= 3, counts  # those that were followed
    assert sum(count > 3 for count in counts) >= JOBS - FOLLOWERS, counts
    told = [line for line in site.controller.log.splitlines() if "log_read_by_time" in line]
    assert len(told) == 1 and "fs.inotify.max_user_instances" in told[0] and "standin-node" in told[0]
