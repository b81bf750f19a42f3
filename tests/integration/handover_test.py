"""An upgrade: the controller is stopped with TERM, its jobs run on, and the next one goes on with all of them."""

import time

from tests.integration.harness.text import marked

LINES = b"".join(b"%d\n" % n for n in range(1, 31))
SCRIPT = [marked("for i in $(seq 1 30); do echo $i; sleep 0.3; done")]


def test_running_jobs_are_handed_over_and_not_waited_for(make_site, no_violations):
    site = make_site()
    jobs = [site.job(SCRIPT, after_script=["echo after $CI_JOB_STATUS"]) for _ in range(4)]
    for job in jobs:
        job.wait_trace(rb"\n3\n")
    began = time.monotonic()
    assert site.controller.stop() == 0
    assert time.monotonic() - began < 5
    assert [job.state for job in jobs] == ["running"] * 4
    assert [len(job.pods()) for job in jobs] == [1] * 4
    site.controller.start()
    for job in jobs:
        job.succeeds(90)
        assert job.between() == LINES
        assert "after success" in job.text
        assert len(site.place.pod_names(job.id)) == 1
